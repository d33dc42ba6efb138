"""What tests of Ray clusters share: how they are marked, and extractors that workers find.

A test module has a cluster for all its tests, since one takes seconds to start. Its workers outlive a test.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

MARKS = [
    pytest.mark.slow,
    pytest.mark.xdist_group("cluster"),  # one after another
    pytest.mark.skipif(os.name != "posix", reason="signals of POSIX"),
    # Ray's own: about settings that it sets itself, and sockets that it leaves to the interpreter.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray.*"),
    pytest.mark.filterwarnings("ignore::ResourceWarning:ray.*"),
]
_MAKE = """

def make():
    return FunctionExtractor(
        means, name="own", dimension=6, frames=2, stride=1, rate=25, height=48, width=64, batch_size=2
    )
"""


def with_extractor(place: Path, patch: pytest.MonkeyPatch, name: str, body: str = "") -> Path:
    """Make a folder the current one, with a module `name` whose `make` makes an extractor of the mean colours of clips.

    Workers keep the folders of the tests before: the tests of one cluster have to name their modules differently.

    Args:
        place: the folder.
        patch: undoes it all.
        name: of the module.
        body: what else happens to each of the `clips`.
    """
    lines = [
        "import os, signal, time",
        "from pathlib import Path",
        "from untrimmed.video.extractors.function import FunctionExtractor",
        "HERE = Path(__file__).parent",
        "def means(clips):",
        *(f"    {line}" for line in body.strip().splitlines()),
        "    return clips.mean(axis=(2, 3)).reshape(len(clips), -1)",
    ]
    (place / f"{name}.py").write_text("\n".join(lines) + _MAKE)
    patch.chdir(place)
    patch.setattr(sys, "path", [str(place), *sys.path])
    patch.delitem(sys.modules, name, raising=False)
    return place
