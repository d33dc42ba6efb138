"""A connection to a Ray cluster: one that runs already, or one that is started here and ended afterwards.

Ray is imported here and in `pipeline`, when it is needed, and kept quiet: it writes to its own log files.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from untrimmed.errors import ConfigError, MissingExtraError
from untrimmed.processors import usable_cores

LOCAL = "local"
"""The address of a cluster that is started here, on this machine alone, and ended afterwards."""
KNOCK = 10.0
"""Seconds after which a machine that does not answer is given up."""
OBJECT_STORE = 256 * 2**20
"""Bytes of shared memory of such a cluster for names of videos and what came of them."""
STORE_OF_DECODER = 5 * 8 * 2**20
"""Bytes besides for each decoder, of which there is none without a core: the chunks that are waited with, the one that
is made and the one that is taken; see `untrimmed.archive.decoding`."""
DECODERS_OF_GPU = 4
"""Decoders of a worker on a GPU where nothing is said."""


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """Which cluster, and how much of it.

    Attributes:
        address: `local`; `auto`, the cluster that this machine belongs to; or `HOST:PORT` of a head.
        workers: the fewest and the most that are at work at once; Ray starts and ends them, and where the cluster
            grows by itself, machines for them. Left out: up to as many as the cluster has room for when the run begins.
        threads: cores that each worker takes, and computes with. The bytes of features may depend on it in the last
            bit, as sums in another number of threads do; they do not depend on how many workers there are.
        decoders: of each worker: tasks of a core each, anywhere in the cluster, that decode videos for it, one each. 0:
            it decodes in the process of its backbone. Left out: 0, and on a GPU up to 4. Bytes do not depend on it.

    Raises:
        ConfigError: if a number is wrong.
    """

    address: str = LOCAL
    workers: tuple[int, int] | None = None
    threads: int = 1
    decoders: int | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ConfigError(f"threads is {self.threads}, but has to be 1 or more")
        if self.decoders is not None and self.decoders < 0:
            raise ConfigError(f"decoders is {self.decoders}, but has to be 0 or more")
        if self.decoders and os.name != "posix":
            raise ConfigError("decoders need Linux or macOS: leave them out")
        if self.workers is not None and not 1 <= self.workers[0] <= self.workers[1]:
            least, most = self.workers
            raise ConfigError(f"workers is {least}:{most}, but has to be MIN:MAX with 1 or more, and MIN not above MAX")


@dataclass(frozen=True)
class Room:
    """What a worker takes of the cluster, and how many there may be.

    Attributes:
        least: workers, from the beginning.
        most: workers.
        cpus: of each.
        gpus: of each.
        decoders: of each, of a core besides.
    """

    least: int
    most: int
    cpus: int
    gpus: int
    decoders: int = 0


@contextmanager
def connected(config: ClusterConfig) -> Iterator[None]:
    """Context in which Ray is connected to the cluster. A connection that the process has already is used as it is.

    A cluster that is started here is bound to loopback, without dashboard, and sends no usage statistics.

    Raises:
        MissingExtraError: if Ray is not installed.
        ConfigError: if there is no cluster at the address.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if config.address == LOCAL and "ray" not in sys.modules:
        # Ray reads this while it is imported. Without it, the servers of the cluster would listen to the whole network.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray = _imported()
    if ray.is_initialized():
        with _quiet(ray):
            yield
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # what can be mended is reported by exceptions
    options: dict[str, Any] = {"address": config.address}
    if config.address == LOCAL:
        options |= {
            "num_cpus": usable_cores(),
            "include_dashboard": False,
            "object_store_memory": OBJECT_STORE + (usable_cores() * STORE_OF_DECODER if config.decoders != 0 else 0),
            "_node_ip_address": "127.0.0.1",
        }
    try:
        _knock(config.address)
        with _without_stderr(), _own_handler(signal.SIGTERM):
            ray.init(**options, log_to_driver=False, logging_level=logging.CRITICAL)
    except (RuntimeError, ValueError, OverflowError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(
            f"--ray {config.address}: there is no cluster that answers ({reason}). Start one with `ray start --head`, "
            "or use --ray local"
        ) from error
    with _quiet(ray):  # until it has ended: what it has to say comes late
        try:
            yield
        finally:
            ray.shutdown()


def room_for(config: ClusterConfig, device: str, *, decoding: bool = False) -> tuple[Room, str]:
    """Return what each worker takes, how many there may be, and the device that they compute on: `cpu` if `auto` is.

    Args:
        config: what is asked for.
        device: of the workers.
        decoding: whether the workers can have decoders.

    Raises:
        ConfigError: if no machine of the cluster has room for a worker, and the number of workers is left open; or
            there is none for a decoder besides.
    """
    nodes = [node["Resources"] for node in _imported().nodes() if node["Alive"]]
    if device == "auto":
        device = "cuda" if any(node.get("GPU", 0) for node in nodes) else "cpu"
    gpus = 1 if device.startswith("cuda") else 0
    places = [int(node.get("CPU", 0)) // config.threads for node in nodes]
    if gpus:
        places = [min(count, int(node.get("GPU", 0))) for count, node in zip(places, nodes, strict=True)]
    fits = sum(places)
    if config.workers is not None:
        room = Room(*config.workers, config.threads, gpus)
    elif fits:
        room = Room(1, fits, config.threads, gpus)
    else:
        wanted = f"{config.threads} cores{' and a GPU' if gpus else ''}"
        raise ConfigError(
            f"no machine of the cluster has {wanted} for a worker. Use fewer --threads, or say "
            "--workers MIN:MAX if the cluster starts machines when they are asked for"
        )
    cores = sum(int(node.get("CPU", 0)) for node in nodes)
    return (_with_decoders(room, config, cores) if decoding else room), device


def _with_decoders(room: Room, config: ClusterConfig, cores: int) -> Room:
    """Share the cores of a cluster between workers and their decoders: each has one at least, or there are none.

    What is left open gives way: first the number of workers, then that of decoders. A cluster without cores is one that
    starts machines when they are asked for; nothing is known of these.

    Raises:
        ConfigError: if there is no room for a decoder of each worker.
    """
    wanted = config.decoders
    if wanted is None:
        wanted = DECODERS_OF_GPU if room.gpus and os.name == "posix" else 0
    if not wanted or not cores:
        return replace(room, decoders=wanted)
    if cores < room.least * (room.cpus + 1):
        if config.decoders is None:
            return room
        workers = "the worker" if room.least == 1 else f"each of {room.least} workers"
        raise ConfigError(
            f"the cluster has {cores} core{'' if cores == 1 else 's'}, but {workers} takes {room.cpus}, and 1 for a "
            f"decoder: {room.least * (room.cpus + 1)} are needed. Use fewer --workers or --threads, or --decoders 0"
        )
    if config.workers is None or config.address == LOCAL:  # it does not grow while it is at work
        most = max(room.least, min(room.most, cores // (room.cpus + wanted)))
        room = replace(room, most=most)
    free = cores - room.least * room.cpus
    return replace(room, decoders=min(wanted, free // room.least))


def _imported() -> Any:
    try:
        import ray  # noqa: PLC0415  an extra
        import ray.data  # noqa: PLC0415  # it needs packages of its own
    except ImportError as error:
        raise MissingExtraError("ray[data]", "ray", "--ray") from error
    return ray


@contextmanager
def _own_handler(number: int) -> Iterator[None]:
    """Context after which a signal does what it did before; Ray has it print where it was met, and exit."""
    before = signal.getsignal(number)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(number, before or signal.SIG_DFL)


def _knock(address: str) -> None:
    """See whether anybody is at an address `HOST:PORT`; Ray would try it for minutes.

    Raises:
        OSError: if nobody is.
        ValueError: if it is no address of this form, and neither `local` nor `auto`.
    """
    if address in (LOCAL, "auto"):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not (port.isascii() and port.isdigit()):
        raise ValueError("it has to be local, auto or HOST:PORT")
    with socket.create_connection((host, int(port)), timeout=KNOCK):
        pass


@contextmanager
def _quiet(ray: Any) -> Iterator[None]:
    """Context in which Ray prints nothing of what its workers do; it is in its log files."""
    worker = ray._private.worker
    before = getattr(worker, "_worker_logs_enabled", True)
    # Deaths of workers would be printed on stdout, which is for results; no public switch turns that off.
    worker._worker_logs_enabled = False
    levels = {name: logging.getLogger(name).level for name in ("ray", "ray.data")}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        worker._worker_logs_enabled = before
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


@contextmanager
def _without_stderr() -> Iterator[None]:
    """Context in which what is written to stderr, also by libraries in C++, is lost."""
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
