"""Outside class scores of whole videos, multiplied into detections that know when but not what."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.detections import Detections


def fuse_class_scores(
    detections: Detections, class_scores: NDArray[np.float64], label_names: tuple[str, ...], *, top: int = 2
) -> Detections:
    """Give every detection of a video each of the video's `top` classes; its own label is dropped.

    The new score is `sqrt(class score * detection score)`. This is how class-agnostic proposals are scored on
    ActivityNet, whose videos mostly have one class; on videos with many classes it hurts.

    Args:
        detections: n of one video.
        class_scores: `[K]`, the video's score of each class, not negative.
        label_names: the K classes.
        top: how many classes each detection gets.

    Returns:
        `n * top` detections, best first.
    """
    best = np.argsort(-class_scores, kind="stable")[:top]
    scores = np.sqrt(np.outer(class_scores[best], detections.scores)).ravel()
    order = np.argsort(-scores, kind="stable")
    return Detections(
        detections.video_id,
        np.tile(detections.segments, (len(best), 1))[order],
        scores[order],
        np.repeat(best, len(detections))[order],
        label_names,
    )
