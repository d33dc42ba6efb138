from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from untrimmed.data.formats.class_scores import read_class_scores
from untrimmed.errors import AnnotationError


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_lists_of_numbers_with_their_classes(tmp_path: Path) -> None:
    path = write(tmp_path / "s.json", {"class": ["a", "b"], "results": {"v": [0.25, 3]}})
    scores = read_class_scores(path)
    assert scores.labels == ("a", "b")
    np.testing.assert_array_equal(scores.videos["v"], [0.25, 3.0])


def test_classes_may_be_named_by_the_caller(tmp_path: Path) -> None:
    path = write(tmp_path / "s.json", {"results": {"v": [0.25, 0.5]}})
    assert read_class_scores(path, ["x", "y"]).labels == ("x", "y")


def test_named_scores_fill_up_with_zeros(tmp_path: Path) -> None:
    results = {"v": [{"label": "b", "score": 0.5}], "w": [{"label": "a", "score": 1.0}], "none": []}
    path = write(tmp_path / "s.json", {"results": {k: r for k, r in results.items() if r}})
    scores = read_class_scores(path)
    assert scores.labels == ("a", "b")
    np.testing.assert_array_equal(scores.videos["v"], [0.0, 0.5])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], '"results"'),
        ({"results": {"v": 3}}, "names of the classes"),
        ({"class": ["a"], "results": {"v": 3}}, "video 'v': expected a list of scores, found 3"),
        ({"class": ["a", "b"], "results": {"v": [1]}}, "video 'v': 1 scores, but there are 2 classes"),
        ({"class": ["a"], "results": {"v": [-1]}}, "-1 is no score"),
        ({"class": ["a"], "results": {"v": [{"label": "z", "score": 1}]}}, "'z' is none of the 1 classes"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, content: object, message: str) -> None:
    path = write(tmp_path / "s.json", content)
    with pytest.raises(AnnotationError) as caught:
        read_class_scores(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_published_sample(shared: Path) -> None:
    scores = read_class_scores(shared / "data/activitynet/sample_classification_prediction.json")
    assert scores.videos["wONwHYy59Tc"][scores.labels.index("Blow-drying hair")] == 1.0
