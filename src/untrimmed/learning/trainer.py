"""The training loop."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, replace
from typing import Any, NoReturn, Protocol, cast

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from untrimmed.allocation import give_back_memory, keep_freed_memory
from untrimmed.data.dataset import TrainingVideos
from untrimmed.errors import ConfigError
from untrimmed.learning.config import TrainingConfig
from untrimmed.learning.criterion import Criterion
from untrimmed.learning.ema import WeightAverage
from untrimmed.learning.loader import Batch, read_ahead, share_of_rank
from untrimmed.learning.progress import Progress
from untrimmed.learning.schedule import build_optimiser, learning_rate
from untrimmed.learning.stopping import StopRequest
from untrimmed.learning.transfer import freeze
from untrimmed.model.compiling import compiled
from untrimmed.model.devices import autocast
from untrimmed.model.network import ActionFormer


class Interrupted(Exception):  # noqa: N818  (not an error: the run was asked to stop, and has been saved)
    """The run was asked to stop by Ctrl-C or a signal, and has been saved."""


class Watcher(Protocol):
    """What wants to know how a run goes on: it saves, logs and shows."""

    def on_step(self, trainer: Trainer) -> None:
        """After an optimiser step."""

    def on_epoch(self, trainer: Trainer, row: Mapping[str, float], *, best: bool) -> None:
        """After an epoch: its row of figures, and whether it has been the best so far."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """Between two steps, when the run has been asked to stop."""


class _Losses(nn.Module):
    """Network and criterion as the one module that fabric wraps.

    A batch becomes `[3]`, the total loss and its two parts, and `[2]`, the largest distances to an onset and an offset
    that are said. The network computes in the precision that is wanted; features, truth and losses stay in fp32.
    """

    def __init__(self, model: ActionFormer, criterion: Criterion, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self.criterion = criterion
        self._precision = config.precision
        self._network = compiled(model.forward) if config.compile else model.__call__

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        with autocast(batch.features.device, self._precision):
            predictions = self._network(batch.features, batch.valid)
        if not batch.counts:  # its gradients are zeros, and not missing, since the processes add them up
            predictions = replace(predictions, valid=torch.zeros_like(predictions.valid))
        losses = self.criterion(predictions, batch.segments, batch.labels)
        reach = predictions.offsets.detach().amax(dim=(0, 1)).float()
        return torch.stack([losses.total, losses.classification, losses.regression]), reach


class Trainer:
    """Trains a model; holds all that changes on the way.

    The gradient of a step is the mean over its accumulated batches. The criterion's T+ stays that of one batch, so two
    batches of 2 make the same step as one of 4, where T+ is twice as large.

    Args:
        fabric: devices, precision and processes, already launched.
        model: on any device; moved to fabric's.
        videos: what is trained on.
        config: the settings.
        validate: average mAP of the model, which is in eval mode with its averaged weights; `None` for no validation.
            Every process calls it, and each has to get the same score.
        watchers: told after each step and epoch; of several processes, only in the first.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: ActionFormer,
        videos: TrainingVideos,
        config: TrainingConfig,
        *,
        validate: Callable[[ActionFormer], float] | None,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        self.fabric = fabric
        self.videos = videos
        self.config = config
        self.validate = validate
        self.watchers = tuple(watchers) if fabric.is_global_zero else ()
        freeze(model, config.freeze)
        optimiser = build_optimiser(model, config.optimiser)
        self.model = model
        self.criterion = Criterion(
            config.target,
            processes=fabric.world_size,
            total=lambda mine: cast("Tensor", fabric.all_reduce(mine, reduce_op="sum")),
        )
        self.losses, self.optimiser = fabric.setup(_Losses(model, self.criterion, config), optimiser)
        decay = config.optimiser.ema_decay
        self.average = None if decay is None else WeightAverage(model, decay, warmup=config.optimiser.ema_warmup)
        self.progress = Progress()
        self.batches = len(videos.epoch(0, batch_size=self._global_batch, seed=config.seed))
        self._sums = torch.zeros(3, device=fabric.device)
        self._reach = torch.zeros(2, device=fabric.device)
        self.dead: tuple[str, ...] = ()
        """Outputs of the regression head, `onset` or `offset`, that were 0 at every moment of the last epoch."""
        self._stop = StopRequest()

    @property
    def _global_batch(self) -> int:
        return self.config.batch_size * self.fabric.world_size

    @property
    def steps_in_epoch(self) -> int:
        """Optimiser steps in an epoch."""
        return -(-self.batches // self.config.accumulate)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or patience has run out."""
        patience = self.config.patience
        worn_out = patience is not None and self.progress.worse >= patience
        return self.progress.epoch >= self.config.total_epochs or worn_out

    def averaged(self) -> AbstractContextManager[None]:
        """Context in which the model has the weights that are validated and saved: their average, if there is one."""
        return nullcontext() if self.average is None else self.average.swapped_in()

    def mean_losses(self) -> dict[str, float]:
        """Mean over the finished batches of the epoch that is going on; of several processes, of this one's share."""
        means = (self._sums / max(self.progress.batch, 1)).tolist()
        return dict(zip(("loss", "classification_loss", "regression_loss"), means, strict=True))

    def fit(self) -> None:
        """Train to the end, from wherever the run stands.

        Raises:
            Interrupted: after Ctrl-C or SIGTERM, at the end of the step and saved. A second Ctrl-C stops at once.
            FeatureError: if features cannot be read; what was saved before is untouched.
            ConfigError: if an epoch ends with a loss that is not finite; so is what was saved before.
        """
        keep_freed_memory()
        with self._stop.listening(), warnings.catch_warnings():
            # Said of weights with a dimension of length 1, where strides differ and layouts do not.
            warnings.filterwarnings("ignore", "Grad strides do not match bucket view", UserWarning)
            try:
                while not self.finished:
                    self._epoch()
            finally:
                give_back_memory()

    def _epoch(self) -> None:
        progress, config = self.progress, self.config
        rank = self.fabric.global_rank
        whole = self.videos.epoch(progress.epoch, batch_size=self._global_batch, seed=config.seed)
        plan = share_of_rank(whole, rank, self.fabric.world_size)
        started = time.perf_counter()
        rest = read_ahead(self.videos, plan[progress.batch :], self.model.config, workers=config.workers)
        self.losses.train()
        self.optimiser.zero_grad()
        with closing(rest):
            for batch in rest:
                progress.batch += 1
                last = progress.batch % config.accumulate == 0 or progress.batch == len(plan)
                counts = rank < len(whole[progress.batch - 1])
                self._batch(replace(batch.to(self.fabric.device), counts=counts), step=last)
                if last and self._all_stop():
                    self._interrupt()
        self._finish_epoch(time.perf_counter() - started)

    def _batch(self, batch: Batch, *, step: bool) -> None:
        progress, config = self.progress, self.config
        torch.manual_seed(draw_seed(config.seed, progress.epoch, progress.batch, self.fabric.global_rank))
        with self.fabric.no_backward_sync(self.losses, enabled=not step):
            losses, reach = self.losses(batch)
            self.fabric.backward(losses[0] / config.accumulate)
        # Added up on the device: asking for a number would make it wait at every step.
        self._sums += losses.detach()
        self._reach = torch.maximum(self._reach, reach)
        if not step:
            return
        rate = learning_rate(
            config.optimiser,
            progress.step,
            warmup=config.warmup_epochs * self.steps_in_epoch,
            total=config.total_epochs * self.steps_in_epoch,
            epoch=self.steps_in_epoch,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        if config.optimiser.clip_norm is not None:
            self.fabric.clip_gradients(
                self.losses, self.optimiser, max_norm=config.optimiser.clip_norm, error_if_nonfinite=False
            )
        self.optimiser.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update()
        progress.step += 1
        for watcher in self.watchers:
            watcher.on_step(self)

    def _finish_epoch(self, seconds: float) -> None:
        progress, config = self.progress, self.config
        self._share_sums()
        row = {"epoch": progress.epoch + 1.0, "step": float(progress.step)}
        row |= self.mean_losses()
        if not math.isfinite(row["loss"]):
            raise ConfigError(
                f"the loss of epoch {progress.epoch + 1} is {row['loss']}: training diverged. Lower "
                f"training.optimiser.learning_rate, which is {config.optimiser.learning_rate:g}, or scale the features"
            )
        row |= {"learning_rate": float(self.optimiser.param_groups[0]["lr"]), "seconds": seconds}
        reach = zip(("onset", "offset"), self._reach.tolist(), strict=True)
        self.dead = tuple(name for name, most in reach if not most)
        progress.epoch += 1
        progress.batch = 0
        self._sums.zero_()
        self._reach.zero_()
        best = False
        due = progress.epoch % config.validate_every == 0 or progress.epoch == config.total_epochs
        if self.validate is not None and due:
            score = self._validation()
            row["mAP"] = score
            best = progress.best is None or score > progress.best
            if best:
                progress.best, progress.best_epoch = score, progress.epoch
            progress.worse = 0 if best else progress.worse + 1
        progress.history.append(row)
        for watcher in self.watchers:
            watcher.on_epoch(self, row, best=best)

    def _all_stop(self) -> bool:
        """Whether any process has been asked to stop: all of them have to stop at the same step."""
        if self.fabric.world_size == 1:
            return self._stop.made
        asked = torch.tensor(float(self._stop.made), device=self.fabric.device)
        return bool(cast("Tensor", self.fabric.all_reduce(asked, reduce_op="sum")) > 0)

    def _interrupt(self) -> NoReturn:
        self._share_sums()
        for watcher in self.watchers:
            watcher.on_interrupt(self)
        self.fabric.barrier()  # no process ends before the first one has saved
        raise Interrupted

    def _share_sums(self) -> None:
        """Give every process the sums of all losses; each had those of its share times the number of processes."""
        self._sums = cast("Tensor", self.fabric.all_reduce(self._sums, reduce_op="mean"))
        self._reach = cast("Tensor", self.fabric.all_reduce(self._reach, reduce_op="sum"))  # only 0 or not matters

    def _validation(self) -> float:
        assert self.validate is not None
        self.model.eval()
        with self.averaged():
            return float(self.fabric.broadcast(self.validate(self.model)))

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes in training."""
        return {
            "model": self.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "criterion": self.criterion.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "sums": self._sums.clone(),
            "reach": self._reach.clone(),
            "progress": asdict(self.progress),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where `state_dict` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.criterion.load_state_dict(state["criterion"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self._sums.copy_(state["sums"])
        self._reach.copy_(state["reach"])
        self.progress = Progress(**state["progress"])


def draw_seed(*numbers: int) -> int:
    """Make one seed of several numbers, well mixed."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 6364136223846793005 + number + 1442695040888963407) % 2**63
    return mixed
