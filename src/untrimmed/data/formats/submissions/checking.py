"""What the checks of all submission files have in common."""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from untrimmed.data.annotations import Annotations
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.files import write_atomically
from untrimmed.data.formats.reading import Problem, is_number, shown
from untrimmed.errors import AnnotationError

LARGEST = 2**28
"""Bytes that a submission may have: several times more than 2,000 detections a video come to."""

_MOST_SHOWN = 3  # of each kind of fault
_TIME_DECIMALS = 6
_SCORE_DECIMALS = 9  # as in files of detections

Find = Callable[[Mapping[str, Any], "Check"], None]
"""Looks through the content of a file and tells a `Check` what it finds."""

LabelCheck = Callable[[str, Mapping[str, Any]], None]
"""Gets the place and content of a detection, and looks at its label."""


class Check:
    """Collects what is found in a file, a few of each kind of fault."""

    def __init__(self, truth: Annotations | None, most_per_video: int | None = None) -> None:
        self.truth = truth
        self.most_per_video = most_per_video
        self._found: dict[str, list[Problem]] = {}
        self._counts: dict[str, int] = {}

    def add(self, kind: str, place: str, message: str) -> None:
        """Note a fault; those of the same kind are counted together."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        shown_ones = self._found.setdefault(kind, [])
        if len(shown_ones) < _MOST_SHOWN:
            shown_ones.append(Problem(place, message))

    def findings(self) -> list[Problem]:
        """Return what was found, of each kind the first few, and a line for the others."""
        findings: list[Problem] = []
        for kind, problems in self._found.items():
            findings += problems
            if (rest := self._counts[kind] - len(problems)) > 0:
                findings.append(Problem(kind, f"and {rest} more like these"))
        return findings

    def value(self, content: Mapping[str, Any], key: str, wanted: str) -> None:
        """Look at a key that has to have one value."""
        if content.get(key) != wanted:
            found = shown(content[key]) if key in content else "missing"
            self.add(key, f'"{key}"', f'is {found}, but has to be "{wanted}"')

    def results(self, content: Mapping[str, Any], key: str, check_label: LabelCheck) -> None:
        """Look at detections by video: `{"<video id>": [{..., "score": 0.5, "segment": [1.0, 2.5]}]}`."""
        results = content.get(key)
        if not isinstance(results, dict):
            found = shown(results) if key in content else "missing"
            self.add(key, f'"{key}"', f"is {found}, but has to be an object with a list of detections for each video")
            return
        self._videos(key, results)
        for id_, detections in results.items():
            place = f'"{key}", video {shown(id_)}'
            if not isinstance(detections, list):
                self.add("videos", place, f"is {shown(detections)}, but has to be a list of detections")
                continue
            if self.most_per_video is not None and len(detections) > self.most_per_video:
                message = f"has {len(detections)} detections, but the server takes {self.most_per_video}"
                self.add("numbers of detections", place, f"{message}; leave out those with the lowest scores")
            for i, detection in enumerate(detections):
                self._detection(f"{place}, detection {i}", detection, id_, check_label)

    def _videos(self, key: str, results: Mapping[str, Any]) -> None:
        """Compare the ids of the videos with the expected ones."""
        if self.truth is None:
            return
        expected = self.truth.videos
        for id_ in results:
            if id_ not in expected:
                prefix = f"; take the prefix {id_[:2]!r} away" if id_[2:] in expected else ""
                message = f"is none of the {len(expected)} videos of the evaluated subset{prefix}"
                self.add("unknown videos", f'"{key}", video {shown(id_)}', message)
        for id_ in expected:
            if id_ not in results:
                message = "is missing; if nothing was detected in it, write an empty list"
                self.add("missing videos", f'"{key}", video {shown(id_)}', message)

    def _detection(self, place: str, detection: Any, video: str, check_label: LabelCheck) -> None:
        if not isinstance(detection, dict):
            self.add("detections", place, f"is {shown(detection)}, but has to be an object")
            return
        check_label(place, detection)
        if not is_number(detection.get("score")):
            found = shown(detection["score"]) if "score" in detection else "missing"
            self.add("scores", place, f'"score" is {found}, but has to be a finite number')
        segment = detection.get("segment")
        if not (isinstance(segment, list) and len(segment) == 2 and all(map(is_number, segment))):
            found = shown(segment) if "segment" in detection else "missing"
            self.add("segments", place, f'"segment" is {found}, but has to be [start, end] in seconds')
            return
        start, end = segment
        duration = self.truth.videos[video].duration if self.truth and video in self.truth.videos else math.inf
        if start < 0:
            self.add("negative times", place, f'"segment" is {shown(segment)}, but times count from 0')
        if start > end:
            self.add("reversed segments", place, f'"segment" is {shown(segment)}, but has to start before it ends')
        elif start > duration:
            message = f'"segment" is {shown(segment)}, but the video ends at {duration} s; are times in seconds?'
            self.add("segments behind the end", place, message)


def content_of(path: Path, check: Check, *, member: str | None) -> Mapping[str, Any] | None:
    """Return the object in a file; of a zip file, in its only member, which has to have this name.

    `None` if there is none: why is then among the findings.
    """
    zipped = member is not None and path.suffix.lower() == ".zip"
    try:
        check_suffix(path, *([".json"] if member is None else [".json", ".zip"]))
        if not path.is_file():
            raise AnnotationError(f"{path}: there is no such file")
        with path.open("rb") as file:
            text = _member_of(path, file, member) if zipped and member is not None else file.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise AnnotationError(f"{path}: has more than {LARGEST} bytes; write fewer detections a video")
        content = json.loads(text, object_pairs_hook=_without_duplicates)
    except (AnnotationError, OSError) as error:
        check.add("file", "file", str(error).removeprefix(f"{path}: "))
    except (ValueError, RecursionError) as error:
        check.add("file", "file", f"not usable as JSON: {error}")
    else:
        if isinstance(content, dict):
            return content
        check.add("file", "file", f"found {shown(content)}, but the whole file has to be one object")
    return None


def _member_of(path: Path, file: BinaryIO, member: str) -> bytes:
    """Return what is in the only member of a zip file, at most a byte more than is allowed.

    Raises:
        AnnotationError: if it is damaged, or something else is in it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if names == [member]:
                with archive.open(member) as content:
                    return content.read(LARGEST + 1)  # what the archive states of its size may be a lie
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:
        raise AnnotationError(f"{path}: cannot be read as a zip file: {error}") from None
    found = ", ".join(map(shown, names[:3])) or "nothing"
    raise AnnotationError(f"{path}: found {found} in it, expected the single file {member!r}")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise ValueError(f"the key {shown(twice)} is there twice, and all but the last would be lost")
    return content


