"""What the reader says of files that it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from untrimmed.errors import VideoError
from untrimmed.video.reading.reader import VideoFile


def refusal(path: Path | str, **options: Any) -> str:
    """What is said of a file that is refused, at once or at its end."""
    with pytest.raises(VideoError) as caught, VideoFile(path, **options) as video:
        for _ in video.frames():
            pass
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")
