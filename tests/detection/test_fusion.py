from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.detections import Detections
from untrimmed.data.formats.class_scores import ClassScores
from untrimmed.detection.fusion import fuse_class_scores
from untrimmed.errors import AnnotationError


def proposals(count: int, seed: int = 0) -> Detections:
    random = np.random.default_rng(seed)
    starts = random.random(count) * 10
    scores = np.sort(random.random(count))[::-1]
    segments = np.stack([starts, starts + 1], axis=1)
    return Detections("a", segments, scores, np.zeros(count, np.int64), ("action",))


@given(count=st.integers(0, 12), classes=st.integers(1, 6), top=st.integers(1, 7), seed=st.integers(0, 2**31))
def test_every_proposal_gets_the_best_classes(count: int, classes: int, top: int, seed: int) -> None:
    found = proposals(count, seed)
    of_video = np.random.default_rng(seed + 1).random(classes)
    names = tuple(f"class {i}" for i in range(classes))
    fused = fuse_class_scores(found, ClassScores(names, {"b": of_video[::-1], "a": of_video}), top=top)
    best = sorted(range(classes), key=lambda i: -of_video[i])[:top]
    expected = sorted(
        ((math.sqrt(of_video[i] * d.score), d.start, d.end, names[i]) for d in found for i in best), reverse=True
    )
    assert len(fused) == count * min(top, classes)
    assert fused.video_id == "a"
    assert fused.label_names == names
    for detection, (score, start, end, label) in zip(fused, expected, strict=True):
        assert (detection.start, detection.end, detection.label) == (start, end, label)
        assert detection.score == pytest.approx(score)


def test_by_hand() -> None:
    found = Detections("v", np.array([[1.0, 2.0]]), np.array([0.25]), np.array([0]), ("action",))
    scores = ClassScores(("run", "walk", "jump"), {"v": np.array([0.04, 0.0, 1.0])})
    assert [(d.label, round(d.score, 6)) for d in fuse_class_scores(found, scores)] == [("jump", 0.5), ("run", 0.1)]


def test_video_without_class_scores() -> None:
    scores = ClassScores(("run",), {"b": np.array([1.0])})
    with pytest.raises(AnnotationError, match="there are no class scores of video 'a'; leave it out, or add them"):
        fuse_class_scores(proposals(3), scores)
