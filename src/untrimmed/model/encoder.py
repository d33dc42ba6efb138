"""The encoder: projection of the features, then blocks that build the temporal pyramid (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.model.attention import dense_attention, local_attention
from untrimmed.model.config import ModelConfig
from untrimmed.model.layers import (
    ConvolutionStack,
    MaskedConvolution,
    Padding,
    Pointwise,
    ResidualBranch,
    average_pool,
    every,
    mask,
    max_pool,
)

Level = tuple[Tensor, Tensor | None]
"""Features `[B, T, C]` and valid `[B, T]` of one level; `None` where nothing is padded."""


class Projection(nn.Module):
    """E(x) of the paper: features `[B, T, D] -> [B, T, width]`, by convolutions with LayerNorm and ReLU.

    Several streams are first projected each by itself, to their own widths.
    """

    def __init__(
        self, dims: Sequence[int], widths: Sequence[int], kernel: int, layers: int, *, norm: bool, padding: Padding
    ) -> None:
        super().__init__()
        self.dims = list(dims)
        several = len(dims) > 1
        self.streams = nn.ModuleList(
            MaskedConvolution(d, w, 1, padding=padding) for d, w in zip(dims, widths, strict=True) if several
        )
        self.stack = ConvolutionStack(
            sum(widths) if several else dims[0], sum(widths), kernel, layers, norm=norm, padding=padding
        )

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """Apply it."""
        if self.streams:
            parts = x.split(self.dims, dim=-1)
            x = torch.cat([stream(part, valid) for stream, part in zip(self.streams, parts, strict=True)], dim=-1)
        return self.stack(x, valid)


class SelfAttention(nn.Module):
    """Multi-head self-attention over a window or over all moments, with downsampling by `stride` on the way.

    With `convolution`, each of query, key and value goes through its own depthwise convolution, strided where the block
    downsamples, and LayerNorm, before its linear map; the official code does, the paper's Eq. 1 does not.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        window: int | None,
        *,
        stride: int,
        convolution: bool,
        relative: bool,
        dropout: float,
        padding: Padding,
    ) -> None:
        super().__init__()
        assert convolution or stride == 1, "only the convolutions of query, key and value have a stride"
        self.heads = heads
        self.window = window
        self.stride = stride
        kernel = stride + 1 if stride > 1 else 3
        self.convolutions = nn.ModuleList(
            MaskedConvolution(width, width, kernel, stride=stride, depthwise=True, bias=False, padding=padding)
            for _ in range(3 if convolution else 0)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3 if convolution else 0))
        self.projections = nn.ModuleList(Pointwise(width, width) for _ in range(3))
        self.output = Pointwise(width, width)
        self.dropout = nn.Dropout(dropout)
        self.bias: nn.Parameter | None = None
        if relative and window is not None:
            self.bias = nn.Parameter(torch.empty(heads, window))
            nn.init.trunc_normal_(self.bias, std=(2.0 / width) ** 0.5)

    def forward(self, x: Tensor, valid: Tensor | None) -> Tensor:
        """`[B, T, C] -> [B, ceil(T / stride), C]`."""
        parts = [x, x, x]
        if self.convolutions:
            pairs = zip(self.convolutions, self.norms, strict=True)
            parts = [norm(convolution(x, valid)) for convolution, norm in pairs]
        query, key, value = (linear(part) for linear, part in zip(self.projections, parts, strict=True))
        keys = every(valid, self.stride)
        if self.window is None:
            out = dense_attention(query, key, value, heads=self.heads, valid=keys)
        else:
            out = local_attention(query, key, value, heads=self.heads, window=self.window, valid=keys, bias=self.bias)
        return self.dropout(self.output(out))


