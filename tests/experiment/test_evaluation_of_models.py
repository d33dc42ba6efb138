from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from synthetic import DIMENSION, LABELS, TINY, experiment, make_videos, write_features
from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.features import open_features
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import AnnotationError, ConfigError, FeatureError
from untrimmed.experiment.evaluation import (
    EvaluationData,
    detect_all,
    detections_on,
    evaluate,
    evaluation_data,
    refuse_unknown_labels,
)
from untrimmed.experiment.training import Trained, train
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A run of a few epochs that has learnt the easy task, so that its score is not 0."""
    folder = tmp_path_factory.mktemp("experiment")
    options = {
        "training.epochs": 13,
        "training.validate_every": 7,
        "training.optimiser.learning_rate": 1e-2,
        "evaluation.tious": [0.25, 0.5],
    }
    return train(experiment(folder, options), folder / "run")


def untrained(inputs: InputConfig | None = None) -> Localizer:
    model = ActionFormer(ModelConfig(**TINY, input_dims=DIMENSION, num_classes=len(LABELS)))
    return Localizer(model.eval(), LABELS, inputs or InputConfig(stride=4, window=4, rate=4))


# What a model is evaluated on


def test_a_run_is_evaluated_on_its_own_data(trained: Trained) -> None:
    localizer = Localizer.load(trained.folder)
    data = evaluation_data(trained.folder, localizer)
    assert [video.id for video in data.truth] == ["test0", "test1"]
    assert data.tious == (0.25, 0.5)
    assert data.inputs.expected_dimension == DIMENSION
    score = evaluate(localizer, data)
    assert score.tious == (0.25, 0.5)
    assert trained.last is not None
    assert score.average == pytest.approx(trained.last, abs=1e-9)
    assert score.average > 0.3


def test_its_best_weights_too(trained: Trained) -> None:
    localizer = Localizer.load(trained.folder / "best")
    data = evaluation_data(trained.folder / "best", localizer)
    assert [video.id for video in data.truth] == ["test0", "test1"]
    assert trained.best is not None
    score = evaluate(localizer, data)
    assert score.average == pytest.approx(trained.best, abs=1e-9)


def test_from_inside_the_folder(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (trained.folder, trained.folder / "best"):
        monkeypatch.chdir(folder)
        data = evaluation_data(Path(), Localizer.load(Path()))
        assert len(data.truth) == 2
    monkeypatch.chdir(trained.folder)
    assert len(evaluation_data(Path("best"), Localizer.load("best")).truth) == 2


def test_other_subsets(trained: Trained) -> None:
    localizer = Localizer.load(trained.folder)
    data = evaluation_data(trained.folder, localizer, subsets=["train"])
    assert len(data.truth) == 5
    assert len(evaluation_data(trained.folder, localizer, subsets=["train", "test"]).truth) == 7
    with pytest.raises(AnnotationError, match=r"no video is in subset 'tets'.*Did you mean 'test'"):
        evaluation_data(trained.folder, localizer, subsets=["tets"])


def test_other_data(trained: Trained, tmp_path: Path) -> None:
    others = make_videos({"test": 3}, seed=5)
    write_features(others, tmp_path / "features")
    write_annotations(others, tmp_path / "a.json")
    data = evaluation_data(
        trained.folder,
        Localizer.load(trained.folder),
        annotations=tmp_path / "a.json",
        features=[tmp_path / "features"],
    )
    assert len(data.truth) == 3
    assert data.inputs.store.name == str(tmp_path / "features")


def test_a_plain_model_folder(trained: Trained, tmp_path: Path) -> None:
    model = tmp_path / "model"
    localizer = Localizer.load(trained.folder)
    localizer.save(model)
    experiment_folder = trained.folder.parent
    annotations, features = experiment_folder / "annotations.json", [experiment_folder / "features"]
    with pytest.raises(
        ConfigError, match=r"--annotations is missing, and .*model has no experiment.yaml that names them"
    ):
        evaluation_data(model, localizer, features=features)
    with pytest.raises(ConfigError, match=r"--features is missing, and .*model has no experiment.yaml"):
        evaluation_data(model, localizer, annotations=annotations)
    data = evaluation_data(model, localizer, annotations=annotations, features=features)
    assert len(data.truth) == 7  # without subsets, all videos
    assert data.tious == (0.3, 0.4, 0.5, 0.6, 0.7)
    assert (
        len(evaluation_data(model, localizer, annotations=annotations, features=features, subsets=["test"]).truth) == 2
    )


def test_instances_that_were_dropped_in_training(tmp_path: Path) -> None:
    config = experiment(tmp_path, {"data.unusable": "drop", "training.epochs": 1})
    path = tmp_path / "annotations.json"
    content = json.loads(path.read_text())
    content["database"]["train0"]["annotations"].append({"label": "run", "label_id": 1, "segment": [9.0, 1.0]})
    path.write_text(json.dumps(content))
    folder = train(config, tmp_path / "run").folder
    assert len(evaluation_data(folder, Localizer.load(folder)).truth) == 2


def test_features_of_another_dimension(trained: Trained, tmp_path: Path) -> None:
    write_features(make_videos({"test": 2}), tmp_path)
    localizer = Localizer.load(trained.folder)
    wide = replace(localizer, model=ActionFormer(replace(localizer.model.config, input_dims=9)).eval())
    with pytest.raises(ConfigError, match="dimension is 9 in the configuration, but 8 there"):
        evaluation_data(trained.folder, wide, features=[tmp_path])
    (tmp_path / "features.json").unlink()
    data = evaluation_data(trained.folder, wide, features=[tmp_path])
    with pytest.raises(FeatureError, match="which is 8 dimensions, but 9 are expected"):
        evaluate(wide, data)


# Detecting and scoring


def test_detections_come_in_the_order_of_the_videos(tmp_path: Path) -> None:
    annotations = make_videos({"test": 12})
    write_features(annotations, tmp_path)
    inputs = Inputs(open_features(tmp_path), InputConfig())
    localizer = untrained(inputs.config)
    found = list(detect_all(localizer, annotations, inputs))
    assert [detections.video_id for detections in found] == list(annotations.videos)
    for video, detections in zip(annotations, found, strict=True):
        assert len(detections)
        assert detections.segments.min() >= 0
        assert detections.segments.max() <= video.duration


def test_each_video_has_its_own_rate(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(30, DIMENSION)).astype(np.float32)
    for name in "ab":
        np.save(tmp_path / f"{name}.npy", array)
    inputs = Inputs(open_features(tmp_path), InputConfig(stride=4, window=4))
    videos = [Video("a", 300.0, rate=2.0), Video("b", 300.0, rate=4.0)]
    slow, fast = detect_all(untrained(inputs.config), videos, inputs)
    np.testing.assert_allclose(slow.segments, 2 * fast.segments)
    np.testing.assert_allclose(slow.scores, fast.scores, rtol=1e-5)


def test_unknown_labels() -> None:
    instances = (Instance(1.0, 2.0, "run"), Instance(3.0, 4.0, "swim"))
    truth = Annotations({"a": Video("a", 9.0, instances=instances)}, ("run", "swim"), "my.json")
    with pytest.raises(AnnotationError) as caught:
        refuse_unknown_labels(untrained(), truth)
    message = "my.json: video 'a' has label 'swim', which the model was not trained on; it knows jump, run"
    assert str(caught.value) == message
    known = Annotations({"a": Video("a", 9.0, instances=instances[:1])}, ("run", "swim"))
    refuse_unknown_labels(untrained(), known)  # a label without instances does no harm


def test_labels_are_known_by_name(trained: Trained) -> None:
    """The annotations may number the same labels in another order."""
    localizer = Localizer.load(trained.folder)
    data = evaluation_data(trained.folder, localizer)
    turned = replace(data.truth, labels=LABELS[::-1])
    score, same = (evaluate(localizer, replace(data, truth=truth)) for truth in (data.truth, turned))
    assert score.average == pytest.approx(same.average)
    assert score.labels == same.labels[::-1]


def test_nothing_to_find(tmp_path: Path) -> None:
    annotations = make_videos({"test": 2}, without=2)
    write_features(annotations, tmp_path)
    inputs = Inputs(open_features(tmp_path), InputConfig())
    with pytest.raises(AnnotationError, match="none of the 2 videos"):
        evaluate(untrained(inputs.config), EvaluationData(annotations, inputs, (0.5,)))


def test_a_run_that_was_moved(trained: Trained, tmp_path: Path) -> None:
    shutil.copytree(trained.folder, tmp_path / "moved")
    localizer = Localizer.load(tmp_path / "moved")
    assert len(evaluation_data(tmp_path / "moved", localizer).truth) == 2  # paths of the data are absolute


# Class-agnostic models


@pytest.fixture(scope="module")
def agnostic(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("agnostic")
    options = {
        "data.class_agnostic": True,
        "training.epochs": 13,
        "training.validate_every": 7,
        "training.optimiser.learning_rate": 1e-2,
        "evaluation.tious": [0.25, 0.5],
    }
    return train(experiment(folder, options), folder / "run")


def write_class_scores(truth: Annotations, path: Path) -> None:
    """As a classifier that knows which classes each video has would write them."""
    happens = {video.id: {i.label for i in video.instances} for video in truth}
    results = {id_: [float(label in found) for label in LABELS] for id_, found in happens.items()}
    path.write_text(json.dumps({"class": LABELS, "results": results}))


def test_a_class_agnostic_model_says_only_when(agnostic: Trained) -> None:
    localizer = Localizer.load(agnostic.folder)
    assert localizer.labels == ("action",)
    data = evaluation_data(agnostic.folder, localizer)
    assert data.truth.labels == ("action",)
    score = evaluate(localizer, data)
    assert score.labels == ("action",)
    assert score.average == pytest.approx(agnostic.last, abs=1e-9)
    assert score.average > 0.3


def test_class_scores_say_what(agnostic: Trained, tmp_path: Path) -> None:
    localizer = Localizer.load(agnostic.folder)
    truth = make_videos({"train": 5, "test": 2})
    write_class_scores(truth, tmp_path / "scores.json")
    data = evaluation_data(agnostic.folder, localizer, class_scores=tmp_path / "scores.json", top_classes=1)
    assert data.truth.labels == LABELS
    found = {each.video_id: each for each in detections_on(data, localizer)}
    plain = {each.video_id: each for each in detect_all(localizer, data.truth, data.inputs)}
    for id_, detections in found.items():
        assert len(detections) == len(plain[id_])
        assert detections.label_names == LABELS
        np.testing.assert_allclose(np.sort(detections.scores**2), np.sort(plain[id_].scores), rtol=1e-6)
    assert set(evaluate(localizer, data).labels) <= set(LABELS)


def test_class_scores_of_the_experiment(tmp_path: Path) -> None:
    options = {
        "data.class_agnostic": True,
        "training.epochs": 1,
        "evaluation.class_scores": str(tmp_path / "scores.json"),
        "evaluation.top_classes": 1,
    }
    config = experiment(tmp_path, options)
    truth = make_videos({"train": 5, "test": 2})
    with pytest.raises(AnnotationError, match=r"scores\.json"):
        train(config, tmp_path / "run")
    write_class_scores(truth.of_subsets(["train"]), tmp_path / "scores.json")
    with pytest.raises(AnnotationError, match="there are no class scores of video 'test0', nor of 1 others"):
        train(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    write_class_scores(truth, tmp_path / "scores.json")
    trained = train(config, tmp_path / "run")
    localizer = Localizer.load(trained.folder)
    data = evaluation_data(trained.folder, localizer)
    assert data.top_classes == 1
    assert evaluate(localizer, data).average == pytest.approx(trained.last, abs=1e-9)
    with pytest.raises(ConfigError, match="3 top classes were asked for, but there are 1 to 2"):
        evaluation_data(trained.folder, localizer, top_classes=3)
