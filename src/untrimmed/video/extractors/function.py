"""Any callable of the user's as an extractor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from untrimmed.errors import ConfigError, FeatureError
from untrimmed.time_grid import TimeGrid
from untrimmed.video.extractors.clips import ClipExtractor, clip_grid
from untrimmed.video.extractors.extractor import fingerprint_of
from untrimmed.video.view import View


class FunctionExtractor(ClipExtractor):
    """A function of clips as an extractor.

        >>> def brightness(clips):  # [B, frames, height, width, 3], uint8, RGB
        ...     return clips.mean(axis=(1, 2, 3))  # [B, D]
        >>> extractor = FunctionExtractor(
        ...     brightness, name="brightness", dimension=3, frames=16, stride=8, rate=15, height=112, width=112
        ... )

    On the command line, `--extractor python:my_module:my_extractor` takes such an object, or a function that returns
    one, from `my_module.py`.
    """

    def __init__(
        self,
        function: Callable[[NDArray[np.uint8]], Any],
        *,
        name: str,
        dimension: int,
        frames: int,
        stride: int,
        rate: float,
        height: int,
        width: int,
        short_side: int | None = None,
        fingerprint: str | None = None,
        batch_size: int = 8,
    ) -> None:
        """Describe what the function takes and gives.

        Args:
            function: makes `[B, dimension]`, numbers in a numpy array, a torch tensor or lists, of clips
                `[B, frames, height, width, 3]`, uint8, RGB. What it says of a clip must not depend on the other clips.
            name: stands in `features.json` and in the model folder.
            dimension: D of the features.
            frames: of a clip.
            stride: sampled frames from the start of a clip to that of the next.
            rate: at which the video is sampled, in frames per second.
            height: of the pictures.
            width: of the pictures.
            short_side: pictures are scaled to this shorter side and cut to `height` x `width`; left out: they are
                scaled to `height` x `width` out of proportion.
            fingerprint: any text that you change when the function changes, so that a model is not used with features
                that it has not learnt from. Nobody else can tell: left out, only the name and the sampling count.
            batch_size: clips that the function gets at once; the last batch of a video may have fewer.

        Raises:
            ConfigError: if a number is out of its range.
        """
        whole = {"dimension": dimension, "frames": frames, "stride": stride, "height": height, "width": width}
        for what, value in whole.items():
            if value < 1 or value % 1:
                raise ConfigError(f"extractor {name!r}: {what} is {value}, but has to be a whole number above 0")
        if short_side is not None and short_side < max(height, width):
            raise ConfigError(
                f"extractor {name!r}: short_side is {short_side}, but {height} x {width} pixels are to be cut out: "
                f"it has to be {max(height, width)} or more"
            )
        view = View(int(height), int(width), None if short_side is None else int(short_side))
        grid = clip_grid(f"extractor {name!r}", TimeGrid(stride, frames, rate))
        facts = fingerprint_of({}, "function", fingerprint or name, int(dimension), grid, view)
        super().__init__(name, facts, int(dimension), grid, view, batch_size)
        self.function = function

    def encode(self, clips: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Call the function, and check what it returns.

        Raises:
            ConfigError: if it returns no `[B, dimension]` array of numbers.
            FeatureError: if a number is NaN or infinite.
        """
        output = self.function(clips)
        place = f"extractor {self.name!r}: the function returned"
        try:
            if isinstance(output, torch.Tensor):
                output = output.detach().to("cpu", torch.float32 if output.is_floating_point() else None).numpy()
            array = np.asarray(output)
        except (ValueError, TypeError, RuntimeError) as error:  # such as lists of unequal lengths, or a sparse tensor
            reason = str(error).partition("\n")[0]
            raise ConfigError(f"{place} what is no array ({reason}), but {self._expected(clips)}") from error
        if array.dtype.kind not in "fiub":
            raise ConfigError(f"{place} {array.dtype} values, but {self._expected(clips)}")
        if array.shape != (len(clips), self.dimension):
            raise ConfigError(f"{place} an array of shape {list(array.shape)}, but {self._expected(clips)}")
        with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused below
            features = array.astype(np.float32)  # a copy, since the function may write to its own again
        if not np.isfinite(features).all():
            raise FeatureError(f"{place} numbers that are NaN or infinite. Mend it, or clip what it returns")
        return features

    def _expected(self, clips: NDArray[np.uint8]) -> str:
        return f"numbers [{len(clips)}, {self.dimension}] are expected of {list(clips.shape)} clips. Correct either"
