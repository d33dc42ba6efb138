from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.folds import fold_names, groups_by, split
from untrimmed.errors import AnnotationError, ConfigError

contents = st.lists(st.lists(st.sampled_from("abcd"), max_size=5), min_size=5, max_size=30)


def annotations(videos: list[list[str]]) -> Annotations:
    made = {
        f"p{i // 2}_v{i}": Video(
            f"p{i // 2}_v{i}", 100, instances=tuple(Instance(j, j + 1, label) for j, label in enumerate(labels))
        )
        for i, labels in enumerate(videos)
    }
    return Annotations(made, tuple("abcd"), "some.json")


def shares(count: int) -> dict[str, float]:
    return dict.fromkeys(fold_names(count), 1.0)


@given(contents, st.integers(2, 5), st.integers(0, 3))
def test_every_video_is_in_one_part_and_none_is_empty(videos: list[list[str]], parts: int, seed: int) -> None:
    whole = annotations(videos)
    made = split(whole, shares(parts), seed=seed)
    assert [*made.videos] == [*whole.videos]
    assert all(made[id_].instances == whole[id_].instances for id_ in whole.videos)
    assert made.subsets.keys() == set(fold_names(parts))


@given(contents, st.randoms())
def test_only_ids_contents_and_the_seed_matter(videos: list[list[str]], random: np.random.Generator) -> None:
    whole = annotations(videos)
    shuffled = list(whole.videos.items())
    random.shuffle(shuffled)  # type: ignore[arg-type]
    other = Annotations(dict(shuffled), whole.labels)
    assert split(whole, shares(3), seed=7).videos == split(other, shares(3), seed=7).videos


@given(contents)
def test_groups_stay_together(videos: list[list[str]]) -> None:
    whole = annotations(videos)
    groups = groups_by(whole, "^(p[0-9]+)_")
    made = split(whole, shares(2), groups=groups)
    for group in set(groups.values()):
        assert len({made[id_].subset for id_ in whole.videos if groups[id_] == group}) == 1


def test_another_seed_is_another_split() -> None:
    whole = annotations([["a"]] * 20)
    assert len({tuple(v.subset for v in split(whole, shares(4), seed=seed)) for seed in range(5)}) == 5


def test_classes_are_spread_evenly() -> None:
    random = np.random.default_rng(0)
    videos = [
        random.choice(list("abcd"), size=random.integers(1, 9), p=[0.6, 0.25, 0.1, 0.05]).tolist() for _ in range(60)
    ]
    whole = annotations(videos)
    for made in (split(whole, shares(5)), split(whole, shares(5), groups=groups_by(whole, "^p[0-9]+"))):
        of_class = Counter((v.subset, i.label) for v in made for i in v.instances)
        for label in "abcd":
            counts = [of_class[fold, label] for fold in fold_names(5)]
            assert max(counts) - min(counts) <= max(4, 0.3 * np.mean(counts)), (label, counts)
        sizes = made.subsets.values()
        assert max(sizes) - min(sizes) <= 6


def test_parts_of_different_size() -> None:
    made = split(annotations([["a"], ["b"]] * 50), {"train": 8, "val": 1, "test": 1})
    assert (made.subsets["train"], made.subsets["val"], made.subsets["test"]) == (80, 10, 10)


def test_videos_without_actions_are_spread_too() -> None:
    made = split(annotations([["a"]] * 10 + [[]] * 10), shares(5))
    empty = Counter(video.subset for video in made if not video.instances)
    assert set(empty.values()) == {2}


def test_what_cannot_be_split() -> None:
    whole = annotations([["a"], ["a"], ["b"]])
    with pytest.raises(ConfigError, match=r"some\.json: 3 videos cannot be split into 4 parts"):
        split(whole, shares(4))
    with pytest.raises(ConfigError, match="2 groups cannot be split into 3 parts"):
        split(whole, shares(3), groups=groups_by(whole, "p[0-9]"))
    with pytest.raises(ConfigError, match="the parts are fold0=1; there have to be two or more"):
        split(whole, shares(1))
    with pytest.raises(ConfigError, match="the parts are a=1, b=0"):
        split(whole, {"a": 1, "b": 0})


def test_groups_of_ids() -> None:
    whole = annotations([["a"], ["a"], ["b"]])
    assert groups_by(whole, "^(p[0-9]+)_") == {"p0_v0": "p0", "p0_v1": "p0", "p1_v2": "p1"}
    assert groups_by(whole, "v[0-9]+$") == {"p0_v0": "v0", "p0_v1": "v1", "p1_v2": "v2"}
    with pytest.raises(AnnotationError, match=r"video 'p1_v2' has no group: 'p0' is not found in it"):
        groups_by(whole, "p0")
    with pytest.raises(ConfigError, match=r"'\(' is no regular expression"):
        groups_by(whole, "(")
