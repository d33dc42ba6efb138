from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.errors import ConfigError
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.evaluation.protocols import PROTOCOLS, Protocol, proposal_lines, protocol_named, score_lines
from untrimmed.evaluation.recall import AverageRecall, RecallAtKx, recall_at_kx


def score(name: str, published: dict[float, float], average: float) -> MeanAP:
    """A score with the published values, in percent; the other thresholds share what the average leaves to them."""
    tious = PROTOCOLS[name].tious
    others = [tiou for tiou in tious if tiou not in published]
    rest = (len(tious) * average - sum(published.values())) / max(1, len(others))
    by_tiou = [published.get(tiou, rest) / 100 for tiou in tious]
    return MeanAP(tious, ("a",), np.array([1]), np.array(by_tiou)[:, None])


def recall(tious: tuple[float, ...], multiples: tuple[int, ...], by_tiou: NDArray[np.float64]) -> RecallAtKx:
    """Recall of one class with ten thousand instances, from percentages `[n_tious, n_multiples]`."""
    found = np.round(100 * by_tiou).astype(np.int64)[:, :, None]
    return RecallAtKx(tious, multiples, ("a",), np.array([10_000]), found)


def test_thumos14_as_published() -> None:
    columns = dict(zip((0.3, 0.4, 0.5, 0.6, 0.7), (82.13, 77.80, 70.95, 59.40, 43.87), strict=True))
    assert score_lines(PROTOCOLS["thumos14"], {"mAP": score("thumos14", columns, 66.83)}) == (
        "tIoU          0.3    0.4    0.5    0.6    0.7    Avg",
        "mAP         82.13  77.80  70.95  59.40  43.87  66.83",
    )


def test_activitynet_as_published() -> None:
    found = {"mAP": score("activitynet", {0.5: 54.67, 0.75: 37.81, 0.95: 8.36}, 36.56)}
    assert score_lines(PROTOCOLS["activitynet"], found) == (
        "tIoU          0.5   0.75   0.95    Avg",
        "mAP         54.67  37.81   8.36  36.56",
    )


def test_epic_as_published() -> None:
    tious = (0.1, 0.2, 0.3, 0.4, 0.5)
    verb = dict(zip(tious, (26.58, 25.42, 24.15, 22.29, 19.09), strict=True))
    noun = dict(zip(tious, (25.21, 24.11, 22.66, 20.47, 16.97), strict=True))
    found = {"verb": score("epic", verb, 0), "noun": score("epic", noun, 0)}
    assert score_lines(PROTOCOLS["epic"], found) == (
        "tIoU          0.1    0.2    0.3    0.4    0.5    Avg",
        "verb        26.58  25.42  24.15  22.29  19.09  23.51",
        "noun        25.21  24.11  22.66  20.47  16.97  21.88",
    )


def test_ego4d_has_recall_at_one_threshold() -> None:
    protocol = PROTOCOLS["ego4d"]
    of_egovlp = recall(protocol.recall_tious, protocol.recall_multiples, np.array([[37.12]]))
    columns = dict.fromkeys(protocol.tious, 20.60)  # only the average is published
    assert score_lines(protocol, {"mAP": score("ego4d", columns, 20.60)}, of_egovlp) == (
        "tIoU          0.1    0.2    0.3    0.4    0.5    Avg",
        "mAP         20.60  20.60  20.60  20.60  20.60  20.60",
        "Recall@1x                               37.12",
    )


# PointTAD, which introduced the protocol for these two.
@pytest.mark.parametrize(
    ("name", "values", "average"),
    [("multithumos", (39.70, 24.90, 12.04), 23.46), ("charades", (17.45, 13.46, 9.14), 12.13)],
)
def test_multi_label_sets_as_published(name: str, values: tuple[float, ...], average: float) -> None:
    columns = dict(zip((0.2, 0.5, 0.7), values, strict=True))
    header, line = score_lines(PROTOCOLS[name], {"mAP": score(name, columns, average)})
    assert header == "tIoU          0.2    0.5    0.7    Avg"
    assert line.split() == ["mAP", *(f"{value:.2f}" for value in values), f"{average:.2f}"]


