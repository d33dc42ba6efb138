"""What is known about the videos of a data set: the canonical form that every format is read into."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from untrimmed.errors import AnnotationError

_SYNONYMS = {"train": "training", "training": "train", "val": "validation", "validation": "val"}
"""Names of subsets that differ between forms of the same data set."""


@dataclass(frozen=True, slots=True)
class Instance:
    """Ground truth: an action of one class from `start` to `end`, in seconds."""

    start: float
    end: float
    label: str


@dataclass(frozen=True, slots=True)
class Video:
    """One untrimmed recording (a video, or anything else that features were made from).

    `duration` is in seconds, `rate` in frames per second where it is known, and `subset` names its split.
    """

    id: str
    duration: float
    subset: str = ""
    rate: float | None = None
    instances: tuple[Instance, ...] = ()

    @property
    def segments(self) -> NDArray[np.float64]:
        """Start and end of every instance, `[n, 2]`, seconds."""
        return np.array([(i.start, i.end) for i in self.instances], dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True)
class Annotations:
    """The videos of a data set by id, and its labels in the order of their class numbers."""

    videos: Mapping[str, Video]
    labels: tuple[str, ...]
    source: str = "annotations"
    """Where they were read from, for messages."""
    label_index: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label_index", {label: i for i, label in enumerate(self.labels)})
        assert len(self.label_index) == len(self.labels), "a label is there twice"

    def __len__(self) -> int:
        return len(self.videos)

    def __iter__(self) -> Iterator[Video]:
        return iter(self.videos.values())

    def __getitem__(self, video_id: str) -> Video:
        return self.videos[video_id]

    @property
    def subsets(self) -> dict[str, int]:
        """How many videos each subset has."""
        return dict(Counter(video.subset for video in self))

    def of_subsets(self, names: Iterable[str]) -> Annotations:
        """Return the videos of these subsets.

        Upper and lower case are the same; where there is no subset of a name but of one that means the same, such as
        `training` for `train`, it is that one.

        Raises:
            AnnotationError: if a name matches no video; the message says which subsets there are.
        """
        wanted = {name.lower(): name for name in names}
        there = {name.lower(): name for name in self.subsets}
        for low, name in wanted.items():
            if low not in there and _SYNONYMS.get(low) not in there:
                near = difflib.get_close_matches(low, there, n=1)
                hint = f" Did you mean {there[near[0]]!r}?" if near else ""
                found = ", ".join(f"{subset!r} ({n} videos)" for subset, n in self.subsets.items()) or "no videos"
                raise AnnotationError(f"{self.source}: no video is in subset {name!r}; there are {found}.{hint}")
        chosen = {low if low in there else _SYNONYMS[low] for low in wanted}
        return self.where(lambda video: video.subset.lower() in chosen)

    def where(self, keep: Callable[[Video], bool]) -> Annotations:
        """Return the videos for which `keep(video)` holds; the labels stay as they are."""
        return replace(self, videos={id_: video for id_, video in self.videos.items() if keep(video)})

    def of_one_class(self, label: str) -> Annotations:
        """Return the same instances, all of one class, for a model that is to say only when something happens."""
        videos = {
            video.id: replace(video, instances=tuple(replace(i, label=label) for i in video.instances))
            for video in self
        }
        return replace(self, videos=videos, labels=(label,))

    def label_numbers(self, video: Video) -> NDArray[np.int64]:
        """Class numbers of a video's instances, `[n]`."""
        return np.array([self.label_index[i.label] for i in video.instances], dtype=np.int64)
