"""One alarm for each action: of a stream's detections, those that tell of something new."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from untrimmed.data.detections import Detection

REMEMBERED = 64
"""Actions of each class that a detection which leaves later may still be of."""


class Once:
    """Lets a detection pass unless it goes on with an action of its class that one before it has told of.

    With a short latency a long action leaves a stream more than once: first what the model took for the whole of it,
    then better ones. Those that overlap with each other, directly or through others, are taken to be of one action.
    """

    def __init__(self) -> None:
        self._told: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def of(self, detections: Iterable[Detection]) -> list[Detection]:
        """Return which detections are the first of their actions; in the order in which they left the stream."""
        return [detection for detection in detections if self._is_first(detection)]

    def _is_first(self, detection: Detection) -> bool:
        told = self._told[detection.label]
        same = [span for span in told if span[0] < detection.end and detection.start < span[1]]
        others = [span for span in told if span not in same]
        whole = [*same, (detection.start, detection.end)]
        span = min(start for start, _ in whole), max(end for _, end in whole)
        self._told[detection.label] = [*others, span][-REMEMBERED:]
        return not same
