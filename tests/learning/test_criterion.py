from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from conftest import Golden
from untrimmed import official
from untrimmed.learning.config import OptimiserConfig, TargetConfig, TrainingConfig
from untrimmed.learning.criterion import Criterion, Losses
from untrimmed.learning.ema import WeightAverage
from untrimmed.learning.losses import diou_loss, focal_loss, giou_loss
from untrimmed.learning.schedule import build_optimiser, learning_rate
from untrimmed.model.moments import pyramid_moments
from untrimmed.model.network import Predictions

CLASSES = 3


def _target_config(golden: Golden) -> TargetConfig:
    train = golden.config["train_cfg"]
    return TargetConfig(
        center_radius=None if train["center_sample"] == "none" else train["center_sample_radius"],
        regression_weight=train["loss_weight"],
        label_smoothing=train["label_smoothing"],
        initial_normaliser=train["init_loss_norm"],
    )


def test_golden_losses(golden: Golden) -> None:
    model = official.build(golden.config, golden.state())
    features, valid, segments, labels = golden.batch()
    criterion = Criterion(_target_config(golden))
    losses = criterion(model(features, valid), segments, labels)
    expected = golden.arrays
    assert losses.classification.item() == pytest.approx(expected["batch/cls_loss"].item(), rel=1e-5)
    assert losses.regression.item() == pytest.approx(expected["batch/reg_loss"].item(), rel=1e-5)
    assert losses.total.item() == pytest.approx(expected["batch/final_loss"].item(), rel=1e-5)
    assert criterion.normaliser.item() == pytest.approx(expected["batch/loss_normalizer_after"].item(), rel=1e-6)


def test_golden_targets_of_a_batch(golden: Golden) -> None:
    model = official.build(golden.config, golden.state())
    features, valid, segments, labels = golden.batch()
    targets = Criterion(_target_config(golden)).targets(model(features, valid), segments, labels)
    for i in range(2):
        positive = targets.positive[i]
        offsets = torch.from_numpy(golden.arrays[f"video{i}/targets/offsets"])
        assert torch.equal(targets.classes[i], torch.from_numpy(golden.arrays[f"video{i}/targets/classes"]))
        assert torch.equal(targets.offsets[i][positive], offsets[positive])


def test_six_training_steps_are_the_official_ones(training_run: Golden) -> None:
    model = official.build(training_run.config, training_run.state()).train()
    features, valid, segments, labels = training_run.batch()
    criterion = Criterion(_target_config(training_run))
    opt = training_run.config["opt"]
    config = OptimiserConfig(learning_rate=opt["learning_rate"], weight_decay=opt["weight_decay"])
    optimiser = build_optimiser(model, config)
    average = WeightAverage(model, 0.999, warmup=False)
    epoch, warmup_epochs, epochs = 2, opt["warmup_epochs"], opt["epochs"]

    for step, expected in enumerate(training_run.arrays["train/losses"]):
        rate = learning_rate(
            config, step, warmup=warmup_epochs * epoch, total=(warmup_epochs + epochs) * epoch, epoch=epoch
        )
        assert rate == pytest.approx(training_run.arrays["train/lr"][step], rel=1e-9)
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses = criterion(model(features, valid), segments, labels)
        found = [losses.classification.item(), losses.regression.item(), losses.total.item()]
        assert found == pytest.approx(expected.tolist(), rel=1e-3)
        optimiser.zero_grad()
        losses.total.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), training_run.config["train_cfg"]["clip_grad_l2norm"])
        optimiser.step()
        average.update()

    for prefix, ours in (("train/state/", model.state_dict()), ("train/ema/", average.average)):
        theirs = official.build(training_run.config, training_run.state(prefix)).state_dict()
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            torch.testing.assert_close(tensor, theirs[name], atol=1e-4, rtol=0, msg=f"{prefix}{name}")


