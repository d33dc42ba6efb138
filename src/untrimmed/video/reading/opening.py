"""Opening a video file with FFmpeg, and saying why one cannot be opened."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from untrimmed.errors import VideoError

FORMATS = (
    "3gp,amv,apng,asf,asf_o,av1,avi,avs2,avs3,cavsvideo,cine,dhav,dirac,dnxhd,dv,evc,flv,gif,gxf,h261,h263,h264,hevc,"
    "ifv,ivf,kux,live_flv,lxf,m4v,matroska,mjpeg,mlv,mov,mp4,mpeg,mpegts,mpegtsraw,mpegvideo,mpjpeg,mxf,nsv,nut,nuv,"
    "obu,ogg,pva,rm,smjpeg,swf,ty,vc1,vc1test,vvc,webm,wtv,yuv4mpegpipe"
)
"""FFmpeg's demuxers that may be used: containers of video that lie in one file.

Not among them are playlists and scripts, which name other files or addresses (hls, dash, concat, sdp, imf ...), single
pictures, devices, sound, and text that FFmpeg would draw.
"""

MOST_PIXELS = 16384 * 8704
"""Of a frame. Twice what a camera records today; more is damage, found before memory is asked for it."""

_SINGLE_PICTURES = {"avif", "heic", "heim", "heis", "heix", "mif1"}  # brands of files that look like MP4
_KINDS = (
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a list of files"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"II*\0", "a picture"),
    (b"MM\0*", "a picture"),
    (b"PK\3\4", "a zip archive"),
    (b"\x1f\x8b", "a compressed file"),
    (b"%PDF", "a PDF document"),
    (b"ID3", "sound"),
    (b"fLaC", "sound"),
    (b"\x93NUMPY", "an array of numbers"),
)


def open_container(path: Path) -> InputContainer:
    """Open a file with FFmpeg, which may read this one file and nothing else.

    Raises:
        VideoError: if there is no such file, or it is no video.
    """
    head = _head(path)
    # As a name that FFmpeg takes for a file whatever is in it; "http://..." and "concat:..." are file names here.
    name = f"file:{path.absolute()}"
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(MOST_PIXELS)}
    try:
        container = av.open(name, options=options, metadata_errors="replace")
    except (FFmpegError, ValueError, MemoryError) as error:
        raise VideoError(f"{path}: {_why_not(path, head, error)}") from error
    if container.metadata.get("major_brand") in _SINGLE_PICTURES:
        container.close()
        raise VideoError(f"{path}: is a single picture, expected is a video")
    return container


def picture_stream(container: InputContainer, path: Path, threads: int) -> VideoStream:
    """Choose the stream with the pictures, and prepare it for decoding.

    That is the one that the container marks as the default, otherwise the first. The cover of a song is none.

    Raises:
        VideoError: if there is none, or no decoder for it.
    """
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    streams = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not streams:
        found = "only sound" if container.streams.audio else "no stream that can be read"
        raise VideoError(f"{path}: there are no moving pictures in it, {found}. Expected is a video")
    stream = max(streams, key=lambda each: bool(each.disposition & Disposition.default))
    if stream.codec_context is None:
        raise VideoError(f"{path}: this FFmpeg has no decoder for its pictures. Convert it, to H.264 for example")
    stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.thread_count = threads
    return stream


def ignore_others(container: InputContainer, wanted: VideoStream) -> None:
    """Let FFmpeg leave out what is not in the stream that is wanted; most formats then need not even read it."""
    for stream in container.streams:
        if stream.index != wanted.index:
            stream.discard = Discard.all


def pixel_shape(stream: VideoStream) -> Fraction:
    """Return the width of a pixel by its height; 1 if that is not said, or cannot be true."""
    shape = stream.sample_aspect_ratio
    return shape if shape and Fraction(1, 10) <= shape <= 10 else Fraction(1)


def _head(path: Path) -> bytes:
    """Read the first bytes of a file.

    Raises:
        VideoError: if there is no such file, it may not be read, or there is nothing in it.
    """
    if path.is_dir():
        raise VideoError(f"{path}: is a folder, expected is a video file")
    if path.exists() and not path.is_file():  # a pipe or a device may never end
        raise VideoError(f"{path}: is a device or a pipe, expected is a video file")
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except FileNotFoundError as error:
        raise VideoError(f"{path}: there is no such file") from error
    except OSError as error:
        raise VideoError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:  # a null byte in the name
        raise VideoError(f"{str(path)!r}: is not a file name ({error})") from error
    if not head:
        raise VideoError(f"{path}: the file is empty. Copy it again")
    return head


def _why_not(path: Path, head: bytes, error: Exception) -> str:
    """Say why FFmpeg did not open a file, as well as its first bytes allow."""
    kind = next((kind for start, kind in _KINDS if head.startswith(start)), None)
    if head.startswith(b"RIFF"):
        kind = {b"WEBP": "a picture", b"WAVE": "sound"}.get(head[8:12])
    if kind:
        return f"is {kind}, expected is a video"
    if head[8:12] == b"AVI ":
        return "this AVI file is damaged, or was not copied to its end. Copy it again"
    if head[4:8] in {b"ftyp", b"wide", b"mdat", b"free", b"skip"} and not _has_index(path):
        return (
            "the index (moov) of this MP4 file is missing: it was not copied to its end, or its recording was cut "
            "short. Copy it again"
        )
    if isinstance(error, av.error.ArgumentError):  # how FFmpeg refuses what is not among FORMATS
        return "is damaged, or not a video in one file: playlists, pictures, sound and text are not read"
    return f"is not a video that FFmpeg can read ({getattr(error, 'strerror', None) or error})"


def _has_index(path: Path) -> bool:
    """Whether an MP4 file has its `moov` box, which says where everything is; often it is the last one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        position = 0
        while position + 8 <= size:
            file.seek(position)
            header = file.read(16)
            length, kind = struct.unpack(">I4s", header[:8])
            if kind == b"moov":
                return position + length <= size
            if length == 1 and len(header) == 16:
                length = struct.unpack(">Q", header[8:])[0]
            if length < 8:
                break
            position += length
    return False
