from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from untrimmed.data.detections import Detection, Detections


@pytest.fixture
def detections() -> Detections:
    return Detections(
        "v", np.array([[1.0, 2.0], [0.0, 4.5], [3.0, 3.5]]), np.array([0.9, 0.5, 0.1]), np.array([1, 0, 1]), ("a", "b")
    )


def test_is_a_sequence_of_detections(detections: Detections) -> None:
    expected = [Detection(1.0, 2.0, "b", 0.9), Detection(0.0, 4.5, "a", 0.5), Detection(3.0, 3.5, "b", 0.1)]
    assert len(detections) == 3
    assert list(detections) == expected
    assert detections[-1] == expected[-1]
    assert list(detections[1:]) == expected[1:]
    assert isinstance(detections[:0], Detections)
    assert expected[1] in detections
    with pytest.raises(IndexError):
        detections[3]


def test_selection(detections: Detections) -> None:
    assert detections.select(np.array([2, 0])).scores.tolist() == [0.1, 0.9]
    assert detections.select(np.array([False, True, False])) == detections[1:2]
    assert detections.above(0.5) == detections[:2]
    assert len(detections.above(0.95)) == 0


def test_equality(detections: Detections) -> None:
    assert detections == replace(detections, scores=detections.scores.copy())
    assert detections != replace(detections, scores=detections.scores / 2)
    assert detections != replace(detections, video_id="w")
    assert detections != replace(detections, label_names=("a", "c"))
    assert detections != detections[:2]
    assert detections != list(detections)
    with pytest.raises(TypeError, match="unhashable"):
        hash(detections)


def test_shapes_are_checked(detections: Detections) -> None:
    with pytest.raises(AssertionError):
        replace(detections, segments=detections.segments[:2])
    with pytest.raises(AssertionError):
        replace(detections, labels=detections.labels[:2])


def test_prints_as_a_line(detections: Detections) -> None:
    assert str(detections[1]) == "    0.00 s      4.50 s   0.50  a"
