"""A recording that ends every process that works on it, on a cluster of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from clusters import MARKS
from untrimmed.archive.attempts import DIED, TRIES, Book
from untrimmed.archive.cluster import ClusterConfig, Room, connected
from untrimmed.archive.pipeline import ArchiveWorker, outcomes
from untrimmed.video.extraction.manifest import Entry

pytestmark = MARKS


@pytest.mark.parametrize("decoders", [0, 2])
def test_it_is_given_up_and_the_others_are_done(tmp_path: Path, decoders: int) -> None:
    pytest.importorskip("ray")

    class Dying(ArchiveWorker):
        def __init__(self, folder: str, book: Book) -> None:
            super().__init__(book)
            self._folder = Path(folder)

        def work(self, window: Sequence[Entry]) -> Iterator[dict[str, Any]]:
            for entry in window:
                with self.attempts.trying(entry.id) as allowed:
                    if allowed:
                        with (self._folder / entry.id).open("a") as file:
                            file.write("x")
                        if entry.id == "bad":
                            os.kill(os.getpid(), signal.SIGKILL)
                yield {"id": entry.id, "error": None if allowed else DIED}

    manifest = tmp_path / "all.csv"
    names = ["a", "b", "bad", "c", "d", "e"]
    manifest.write_text("path,id\n" + "".join(f"{name}.mp4,{name}\n" for name in names))
    (tmp_path / "tries").mkdir()
    room = Room(least=1, most=1, cpus=1, gpus=0, decoders=decoders)
    with connected(ClusterConfig()):
        made = list(outcomes([manifest], "videos", 1, Dying, str(tmp_path / "tries"), room))
    assert sorted(each["id"] for each in made) == sorted(names)
    assert {each["id"]: each["error"] for each in made if each["error"]} == {"bad": DIED}
    assert (tmp_path / "tries" / "bad").read_text() == "x" * TRIES
