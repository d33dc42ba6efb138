"""Everything that decides how a model is trained, with the official code's values as defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from untrimmed.data.crops import CropConfig

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Part = Literal["projection", "encoder", "neck", "classification", "regression"]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TargetConfig:
    """Which moments an instance is trained on, and the loss that is made of it (paper, sections 3.3 and 4.1)."""

    center_radius: Positive | None = 1.5
    """Center sampling: how far from an instance's centre a moment may be, in strides; `None` is all of the instance."""
    every_instance: bool = False
    """Whether an instance that no moment would be trained on, being too short for the grid for instance, is given the
    nearest moment of the level that fits best."""
    regression_loss: Literal["diou", "giou"] = "diou"
    regression_weight: NotNegative | Literal["auto"] = 1.0
    """Weight of the regression loss; `auto` makes it as large as the classification loss."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    focal_alpha: Annotated[float, Field(ge=0, le=1)] = 0.25
    focal_gamma: NotNegative = 2.0
    initial_normaliser: Positive = 250.0
    """Start of the running mean of the number of positive moments in a batch, which both losses are divided by."""
    normaliser_momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class OptimiserConfig:
    """The optimiser, its schedule, and the average of the weights."""

    kind: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: Positive = 1e-4
    weight_decay: NotNegative = 0.05
    """Decay of weights; biases, norms, scales and positional encodings have none."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Only used by `sgd`."""
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    """What follows the warm-up; stepped at every iteration."""
    milestones: tuple[Count, ...] = ()
    """Epochs at which `steps` multiplies the rate by `gamma`, counted from the start, warm-up included."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    clip_norm: Positive | None = 1.0
    """Largest norm of the gradient."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = 0.999
    """Decay of the average of the weights, which is what is validated and saved; `None` takes the last weights."""
    ema_warmup: bool = True
    """Average over fewer steps at first, to forget the starting weights: decay `(1 + step) / (10 + step)`."""

    def __post_init__(self) -> None:
        if (self.schedule == "steps") != bool(self.milestones):
            raise ValueError("schedule 'steps' and milestones go together: give both or neither")


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class TrainingConfig:
    """The whole of a training run."""

    epochs: Count = 30
    """Epochs after the warm-up."""
    warmup_epochs: Annotated[int, Field(ge=0)] = 5
    """Epochs of linearly growing learning rate, on top of `epochs`."""
    batch_size: Count = 2
    accumulate: Count = 1
    """Batches whose gradients are added up before a step."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    init: Path | None = None
    """Model folder whose weights to start from, as far as they fit; classes are matched by label."""
    freeze: tuple[Part, ...] = ()
    """Parts whose weights stay as they are; the projection is a part of the encoder."""
    target: TargetConfig = Field(default_factory=TargetConfig)
    crop: CropConfig = Field(default_factory=CropConfig)
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig)

    validate_every: Count = 5
    """Epochs between two validations; the last epoch is always validated."""
    patience: Count | None = None
    """Stop after so many validations without a better one."""
    precision: Literal["auto", "fp32", "bf16"] = "fp32"
    """`auto` is bf16 where the processor computes in it, fp32 elsewhere."""
    compile: bool = False
    """Compile the network by `torch.compile`: minutes at the start for less work between the products. Where there is
    no compiler, the network runs as it is."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    devices: Count = 1
    """Devices on each machine, a process each; under `torchrun` or SLURM, what they say counts."""
    nodes: Count = 1
    """Machines; the same command runs on each of them."""
    threads: Count | None = None
    """Processor threads that compute; `None` is as many as torch would take. A small model is faster with one."""
    workers: Count = 1
    """Threads that read the next batches while one is computed."""

    def __post_init__(self) -> None:
        if {"encoder", "neck", "classification", "regression"} <= set(self.freeze):
            raise ValueError("freeze names all parts, so that nothing is left to train; leave one out")

    @property
    def total_epochs(self) -> int:
        """Epochs with the warm-up."""
        return self.epochs + self.warmup_epochs
