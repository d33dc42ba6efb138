from __future__ import annotations

import base64
import zlib

import numpy as np
import pytest
from report_pages import levels

from untrimmed.detection.level_scores import LevelScores
from untrimmed.report.heat_map import MOST_CLASSES, MOST_COLUMNS, OTHER_CLASS, heat_map


def test_scores_are_kept_to_8_bits() -> None:
    pyramid = levels(classes=3)
    made = heat_map(pyramid)
    assert made.classes == (0, 1, 2)
    for level, planes in zip(pyramid, made.planes, strict=True):
        best, winner, *by_class = planes
        np.testing.assert_allclose(best / 255, level.scores.max(1), atol=0.5 / 255 + 1e-6)
        np.testing.assert_array_equal(winner, level.scores.argmax(1))
        np.testing.assert_allclose(np.stack(by_class, 1) / 255, level.scores, atol=0.5 / 255 + 1e-6)
    assert made.first == tuple(level.seconds[0] for level in pyramid)
    assert made.step == tuple(level.stride for level in pyramid)


def test_the_packed_bytes_are_the_planes() -> None:
    made = heat_map(levels(classes=2))
    values = made.as_dict([7, 5])
    assert values["classes"] == [7, 5]
    raw = zlib.decompress(base64.b64decode(values["data"]))
    assert raw == b"".join(planes.tobytes() for planes in made.planes)
    assert values["columns"] == [20, 10, 5]
    assert len(raw) == (2 + 2) * sum(values["columns"])


@pytest.mark.parametrize("moments", [MOST_COLUMNS, MOST_COLUMNS + 1, 3 * MOST_COLUMNS + 5])
def test_long_videos_are_joined_by_the_maximum(moments: int) -> None:
    (level,) = levels(moments, count=1)
    (planes,) = (made := heat_map([level])).planes
    (by,) = made.joined
    assert planes.shape[1] <= MOST_COLUMNS
    assert by == -(-moments // MOST_COLUMNS)
    for column in (0, 1, planes.shape[1] - 1):
        part = slice(column * by, (column + 1) * by)
        assert planes[0, column] == pytest.approx(255 * level.scores[part].max(), abs=0.51)
        middle = made.first[0] + column * made.step[0]
        whole = level.seconds[part.start] + (by - 1) / 2 * level.stride
        assert middle == pytest.approx(whole)


def test_many_classes() -> None:
    """Those of the truth are there, then those with the highest scores; others are one class of winners."""
    scores = np.full((4, 40), 0.01, np.float32)
    scores[0, 30], scores[1, 20], scores[2, 10] = 0.9, 0.8, 0.7
    scores[3, 5] = 0.02
    level = LevelScores(np.arange(4.0), scores, 1.0)
    made = heat_map([level], wanted=[3, 3, 0])
    assert len(made.classes) == MOST_CLASSES
    assert {0, 3, 5, 10, 20, 30} == set(made.classes)
    assert [made.classes[k] for k in made.planes[0][1]] == [30, 20, 10, 5]
    few = heat_map([level], wanted=list(range(9)))
    assert few.classes == tuple(range(9))
    assert few.planes[0][1].tolist() == [OTHER_CLASS, OTHER_CLASS, OTHER_CLASS, 5]


def test_empty_levels_and_odd_numbers() -> None:
    assert heat_map([]).planes == ()
    none = LevelScores(np.empty(0), np.empty((0, 2), np.float32), 1.0)
    odd = LevelScores(np.array([0.5]), np.array([[np.nan, 1.5]], np.float32), 2.0)
    made = heat_map([none, odd])
    assert [planes.shape[1] for planes in made.planes] == [0, 1]
    assert made.planes[1][2:].ravel().tolist() == [0, 255]
