"""Processes that extract videos side by side; the death of one costs one video.

They are fresh interpreters, connected by pipes, each with an extractor and a number of threads of its own. Where this
process dies, of whatever, they end by themselves. Ctrl-C is this process's alone: they are in groups of their own.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

from untrimmed import errors
from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.writing import UnwritableError
from untrimmed.errors import ConfigError, ModelError, UntrimmedError
from untrimmed.video.extraction.lanes import Decoding, Lane
from untrimmed.video.extraction.one_video import Outcome, Task

OnProgressOf = Callable[[str, float, float | None], object]
"""Is told of a video, by its id, how many seconds have been read, and how many it has as far as its container says."""

# Modules are looked for where this process does; not in the working directory, for which -P is needed till then.
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from untrimmed.video.extraction.worker_process import serve; "
    "serve([int(lane) for lane in sys.argv[2:]])"
)
# Threads that wait for each other by turning in circles take the cores from those that decode; where these are busy
# with something else as well, a second thread then makes the work ten times slower instead of faster.
_PATIENT = {"OMP_WAIT_POLICY": "PASSIVE"}
_LONGEST_DEATH = 10.0  # seconds from the closing of a process's pipe to its end


@dataclass(frozen=True, kw_only=True)
class ExtractorChoice:
    """What `open_extractor` takes."""

    name: str
    stride: float | None = None
    window: float | None = None
    rate: float | None = None
    device: str = "auto"
    precision: str = "auto"
    trust_python: bool = False


@dataclass(frozen=True)
class Greeting:
    """What a process says when it has opened its extractor: what it is, and the kind of device that it is on."""

    description: FeatureDescription
    device: str


class WorkerDiedError(Exception):
    """A process has ended by itself; the message says how."""


class Worker:
    """One process, which has opened its extractor."""

    greeting: Greeting

    def __init__(self, choice: ExtractorChoice, threads: int, lanes: int = 0) -> None:
        """Start the process; `greet` waits until it is ready.

        Args:
            choice: of the extractor.
            threads: that it computes with.
            lanes: videos that `carry_out_fed` may be called for at once, each in a thread; POSIX.
        """
        pairs = [socket.socketpair() for _ in range(lanes)]
        theirs = [end.fileno() for _, end in pairs]
        self._process = subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-u",
                "-c",
                _CODE,
                json.dumps([str(place) for place in sys.path]),
                *map(str, theirs),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**_PATIENT, **os.environ, "OMP_NUM_THREADS": str(threads)},
            process_group=0 if os.name == "posix" else None,
            pass_fds=theirs,
        )
        for _, end in pairs:
            end.close()
        self._lanes = [Lane(Connection(end.detach())) for end, _ in pairs]
        self._choice = choice

    def greet(self) -> Greeting:
        """Let it open the extractor.

        Raises:
            UntrimmedError: if it cannot.
            WorkerDiedError: if that ended the process.
        """
        self._send(asdict(self._choice))
        kind, content = self._receive()
        if kind == "refused":
            name, message = content
            error_type: type[UntrimmedError] = getattr(errors, name, ModelError)
            raise error_type.__new__(error_type, message)  # not all of them are made of one message, but all have one
        self.greeting = Greeting(FeatureDescription(**content["description"]), content["device"])
        return self.greeting

    def carry_out(self, task: Task, on_progress: OnProgressOf) -> Outcome:
        """Let it do something.

        Raises:
            UnwritableError: if a file cannot be written.
            WorkerDiedError: if that ended the process.
        """
        self._send(asdict(task))
        while True:
            kind, content = self._receive()
            if kind == "outcome":
                return Outcome(**content)
            if kind == "unwritable":
                raise UnwritableError(content)
            on_progress(task.id, *content)

    def carry_out_fed(self, task: Task, decoding: Decoding) -> Outcome:
        """Let it do something with a video that is decoded elsewhere, beside what it does in other lanes.

        Raises:
            UnwritableError: if a file cannot be written.
            WorkerDiedError: if the process has ended.
        """
        lane = self._lanes.pop()
        try:
            return lane.carry_out(task, decoding)
        except EOFError:
            raise WorkerDiedError(self._death()) from None
        finally:
            self._lanes.append(lane)

    @property
    def alive(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process at once. Its files are written so that this does no harm."""
        if os.name == "posix" and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)  # it leads a group, with all that it may have started
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()

    def _send(self, content: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # if it has died, that is found out where its answer is waited for
            self._process.stdin.write(json.dumps(content).encode() + b"\n")
            self._process.stdin.flush()

    def _receive(self) -> tuple[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise WorkerDiedError(self._death())
        kind, content = json.loads(line)
        return kind, content

    def _death(self) -> str:
        try:
            code = self._process.wait(_LONGEST_DEATH)
        except subprocess.TimeoutExpired:
            return "its process has closed its pipe"
        return f"its process {manner_of_death(code)}"


def manner_of_death(code: int) -> str:
    """Say what the exit code of a process means, as `subprocess` gives it: of signals, below 0."""
    if code >= 0:
        return f"ended with exit code {code}"
    if code not in [-known for known in signal.Signals]:
        return f"was ended by signal {-code}"
    name = signal.Signals(-code).name
    hint = ", as happens when memory runs out; fewer --processes need less" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"


class Workers:
    """A number of processes with the same extractor; a context manager, which ends them.

    Attributes:
        greeting: of the first of them, which is started with this object.
    """

    def __init__(self, choice: ExtractorChoice, threads: int) -> None:
        """Start the first process.

        Raises:
            UntrimmedError: if its extractor cannot be opened.
        """
        self._choice, self._threads = choice, threads
        self._workers: list[Worker] = []
        self._drivers: list[Thread] = []
        self._stopped, self._lock = False, Lock()
        self._greeting: Greeting | None = None
        try:
            self._idle = [self._start()]
        except BaseException as error:
            self.stop()
            if isinstance(error, WorkerDiedError):
                raise ModelError(f"extractor {choice.name!r} cannot be opened: {error}") from None
            raise

    @property
    def greeting(self) -> Greeting:
        """What the first process said."""
        assert self._greeting is not None
        return self._greeting

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def run(self, processes: int, tasks: Sequence[Task], on_progress: OnProgressOf) -> Generator[Outcome, None, None]:
        """Carry out tasks, begun in their order, and yield what came of each, as they end.

        A process that dies is replaced, and its task is an outcome with an error. One that dies before its extractor is
        open is not replaced.

        Args:
            processes: how many may be at work at once; they are ended when all is done, or this generator is closed.
            tasks: what to do.
            on_progress: is called in this thread.

        Raises:
            UnwritableError: if a file cannot be written.
            UntrimmedError: if no process can open its extractor any more.
        """
        waiting, events = deque(tasks), SimpleQueue[Any]()
        try:
            for _ in range(min(processes, len(tasks))):
                driver = Thread(target=self._drive, args=(waiting, events), daemon=True)
                self._drivers.append(driver)
                driver.start()
            outstanding, driving = len(tasks), len(self._drivers)
            while outstanding:
                event = events.get()
                if isinstance(event, Outcome):
                    outstanding -= 1
                    yield event
                elif isinstance(event, _Ended):
                    driving -= 1
                    if event.fatal or (not driving and outstanding):
                        assert event.error is not None
                        raise event.error
                else:
                    on_progress(*event)
        finally:
            self.stop()

    def stop(self) -> None:
        """End all processes, now."""
        with self._lock:
            self._stopped = True
            for worker in self._workers:
                worker.stop()
        for driver in self._drivers:
            driver.join()

    def _start(self) -> Worker:
        """Start one more process, and wait until it is ready."""
        with self._lock:
            if self._stopped:
                raise WorkerDiedError("everything has been stopped")
            worker = Worker(self._choice, self._threads)
            self._workers.append(worker)
        greeting = worker.greet()
        self._greeting = self._greeting or greeting
        if greeting != self._greeting:
            raise ConfigError(f"extractor {self._choice.name!r} has changed while it was at work; run the same again")
        return worker

    def _drive(self, waiting: deque[Task], events: SimpleQueue[Any]) -> None:
        """Feed one process after another with tasks until there are none; runs in a thread."""
        ended = _Ended()
        try:
            worker = self._idle.pop() if self._idle else None
            while waiting:
                worker = worker or self._start()
                try:
                    task = waiting.popleft()
                except IndexError:  # another one was faster
                    break
                try:
                    outcome = worker.carry_out(task, lambda *progress: events.put(progress))
                except WorkerDiedError as death:
                    outcome = Outcome(id=task.id, path=task.path, error=str(death))
                    worker.stop()
                    worker = None
                events.put(outcome)
        except WorkerDiedError as death:
            error = ModelError(f"extractor {self._choice.name!r} cannot be opened any more: {death}")
            ended = _Ended(error)
        except BaseException as error:
            ended = _Ended(error, fatal=True)
        events.put(ended)


@dataclass(frozen=True)
class _Ended:
    """A thread has no more to do, or cannot go on; where that is fatal, nobody can."""

    error: BaseException | None = None
    fatal: bool = False
