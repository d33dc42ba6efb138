"""Extraction in processes of their own, some of which die. All that is started here is ended here."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extracting import OWN, processes, varied, with_own_extractor
from untrimmed.data.features import FeatureDescription
from untrimmed.data.features.writing import UnwritableError
from untrimmed.errors import ConfigError, MissingExtraError, ModelError, UntrimmedError
from untrimmed.video.extraction.one_video import Outcome, Task
from untrimmed.video.extraction.videos import extract_features, extract_videos
from untrimmed.video.extraction.worker_process import work
from untrimmed.video.extraction.workers import (
    ExtractorChoice,
    Greeting,
    OnProgressOf,
    Worker,
    WorkerDiedError,
    Workers,
    manner_of_death,
)
from untrimmed.video.extractors.opening import open_extractor

__all__ = ["with_own_extractor"]

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended, and that nobody has asked for, does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


# Real processes


@posix
def test_what_processes_make(with_own_extractor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = with_own_extractor
    monkeypatch.setenv("PROCESSES", "2")
    paths = {name: varied(folder / "videos" / f"{name}.mp4", 8 + number) for number, name in enumerate("abcd")}
    extraction = extract_videos([folder / "videos"], folder / "out", OWN, trust_python=True, stride=1, processes=2)
    assert len(processes(folder)) == 2
    assert os.getpid() not in processes(folder)
    assert not any(is_alive(pid) for pid in processes(folder))
    assert [outcome.rows for outcome in extraction.videos.values()] == [7, 8, 9, 10]
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        *(f"{name}.npy" for name in "abcd"),
        "features.json",
    ]
    here = open_extractor(OWN, trust_python=True, stride=1)
    assert extraction.description == here.description
    for name, path in paths.items():
        np.testing.assert_array_equal(np.load(folder / "out" / f"{name}.npy"), extract_features(path, here).features)


PARENT = """
import sys
from untrimmed.video.extraction.videos import extract_videos
extract_videos(["videos"], "out", sys.argv[1], trust_python=True, processes=1)
"""


@posix
def test_processes_end_when_their_parent_is_killed(with_own_extractor: Path) -> None:
    folder = with_own_extractor
    varied(folder / "videos" / "a.mp4", 400)
    environment = {**os.environ, "SECONDS_PER_CLIP": "0.05"}
    with subprocess.Popen([sys.executable, "-c", PARENT, OWN], env=environment) as parent:
        try:
            wait_until(lambda: bool(processes(folder)))
        finally:
            parent.kill()
    wait_until(lambda: not any(is_alive(pid) for pid in processes(folder)))
    assert not list((folder / "out").glob("*.npy"))


# The other side, in this process


class Done(Exception):  # noqa: N818
    """There are no more requests."""


def answers_to(*requests: dict[str, Any]) -> list[tuple[str, Any]]:
    answers: list[tuple[str, Any]] = []
    left = iter(requests)

    def request() -> dict[str, Any]:
        try:
            return next(left)
        except StopIteration:
            raise Done from None

    with suppress(Done):
        work(request, lambda kind, content: answers.append((kind, content)))
    return answers


def asked_for(name: str, **changes: Any) -> dict[str, Any]:
    return {"name": name, "device": "cpu", "trust_python": True, **changes}


@pytest.mark.parametrize(
    ("request_", "kind", "message"),
    [
        (asked_for("default", device="warp"), "ConfigError", "there is no device 'warp'"),
        (asked_for(OWN, trust_python=False), "ConfigError", "runs code of yours"),
        (asked_for("python:of_others:needy"), "MissingExtraError", "needs transformers, which is not installed."),
        (asked_for("python:of_others:fails"), "ConfigError", "LookupError: no weights"),
    ],
)
def test_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request_: dict[str, Any], kind: str, message: str
) -> None:
    (tmp_path / "of_others.py").write_text(
        "from untrimmed.errors import MissingExtraError\n"
        "def needy():\n    raise MissingExtraError('transformers', 'hub', 'this extractor')\n"
        "def fails():\n    raise LookupError('no weights')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    ((answered, content),) = answers_to(request_)
    assert (answered, content[0]) == ("refused", kind)
    assert message in content[1]


def test_answers_to_tasks(with_own_extractor: Path) -> None:
    folder = with_own_extractor
    video = str(varied(folder / "a.mp4", 8))
    good = {"id": "a", "path": video, "features": str(folder / "a.npy")}
    bad = {"id": "b", "path": str(folder / "b.mp4"), "features": str(folder / "b.npy")}
    nowhere = {"id": "a", "path": video, "features": str(folder / "nowhere" / "a.npy")}
    answers = [
        (kind, content) for kind, content in answers_to(asked_for(OWN), good, bad, nowhere) if kind != "progress"
    ]
    assert [kind for kind, _ in answers] == ["greeting", "outcome", "outcome", "unwritable"]
    assert answers[0][1]["description"]["extractor"] == OWN
    assert (answers[1][1]["rows"], answers[1][1]["error"]) == (4, None)
    assert answers[2][1]["error"] == "there is no such file"
    assert "nowhere/a.npy: cannot be written (No such file or directory)" in answers[3][1]


@pytest.mark.parametrize("error", [ConfigError("a"), ModelError("b"), MissingExtraError("p", "e", "it")])
def test_refusals_become_errors_again(monkeypatch: pytest.MonkeyPatch, error: UntrimmedError) -> None:
    worker = Worker.__new__(Worker)
    worker._choice = ExtractorChoice(name="x")
    monkeypatch.setattr(worker, "_send", lambda _: None)
    monkeypatch.setattr(worker, "_receive", lambda: ("refused", [type(error).__name__, str(error)]))
    with pytest.raises(type(error)) as raised:
        worker.greet()
    assert str(raised.value) == str(error)


def test_manner_of_death() -> None:
    assert manner_of_death(3) == "ended with exit code 3"
    assert manner_of_death(-11) == "was ended by SIGSEGV"
    assert manner_of_death(-9).startswith("was ended by SIGKILL, as happens when memory runs out")
    assert manner_of_death(-99) == "was ended by signal 99"


# Who does what, without processes

GREETING = Greeting(FeatureDescription(dimension=1), "cpu")


class Scripted:
    """Stands for a process; what it does with a task is written in the task's id."""

    started: list[Scripted]
    fail_at: dict[int, Exception | Greeting]

    def __init__(self, choice: ExtractorChoice, threads: int) -> None:
        self.stopped = threading.Event()
        self.dead = False
        self.started.append(self)

    def greet(self) -> Greeting:
        result = self.fail_at.get(len(self.started), GREETING)
        if isinstance(result, Exception):
            raise result
        return result

    def carry_out(self, task: Task, on_progress: OnProgressOf) -> Outcome:
        assert not self.dead
        on_progress(task.id, 1.0, None)
        if "dies" in task.id:
            self.dead = True
            raise WorkerDiedError("died")
        if "unwritable" in task.id:
            raise UnwritableError("full")
        if "endless" in task.id:
            assert self.stopped.wait(60)
            raise WorkerDiedError("stopped")
        return Outcome(id=task.id, path=task.path)

    def stop(self) -> None:
        self.stopped.set()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Scripted]]:
    """Scripted processes in the place of real ones."""
    Scripted.started, Scripted.fail_at = [], {}
    monkeypatch.setattr("untrimmed.video.extraction.workers.Worker", Scripted)
    before = threading.active_count()
    yield Scripted
    assert all(worker.stopped.is_set() for worker in Scripted.started)
    assert threading.active_count() == before


