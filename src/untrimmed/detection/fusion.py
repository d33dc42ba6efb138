"""Outside class scores of whole videos, multiplied into detections that know when but not what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from untrimmed.data.detections import Detections
from untrimmed.data.formats.class_scores import ClassScores
from untrimmed.errors import AnnotationError, ConfigError


def fuse_class_scores(detections: Detections, class_scores: ClassScores, *, top: int = 2) -> Detections:
    """Give every detection of a video each of the video's `top` classes; its own label is dropped.

    The new score is `sqrt(class score * detection score)`. This is how class-agnostic proposals are scored on
    ActivityNet, whose videos mostly have one class; on videos with many classes it hurts.

    Args:
        detections: n of one video.
        class_scores: of all videos.
        top: how many classes each detection gets.

    Returns:
        `n * top` detections, best first.

    Raises:
        AnnotationError: if there are no class scores of this video.
    """
    if detections.video_id not in class_scores.videos:
        raise AnnotationError(f"there are no class scores of video {detections.video_id!r}; leave it out, or add them")
    of_video = class_scores.videos[detections.video_id]
    best = np.argsort(-of_video, kind="stable")[:top]
    scores = np.sqrt(np.outer(of_video[best], detections.scores)).ravel()
    order = np.argsort(-scores, kind="stable")
    return Detections(
        detections.video_id,
        np.tile(detections.segments, (len(best), 1))[order],
        scores[order],
        np.repeat(best, len(detections))[order],
        class_scores.labels,
    )


def check_class_scores(class_scores: ClassScores, videos: Iterable[str], top: int) -> None:
    """Make sure that there are class scores of all these videos, and so many classes.

    Raises:
        ConfigError: if `top` is no number of classes that there are.
        AnnotationError: if there are no class scores of a video.
    """
    if not 1 <= top <= len(class_scores.labels):
        raise ConfigError(f"{top} top classes were asked for, but there are 1 to {len(class_scores.labels)}")
    absent = [id_ for id_ in videos if id_ not in class_scores.videos]
    if absent:
        more = f", nor of {len(absent) - 1} others" if len(absent) > 1 else ""
        raise AnnotationError(f"there are no class scores of video {absent[0]!r}{more}; leave it out, or add them")


def fuse_all(detections: Mapping[str, Detections], class_scores: ClassScores, top: int = 2) -> dict[str, Detections]:
    """Fuse the detections of many videos, by video id.

    Raises:
        ConfigError: if `top` is no number of classes that there are.
        AnnotationError: if there are no class scores of a video.
    """
    check_class_scores(class_scores, detections, top)  # all of them, before the first
    return {id_: fuse_class_scores(found, class_scores, top=top) for id_, found in detections.items()}
