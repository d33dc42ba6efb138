"""Untrimmed finds when actions happen in long, untrimmed video.

What most programs need is here, and is imported when it is first used, so that `import untrimmed` is fast and needs no
torch:

    >>> from untrimmed import Localizer
    >>> localizer = Localizer.load("runs/my_model")
    >>> for detection in localizer.detect(features):
    ...     print(detection)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from untrimmed.data.annotations import Annotations, Instance, Video
    from untrimmed.data.detections import Detection, Detections
    from untrimmed.detection.localizer import Localizer
    from untrimmed.detection.streaming.stream import Stream
    from untrimmed.errors import UntrimmedError
    from untrimmed.time_grid import TimeGrid
    from untrimmed.video.extractors.function import FunctionExtractor

__version__ = "0.1.0"

_HOME = {
    "Annotations": "untrimmed.data.annotations",
    "Detection": "untrimmed.data.detections",
    "Detections": "untrimmed.data.detections",
    "FunctionExtractor": "untrimmed.video.extractors.function",
    "Instance": "untrimmed.data.annotations",
    "Localizer": "untrimmed.detection.localizer",
    "Stream": "untrimmed.detection.streaming.stream",
    "TimeGrid": "untrimmed.time_grid",
    "UntrimmedError": "untrimmed.errors",
    "Video": "untrimmed.data.annotations",
}

__all__ = [
    "Annotations",
    "Detection",
    "Detections",
    "FunctionExtractor",
    "Instance",
    "Localizer",
    "Stream",
    "TimeGrid",
    "UntrimmedError",
    "Video",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'untrimmed' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
