from __future__ import annotations

import itertools
import math
import os
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from synthetic import DIMENSION, LABELS, TINY, features_of, make_videos, training_videos, write_features
from untrimmed.data import dataset
from untrimmed.data.annotations import Annotations
from untrimmed.data.crops import CropConfig
from untrimmed.data.dataset import TrainingVideos
from untrimmed.data.features import open_features
from untrimmed.data.inputs import InputConfig, Inputs
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError, FeatureError
from untrimmed.experiment.evaluation import EvaluationData, evaluate
from untrimmed.learning import criterion
from untrimmed.learning.config import OptimiserConfig, TargetConfig, TrainingConfig
from untrimmed.learning.processes import make_fabric
from untrimmed.learning.targets import Targets
from untrimmed.learning.trainer import Interrupted, Trainer, draw_seed
from untrimmed.model.checkpoint import load_checkpoint, save_checkpoint
from untrimmed.model.config import ModelConfig
from untrimmed.model.devices import computes_in_bf16
from untrimmed.model.network import ActionFormer

CROP = CropConfig(ratio=(0.7, 1.0))


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> TrainingVideos:
    """Five videos, the last of them without any instance, so an epoch is 3 batches of up to 2."""
    return training_videos(make_videos({"train": 5}, without=1), tmp_path_factory.mktemp("features"), CROP)


class Spy:
    """A watcher that counts, and calls a function after some steps."""

    def __init__(self, at_step: Mapping[int, Callable[[Trainer], None]] | None = None) -> None:
        self.at_step = at_step or {}
        self.steps: list[tuple[int, int, int]] = []
        self.epochs: list[tuple[dict[str, float], bool]] = []
        self.saved: list[dict[str, Any]] = []

    def on_step(self, trainer: Trainer) -> None:
        self.steps.append((trainer.progress.step, trainer.progress.epoch, trainer.progress.batch))
        self.at_step.get(trainer.progress.step, lambda _: None)(trainer)

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        self.epochs.append((dict(row), best))

    def on_interrupt(self, trainer: Trainer) -> None:
        self.saved.append(trainer.state_dict())


def settings(optimiser: dict[str, Any] | None = None, target: dict[str, Any] | None = None, **rest: Any) -> Any:
    return TrainingConfig(
        optimiser=OptimiserConfig(**{"learning_rate": 3e-3} | (optimiser or {})),
        target=TargetConfig(**{"initial_normaliser": 20} | (target or {})),
        **{"epochs": 2, "warmup_epochs": 1, "accelerator": "cpu"} | rest,
    )


def trainer(
    videos: TrainingVideos,
    config: TrainingConfig | None = None,
    *,
    validate: Callable[[ActionFormer], float] | None = None,
    spy: Spy | None = None,
    **model: Any,
) -> Trainer:
    config = config or settings()
    torch.manual_seed(config.seed)
    network = ActionFormer(ModelConfig(**TINY, input_dims=DIMENSION, num_classes=len(LABELS), **model))
    fabric = make_fabric(config)
    fabric.launch()
    return Trainer(fabric, network, videos, config, validate=validate, watchers=[spy] if spy else [])


def trained(videos: TrainingVideos, config: TrainingConfig | None = None, **rest: Any) -> Trainer:
    made = trainer(videos, config, **rest)
    made.fit()
    return made


def losses(made: Trainer) -> list[float]:
    return [row["loss"] for row in made.progress.history]


def weights(made: Trainer) -> Tensor:
    return nn.utils.parameters_to_vector(made.model.parameters()).detach()


