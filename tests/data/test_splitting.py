from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.splitting import SHARE, _counts, _Split, validation_videos

Content = Sequence[str]
"""Labels of the instances of a video."""

contents = st.lists(st.lists(st.sampled_from("abcdef"), max_size=6), min_size=1, max_size=25)


def annotations(videos: Sequence[Content]) -> Annotations:
    made = {
        f"v{i}": Video(f"v{i}", 100, instances=tuple(Instance(j, j + 1, label) for j, label in enumerate(labels)))
        for i, labels in enumerate(videos)
    }
    return Annotations(made, tuple(sorted({label for labels in videos for label in labels})))


def parts(videos: Sequence[Content]) -> tuple[list[Content], list[Content]]:
    """What is in the training and in the validation videos."""
    chosen = validation_videos(annotations(videos))
    train = [labels for i, labels in enumerate(videos) if f"v{i}" not in chosen]
    return train, [labels for i, labels in enumerate(videos) if f"v{i}" in chosen]


def classes(videos: Sequence[Content]) -> set[str]:
    return {label for labels in videos for label in labels}


def videos_with(videos: Sequence[Content]) -> Counter[str]:
    return Counter(label for labels in videos for label in set(labels))


@given(contents)
def test_every_class_can_be_learnt(videos: list[Content]) -> None:
    train, validation = parts(videos)
    assert classes(train) == classes(videos)
    assert not validation or classes(validation)


@given(contents, st.randoms())
def test_only_ids_and_contents_matter(videos: list[Content], random: np.random.Generator) -> None:
    whole = annotations(videos)
    shuffled = list(whole.videos.items())
    random.shuffle(shuffled)  # type: ignore[arg-type]
    assert validation_videos(whole) == validation_videos(Annotations(dict(shuffled), whole.labels))


@pytest.mark.parametrize("videos", [[["a"]], [["a", "b"], ["a", "b"]]])
def test_too_few_videos_for_validation(videos: list[Content]) -> None:
    assert parts(videos)[1] == []


def test_three_videos_are_enough() -> None:
    assert len(parts([["a"], ["a"], ["a"]])[1]) == 1


def test_no_validation_where_every_video_is_needed() -> None:
    assert parts([["a"], ["b"], ["c"], ["d"]])[1] == []
    assert parts([["a"], ["b"], [], [], []])[1] == []  # nothing to score in videos without actions


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6).map(lambda x: [x[0]] * len(x)), min_size=3))
def test_with_one_class_a_video_every_class_of_two_videos_is_validated(videos: list[Content]) -> None:
    _, validation = parts(videos)
    assert classes(validation) == {label for label, n in videos_with(videos).items() if n >= 2}


def most_classes(videos: Sequence[Content]) -> int:
    """How many classes validation can have, tried out: the slow reference."""
    best = 0
    for chosen in itertools.product([False, True], repeat=len(videos)):
        train = [labels for labels, is_chosen in zip(videos, chosen, strict=True) if not is_chosen]
        if classes(train) == classes(videos):
            best = max(best, len(classes([v for v, is_chosen in zip(videos, chosen, strict=True) if is_chosen])))
    return best


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=3, max_size=7))
def test_validation_has_nearly_every_class_that_it_can_have(videos: list[Content]) -> None:
    found, best = len(classes(parts(videos)[1])), most_classes(videos)
    assert best - 1 <= found <= best  # greedy


@given(
    st.integers(5, 60),
    st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_about_a_fifth_where_nothing_speaks_against_it(repeats: int, kinds: list[Content]) -> None:
    videos = kinds * repeats
    train, validation = parts(videos)
    assert abs(len(validation) - SHARE * len(videos)) <= max(1, len(classes(videos)) - 1)
    total, chosen = (Counter(label for labels in part for label in labels) for part in (videos, validation))
    largest = max(len(labels) for labels in videos)
    for label, number in total.items():
        assert abs(chosen[label] - SHARE * number) <= 2 * largest + 0.1 * number
    assert len(train) + len(validation) == len(videos)


def test_classes_are_spread_better_than_by_chance() -> None:
    random = np.random.default_rng(0)
    videos = [list("ab"[random.integers(2)] * int(random.integers(1, 20))) for _ in range(60)]
    _, validation = parts(videos)
    total, chosen = (Counter(label for labels in part for label in labels) for part in (videos, validation))
    assert len(validation) == 12
    for label in "ab":
        assert chosen[label] / total[label] == pytest.approx(SHARE, abs=0.02)


def distance(split: _Split) -> float:
    return float(((split.weights[split.chosen].sum(0) - split.ideal) ** 2).sum())


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=4), min_size=3, max_size=10))
def test_no_exchange_would_be_better(videos: list[Content]) -> None:
    """Each one tried out: the slow reference."""
    whole = annotations(videos)
    split = _Split(_counts(whole, list(whole.videos)))
    split.cover()
    split.fill(2)
    split.exchange()
    best, chosen = distance(split), split.chosen.copy()
    trained, validated = split.has[~chosen].any(0), split.has[chosen].any(0)
    for i, j in itertools.product(np.flatnonzero(~chosen), np.flatnonzero(chosen)):
        split.chosen = chosen.copy()
        split.chosen[[i, j]] = True, False
        if (split.has[~split.chosen].any(0) >= trained).all() and (split.has[split.chosen].any(0) >= validated).all():
            assert distance(split) >= best - 1e-8


def test_videos_without_actions_are_spread_too() -> None:
    _, validation = parts([["a", "b"]] * 20 + [[]] * 20)
    assert sum(not labels for labels in validation) == 4
    assert len(validation) == 8


def test_thousands_of_videos() -> None:
    random = np.random.default_rng(0)
    videos = [[str(label) for label in random.integers(0, 50, size=random.integers(0, 10))] for _ in range(3000)]
    train, validation = parts(videos)
    assert len(validation) == 600
    assert classes(train) == classes(validation) == classes(videos)
