from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from small_models import LABELS, make
from untrimmed.data.detections import Detections
from untrimmed.detection.confidence import CONFIDENCE, Confidence, fingerprint
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.model_folder import WEIGHTS
from untrimmed.errors import ModelError
from untrimmed.evaluation.operating_point import NEVER, ClassPoint, ScoreMap

pytestmark = pytest.mark.usefixtures("one_thread")
FEATURES = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)


def points(**thresholds: float) -> tuple[ClassPoint, ...]:
    return tuple(ClassPoint(label, 9, value, 0.9, 0.9, 0.9) for label, value in thresholds.items())


SCORE_MAP = ScoreMap(np.array([0.1, 0.3, 0.9]), np.array([0.0, 0.6, 0.8]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make().save(tmp_path)
    return tmp_path


def test_what_is_saved_is_loaded(folder: Path) -> None:
    confidence = Confidence.of(points(jump=0.3, run=NEVER), SCORE_MAP, folder, tiou=0.5, precision=0.9)
    assert confidence.thresholds == {"jump": 0.3}
    confidence.save(folder)
    assert Confidence.load(folder) == confidence
    assert "jump: 0.3" in (folder / CONFIDENCE).read_text()


def test_what_counts(folder: Path) -> None:
    confidence = Confidence.of(points(jump=0.3, run=NEVER, walk=0.1), SCORE_MAP, folder, tiou=0.5, precision=None)
    segments = np.arange(10.0).reshape(5, 2)
    found = Detections("v", segments, np.array([0.9, 0.6, 0.3, 0.2, 0.1]), np.array([1, 0, 0, 0, 2]), LABELS)
    kept = confidence.select(found)
    assert [d.label for d in kept] == ["jump", "jump", "walk"]
    np.testing.assert_allclose(kept.scores, [0.7, 0.6, 0.0])
    assert kept.segments.tolist() == segments[[1, 2, 4]].tolist()


def test_a_localizer_that_is_to_be_confident(folder: Path) -> None:
    every = Localizer.load(folder).detect(FEATURES)
    middle = float(np.median(every.scores))
    Confidence.of(points(**dict.fromkeys(LABELS, middle)), SCORE_MAP, folder, tiou=0.5, precision=None).save(folder)
    kept = Localizer.load(folder, confident=True).detect(FEATURES)
    assert 0 < len(kept) < len(every)
    assert kept.segments.tolist() == every.above(middle).segments.tolist()
    np.testing.assert_allclose(kept.scores, SCORE_MAP(every.above(middle).scores))
    assert Localizer.load(folder).detect(FEATURES) == every  # who does not ask gets all


def test_a_model_that_was_not_calibrated(folder: Path) -> None:
    with pytest.raises(ModelError, match=r"has no confidence\.yaml.*`untrimmed calibrate .*` makes it"):
        Localizer.load(folder, confident=True)


def test_a_model_that_was_trained_on_since(folder: Path) -> None:
    Confidence.of(points(jump=0.3), SCORE_MAP, folder, tiou=0.5, precision=None).save(folder)
    before = fingerprint(folder)
    localizer = make()
    with np.errstate(all="ignore"):
        next(localizer.model.parameters()).data.add_(1)
    localizer.save(folder)
    assert fingerprint(folder) != before
    with pytest.raises(ModelError, match=f"was learnt with other weights than {WEIGHTS} beside it; .* makes it anew"):
        Localizer.load(folder, confident=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(scores=[0.1]), "there are 1 scores, but 3 probabilities"),
        (lambda values: values.update(scores=[0.1, 0.1, 0.2]), "scores have to rise"),
        (lambda values: values.update(probabilities=[0, 0.5, 1.5]), "1.5"),
        (
            lambda values: values.pop("thresholds"),
            "thresholds is missing; it has to be a section, each value a number",
        ),
        (
            lambda values: values.update(thresholds={"jump": "low"}),
            r"thresholds\.jump is 'low', but has to be a number",
        ),
        (lambda values: values.update(tiou="half"), "tiou"),
    ],
)
def test_a_damaged_file(folder: Path, change: Callable[[dict[str, object]], object], message: str) -> None:
    Confidence.of(points(jump=0.3), SCORE_MAP, folder, tiou=0.5, precision=None).save(folder)
    values = yaml.safe_load((folder / CONFIDENCE).read_text())
    change(values)
    (folder / CONFIDENCE).write_text(yaml.safe_dump(values))
    with pytest.raises(ModelError, match=message) as caught:
        Confidence.load(folder)
    assert "makes it anew" in str(caught.value)


def test_it_cannot_be_changed(folder: Path) -> None:
    confidence = Confidence.of(points(jump=0.3), SCORE_MAP, folder, tiou=0.5, precision=None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        confidence.tiou = 0.7  # type: ignore[misc]
