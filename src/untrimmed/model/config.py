"""Everything that decides what the network is, with the official ActionFormer code's values as defaults."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

Range = tuple[float, float]
Size = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, lt=1)]

LAST = 10000.0
"""Upper end of the coarsest regression range: beyond any action, and the number that the official settings use."""


@dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class ModelConfig:
    """The architecture. `input_dims` and `num_classes` are read off the data when they are left out.

    Raises:
        pydantic.ValidationError: (a `ValueError`) if a value is out of range or contradicts another one.
    """

    # Projection (paper, section 3.2)
    input_dims: Size | tuple[Size, ...] | None = None
    """Dimensions of the features: one number, or one for each concatenated stream, each then projected by itself."""
    stream_widths: tuple[Size, ...] | None = None
    """Width that each of several streams is projected to; their sum is `width`."""
    width: Size = 512
    projection_layers: Annotated[int, Field(ge=0)] = 2
    projection_kernel: Size = 3
    projection_norm: bool = True
    position: Literal["none", "sinusoid", "relative", "both"] = "none"
    """Positional encoding: none, added to the projection, or a learned bias for each head and place in the window."""
    base_length: Size = 2304
    """Length up to which sinusoids are spaced by one (those of a longer video are stretched over it), and to which
    `padding="official"` pads a shorter video."""

    # Encoder
    encoder: Literal["transformer", "conv"] = "transformer"
    stem_blocks: Annotated[int, Field(ge=0)] = 2
    downsampling_blocks: Annotated[int, Field(ge=0)] = 5
    pyramid: Literal["stem", "every_block"] = "stem"
    """Which outputs are levels: the stem's and each downsampling block's (6 by default), or every block's (7)."""
    factor: Annotated[int, Field(ge=2, multiple_of=2)] = 2
    """Ratio of the strides of neighbouring levels."""
    downsampling: Literal["convolution", "average", "max"] = "convolution"
    """By strided convolutions inside a block, or by pooling its output."""
    attention_heads: Size = 4
    window: Size | tuple[Size | None, ...] | None = 19
    """Odd number of moments that each attends to, itself in the middle; `None` is all. One number, or one a level."""
    qkv_convolution: bool = True
    """A depthwise convolution and LayerNorm before each of query, key and value; without, downsampling ends a block."""
    mlp_ratio: Size = 4
    branch_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = 1e-4
    """Start of the learned scale of every channel of a residual branch; `None` is no scale."""
    drop_path: Probability = 0.1
    """Probability to leave out a residual branch in training."""
    dropout: Probability = 0.0

    # Neck and heads (section 3.3)
    neck: Literal["identity", "top_down"] = "identity"
    neck_width: Size | None = None
    neck_norm: bool = True
    head_width: Size | None = None
    head_layers: Annotated[int, Field(ge=1)] = 3
    """Convolutions of a head, the one that gives its output included."""
    head_kernel: Size = 3
    head_norm: bool = True
    num_classes: Size | None = None
    prior: Annotated[float, Field(gt=0, lt=1)] = 0.01
    """Probability of every class that the classification head starts with."""
    offset_prior: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Distances to onset and offset, in strides, that the regression head starts around. From 0, as the official code
    starts, one of the two can die: it is 0 at every moment, has no gradient there, and stays so."""
    empty_classes: tuple[int, ...] = ()
    """Class numbers without data, which start at a probability of 1e-6. Left out, training names those that no training
    video has an instance of."""
    regression_ranges: Literal["adjacent", "overlapping"] | tuple[Range, ...] = "adjacent"
    """Range of the larger distance to onset and offset, on the feature grid, that each level is trained on."""

    padding: Literal["exact", "official"] = "exact"
    """`official` lets padded positions leak a constant into their neighbours, as the official code does; see docs."""

    def __post_init__(self) -> None:
        self._check_projection()
        self._check_attention()
        self._check_pyramid()
        self._check_heads()

    def _check_projection(self) -> None:
        dims, widths = self.input_dims, self.stream_widths
        if widths is not None and isinstance(dims, int):
            raise ValueError("stream_widths is for several streams: give input_dims as a list, one number a stream")
        if isinstance(dims, tuple) and widths is None:
            raise ValueError("input_dims names several streams, so stream_widths has to say how wide each becomes")
        if isinstance(dims, tuple) and widths is not None and len(widths) != len(dims):
            raise ValueError(f"stream_widths is {list(widths)}, but has to be {len(dims)} numbers, one a stream")
        if widths is not None and sum(widths) != self.width:
            raise ValueError(f"stream_widths is {list(widths)}, but has to add up to the width, {self.width}")
        if self.projection_kernel % 2 == 0:
            raise ValueError(f"projection_kernel is {self.projection_kernel}, but has to be odd")
        if not self.projection_layers and isinstance(dims, int) and dims != self.width:
            raise ValueError(f"projection_layers is 0, so the features' {dims} dimensions have to be the width")

    def _check_attention(self) -> None:
        for window in self.windows:
            if window is not None and (window % 2 == 0 or window == 1):
                raise ValueError(f"window is {window}, but has to be odd and at least 3, or null for all moments")
        if len(self.windows) != self.levels:
            raise ValueError(f"window has {len(self.windows)} numbers, but the pyramid has {self.levels} levels")
        if self.encoder == "transformer" and self.width % self.attention_heads:
            raise ValueError(
                f"width is {self.width}, but has to be a multiple of the {self.attention_heads} attention_heads"
            )
        if self.encoder == "conv" and self.position != "none":
            raise ValueError(f"position is {self.position!r}, but encoder 'conv' has no positional encoding")
        if self.position in ("relative", "both") and set(self.windows) == {None}:
            raise ValueError(f"position is {self.position!r}, which needs attention with a window at some level")

    def _check_pyramid(self) -> None:
        if isinstance(self.regression_ranges, tuple) and len(self.regression_ranges) != self.levels:
            raise ValueError(f"regression_ranges has {len(self.regression_ranges)}, but there are {self.levels} levels")
        if any(not 0 <= low < high for low, high in self.ranges):
            raise ValueError(f"regression_ranges {self.ranges} have to be pairs of a lower and a higher number, from 0")
        if self.pyramid == "every_block" and not self.stem_blocks:
            raise ValueError("pyramid is 'every_block', which needs at least one stem block")
        if self.encoder == "conv" and self.downsampling != "convolution":
            raise ValueError(f"downsampling is {self.downsampling!r}, but encoder 'conv' has only 'convolution'")

    def _check_heads(self) -> None:
        if self.neck == "identity" and self.neck_width not in (None, self.width):
            raise ValueError(f"neck_width is {self.neck_width}, but neck 'identity' keeps the width, {self.width}")
        if self.head_kernel % 2 == 0:
            raise ValueError(f"head_kernel is {self.head_kernel}, but has to be odd")
        if self.num_classes is not None and any(not 0 <= i < self.num_classes for i in self.empty_classes):
            raise ValueError(f"empty_classes {list(self.empty_classes)} go beyond the {self.num_classes} classes")

    @property
    def input_dim(self) -> int:
        """Dimension of the features, all streams together."""
        assert self.input_dims is not None
        return sum(self.input_dims) if isinstance(self.input_dims, tuple) else self.input_dims

    @property
    def levels(self) -> int:
        """How many levels the pyramid has."""
        stem = self.stem_blocks if self.pyramid == "every_block" else 1
        return stem + self.downsampling_blocks

    @property
    def strides(self) -> tuple[int, ...]:
        """Stride of each level on the feature grid, finest first."""
        stem = self.levels - self.downsampling_blocks
        return (1,) * stem + tuple(self.factor ** (i + 1) for i in range(self.downsampling_blocks))

    @property
    def windows(self) -> tuple[int | None, ...]:
        """Attention window of each level."""
        return self.window if isinstance(self.window, tuple) else (self.window,) * self.levels

    @property
    def ranges(self) -> tuple[Range, ...]:
        """Regression range of each level, on the feature grid."""
        if isinstance(self.regression_ranges, tuple):
            return self.regression_ranges
        # Adjacent: [0, 4] [4, 8] [8, 16] ...; overlapping ones begin at half of that: [0, 4] [2, 8] [4, 16] ...
        bounds = [0.0, *(4.0 * self.factor**i for i in range(self.levels - 1)), LAST]
        share = 0.5 if self.regression_ranges == "overlapping" else 1.0
        return tuple((low * share, high) for low, high in pairwise(bounds))

    def padded_length(self, length: int) -> int:
        """How long the model wants a video of `length` clips to be: as it is, unless `padding` is `official`.

        The official code pads to `base_length`, or longer videos to a multiple of the widest stride times window.
        """
        if self.padding == "exact" or length <= self.base_length:
            return length if self.padding == "exact" else self.base_length
        multiple = max(s * (w // 2) * 2 if w else s for s, w in zip(self.strides, self.windows, strict=True))
        return -(-length // multiple) * multiple

    def for_data(self, input_dims: int | tuple[int, ...], num_classes: int) -> ModelConfig:
        """Return this configuration for features of these dimensions and so many classes.

        Raises:
            ValueError: if it already names others.
        """
        for name, found, wanted in (
            ("input_dims", input_dims, self.input_dims),
            ("num_classes", num_classes, self.num_classes),
        ):
            if wanted not in (None, found):
                raise ValueError(f"model.{name} is {wanted} in the configuration, but the data have {found}")
        return replace(self, input_dims=input_dims, num_classes=num_classes)