class TransformerBlock(nn.Module):
    """Pre-LayerNorm Transformer block (Eq. 3), which may downsample.

    ::

        z' = skip(z) + alpha  * attention(LN(z))
        z  = z'      + alpha' * MLP(LN(z'))

    With strided convolutions inside the attention, the skip connection is max-pooled; otherwise `downsample`, applied
    to the block's output, is the downward arrow of Eq. 3.
    """

    def __init__(
        self,
        attention: SelfAttention,
        width: int,
        *,
        mlp_ratio: int,
        dropout: float,
        branch_scale: float | None,
        drop_path: float,
        downsample: nn.Module | None,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.padding = padding
        self.attention_norm = nn.LayerNorm(width)
        self.attention = attention
        self.attention_branch = ResidualBranch(width, branch_scale, drop_path)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            Pointwise(width, width * mlp_ratio),
            nn.GELU(),
            nn.Dropout(dropout),
            Pointwise(width * mlp_ratio, width),
            nn.Dropout(dropout),
        )
        self.mlp_branch = ResidualBranch(width, branch_scale, drop_path)
        self.downsample = downsample

    def forward(self, x: Tensor, valid: Tensor | None) -> Level:
        """`[B, T, C], [B, T] -> [B, ceil(T / stride), C], [B, ceil(T / stride)]`."""
        stride = self.attention.stride
        after = every(valid, stride)
        skip = max_pool(x, valid, stride, self.padding) if stride > 1 else x
        branch = self.attention(self.attention_norm(x), valid)
        if self.padding == "official":
            skip, branch = mask(skip, after), mask(branch, after)
        x = self.attention_branch(skip, branch)
        branch = self.mlp(self.mlp_norm(x))
        x = self.mlp_branch(x, mask(branch, after) if self.padding == "official" else branch)
        return self.downsample(x, after) if self.downsample is not None else (x, after)


class Downsample(nn.Module):
    """Downsampling of a block's output by `factor`: a strided depthwise convolution, or pooling, over `factor + 1`."""

    def __init__(self, width: int, kind: str, factor: int, padding: Padding) -> None:
        super().__init__()
        self.kind = kind
        self.factor = factor
        self.convolution = (
            MaskedConvolution(width, width, factor + 1, stride=factor, depthwise=True, padding=padding)
            if kind == "convolution"
            else None
        )

    def forward(self, x: Tensor, valid: Tensor | None) -> Level:
        """`[B, T, C], [B, T] -> [B, ceil(T / factor), C], [B, ceil(T / factor)]`."""
        after = every(valid, self.factor)
        if self.convolution is not None:
            return self.convolution(x, valid), after
        pool = average_pool if self.kind == "average" else max_pool
        return pool(x, valid, self.factor), after


class ConvolutionBlock(nn.Module):
    """The ablation's block without attention: two 3-convolutions, twice as wide in between, and a skip connection."""

    def __init__(self, width: int, *, stride: int, padding: Padding) -> None:
        super().__init__()
        self.stride = stride
        self.first = MaskedConvolution(width, 2 * width, 3, stride=stride, padding=padding)
        self.second = MaskedConvolution(2 * width, width, 3, padding=padding)
        self.skip = MaskedConvolution(width, width, 1, stride=stride, padding=padding) if stride > 1 else None

    def forward(self, x: Tensor, valid: Tensor | None) -> Level:
        """`[B, T, C], [B, T] -> [B, ceil(T / stride), C], [B, ceil(T / stride)]`."""
        after = every(valid, self.stride)
        branch = self.second(F.relu(self.first(x, valid)), after)
        skip = x if self.skip is None else self.skip(x, valid)
        return F.relu(skip + branch), after