def _predictions(batch: int = 2, length: int = 24, valid: list[int] | None = None) -> Predictions:
    """Random predictions at the moments of three levels."""
    torch.manual_seed(0)
    moments = pyramid_moments(length, (1, 2, 4), ((0, 4), (4, 8), (8, 10000)))
    there = moments[:, 0] < torch.tensor(valid or [length] * batch)[:, None]
    logits = torch.randn(batch, len(moments), CLASSES).requires_grad_()
    return Predictions(logits, torch.rand(batch, len(moments), 2).mul(3).requires_grad_(), there, moments)


def _instances() -> tuple[list[Tensor], list[Tensor]]:
    segments = [torch.tensor([[3.2, 7.9], [4.5, 20.1], [10.3, 12.4]]), torch.tensor([[8.1, 14.2]])]
    return segments, [torch.tensor([0, 1, 2]), torch.tensor([1])]


def _losses(config: TargetConfig, predictions: Predictions | None = None) -> Losses:
    return Criterion(config).eval()(predictions or _predictions(), *_instances())


@pytest.mark.parametrize("regression_loss", ["diou", "giou"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses_are_sums_over_moments(regression_loss: str, smoothing: float) -> None:
    config = TargetConfig(
        regression_loss=regression_loss, label_smoothing=smoothing, initial_normaliser=7.0, regression_weight=3.0
    )
    predictions = _predictions(valid=[24, 13])
    criterion = Criterion(config).eval()
    losses = criterion(predictions, *_instances())
    targets = criterion.targets(predictions, *_instances())
    there = predictions.valid
    wanted = targets.classes[there] * (1 - smoothing) + smoothing / (CLASSES + 1)
    classification = focal_loss(predictions.logits[there], wanted).sum() / 7
    positive = there & targets.positive
    distance = diou_loss if regression_loss == "diou" else giou_loss
    regression = distance(predictions.offsets[positive], targets.offsets[positive]).sum() / 7
    assert 0 < int(positive.sum()) < int(targets.positive.sum())
    torch.testing.assert_close(losses.classification, classification)
    torch.testing.assert_close(losses.regression, regression)
    torch.testing.assert_close(losses.total, classification + 3 * regression)


def test_padded_moments_have_no_loss_and_no_gradient() -> None:
    predictions = _predictions(valid=[24, 5])
    losses = _losses(TargetConfig(), predictions)
    losses.total.backward()
    for tensor in (predictions.logits, predictions.offsets):
        assert tensor.grad is not None
        assert not tensor.grad[~predictions.valid].any()
    arbitrary = replace(
        predictions,
        logits=predictions.logits.masked_fill(~predictions.valid[..., None], 50.0),
        offsets=predictions.offsets.masked_fill(~predictions.valid[..., None], 1e6),
    )
    torch.testing.assert_close(_losses(TargetConfig(), arbitrary).total, losses.total)


def test_only_positives_have_a_gradient_at_their_offsets() -> None:
    predictions = _predictions()
    criterion = Criterion(TargetConfig())
    criterion(predictions, *_instances()).total.backward()
    positive = criterion.targets(predictions, *_instances()).positive
    assert predictions.offsets.grad is not None
    assert torch.equal(predictions.offsets.grad.any(-1), positive)


def test_automatic_weight_makes_both_losses_equal() -> None:
    losses = _losses(TargetConfig(regression_weight="auto"))
    assert losses.total.item() == pytest.approx(2 * losses.classification.item(), rel=1e-6)


def test_automatic_weight_of_a_tiny_regression_loss_is_bounded() -> None:
    losses = _losses(TargetConfig(regression_weight="auto", initial_normaliser=1e6))
    assert losses.regression.item() < 0.01
    weight = losses.classification.item() / 0.01
    assert losses.total.item() == pytest.approx(losses.classification.item() + weight * losses.regression.item())


def test_automatic_weight_has_no_gradient_of_its_own() -> None:
    predictions = _predictions()
    losses = _losses(TargetConfig(regression_weight="auto"), predictions)
    weight = (losses.classification / losses.regression).item()
    automatic = torch.autograd.grad(losses.total, [predictions.logits, predictions.offsets])
    fixed = _losses(TargetConfig(regression_weight=weight), predictions).total
    for a, b in zip(automatic, torch.autograd.grad(fixed, [predictions.logits, predictions.offsets]), strict=True):
        torch.testing.assert_close(a, b)


def test_videos_without_instances() -> None:
    nothing = [torch.zeros(0, 2)] * 2, [torch.zeros(0, dtype=torch.int64)] * 2
    for weight in (1.0, "auto"):
        predictions = _predictions()
        criterion = Criterion(TargetConfig(initial_normaliser=10.0, regression_weight=weight))
        losses = criterion(predictions, *nothing)
        losses.total.backward()
        assert losses.regression.item() == 0
        assert losses.classification.item() > 0
        for tensor in (predictions.logits, predictions.offsets):
            assert tensor.grad is not None
            assert bool(torch.isfinite(tensor.grad).all())
        assert criterion.normaliser.item() == pytest.approx(0.9 * 10 + 0.1 * 1)


def test_normaliser_is_a_running_mean_of_the_positives() -> None:
    predictions = _predictions(valid=[24, 13])
    criterion = Criterion(TargetConfig(initial_normaliser=100.0, normaliser_momentum=0.75))
    count = int((criterion.targets(predictions, *_instances()).positive & predictions.valid).sum())
    expected = 100.0
    for _ in range(3):
        criterion(predictions, *_instances())
        expected = 0.75 * expected + 0.25 * count
        assert criterion.normaliser.item() == pytest.approx(expected, rel=1e-6)


def test_normaliser_is_updated_before_it_divides() -> None:
    predictions = _predictions()
    criterion = Criterion(TargetConfig(normaliser_momentum=0.0))
    losses = criterion(predictions, *_instances())
    count = int(criterion.targets(predictions, *_instances()).positive.sum())
    whole = _losses(TargetConfig(initial_normaliser=1.0), predictions)
    assert losses.total.item() == pytest.approx(whole.total.item() / count, rel=1e-5)


def test_normaliser_stays_in_eval_mode() -> None:
    criterion = Criterion(TargetConfig()).eval()
    criterion(_predictions(), *_instances())
    assert criterion.normaliser.item() == 250


def test_normaliser_is_saved() -> None:
    criterion = Criterion(TargetConfig())
    criterion(_predictions(), *_instances())
    other = Criterion(TargetConfig())
    other.load_state_dict(criterion.state_dict())
    assert list(criterion.state_dict()) == ["normaliser"]
    assert other.normaliser.item() == criterion.normaliser.item() != 250


def test_processes_together_have_the_loss_of_the_whole_batch() -> None:
    whole_predictions, (segments, labels) = _predictions(), _instances()
    whole = Criterion(TargetConfig())
    losses = whole(whole_predictions, segments, labels)
    count = whole.targets(whole_predictions, segments, labels).positive.sum()
    shares = []
    for i in range(2):
        mine = slice(i, i + 1)
        share = replace(
            whole_predictions,
            logits=whole_predictions.logits[mine],
            offsets=whole_predictions.offsets[mine],
            valid=whole_predictions.valid[mine],
        )
        # Stands for an all-reduce: every process learns the count of all.
        criterion = Criterion(TargetConfig(), processes=2, total=lambda mine: count.to(mine.dtype))
        shares.append(criterion(share, segments[mine], labels[mine]).total)
        assert criterion.normaliser.item() == whole.normaliser.item()
    torch.testing.assert_close(torch.stack(shares).mean(), losses.total)


def test_one_list_of_instances_for_each_video() -> None:
    segments, labels = _instances()
    with pytest.raises(ValueError, match="zip"):
        Criterion(TargetConfig())(_predictions(), segments, labels[:1])


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (TargetConfig, {"center_radius": 0}, "center_radius"),
        (TargetConfig, {"center_radius": math.inf}, "center_radius"),
        (TargetConfig, {"regression_loss": "iou"}, "'diou' or 'giou'"),
        (TargetConfig, {"regression_weight": -1}, "regression_weight"),
        (TargetConfig, {"regression_weight": "automatic"}, "'auto'"),
        (TargetConfig, {"label_smoothing": 1}, "label_smoothing"),
        (TargetConfig, {"label_smoothing": -0.1}, "label_smoothing"),
        (TargetConfig, {"focal_alpha": 1.1}, "focal_alpha"),
        (TargetConfig, {"focal_gamma": -1}, "focal_gamma"),
        (TargetConfig, {"initial_normaliser": 0}, "initial_normaliser"),
        (TargetConfig, {"normaliser_momentum": 1}, "normaliser_momentum"),
        (TargetConfig, {"center_raduis": 1.5}, "center_raduis"),
        (TrainingConfig, {"crop": {"max_length": 0}}, "max_length"),
        (TrainingConfig, {"crop": {"ratio": (0, 1)}}, "ratio"),
        (TrainingConfig, {"crop": {"ratio": (0.9, 1.1)}}, "ratio"),
        (
            TrainingConfig,
            {"crop": {"ratio": (1.0, 0.9)}},
            "the first number has to be the smaller one",
        ),
        (TrainingConfig, {"crop": {"min_visible": 0}}, "min_visible"),
        (TrainingConfig, {"crop": {"length": 5}}, "length"),
        (OptimiserConfig, {"kind": "lamb"}, "'adamw', 'adam' or 'sgd'"),
        (OptimiserConfig, {"learning_rate": 0}, "learning_rate"),
        (OptimiserConfig, {"learning_rate": math.nan}, "learning_rate"),
        (OptimiserConfig, {"weight_decay": -0.1}, "weight_decay"),
        (OptimiserConfig, {"momentum": 1}, "momentum"),
        (OptimiserConfig, {"schedule": "linear"}, "'cosine', 'steps' or 'constant'"),
        (OptimiserConfig, {"schedule": "steps"}, "schedule 'steps' and milestones go together"),
        (OptimiserConfig, {"milestones": (3,)}, "schedule 'steps' and milestones go together"),
        (OptimiserConfig, {"schedule": "steps", "milestones": (0,)}, "milestones"),
        (OptimiserConfig, {"gamma": 1}, "gamma"),
        (OptimiserConfig, {"clip_norm": 0}, "clip_norm"),
        (OptimiserConfig, {"ema_decay": 1}, "ema_decay"),
        (OptimiserConfig, {"lr": 1e-3}, "lr"),
        (TrainingConfig, {"epochs": 0}, "epochs"),
        (TrainingConfig, {"warmup_epochs": -1}, "warmup_epochs"),
        (TrainingConfig, {"batch_size": 0}, "batch_size"),
        (TrainingConfig, {"accumulate": 0}, "accumulate"),
        (TrainingConfig, {"seed": -1}, "seed"),
        (TrainingConfig, {"seed": 2**31}, "seed"),
        (TrainingConfig, {"validate_every": 0}, "validate_every"),
        (TrainingConfig, {"patience": 0}, "patience"),
        (TrainingConfig, {"precision": "fp16"}, "'auto', 'fp32' or 'bf16'"),
        (TrainingConfig, {"accelerator": "tpu"}, "'auto', 'cpu', 'cuda' or 'mps'"),
        (TrainingConfig, {"devices": 0}, "devices"),
        (TrainingConfig, {"workers": -1}, "workers"),
        (TrainingConfig, {"batchsize": 2}, "batchsize"),
        (TrainingConfig, {"optimiser": {"schedule": "steps"}}, "schedule 'steps' and milestones go together"),
        (TrainingConfig, {"target": {"focal_gama": 2}}, "focal_gama"),
    ],
)
def test_settings_that_cannot_be_are_refused(kind: type, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TypeAdapter(kind).validate_python(settings)


def test_training_settings_of_a_file() -> None:
    given = {"epochs": 3, "target": {"regression_weight": "auto"}, "crop": {"ratio": [0.9, 1.0]}}
    config = TypeAdapter(TrainingConfig).validate_python(given)
    assert config.total_epochs == 8
    assert config.target.regression_weight == "auto"
    assert config.crop.ratio == (0.9, 1.0)
    assert config.optimiser == OptimiserConfig()
