"""The encoder: projection of the features, then blocks that build the temporal pyramid (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from untrimmed.model.blocks import ConvolutionBlock, Downsample, Level, SelfAttention, TransformerBlock
from untrimmed.model.config import ModelConfig
from untrimmed.model.layers import (
    ConvolutionStack,
    MaskedConvolution,
    Padding,
    mask,
)


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
        """Apply it to features that are zero at the padded positions."""
        if self.streams:
            parts = x.split(self.dims, dim=-1)
            x = torch.cat([stream(part, valid) for stream, part in zip(self.streams, parts, strict=True)], dim=-1)
            x = mask(x, valid)
        return self.stack(x, valid)


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