def rounded(detection: Detection) -> dict[str, Any]:
    """Return score and segment as a file has them; what lies before the video is cut off."""
    start, end = (max(0.0, round(time, _TIME_DECIMALS)) for time in (detection.start, detection.end))
    return {"score": round(detection.score, _SCORE_DECIMALS), "segment": [start, end]}


def by_video(
    detections: Iterable[Detections], entry: Callable[[Detection], Mapping[str, Any]], truth: Annotations | None
) -> dict[str, list[Mapping[str, Any]]]:
    """Return entries by video, with an empty list for each video of `truth` in which nothing was detected."""
    results: dict[str, list[Mapping[str, Any]]] = {} if truth is None else {id_: [] for id_ in truth.videos}
    for of_video in detections:
        results.setdefault(of_video.video_id, []).extend(entry(detection) for detection in of_video)
    return results


def write_checked(path: Path, content: Mapping[str, Any], find: Find, truth: Annotations | None, member: str) -> None:
    """Write a submission that its own check finds nothing in; into a zip file if the suffix says so.

    Raises:
        AnnotationError: if the check finds something, or it is too large; the file is then not written.
        OSError: if the file cannot be written.
    """
    check = Check(truth)
    find(content, check)
    if findings := check.findings():
        more = f" (and {len(findings) - 1} more findings)" if len(findings) > 1 else ""
        raise AnnotationError(f"{path}: not written: {findings[0]}{more}")
    text = json.dumps(content, allow_nan=False)  # only ASCII: as many bytes as characters
    if len(text) > LARGEST:
        raise AnnotationError(f"{path}: not written: more than {LARGEST} bytes; keep fewer detections a video")
    if path.suffix.lower() != ".zip":
        write_atomically(path, text)
        return
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        info = zipfile.ZipInfo(member)  # of no date: the same detections make the same file
        info.external_attr = 0o644 << 16  # readable for whoever unpacks it
        file.writestr(info, text, zipfile.ZIP_DEFLATED)
    write_atomically(path, archive.getvalue())


def check_suffix(path: Path, *suffixes: str) -> None:
    """Make sure that a file to be written is named as its server takes it.

    Raises:
        AnnotationError: if it is not.
    """
    if path.suffix.lower() not in suffixes:
        raise AnnotationError(f"{path}: the server takes {' or '.join(suffixes)}; rename the file")
