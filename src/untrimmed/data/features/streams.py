"""Several streams of features of the same videos, such as RGB and flow, as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from untrimmed.data.features.description import FeatureDescription
from untrimmed.data.features.store import FeatureStore
from untrimmed.data.features.validation import row_range
from untrimmed.errors import FeatureError


class ConcatenatedFeatures(FeatureStore):
    """Streams joined along D, in the order of `stores`.

    Extractors disagree by a clip or two about how many fit into a video: streams are cut to the shortest if it lacks
    at most two clips, or one in a hundred, of the longest.
    """

    def __init__(self, stores: Sequence[FeatureStore]) -> None:
        """Join stores.

        Raises:
            FeatureError: if no video is in all of them, or if their descriptions name different strides or rates.
        """
        assert stores
        self._stores = tuple(stores)
        self._ids = tuple(id_ for id_ in stores[0].ids() if all(id_ in store for store in stores[1:]))
        if not self._ids:
            raise FeatureError(
                f"{self.name}: no video has features in all of the {len(stores)} streams; "
                f"{', '.join(f'{store.name} has {store.ids()[0]!r}' for store in stores)}. Correct their prefixes"
            )
        self._description = _common_description(self._stores)

    @property
    def name(self) -> str:
        """The names of all stores."""
        return " + ".join(store.name for store in self._stores)

    @property
    def description(self) -> FeatureDescription | None:
        """What the descriptions of the streams have in common, if there are any."""
        return self._description

    @property
    def dimensions(self) -> tuple[int, ...]:
        """D of each stream."""
        return tuple(store.shape(self._ids[0])[1] for store in self._stores)

    def ids(self) -> tuple[str, ...]:
        """Return the ids of the videos that are in all streams."""
        return self._ids

    def __contains__(self, video_id: object) -> bool:
        return all(video_id in store for store in self._stores)

    def shape(self, video_id: str) -> tuple[int, int]:
        """Return the length of the shortest stream, and the sum of the dimensions.

        Raises:
            FeatureError: also if the streams differ too much in length.
        """
        shapes = [store.shape(video_id) for store in self._stores]
        shortest, longest = min(shapes)[0], max(shapes)[0]
        if longest - shortest > max(2, longest / 100):
            lengths = ", ".join(f"{length} in {s.name}" for (length, _), s in zip(shapes, self._stores, strict=True))
            raise FeatureError(
                f"video {video_id!r}: the streams differ too much in length: {lengths} clips. Streams are cut to the "
                "shortest for a difference of 2 clips or 1 %; extract them with the same stride and rate"
            )
        return shortest, sum(dimension for _, dimension in shapes)

    def read(self, video_id: str, start: int = 0, stop: int | None = None) -> NDArray[np.float32]:
        """Read the same rows of all streams."""
        length, _ = self.shape(video_id)
        first, last = row_range(start, stop, length, f"{self.name}: video {video_id!r}")
        return np.concatenate([store.read(video_id, first, last) for store in self._stores], axis=1)


def _common_description(stores: Sequence[FeatureStore]) -> FeatureDescription | None:
    """Return what holds for all streams. Windows may differ, and are then left open; strides and rates may not."""
    described = [(store.name, store.description) for store in stores if store.description is not None]
    if not described:
        return None
    windows = {about.window for _, about in described if about.window is not None}
    return FeatureDescription(
        dimension=sum(store.dimension for store in stores),
        stride=_agreed("stride", {name: about.stride for name, about in described}),
        window=windows.pop() if len(windows) == 1 else None,
        rate=_agreed("rate", {name: about.rate for name, about in described}),
    )


def _agreed(key: str, by_store: Mapping[str, float | None]) -> float | None:
    """Return the one value that all stores with any value have."""
    known = {name: value for name, value in by_store.items() if value is not None}
    if len(set(known.values())) > 1:
        found = ", ".join(f"{value:.10g} in {name}" for name, value in known.items())
        raise FeatureError(f"streams that are joined need the same {key}, but it is {found}. Extract them alike")
    return next(iter(known.values()), None)
