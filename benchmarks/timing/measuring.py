"""Clocks and tables that all sections share."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from untrimmed.model.devices import Precision, computes_in_bf16
from untrimmed.processors import usable_cores


class Table:
    """A Markdown table, printed row by row as the figures come."""

    def __init__(self, title: str, *columns: str) -> None:
        """Print the title and the head."""
        print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)

    def row(self, *cells: object) -> None:
        """Print a row."""
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def in_turn(calls: Sequence[Callable[[], object]], rounds: int) -> list[list[float]]:
    """Seconds of every call in each round: all once to warm up, and then in turn, so that noise hits all alike."""
    for call in calls:
        call()
    each = [[seconds(call) for call in calls] for _ in range(rounds)]
    return [list(column) for column in zip(*each, strict=True)]


def ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Median of `a / b`, round by round."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def milliseconds(values: Sequence[float]) -> str:
    """Median of seconds, in milliseconds."""
    value = 1e3 * statistics.median(values)
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def percent(share: float) -> str:
    """A share as it is printed."""
    return f"{100 * share:.1f} %"


def precisions() -> tuple[Precision, ...]:
    """Precisions that are worth measuring here."""
    return ("fp32", "bf16") if computes_in_bf16(torch.device("cpu")) else ("fp32",)


def print_machine() -> None:
    """Say where the figures are from."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    native = "native" if computes_in_bf16(torch.device("cpu")) else "not native, so not measured"
    print(f"{_processor()}, {usable_cores()} cores, load before {load}")
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}, "
        f"bf16 {native}; Python {platform.python_version()}"
    )


def _processor() -> str:
    """Name of the processor; family and model say what a virtual machine's name leaves out."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # only Linux has it
        return platform.processor() or platform.machine()
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts.get('cpu family', '?')}, model {facts.get('model', '?')})"
