from __future__ import annotations

import pytest

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.errors import AnnotationError


@pytest.fixture
def annotations() -> Annotations:
    videos = [
        Video("a", 10.0, "Training", 25.0, (Instance(1.0, 2.0, "run"), Instance(3.0, 5.0, "jump"))),
        Video("b", 20.0, "validation"),
        Video("c", 30.0, "Training"),
    ]
    return Annotations({video.id: video for video in videos}, ("jump", "run"), "some.json")


def test_is_a_collection_of_videos(annotations: Annotations) -> None:
    assert len(annotations) == 3
    assert [video.id for video in annotations] == ["a", "b", "c"]
    assert annotations["b"].duration == 20.0
    assert annotations.subsets == {"Training": 2, "validation": 1}


def test_arrays(annotations: Annotations) -> None:
    assert annotations["a"].segments.tolist() == [[1.0, 2.0], [3.0, 5.0]]
    assert annotations["b"].segments.shape == (0, 2)
    assert annotations.label_numbers(annotations["a"]).tolist() == [1, 0]
    numbers = annotations.label_numbers(annotations["b"])
    assert (numbers.shape, numbers.dtype) == ((0,), "int64")


def test_subsets_are_chosen_without_regard_to_case(annotations: Annotations) -> None:
    assert [*annotations.of_subsets(["training"]).videos] == ["a", "c"]
    assert [*annotations.of_subsets(["VALIDATION", "Training"]).videos] == ["a", "b", "c"]
    assert annotations.of_subsets(["validation"]).labels == ("jump", "run")


def test_subsets_by_another_name_of_the_same(annotations: Annotations) -> None:
    assert [*annotations.of_subsets(["train", "val"]).videos] == ["a", "b", "c"]
    both = Annotations({"d": Video("d", 1.0, "train"), **annotations.videos}, annotations.labels)
    assert [*both.of_subsets(["train"]).videos] == ["d"]  # its own name goes before
    assert [*both.of_subsets(["training"]).videos] == ["a", "c"]


def test_a_misspelt_subset(annotations: Annotations) -> None:
    message = (
        r"some\.json: no video is in subset 'Validaton'; "
        r"there are 'Training' \(2 videos\), 'validation' \(1 videos\)\. Did you mean 'validation'"
    )
    with pytest.raises(AnnotationError, match=message):
        annotations.of_subsets(["training", "Validaton"])
    with pytest.raises(AnnotationError, match=r"'test'; there are no videos\.$"):
        Annotations({}, ()).of_subsets(["test"])


def test_where(annotations: Annotations) -> None:
    assert [*annotations.where(lambda video: video.duration > 15).videos] == ["b", "c"]


def test_labels_are_unique() -> None:
    with pytest.raises(AssertionError, match="a label is there twice"):
        Annotations({}, ("a", "b", "a"))
