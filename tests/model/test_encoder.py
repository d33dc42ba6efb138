from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.model.attention import dense_attention
from untrimmed.model.blocks import ConvolutionBlock, Downsample, SelfAttention, TransformerBlock
from untrimmed.model.config import ModelConfig
from untrimmed.model.encoder import Projection, build_encoder, sinusoid


def _shaken(module: nn.Module) -> Any:
    """The module with every parameter moved away from its start, so that no zero or one hides a mistake."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.double().eval()


def _config(**settings: Any) -> ModelConfig:
    small = {"input_dims": 6, "num_classes": 3, "width": 8, "attention_heads": 2, "window": 5}
    return ModelConfig(**(small | settings))


def _norm(layer: nn.Module, x: Tensor) -> Tensor:
    assert isinstance(layer, nn.LayerNorm)
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt() * layer.weight + layer.bias


def test_projection_of_one_stream_has_no_map_of_its_own() -> None:
    projection = Projection([6], [8], 3, 2, norm=True, padding="exact")
    assert not projection.streams
    assert projection(torch.randn(2, 5, 6), None).shape == (2, 5, 8)


def test_projection_of_several_streams_maps_each_by_itself() -> None:
    projection = _shaken(Projection([6, 2], [5, 3], 3, 1, norm=True, padding="exact"))
    x = torch.randn(2, 7, 8, dtype=torch.float64)
    first, second = (
        F.linear(part, s.weight[:, :, 0], s.bias)
        for part, s in zip((x[..., :6], x[..., 6:]), projection.streams, strict=True)
    )
    torch.testing.assert_close(projection(x, None), projection.stack(torch.cat([first, second], -1), None))


@pytest.mark.parametrize("window", [3, None])
@pytest.mark.parametrize("convolution", [False, True])
def test_self_attention_is_its_parts(window: int | None, convolution: bool) -> None:
    attention = _shaken(
        SelfAttention(
            8,
            2,
            window,
            stride=1,
            convolution=convolution,
            relative=window is not None,
            dropout=0.0,
            padding="exact",
        )
    )
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    parts = [x, x, x]
    if convolution:
        parts = [
            _norm(n, F.conv1d(x.mT, c.weight, padding=1, groups=8).mT)
            for c, n in zip(attention.convolutions, attention.norms, strict=True)
        ]
    query, key, value = (
        F.linear(p, m.weight[:, :, 0], m.bias) for p, m in zip(parts, attention.projections, strict=True)
    )
    out = dense_attention(query, key, value, heads=2, window=window, bias=attention.bias)
    expected = F.linear(out, attention.output.weight[:, :, 0], attention.output.bias)
    torch.testing.assert_close(attention(x, None), expected)


@pytest.mark.parametrize(("stride", "kernel"), [(2, 3), (4, 5)])
@pytest.mark.parametrize("length", [1, 2, 9, 16])
def test_self_attention_downsamples(stride: int, kernel: int, length: int) -> None:
    attention = SelfAttention(8, 2, 5, stride=stride, convolution=True, relative=False, dropout=0.0, padding="exact")
    assert attention(torch.randn(2, length, 8), None).shape == (2, math.ceil(length / stride), 8)
    assert all(c.weight.shape == (8, 1, kernel) for c in attention.convolutions)


def test_transformer_block_is_equation_3() -> None:
    block = _shaken(build_encoder(_config(branch_scale=0.5)).stem[0])
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    between = x + block.attention_branch.scale * block.attention(_norm(block.attention_norm, x), None)
    first, second = block.mlp[0], block.mlp[3]
    hidden = F.gelu(F.linear(_norm(block.mlp_norm, between), first.weight[:, :, 0], first.bias))
    expected = between + block.mlp_branch.scale * F.linear(hidden, second.weight[:, :, 0], second.bias)
    torch.testing.assert_close(block(x, None)[0], expected)
    assert hidden.shape[-1] == 4 * 8


def test_transformer_block_that_downsamples_inside_pools_its_skip_connection() -> None:
    block = build_encoder(_config(branch_scale=None)).branch[0].double().eval()
    for branch in (block.attention.output, block.mlp[3]):
        nn.init.zeros_(branch.weight)
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(block(x, None)[0], F.max_pool1d(x.mT, 3, 2, 1).mT)


@pytest.mark.parametrize("kind", ["convolution", "average", "max"])
@pytest.mark.parametrize("qkv_convolution", [False, True])
def test_where_a_block_downsamples(kind: Literal["convolution", "average", "max"], qkv_convolution: bool) -> None:
    encoder = build_encoder(_config(downsampling=kind, qkv_convolution=qkv_convolution))
    inside = kind == "convolution" and qkv_convolution
    for block in encoder.branch:
        assert isinstance(block, TransformerBlock)
        assert block.attention.stride == (2 if inside else 1)
        assert (block.downsample is None) == inside
        assert len(block.attention.convolutions) == (3 if qkv_convolution else 0)
    assert all(b.downsample is None and b.attention.stride == 1 for b in encoder.stem)


@pytest.mark.parametrize("factor", [2, 4])
def test_downsampling_by_a_strided_depthwise_convolution(factor: int) -> None:
    layer = _shaken(Downsample(8, "convolution", factor, "exact"))
    x, valid = torch.randn(2, 9, 8, dtype=torch.float64), torch.ones(2, 9, dtype=torch.bool)
    out, after = layer(x, valid)
    weight = layer.convolution.weight
    assert weight.shape == (8, 1, factor + 1)
    expected = F.conv1d(x.mT, weight, layer.convolution.bias, factor, factor // 2, groups=8).mT
    torch.testing.assert_close(out, expected)
    assert after.shape == (2, math.ceil(9 / factor))


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_convolution_block(stride: int) -> None:
    block = _shaken(ConvolutionBlock(8, stride=stride, padding="exact"))
    x = torch.randn(2, 9, 8, dtype=torch.float64)
    hidden = F.relu(F.conv1d(x.mT, block.first.weight, block.first.bias, stride, 1))
    assert hidden.shape[1] == 16
    skip = x.mT if stride == 1 else F.conv1d(x.mT, block.skip.weight, block.skip.bias, stride)
    expected = F.relu(skip + F.conv1d(hidden, block.second.weight, block.second.bias, padding=1)).mT
    torch.testing.assert_close(block(x, None)[0], expected)


def _slow_sinusoid(size: int, width: int) -> Tensor:
    rows = []
    for place in range(size):
        angles = [place / 10000 ** (2 * (channel // 2) / width) for channel in range(width)]
        rows.append([math.sin(a) if c % 2 == 0 else math.cos(a) for c, a in enumerate(angles)])
    return torch.tensor(rows) / math.sqrt(width)


@pytest.mark.parametrize("width", [1, 8, 9])
def test_sinusoid_by_its_definition(width: int) -> None:
    out = sinusoid(torch.tensor([20, 5]), 25, width, period=32)
    expected = _slow_sinusoid(25, width)
    torch.testing.assert_close(out, expected.expand(2, 25, width), atol=1e-6, rtol=0)


def test_sinusoid_of_a_long_video_is_stretched() -> None:
    table = _slow_sinusoid(32, 8)
    for length in (33, 47, 64, 100):
        stretched = F.interpolate(table.T[None], length, mode="linear", align_corners=False)[0].T
        out = sinusoid(torch.tensor([length]), length, 8, period=32)
        torch.testing.assert_close(out[0], stretched, atol=1e-5, rtol=0)


def test_sinusoid_of_a_batch_is_that_of_each() -> None:
    lengths = [3, 32, 33, 80]
    out = sinusoid(torch.tensor(lengths), 90, 8, period=32)
    for i, length in enumerate(lengths):
        assert torch.equal(out[i, :length], sinusoid(torch.tensor([length]), length, 8, period=32)[0])


@pytest.mark.parametrize("length", [20, 40])
def test_positions_are_added_to_the_projection(length: int) -> None:
    config = _config(position="sinusoid", base_length=32, stem_blocks=0, downsampling_blocks=0)
    encoder = _shaken(build_encoder(config))
    x = torch.randn(1, length, 6, dtype=torch.float64)
    [(out, _)] = encoder(x, None)
    expected = encoder.projection(x, None) + sinusoid(torch.tensor([length]), length, 8, 32)
    torch.testing.assert_close(out, expected, check_dtype=False)


@pytest.mark.parametrize(("position", "relative"), [("none", 0), ("sinusoid", 0), ("relative", 3), ("both", 3)])
def test_relative_positions_are_learned_where_there_is_a_window(position: str, relative: int) -> None:
    config = _config(position=position, window=(5, None, 7), downsampling_blocks=2)
    encoder = build_encoder(config)
    biases = {name: p.shape for name, p in encoder.named_parameters() if name.endswith("attention.bias")}
    assert len(biases) == relative
    if relative:
        assert biases["stem.1.attention.bias"] == (2, 5)
        assert biases["branch.1.attention.bias"] == (2, 7)
    assert (encoder.base_length is not None) == (position in ("sinusoid", "both"))


@pytest.mark.parametrize(
    ("pyramid", "window", "expected"),
    [
        ("stem", (3, 5, None), [3, 3, 5, None]),
        ("every_block", (3, 7, 5, None), [3, 7, 5, None]),
        ("stem", 9, [9, 9, 9, 9]),
    ],
)
def test_windows_of_the_blocks(pyramid: str, window: Any, expected: list[int | None]) -> None:
    encoder = build_encoder(_config(pyramid=pyramid, window=window, downsampling_blocks=2))
    blocks = [*encoder.stem, *encoder.branch]
    assert [b.attention.window for b in blocks if isinstance(b, TransformerBlock)] == expected


@pytest.mark.parametrize("kind", ["transformer", "conv"])
@pytest.mark.parametrize("pyramid", ["stem", "every_block"])
@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("length", [1, 6, 33])
def test_levels(kind: str, pyramid: str, factor: int, length: int) -> None:
    config = _config(encoder=kind, pyramid=pyramid, factor=factor, downsampling_blocks=3)
    valid = torch.arange(length) < torch.tensor([[length], [(length + 1) // 2]])
    levels = build_encoder(config)(torch.randn(2, length, 6), valid)
    assert len(levels) == config.levels
    for (x, there), stride in zip(levels, config.strides, strict=True):
        assert x.shape == (2, math.ceil(length / stride), 8)
        assert there is not None
        assert torch.equal(there, valid[:, ::stride])


def test_dropout_is_in_attention_and_mlp() -> None:
    torch.manual_seed(0)
    block = build_encoder(_config(dropout=0.5)).stem[0]
    assert isinstance(block, TransformerBlock)
    x = torch.randn(4, 50, 8)
    for branch in (lambda: block.attention(x, None), lambda: block.mlp(x)):
        block.train()
        dropped = (branch() == 0).float().mean().item()
        assert dropped == pytest.approx(0.5, abs=0.05)
        block.eval()
        assert bool(branch().all())
    assert [m.p for m in block.mlp if isinstance(m, nn.Dropout)] == [0.5, 0.5]  # one of them inside