def test_proposals_as_published() -> None:
    at = {1: 33.26, 5: 49.48, 10: 56.86, 100: 75.19}
    recalls = np.interp(np.arange(1, 101), list(at), [value / 100 for value in at.values()])
    result = AverageRecall((0.5,), np.arange(1, 101), 10, recalls[None], 0.6723)
    assert proposal_lines(PROTOCOLS["activitynet_proposals"], result) == (
        "proposals    AR@1   AR@5  AR@10 AR@100    AUC",
        "recall      33.26  49.48  56.86  75.19  67.23",
    )


def test_columns_are_found_however_the_thresholds_were_computed() -> None:
    tious = tuple(np.arange(0.1, 0.95, 0.1).tolist())
    assert tious != PROTOCOLS["charades"].tious
    found = MeanAP(tious, ("a",), np.array([1]), np.arange(9)[:, None] / 10)
    assert score_lines(PROTOCOLS["charades"], {"mAP": found})[1].split() == ["mAP", "10.00", "40.00", "60.00", "40.00"]


def test_all_hundred_percent_fits() -> None:
    (header, line) = score_lines(PROTOCOLS["sbhar"], {"mAP": score("sbhar", dict.fromkeys((0.3, 0.4), 100.0), 100.0)})
    assert line == "mAP        100.00 100.00 100.00 100.00 100.00 100.00"
    assert len(header) == len(line)


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
def test_protocols_are_consistent(protocol: Protocol) -> None:
    assert protocol is PROTOCOLS[protocol.name]
    assert set(protocol.printed) <= set(protocol.tious)
    assert set(protocol.recall_tious) <= set(protocol.printed)
    assert bool(protocol.rows) == ("mAP" in protocol.measures)
    assert bool(protocol.recall_multiples) == ("recall@kx" in protocol.measures)
    assert bool(protocol.proposals) == ("AR@AN" in protocol.measures)
    assert bool(protocol.trained) == bool(protocol.tested)


@pytest.mark.parametrize(
    ("name", "first", "last", "count"),
    [
        ("thumos14", 0.3, 0.7, 5),
        ("activitynet", 0.5, 0.95, 10),
        ("epic", 0.1, 0.5, 5),
        ("ego4d", 0.1, 0.5, 5),
        ("multithumos", 0.1, 0.9, 9),
        ("charades", 0.1, 0.9, 9),
        ("sbhar", 0.3, 0.7, 5),
    ],
)
def test_thresholds(name: str, first: float, last: float, count: int) -> None:
    np.testing.assert_allclose(PROTOCOLS[name].tious, np.linspace(first, last, count))


def test_unknown_benchmark() -> None:
    assert protocol_named("epic") is PROTOCOLS["epic"]
    with pytest.raises(ConfigError, match=r"'thumos'; there are thumos14, .*\. Did you mean 'thumos14'\?"):
        protocol_named("thumos")
    with pytest.raises(ConfigError, match="'xyz'; there are thumos14"):
        protocol_named("xyz")


def test_official_detections_of_thumos14(shared: Path) -> None:
    protocol = PROTOCOLS["thumos14"]
    truth = read_annotations(shared / "data/thumos14/thumos14.json")
    found = read_detections(shared / "data/thumos14/actionformer_official_detections.csv.gz", truth.labels)
    truth = truth.of_subsets(protocol.tested)
    ap, recalls = (measure(truth, found, protocol.tious) for measure in (mean_average_precision, recall_at_kx))
    assert score_lines(protocol, {"mAP": ap}, recalls) == (
        "tIoU          0.3    0.4    0.5    0.6    0.7    Avg",
        "mAP         82.13  77.80  70.95  59.40  43.88  66.83",
        "Recall@1x   83.73  79.58  74.00  64.39  53.08",
        "Recall@5x   96.78  95.50  92.07  84.41  71.58",
    )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("thumos14", "thumos14/thumos14.json"),
        ("activitynet", "activitynet/activitynet13_bsn_subset.json"),
    ],
)
def test_subsets_are_those_of_the_annotations(shared: Path, name: str, path: str) -> None:
    truth = read_annotations(shared / "data" / path)
    for subsets in (PROTOCOLS[name].trained, PROTOCOLS[name].tested):
        assert len(truth.of_subsets(subsets)) > 0
