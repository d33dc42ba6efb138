"""Copies of videos that browsers can play."""

from __future__ import annotations

from pathlib import Path

from untrimmed.errors import VideoError
from untrimmed.video.reading.opening import open_container, picture_stream
from untrimmed.video.reading.reader import VideoInfo
from untrimmed.video.rendering.encoding import Copied, OnProgress, copy_video
from untrimmed.video.rendering.planes import Upright, even_size

_PLAYED = {
    ".mp4": {"h264", "vp9", "av1"},
    ".m4v": {"h264"},
    ".mov": {"h264"},
    ".webm": {"vp8", "vp9", "av1"},
}
"""What browsers play of each kind of file; they go by the suffix where nobody tells them the kind."""

_CONTAINERS = {".webm": "webm"}
_8_BIT = {"yuv420p", "yuvj420p"}


def playable(path: str | Path) -> bool:
    """Whether browsers can play a file: mp4, m4v, mov or webm with H.264 (8 bit, 4:2:0), VP8, VP9 or AV1.

    `False` also for what is no video, or is not there.
    """
    path = Path(path)
    codecs = _PLAYED.get(path.suffix.lower())
    if codecs is None:
        return False
    try:
        with open_container(path) as container:
            stream = picture_stream(container, path, threads=1)
            names = container.format.name.split(",")
            context = stream.codec_context
            codec, pixels = context.codec.canonical_name, context.pix_fmt
    except VideoError:
        return False
    plain = codec != "h264" or pixels in _8_BIT
    return _CONTAINERS.get(path.suffix.lower(), "mp4") in names and codec in codecs and plain


def transcode(
    path: str | Path, out: str | Path, *, allow_truncated: bool = False, on_progress: OnProgress | None = None
) -> Copied:
    """Write a copy that every browser plays: H.264 in mp4, upright, with square pixels, at the same seconds.

    Its sound is copied where mp4 can hold it. Written beside its place and renamed.

    Args:
        path: of the source.
        out: of the copy, which is mp4 whatever its name.
        allow_truncated: copy a video that ends before it should as far as it goes.
        on_progress: is called after every frame with the seconds written, and those that there are as far as the
            container says.

    Raises:
        VideoError: if the source cannot be decoded, or not all of it, or `out` is the source.
        OSError: if `out` cannot be written.
    """

    def make(info: VideoInfo) -> tuple[Upright, Upright]:
        upright = Upright(*even_size(info))
        return upright, upright

    return copy_video(Path(path), Path(out), make, allow_truncated=allow_truncated, on_progress=on_progress)