def sinusoid(lengths: Tensor, size: int, width: int, period: int) -> Tensor:
    """Sinusoidal encoding of `size` positions of videos that are `lengths` `[B]` long: `[B, size, width]`.

    Rows are spaced by one up to a length of `period`; longer videos stretch the table over their length, by linear
    interpolation with half-pixel centres. It is divided by the square root of `width`.
    """
    device = lengths.device
    channel = torch.arange(width, device=device)
    wave = 10000.0 ** (-2.0 * (channel // 2) / width)
    angle = torch.arange(period, device=device, dtype=torch.float64)[:, None] * wave.double()
    table = torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float() / width**0.5
    step = (period / lengths.float()).clamp(max=1.0)[:, None]
    place = ((torch.arange(size, device=device) + 0.5) * step - 0.5).clamp(0, period - 1)
    low = place.long()
    high = (low + 1).clamp(max=period - 1)
    return torch.lerp(table[low], table[high], (place - low).unsqueeze(-1))


class Encoder(nn.Module):
    """Projection, stem, and downsampling blocks: features `[B, T, D]` to the levels of the pyramid, finest first."""

    def __init__(
        self,
        projection: Projection,
        stem: Sequence[nn.Module],
        branch: Sequence[nn.Module],
        *,
        every_block: bool,
        base_length: int | None,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.projection = projection
        self.stem = nn.ModuleList(stem)
        self.branch = nn.ModuleList(branch)
        self.every_block = every_block
        self.base_length = base_length
        self.padding = padding

    def forward(self, features: Tensor, valid: Tensor | None) -> list[Level]:
        """`[B, T, D], [B, T] ->` for each level `[B, ceil(T / stride), width], [B, ceil(T / stride)]`."""
        x = self.projection(features, valid)
        if self.base_length is not None:
            x = x + mask(self._positions(x, valid, self.base_length), valid)
        levels: list[Level] = []
        for block in self.stem:
            x, valid = block(x, valid)
            levels.append((x, valid))
        if not self.every_block:
            levels = [(x, valid)]
        for block in self.branch:
            x, valid = block(x, valid)
            levels.append((x, valid))
        return levels

    def _positions(self, x: Tensor, valid: Tensor | None, period: int) -> Tensor:
        batch, size, width = x.shape
        # The official code stretches over the padded length; to be free of the padding, it has to be the video's own.
        whole = valid is None or self.padding == "official"
        lengths = torch.full((batch,), size, device=x.device) if whole or valid is None else valid.sum(1).clamp(min=1)
        return sinusoid(lengths, size, width, period).to(x.dtype)


def build_encoder(config: ModelConfig) -> Encoder:
    """Build the encoder that a configuration describes."""
    dims = config.input_dims if isinstance(config.input_dims, tuple) else (config.input_dim,)
    projection = Projection(
        dims,
        config.stream_widths or (config.width,),
        config.projection_kernel,
        config.projection_layers,
        norm=config.projection_norm,
        padding=config.padding,
    )
    windows = config.windows
    stem_windows = (
        windows[: config.stem_blocks] if config.pyramid == "every_block" else windows[:1] * config.stem_blocks
    )
    branch_windows = windows[config.levels - config.downsampling_blocks :]
    return Encoder(
        projection,
        [_block(config, window, 1) for window in stem_windows],
        [_block(config, window, config.factor) for window in branch_windows],
        every_block=config.pyramid == "every_block",
        base_length=config.base_length if config.position in ("sinusoid", "both") else None,
        padding=config.padding,
    )


def _block(config: ModelConfig, window: int | None, factor: int) -> nn.Module:
    if config.encoder == "conv":
        return ConvolutionBlock(config.width, stride=factor, padding=config.padding)
    inside = config.qkv_convolution and config.downsampling == "convolution"
    attention = SelfAttention(
        config.width,
        config.attention_heads,
        window,
        stride=factor if inside else 1,
        convolution=config.qkv_convolution,
        relative=config.position in ("relative", "both"),
        dropout=config.dropout,
        padding=config.padding,
    )
    after = factor > 1 and not inside
    return TransformerBlock(
        attention,
        config.width,
        mlp_ratio=config.mlp_ratio,
        dropout=config.dropout,
        branch_scale=config.branch_scale,
        drop_path=config.drop_path,
        downsample=Downsample(config.width, config.downsampling, factor, config.padding) if after else None,
        padding=config.padding,
    )