def differences(a: Any, b: Any, place: str = "") -> list[str]:
    """Name the places where two states differ in as little as a bit; the seconds of an epoch may."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return [] if torch.equal(a, b) else [place]
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [key for key in a | b if key != "seconds"]
        return [d for key in keys for d in differences(a.get(key), b.get(key), f"{place}.{key}")]
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)) and len(a) == len(b):
        return [d for i in range(len(a)) for d in differences(a[i], b[i], f"{place}.{i}")]
    return [] if a == b else [f"{place}: {a!r} and {b!r}"]


def same_run(a: Trainer, b: Trainer) -> None:
    assert differences(a.state_dict(), b.state_dict()) == []


# It learns


def test_overfits_one_video(tmp_path: Path) -> None:
    one = training_videos(make_videos({"train": 1}), tmp_path)
    made = trained(one, settings(epochs=40, optimiser={"learning_rate": 1e-2}), drop_path=0.0)
    assert losses(made)[-1] < 0.1 * losses(made)[0]
    assert losses(made)[-1] < min(losses(made)[:10])


def test_finds_what_it_was_trained_on(tmp_path: Path) -> None:
    annotations = make_videos({"train": 6})
    write_features(annotations, tmp_path)
    inputs = Inputs(open_features(tmp_path), InputConfig())
    scores = []

    def validate(model: ActionFormer) -> float:
        assert not model.training
        localizer = Localizer(model, annotations.labels, inputs.config)
        scores.append(evaluate(localizer, EvaluationData(annotations, inputs, (0.3, 0.4, 0.5, 0.6, 0.7))).average)
        return scores[-1]

    made = trained(
        TrainingVideos(annotations, inputs, CropConfig()),
        settings(epochs=20, warmup_epochs=2, validate_every=11, optimiser={"learning_rate": 1e-2}),
        validate=validate,
    )
    assert scores[-1] > 0.9
    assert scores == [row["mAP"] for row in made.progress.history if "mAP" in row]
    assert made.progress.best == max(scores)


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_every_optimiser_lowers_the_loss(videos: TrainingVideos, kind: str) -> None:
    rate = 0.05 if kind == "sgd" else 3e-3
    made = trained(videos, settings(epochs=8, optimiser={"kind": kind, "learning_rate": rate}))
    assert losses(made)[-1] < 0.7 * losses(made)[0]


def test_videos_without_instances_are_negatives(tmp_path: Path) -> None:
    empty = training_videos(make_videos({"train": 3}, without=3), tmp_path, CROP)
    made = trained(empty, settings(epochs=10), drop_path=0.0)
    assert all(row["regression_loss"] == 0 for row in made.progress.history)
    assert 0 < losses(made)[-1] < 0.7 * losses(made)[0]
    assert torch.isfinite(weights(made)).all()
    # A batch without positives counts as one: 20 goes down to 1.
    assert float(made.criterion.normaliser) == pytest.approx(1 + 19 * 0.9 ** (11 * 2), rel=1e-5)


def test_bf16_is_close_to_fp32(videos: TrainingVideos) -> None:
    runs = {p: trained(videos, settings(epochs=8, precision=p), drop_path=0.0) for p in ("fp32", "bf16")}
    assert np.isfinite(losses(runs["bf16"])).all()
    assert losses(runs["bf16"]) != losses(runs["fp32"])
    np.testing.assert_allclose(losses(runs["bf16"]), losses(runs["fp32"]), rtol=0.05)
    assert all(p.dtype == torch.float32 for p in runs["bf16"].model.parameters())


# What a step does


@pytest.mark.parametrize("momentum", [0.0, 1 - 1e-9])
def test_accumulated_batches_are_one_large_batch(tmp_path: Path, momentum: float) -> None:
    """T+ is of a batch: two batches of 2 make the step of one batch of 4, whose T+ is twice as large."""
    annotations = make_videos({"train": 1})
    video = next(iter(annotations))
    four = Annotations({name: replace(video, id=name) for name in "abcd"}, annotations.labels)  # as many positives each
    write_features(four, tmp_path)
    both = []
    for batch_size, accumulate in ((2, 2), (4, 1)):
        config = settings(
            {"kind": "sgd", "learning_rate": 1.0, "weight_decay": 0, "clip_norm": None, "ema_decay": None},
            {"initial_normaliser": 10 * batch_size, "normaliser_momentum": momentum},
            epochs=1,
            warmup_epochs=0,
            batch_size=batch_size,
            accumulate=accumulate,
        )
        inputs = Inputs(open_features(tmp_path), InputConfig())
        made = trainer(TrainingVideos(four, inputs, CropConfig()), config, drop_path=0.0)
        before = weights(made).clone()
        made.fit()
        assert made.progress.step == 1
        assert made.steps_in_epoch == 1
        both.append(before - weights(made))
    torch.testing.assert_close(both[0], both[1], rtol=1e-4, atol=1e-6)
    assert both[0].norm() > 0.1


def test_the_last_step_of_an_epoch_takes_what_is_left(videos: TrainingVideos) -> None:
    spy = Spy()
    made = trained(videos, settings(epochs=2, warmup_epochs=0, batch_size=1, accumulate=2), spy=spy)
    assert made.steps_in_epoch == 3
    assert spy.steps == [(1, 0, 2), (2, 0, 4), (3, 0, 5), (4, 1, 2), (5, 1, 4), (6, 1, 5)]
    assert [row["step"] for row in made.progress.history] == [3, 6]


def test_the_gradient_is_clipped(videos: TrainingVideos) -> None:
    moved = {}
    for clip in (0.01, None):
        config = settings(
            {"kind": "sgd", "learning_rate": 0.1, "weight_decay": 0, "momentum": 0, "clip_norm": clip},
            epochs=1,
            warmup_epochs=0,
            batch_size=5,
        )
        made = trainer(videos, config)
        before = weights(made).clone()
        made.fit()
        moved[clip] = float((weights(made) - before).norm())
    assert moved[0.01] == pytest.approx(0.1 * 0.01, rel=1e-3)
    assert moved[None] > 2 * moved[0.01]


def test_learning_rate_of_the_schedule(videos: TrainingVideos) -> None:
    rates: list[float] = []
    spy = Spy({step: lambda made: rates.append(made.optimiser.param_groups[0]["lr"]) for step in range(1, 13)})
    trained(videos, settings({"learning_rate": 1e-2}, epochs=3, warmup_epochs=1), spy=spy)
    assert rates[:3] == pytest.approx([0, 5e-3, 1e-2])
    assert rates[3:] == pytest.approx([1e-8 + 5e-3 * (1 + math.cos(math.pi * i / 9)) for i in range(9)], rel=1e-5)


def test_figures_of_an_epoch_are_means_over_its_batches(videos: TrainingVideos) -> None:
    seen: list[Tensor] = []
    made = trainer(videos, settings(epochs=1, warmup_epochs=0))
    made.losses.register_forward_hook(lambda _module, _inputs, output: seen.append(output[0].detach()))
    made.fit()
    row = made.progress.history[0]
    mean = torch.stack(seen).mean(0).tolist()
    assert len(seen) == 3
    assert [row["loss"], row["classification_loss"], row["regression_loss"]] == pytest.approx(mean)
    assert row["epoch"] == 1
    assert row["seconds"] > 0
    assert row["learning_rate"] == made.optimiser.param_groups[0]["lr"]


def test_an_output_that_has_died_is_noticed(videos: TrainingVideos) -> None:
    made = trainer(videos, settings(epochs=1, warmup_epochs=0))
    output = made.model.regression.output
    assert output.bias is not None
    with torch.no_grad():
        output.bias.copy_(torch.tensor([1.0, -1e6]))
    made.fit()
    assert made.dead == ("offset",)
    assert trained(videos, settings(epochs=1, warmup_epochs=0)).dead == ()


# The average of the weights


def test_the_average_is_what_is_validated(videos: TrainingVideos) -> None:
    seen: list[Tensor] = []

    def validate(model: ActionFormer) -> float:
        seen.append(nn.utils.parameters_to_vector(model.parameters()).detach().clone())
        return 0.5

    made = trained(videos, settings(validate_every=2), validate=validate)
    assert made.average is not None
    last = torch.cat([made.average.average[name].flatten() for name, _ in made.model.named_parameters()])
    assert len(seen) == 2
    assert torch.equal(seen[-1], last)
    assert not torch.equal(weights(made), last)
    with made.averaged():
        assert torch.equal(weights(made), last)


def test_without_an_average_the_last_weights_are_validated(videos: TrainingVideos) -> None:
    made = trained(videos, settings({"ema_decay": None}))
    before = weights(made).clone()
    with made.averaged():
        assert torch.equal(weights(made), before)
    assert made.state_dict()["average"] is None


# Validation and its consequences


def scripted(scores: list[float]) -> Callable[[ActionFormer], float]:
    rest = iter(scores)
    return lambda model: next(rest)


def test_when_it_validates(videos: TrainingVideos) -> None:
    spy = Spy()
    made = trained(
        videos, settings(epochs=6, warmup_epochs=1, validate_every=3), validate=scripted([0.2, 0.4, 0.3]), spy=spy
    )
    assert [(row["epoch"], row.get("mAP"), best) for row, best in spy.epochs] == [
        (1, None, False),
        (2, None, False),
        (3, 0.2, True),
        (4, None, False),
        (5, None, False),
        (6, 0.4, True),
        (7, 0.3, False),
    ]
    assert (made.progress.best, made.progress.best_epoch, made.progress.worse) == (0.4, 6, 1)
    assert made.finished


def test_patience_ends_a_run(videos: TrainingVideos) -> None:
    config = settings(epochs=20, validate_every=1, patience=2)
    made = trained(videos, config, validate=scripted([0.1, 0.3, 0.3, 0.2, 0.9]))
    assert made.progress.epoch == 4  # an equal one is no better one
    assert made.finished
    assert (made.progress.best, made.progress.best_epoch) == (0.3, 2)
    again = trainer(videos, config, validate=scripted([]))
    again.load_state_dict(made.state_dict())
    again.fit()
    same_run(made, again)


def test_no_validation(videos: TrainingVideos) -> None:
    made = trained(videos, settings(patience=1, validate_every=1))
    assert made.progress.epoch == 3
    assert made.progress.best is None
    assert all("mAP" not in row for row in made.progress.history)


# The same again


def test_the_same_seed_is_the_same_run(videos: TrainingVideos) -> None:
    config = settings(accumulate=2, batch_size=1)
    spy = Spy(dict.fromkeys(range(1, 9), lambda made: torch.rand(made.progress.step)))  # draws of others do not matter
    first = trained(videos, config, dropout=0.1, drop_path=0.2)
    same_run(first, trained(videos, config, dropout=0.1, drop_path=0.2, spy=spy))
    same_run(first, trained(videos, replace(config, workers=3), dropout=0.1, drop_path=0.2))


def test_seeds_differ(videos: TrainingVideos) -> None:
    runs = [losses(trained(videos, settings(seed=seed))) for seed in range(3)]
    assert len({tuple(run) for run in runs}) == 3


def test_drop_path_and_dropout_are_drawn_anew(videos: TrainingVideos) -> None:
    plain = losses(trained(videos, drop_path=0.0))
    assert losses(trained(videos, drop_path=0.0)) == plain
    assert losses(trained(videos, drop_path=0.3)) != plain
    assert losses(trained(videos, drop_path=0.0, dropout=0.3)) != plain
    assert len({draw_seed(*numbers) for numbers in itertools.product(range(5), repeat=4)}) == 5**4


# Stopping and going on


def press_ctrl_c(*_: Any) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def resumed(videos: TrainingVideos, config: TrainingConfig, state: dict[str, Any], path: Path, **rest: Any) -> Trainer:
    """Go on from a state that has been on disk."""
    save_checkpoint(path, state)
    made = trainer(videos, config, **rest)
    made.load_state_dict(load_checkpoint(path))
    return made


RANDOM = {"dropout": 0.1, "drop_path": 0.2}


def sum_of_weights(model: ActionFormer) -> float:
    """Stand in for a score: it differs whenever the weights do."""
    return float(nn.utils.parameters_to_vector(model.parameters()).detach().sum())


@pytest.fixture(scope="module")
def whole(videos: TrainingVideos) -> Trainer:
    """A run of 3 epochs of 3 steps that nothing interrupts."""
    return trained(videos, settings(validate_every=2), validate=sum_of_weights, **RANDOM)


@pytest.mark.parametrize(
    ("step", "number"),
    [(1, signal.SIGINT), (2, signal.SIGINT), (3, signal.SIGINT), (5, signal.SIGTERM), (9, signal.SIGINT)],
)
def test_an_interrupted_run_goes_on_to_the_same_end(
    videos: TrainingVideos, whole: Trainer, tmp_path: Path, step: int, number: signal.Signals
) -> None:
    spy = Spy({step: lambda made: os.kill(os.getpid(), number)})
    made = trainer(videos, whole.config, validate=sum_of_weights, spy=spy, **RANDOM)
    with pytest.raises(Interrupted):
        made.fit()
    assert made.progress.step == step  # at the end of the step
    assert len(spy.saved) == 1
    assert whole.progress.step == 9
    again = resumed(videos, whole.config, spy.saved[0], tmp_path / "checkpoint.pt", validate=sum_of_weights, **RANDOM)
    assert again.progress.step == step
    again.fit()
    same_run(whole, again)


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_interrupted_while_gradients_are_accumulated(videos: TrainingVideos, tmp_path: Path, kind: str) -> None:
    config = settings({"kind": kind}, epochs=2, batch_size=1, accumulate=3)
    spy = Spy()
    made = trainer(videos, config, spy=spy)
    calls = 0

    def during_the_second_of_three(*_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 7:  # an epoch has 5 batches, the steps are of 3 and 2
            press_ctrl_c()

    made.model.register_forward_hook(during_the_second_of_three)
    with pytest.raises(Interrupted):
        made.fit()
    assert spy.steps[-1] == (3, 1, 3)
    again = resumed(videos, config, spy.saved[0], tmp_path / "checkpoint.pt")
    again.fit()
    same_run(trained(videos, config), again)


def test_one_trainer_can_be_interrupted_and_go_on(videos: TrainingVideos) -> None:
    made = trainer(videos, spy=Spy({2: press_ctrl_c, 7: press_ctrl_c}))
    for _ in range(2):
        with pytest.raises(Interrupted):
            made.fit()
    assert made.progress.step == 7
    made.fit()
    same_run(trained(videos), made)


def test_going_on_after_each_epoch(videos: TrainingVideos, tmp_path: Path) -> None:
    """As if the process were killed between two epochs, when nothing but the last checkpoint is left."""

    class KilledError(Exception):
        pass

    class Keeper(Spy):
        def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
            save_checkpoint(tmp_path / "checkpoint.pt", trainer.state_dict())
            raise KilledError

    config = settings()
    for epoch in range(config.total_epochs):
        made = trainer(videos, config, spy=Keeper())
        if epoch:
            made.load_state_dict(load_checkpoint(tmp_path / "checkpoint.pt"))
        with pytest.raises(KilledError):
            made.fit()
    assert made.finished
    same_run(trained(videos, config), made)


def test_a_second_ctrl_c_stops_at_once(videos: TrainingVideos) -> None:
    spy = Spy()
    made = trainer(videos, settings(batch_size=1, accumulate=5), spy=spy)
    made.model.register_forward_hook(press_ctrl_c)
    with pytest.raises(KeyboardInterrupt):
        made.fit()
    assert made.progress.batch == 2
    assert not spy.saved
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_signals_are_given_back(videos: TrainingVideos) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(Interrupted):
        trained(videos, spy=Spy({1: press_ctrl_c}))
    trained(videos, settings(epochs=1))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_trains_outside_of_the_main_thread(videos: TrainingVideos) -> None:
    runs: list[Trainer] = []
    thread = threading.Thread(target=lambda: runs.append(trained(videos)))
    thread.start()
    thread.join()
    same_run(trained(videos), runs[0])


def test_a_finished_run_stays_as_it_is(videos: TrainingVideos, tmp_path: Path) -> None:
    made = trained(videos)
    spy = Spy()
    again = resumed(videos, settings(), made.state_dict(), tmp_path / "checkpoint.pt", spy=spy)
    again.fit()
    same_run(made, again)
    assert not spy.steps
    assert not spy.epochs


# Failing


def test_a_diverged_run_ends(videos: TrainingVideos) -> None:
    config = settings({"kind": "sgd", "learning_rate": 1e30, "clip_norm": None}, epochs=5, warmup_epochs=0)
    spy = Spy()
    with pytest.raises(ConfigError, match=r"loss of epoch 1 is nan: training diverged. Lower .*rate, which is 1e\+30"):
        trained(videos, config, spy=spy)
    assert not spy.epochs  # nothing is saved


def test_features_that_become_unreadable_end_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "IN_MEMORY", 0)
    annotations = make_videos({"train": 3})
    made = trainer(training_videos(annotations, tmp_path, CropConfig()))
    features = features_of(annotations["train2"])
    features[3] = np.inf
    np.save(tmp_path / "train2.npy", features)
    with pytest.raises(FeatureError, match=r"'train2'.*NaN or infinite"):
        made.fit()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_an_accelerator_that_is_not_there() -> None:
    missing = "mps" if torch.cuda.is_available() else "cuda"
    with pytest.raises(ConfigError, match=f"training.accelerator '{missing}' with training.devices 2 cannot be had"):
        make_fabric(settings(accelerator=missing, devices=2))


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_the_network_computes_in_the_precision_and_the_losses_in_fp32(
    videos: TrainingVideos, monkeypatch: pytest.MonkeyPatch, precision: str
) -> None:
    seen: dict[str, list[torch.Tensor]] = {"fp32": [], precision: []}
    inside: set[torch.dtype] = set()
    assign = criterion.assign_targets

    def run(name: str) -> None:
        def watched(moments: torch.Tensor, segments: torch.Tensor, *rest: Any, **options: Any) -> Targets:
            targets = assign(moments, segments, *rest, **options)
            seen[name] += [segments.clone(), targets.classes, targets.offsets]
            return targets

        monkeypatch.setattr(criterion, "assign_targets", watched)
        made = trainer(videos, settings(epochs=1, precision=name), drop_path=0.0)
        made.model.encoder.projection.register_forward_hook(lambda _, __, out: inside.add(out.dtype))
        made.fit()

    run("fp32")
    assert inside == {torch.float32}
    inside.clear()
    run(precision)
    native = computes_in_bf16(torch.device("cpu"))
    assert inside == {torch.bfloat16 if precision == "bf16" or (precision == "auto" and native) else torch.float32}
    for ours, theirs in zip(seen[precision], seen["fp32"], strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs)