def tasks(*names: str) -> list[Task]:
    return [Task(id=f"{name} {number}", path=name) for number, name in enumerate(names)]


def ran(count: int, *names: str) -> list[Outcome]:
    with Workers(ExtractorChoice(name="x"), threads=1) as workers:
        return list(workers.run(count, tasks(*names), lambda *_: None))


@given(names=st.lists(st.sampled_from(["good", "dies"]), max_size=12), count=st.integers(1, 5))
def test_each_task_has_one_outcome(names: list[str], count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        Scripted.started, Scripted.fail_at = [], {}
        patch.setattr("untrimmed.video.extraction.workers.Worker", Scripted)
        outcomes = ran(count, *names)
    assert sorted(outcome.id for outcome in outcomes) == sorted(task.id for task in tasks(*names))
    assert all(outcome.error == ("died" if "dies" in outcome.id else None) for outcome in outcomes)
    assert len(Scripted.started) <= max(1, min(count, len(names))) + names.count("dies")
    assert all(worker.stopped.is_set() for worker in Scripted.started)


def test_one_process_begins_tasks_in_their_order(script: type[Scripted]) -> None:
    assert [outcome.id for outcome in ran(1, "a", "dies", "b")] == ["a 0", "dies 1", "b 2"]
    assert len(script.started) == 2


def test_progress_is_told_in_the_thread_that_asks(script: type[Scripted]) -> None:
    told = []
    with Workers(ExtractorChoice(name="x"), threads=1) as workers:
        for _ in workers.run(
            3, tasks("a", "b"), lambda *progress: told.append((threading.current_thread(), *progress))
        ):
            pass
    assert sorted(told, key=lambda each: each[1]) == [
        (threading.main_thread(), "a 0", 1.0, None),
        (threading.main_thread(), "b 1", 1.0, None),
    ]


def test_a_full_disk_ends_all(script: type[Scripted]) -> None:
    with pytest.raises(UnwritableError, match="full"):
        ran(2, "endless", "unwritable", "good")


def test_all_is_over_when_the_outcomes_are_no_longer_wanted(script: type[Scripted]) -> None:
    with Workers(ExtractorChoice(name="x"), threads=1) as workers:
        with closing(workers.run(3, tasks("endless", "endless", "good"), lambda *_: None)) as outcomes:
            assert next(outcomes).id == "good 2"
        assert all(worker.stopped.is_set() for worker in script.started)


def test_an_error_of_whoever_is_told_ends_all(script: type[Scripted]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with Workers(ExtractorChoice(name="x"), threads=1) as workers, pytest.raises(KeyboardInterrupt):
        list(workers.run(2, tasks("endless", "endless"), interrupted))


def test_the_first_process_dies_before_it_can_work(script: type[Scripted]) -> None:
    script.fail_at = {1: WorkerDiedError("its process ended with exit code 4")}
    with pytest.raises(ModelError, match=r"^extractor 'x' cannot be opened: its process ended with exit code 4$"):
        Workers(ExtractorChoice(name="x"), threads=1)


def test_others_take_over_from_a_process_that_dies_before_it_can_work(script: type[Scripted]) -> None:
    script.fail_at = {2: WorkerDiedError("out of memory")}
    assert len(ran(2, *["good"] * 20)) == 20


def test_nobody_is_left(script: type[Scripted]) -> None:
    script.fail_at = {2: WorkerDiedError("out of memory")}
    with pytest.raises(ModelError, match=r"^extractor 'x' cannot be opened any more: out of memory$"):
        ran(1, "dies", "good")


def test_an_extractor_that_changes_meanwhile(script: type[Scripted]) -> None:
    script.fail_at = {2: Greeting(FeatureDescription(dimension=2), "cpu")}
    with pytest.raises(ConfigError, match=r"^extractor 'x' has changed while it was at work"):
        ran(1, "dies", "good")
