"""How each benchmark is evaluated, and its results as the field prints them.

A benchmark fixes the tIoU thresholds that mean average precision is averaged over, and often prints it only at some of
them; most fix the subsets, too. Where several protocols are in use, this is the one of the methods that detect
segments:

- **MultiTHUMOS** and **Charades** are also scored frame by frame (mAP of 65 or 157 labels at every frame, or at 25
  frames a video), by methods that say nothing about segments. Detections are averaged over .1:.1:.9, and printed at
  .2, .5 and .7.
- **Ego4D** (moment queries) adds recall@1x at tIoU .5. It is printed as ActionFormer counts it, as the mean over the
  classes; see `untrimmed.evaluation.recall`.
- **EPIC-Kitchens-100** has three rows: verbs, nouns, and actions, which are pairs of both; see
  `untrimmed.evaluation.epic`.
- **SBHAR** has no fixed subsets: it is tested person by person, or in folds of persons.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detections
from untrimmed.errors import ConfigError
from untrimmed.evaluation.matching import Reading
from untrimmed.evaluation.mean_ap import MeanAP, mean_average_precision
from untrimmed.evaluation.recall import PROPOSAL_TIOUS, AverageRecall, RecallAtKx, average_recall, recall_at_kx

Measure = Literal["mAP", "recall@kx", "AR@AN"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """How a benchmark is evaluated.

    Attributes:
        name: short name, as in `PROTOCOLS`.
        title: name of the benchmark in full.
        tious: thresholds that are averaged over.
        printed: those of them that published tables have a column for.
        trained: subsets that models are trained on; none if the benchmark does not say.
        tested: subsets that they are tested on; none if the benchmark does not say.
        measures: what is measured.
        rows: the parts of the truth that are evaluated one by one, each a row of mAP.
        recall_multiples: the values of k of recall@kx.
        recall_tious: thresholds of recall@kx.
        proposals: the values of N that AR is printed at.
    """

    name: str
    title: str
    tious: tuple[float, ...]
    printed: tuple[float, ...]
    trained: tuple[str, ...] = ()
    tested: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ("mAP",)
    rows: tuple[str, ...] = ("mAP",)
    recall_multiples: tuple[int, ...] = ()
    recall_tious: tuple[float, ...] = ()
    proposals: tuple[int, ...] = ()


_THREE_TO_SEVEN = (0.3, 0.4, 0.5, 0.6, 0.7)
_ONE_TO_FIVE = (0.1, 0.2, 0.3, 0.4, 0.5)
_ONE_TO_NINE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

_ALL = (
    Protocol(
        name="thumos14",
        title="THUMOS14",
        tious=_THREE_TO_SEVEN,
        printed=_THREE_TO_SEVEN,
        trained=("validation",),
        tested=("test",),
    ),
    Protocol(
        name="activitynet",
        title="ActivityNet 1.3",
        tious=PROPOSAL_TIOUS,
        printed=(0.5, 0.75, 0.95),
        trained=("training",),
        tested=("validation",),
    ),
    Protocol(
        name="activitynet_proposals",
        title="ActivityNet 1.3, proposals",
        tious=PROPOSAL_TIOUS,
        printed=(),
        trained=("training",),
        tested=("validation",),
        measures=("AR@AN",),
        rows=(),
        proposals=(1, 5, 10, 100),
    ),
    Protocol(
        name="epic",
        title="EPIC-Kitchens-100",
        tious=_ONE_TO_FIVE,
        printed=_ONE_TO_FIVE,
        trained=("training",),
        tested=("validation",),
        rows=("verb", "noun", "action"),
    ),
    Protocol(
        name="ego4d",
        title="Ego4D, moment queries",
        tious=_ONE_TO_FIVE,
        printed=_ONE_TO_FIVE,
        trained=("train",),
        tested=("val",),
        measures=("mAP", "recall@kx"),
        recall_multiples=(1,),
        recall_tious=(0.5,),
    ),
    Protocol(
        name="multithumos",
        title="MultiTHUMOS",
        tious=_ONE_TO_NINE,
        printed=(0.2, 0.5, 0.7),
        trained=("training",),
        tested=("testing",),
    ),
    Protocol(
        name="charades",
        title="Charades",
        tious=_ONE_TO_NINE,
        printed=(0.2, 0.5, 0.7),
        trained=("training",),
        tested=("testing",),
    ),
    Protocol(name="sbhar", title="SBHAR", tious=_THREE_TO_SEVEN, printed=_THREE_TO_SEVEN),
)

PROTOCOLS: Mapping[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
"""The protocols by name."""


def protocol_named(name: str) -> Protocol:
    """Return a protocol.

    Raises:
        ConfigError: if there is none of this name; the message says which there are.
    """
    if name not in PROTOCOLS:
        near = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"no benchmark is called {name!r}; there are {', '.join(PROTOCOLS)}.{hint}")
    return PROTOCOLS[name]


@dataclass(frozen=True, eq=False)
class ProtocolScores:
    """What detections score by a protocol.

    Attributes:
        protocol: says how they are printed.
        scores: mean average precision, by the name of its row.
        recall: recall@kx, where the protocol has it.
        proposals: average recall, where the protocol has it.
    """

    protocol: Protocol
    scores: Mapping[str, MeanAP]
    recall: RecallAtKx | None = None
    proposals: AverageRecall | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """The results as the field prints them."""
        lines = score_lines(self.protocol, self.scores, self.recall) if self.scores else ()
        return lines if self.proposals is None else (*lines, *proposal_lines(self.protocol, self.proposals))

    def as_dict(self) -> dict[str, Any]:
        """Return it as what can be written as JSON."""
        further = {"recall": self.recall, "proposals": self.proposals}
        return {
            "protocol": self.protocol.name,
            **{name: score.as_dict() for name, score in self.scores.items()},
            **{name: found.as_dict() for name, found in further.items() if found is not None},
        }


def evaluate_by(
    protocol: Protocol,
    truth: Annotations,
    detections: Mapping[str, Detections],
    *,
    reading: Reading = "correct",
    row: str = "mAP",
) -> ProtocolScores:
    """Evaluate detections as a benchmark does.

    Args:
        protocol: of the benchmark. Of one with several rows, the row whose truth this is.
        truth: the videos to evaluate on, with all their instances.
        detections: by video id.
        reading: as in `mean_average_precision`.
        row: how the row of mAP is called.

    Raises:
        AnnotationError: if `truth` has no instances.
        ConfigError: if the reading is an unknown one.
    """
    measures = protocol.measures
    scores = {}
    recall = proposals = None
    if "mAP" in measures:
        scores[row] = mean_average_precision(truth, detections, protocol.tious, reading=reading)
    if "recall@kx" in measures:
        recall = recall_at_kx(truth, detections, protocol.recall_tious, protocol.recall_multiples, reading=reading)
    if "AR@AN" in measures:
        proposals = average_recall(truth, detections, protocol.tious, max(protocol.proposals), reading=reading)
    return ProtocolScores(protocol, scores, recall, proposals)


def score_lines(protocol: Protocol, scores: Mapping[str, MeanAP], recall: RecallAtKx | None = None) -> tuple[str, ...]:
    """Return results as lines of text: a row for each score, and for each multiple of the recall; in percent.

    ::

        tIoU          0.3    0.4    0.5    0.6    0.7    Avg
        mAP         82.13  77.80  70.95  59.40  43.88  66.83
        Recall@1x   83.73  79.58  74.00  64.39  53.08
        Recall@5x   96.78  95.50  92.07  84.41  71.58

    Args:
        protocol: says which columns are printed. The average is over all its thresholds.
        scores: by the name of the row, as in `Protocol.rows`; made with the thresholds of the protocol.
        recall: at some or all thresholds of the protocol; where it has none, the row is empty. It has no average.
    """
    lines = [_line("tIoU", [*(f"{tiou:g}" for tiou in protocol.printed), "Avg"])]
    for name, score in scores.items():
        assert np.allclose(score.tious, protocol.tious), (protocol.name, score.tious)
        cells = _cells(protocol.printed, score.tious, score.by_tiou)
        lines.append(_line(name, [*cells, _percent(score.average)]))
    if recall is not None:
        for k, values in zip(recall.multiples, recall.by_tiou.T, strict=True):
            lines.append(_line(f"Recall@{k}x", _cells(protocol.printed, recall.tious, values)))
    return tuple(lines)


def proposal_lines(protocol: Protocol, result: AverageRecall) -> tuple[str, ...]:
    """Return average recall as two lines of text, AR at some numbers of proposals and the area under it, in percent.

    ::

        proposals    AR@1   AR@5  AR@10 AR@100    AUC
        recall      33.26  49.48  56.86  75.19  67.23

    Args:
        protocol: says at which numbers.
        result: with at least as many proposals.
    """
    names = [f"AR@{number}" for number in protocol.proposals]
    cells = [_percent(result.at(number)) for number in protocol.proposals]
    return _line("proposals", [*names, "AUC"]), _line("recall", [*cells, _percent(result.area)])


def _cells(printed: Sequence[float], tious: Sequence[float], values: NDArray[np.float64]) -> list[str]:
    """Return what stands in each column: the value at its threshold, or nothing if there is none."""
    columns = [np.flatnonzero(np.isclose(tious, column)) for column in printed]  # 0.1 + 0.2 is not 0.3
    return [_percent(float(values[places[0]])) if len(places) else "" for places in columns]


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _line(name: str, cells: Sequence[str]) -> str:
    return "".join([f"{name:10}", *(f"{cell:>7}" for cell in cells)]).rstrip()
