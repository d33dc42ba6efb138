"""What the processes of a run have to do with each other."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import torch.distributed
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException

from untrimmed.data.annotations import Annotations
from untrimmed.errors import ConfigError, ProcessError, UntrimmedError
from untrimmed.learning.config import TrainingConfig

Item = TypeVar("Item")

_LOST = ("connection closed by peer", "connection reset", "socket", "timed out", "timeout", "broken pipe", "nccl")
"""What the errors of a collective operation say when a process that it waits for is gone."""


def make_fabric(config: TrainingConfig) -> Fabric:
    """Set up devices; more than one device means as many processes.

    Fabric is left in fp32: in bf16 it would round the whole batch, and with it the truth, before the network is called.

    Raises:
        ConfigError: if there is no such accelerator here, or not so many devices.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it tells how processes find each other
    try:
        return Fabric(accelerator=config.accelerator, devices=config.devices, num_nodes=config.nodes)
    except (RuntimeError, ValueError, MisconfigurationException) as error:
        raise ConfigError(
            f"training.accelerator {config.accelerator!r} with training.devices {config.devices} cannot be had here: "
            f"{' '.join(str(error).split())}"
        ) from error


def as_started(config: TrainingConfig) -> TrainingConfig:
    """Return the configuration with as many devices and machines as `torchrun` or SLURM have started, if they have.

    Raises:
        ConfigError: if the machines do not have equally many.
    """
    devices, nodes = processes_from(os.environ) or (config.devices, config.nodes)
    return replace(config, devices=devices, nodes=nodes)


def processes_from(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """Return devices on each machine, and machines, as `torchrun` or SLURM have started them; `None` if neither has.

    Raises:
        ConfigError: if the machines do not have equally many.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        every, here = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
    elif "SLURM_NTASKS" in environment and environment.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        every, nodes = int(environment["SLURM_NTASKS"]), int(environment.get("SLURM_NNODES", "1"))
        here = every // nodes
    else:
        return None
    if every % here:
        raise ConfigError(f"{every} processes were started, {here} of them on this machine: give each machine as many")
    return here, every // here


def share_of_videos(videos: Annotations, rank: int, processes: int) -> Annotations:
    """Return every so manieth video, longest first in turn, so that the shares take about equally long."""
    ordered = sorted(videos, key=lambda video: (-video.duration, video.id))
    own = {video.id for video in ordered[rank::processes]}
    return videos.where(lambda video: video.id in own)


def gathered(own: Sequence[Item], processes: int) -> list[Item]:
    """Return what all processes have, in the order of their ranks; every process has to call this."""
    if processes == 1:
        return list(own)
    every: list[Sequence[Item] | None] = [None] * processes
    torch.distributed.all_gather_object(every, own)
    return [item for share in every if share is not None for item in share]


@contextmanager
def others_watched(processes: int) -> Iterator[None]:
    """Context in which the end of another process of the run is one clear error.

    Raises:
        ProcessError: if a process that this one waits for is gone.
    """
    try:
        yield
    except UntrimmedError:
        raise
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        if processes == 1 or not any(part in reason.lower() for part in _LOST):
            raise
        raise ProcessError(
            f"another process of this run has ended, and this one cannot go on alone ({reason[:200]}). Its own message "
            "says why; go on from the last epoch by --resume"
        ) from error
