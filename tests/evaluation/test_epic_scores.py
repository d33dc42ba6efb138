from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.detections import Detections
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.errors import AnnotationError, ConfigError
from untrimmed.evaluation.epic import action_annotations, combine, epic_scores, part_of_actions
from untrimmed.evaluation.mean_ap import mean_average_precision

VERBS = ("take", "put", "turn, slowly")
NOUNS = ("tap", "cup")
Row = tuple[float, float, str, float]


def truth(labels: Sequence[str], *rows: tuple[float, float, str]) -> Annotations:
    return Annotations(
        {"v": Video("v", 100.0, instances=tuple(Instance(*row) for row in rows))}, tuple(labels), "truth"
    )


def of(labels: Sequence[str], *rows: Row) -> dict[str, Detections]:
    return {
        "v": Detections(
            "v",
            np.array([row[:2] for row in rows], np.float64).reshape(-1, 2),
            np.array([row[3] for row in rows], np.float64),
            np.array([labels.index(row[2]) for row in rows], np.int64),
            tuple(labels),
        )
    }


def perfect(annotations: Annotations) -> dict[str, Detections]:
    return {
        video.id: Detections(
            video.id,
            video.segments,
            np.ones(len(video.instances)),
            annotations.label_numbers(video),
            annotations.labels,
        )
        for video in annotations
    }


def rows_of(detections: Detections) -> list[Row]:
    return [(d.start, d.end, d.label, d.score) for d in detections]


def test_actions_are_pairs_of_class_numbers() -> None:
    verbs = truth(VERBS, (0, 1, "put"), (2, 3, "turn, slowly"))
    nouns = truth(NOUNS, (0, 1, "cup"), (2, 3, "tap"))
    actions = action_annotations(verbs, nouns)
    assert actions.labels == ("0,0", "0,1", "1,0", "1,1", "2,0", "2,1")
    assert [i.label for i in actions["v"].instances] == ["1,1", "2,0"]
    assert actions.label_numbers(actions["v"]).tolist() == [1 * 2 + 1, 2 * 2 + 0]


def test_truths_that_do_not_fit() -> None:
    verbs = truth(VERBS, (0, 1, "put"))
    with pytest.raises(AnnotationError, match="video 'v' does not have the same 1 segments"):
        action_annotations(verbs, truth(NOUNS, (0, 1.5, "cup")))
    other = replace(verbs, videos={"w": verbs["v"]})
    with pytest.raises(AnnotationError, match=r"video 'v' is in truth only"):
        action_annotations(verbs, other)


spans = st.builds(lambda start, length: (float(start), float(start + length)), st.integers(0, 8), st.integers(1, 6))
verb_rows = st.builds(lambda s, label, score: (*s, label, score / 8), spans, st.sampled_from(VERBS), st.integers(0, 8))
noun_rows = st.builds(lambda s, label, score: (*s, label, score / 8), spans, st.sampled_from(NOUNS), st.integers(0, 8))


def slow_combine(verbs: Sequence[Row], nouns: Sequence[Row], least: float) -> list[Row]:
    found = []
    for a, b, verb, of_verb in verbs:
        best: dict[str, Row] = {}
        for c, d, noun, of_noun in nouns:
            shared = max(0.0, min(b, d) - max(a, c))
            tiou = shared / (b - a + d - c - shared)
            if tiou < least:
                continue
            row = ((a + c) / 2, (b + d) / 2, f"{VERBS.index(verb)},{NOUNS.index(noun)}", sqrt(of_verb * of_noun) * tiou)
            if noun not in best or row[3] > best[noun][3]:
                best[noun] = row
        found += best.values()
    return found


@given(st.lists(verb_rows, max_size=6), st.lists(noun_rows, max_size=6), st.sampled_from([0.25, 0.5, 1.0]))
def test_combining_is_its_slow_definition(verbs: list[Row], nouns: list[Row], least: float) -> None:
    made = combine(of(VERBS, *verbs), of(NOUNS, *nouns), VERBS, NOUNS, min_tiou=least)["v"]
    slow = slow_combine(verbs, nouns, least)
    scores = np.array([row[3] for row in slow])
    np.testing.assert_allclose(made.scores, np.sort(scores)[::-1], atol=1e-12)
    # Of nouns with equal scores, which one a verb is paired with is not part of the definition.
    assert sorted(row[2] for row in rows_of(made)) == sorted(row[2] for row in slow)


def test_the_best_actions_are_kept() -> None:
    verbs = of(VERBS, (0, 4, "take", 1.0), (10, 14, "put", 0.5))
    nouns = of(NOUNS, (0, 4, "cup", 0.25), (10, 12, "tap", 0.5))
    assert rows_of(combine(verbs, nouns, VERBS, NOUNS)["v"]) == [(0, 4, "0,1", 0.5), (10, 13, "1,0", 0.25)]
    assert rows_of(combine(verbs, nouns, VERBS, NOUNS, most=1)["v"]) == [(0, 4, "0,1", 0.5)]
    assert rows_of(combine(verbs, nouns, VERBS, NOUNS, min_tiou=0.6)["v"]) == [(0, 4, "0,1", 0.5)]


def test_class_numbers_are_those_of_the_lists_and_not_of_the_detections() -> None:
    verbs, nouns = of(("put", "take"), (0, 4, "put", 1.0)), of(("cup",), (0, 4, "cup", 1.0))
    made = combine(verbs, nouns, VERBS, NOUNS)["v"]
    assert [d.label for d in made] == ["1,1"]
    assert rows_of(part_of_actions({"v": made}, 0, VERBS)["v"]) == [(0, 4, "put", 1.0)]
    assert rows_of(part_of_actions({"v": made}, 1, NOUNS)["v"]) == [(0, 4, "cup", 1.0)]


def test_videos_of_one_kind_only_have_no_actions() -> None:
    verbs, nouns = of(VERBS, (0, 4, "take", 1.0)), of(NOUNS, (0, 4, "cup", 0.25))
    assert combine({**verbs, "w": verbs["v"]}, nouns, VERBS, NOUNS).keys() == {"v"}
    assert combine({}, nouns, VERBS, NOUNS) == {}


def test_what_cannot_be_combined() -> None:
    verbs, nouns = of(VERBS, (0, 4, "take", 1.0)), of(NOUNS, (0, 4, "cup", 0.25))
    with pytest.raises(ConfigError, match="min_tiou is 0"):
        combine(verbs, nouns, VERBS, NOUNS, min_tiou=0)
    with pytest.raises(ConfigError, match="have to be at least 1"):
        combine(verbs, nouns, VERBS, NOUNS, most=0)
    with pytest.raises(AnnotationError, match="video 'v' has 'take', none of the 2 nouns"):
        combine(verbs, verbs, VERBS, NOUNS)


@pytest.mark.parametrize(
    ("label", "message"),
    [("take", "label 'take' is no action"), ("0,2", "an action has noun 2, but there are nouns from 0 to 1 only")],
)
def test_labels_that_are_no_actions(label: str, message: str) -> None:
    with pytest.raises(AnnotationError, match=message):
        part_of_actions(of((label,), (0, 1, label, 1.0)), 1, NOUNS)


def test_actions_count_as_verbs_and_nouns_or_have_their_own() -> None:
    verbs = truth(VERBS, (0, 1, "put"), (2, 3, "take"))
    nouns = truth(NOUNS, (0, 1, "cup"), (2, 3, "tap"))
    actions = of(("1,1", "0,1"), (0, 1, "1,1", 1.0), (2, 3, "0,1", 0.5))  # the second noun is wrong
    scores = epic_scores(verbs, nouns, actions)
    assert [100 * score.average for score in scores.rows.values()] == [100, 50, 50]
    assert scores.as_dict().keys() == {"verb", "noun", "action"}
    assert epic_scores(verbs, nouns, actions, nouns=perfect(nouns)).noun.average == 1
    assert epic_scores(verbs, nouns, actions, verbs={}).verb.average == 0


@pytest.fixture
def kitchen(shared: Path) -> tuple[Annotations, Annotations]:
    """The validation set of EPIC-KITCHENS-100: verbs and nouns."""
    folder = shared / "data" / "epic_kitchens"
    return open_annotations(folder, task="verb"), open_annotations(folder, task="noun")


@pytest.mark.parametrize("reading", ["correct", "official"])
def test_perfect_detections_of_epic_kitchens_score_100(kitchen: tuple[Annotations, Annotations], reading: str) -> None:
    verbs, nouns = kitchen
    assert sum(len(video.instances) for video in verbs) == 9668
    actions = perfect(action_annotations(verbs, nouns))
    scores = epic_scores(verbs, nouns, actions, reading=reading)  # type: ignore[arg-type]
    assert [score.average for score in scores.rows.values()] == [1, 1, 1]
    combined = combine(perfect(verbs), perfect(nouns), verbs.labels, nouns.labels, min_tiou=1)
    # Segments that are there twice with other verbs and nouns are combined crosswise: a few actions too many.
    assert epic_scores(verbs, nouns, combined).action.average > 0.99


def test_shuffled_labels_of_epic_kitchens_score_near_chance(kitchen: tuple[Annotations, Annotations]) -> None:
    verbs, nouns = kitchen
    random = np.random.default_rng(0)
    actions = perfect(action_annotations(verbs, nouns))
    every = np.concatenate([each.labels for each in actions.values()])
    shuffled = {
        id_: replace(each, labels=random.permutation(every)[: len(each)], scores=random.random(len(each)))
        for id_, each in actions.items()
    }
    scores = epic_scores(verbs, nouns, shuffled)
    # A class with the share p of all segments is right with chance p, so that its AP is about p squared or a bit more.
    for truth_, score in ((verbs, scores.verb), (nouns, scores.noun)):
        shares = np.unique(np.concatenate([truth_.label_numbers(v) for v in truth_]), return_counts=True)[1] / 9668
        assert shares.mean() / 10 < score.average < 2 * shares.mean(), (score.average, shares.mean())
    assert scores.action.average < 0.01


def test_an_official_detail(kitchen: tuple[Annotations, Annotations]) -> None:
    """Labels that do not occur in the truth count against others in the official reading only."""
    verbs, _ = kitchen
    absent = next(
        label for label in verbs.labels if not any(i.label == label for video in verbs for i in video.instances)
    )
    first = next(iter(verbs))
    extra = Detections(first.id, np.array([[0.0, 1.0]]), np.array([2.0]), np.array([0]), (absent,))
    found = perfect(verbs)
    both = {
        **found,
        first.id: Detections(
            first.id,
            np.concatenate([found[first.id].segments, extra.segments]),
            np.append(found[first.id].scores, 2.0),
            np.append(found[first.id].labels, verbs.label_index[absent]),
            verbs.labels,
        ),
    }
    assert mean_average_precision(verbs, both, [0.5]).average == 1
    assert mean_average_precision(verbs, both, [0.5], reading="official").average < 1
