from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.model.blocks import Level
from untrimmed.model.config import ModelConfig
from untrimmed.model.neck import IdentityNeck, TopDownNeck, build_neck


def _levels(lengths: list[int], width: int = 4) -> list[Level]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(2, n, width, generator=generator), None) for n in lengths]


@pytest.mark.parametrize("norm", [False, True])
def test_identity_neck(norm: bool) -> None:
    levels = _levels([5, 3])
    out = IdentityNeck(4, 2, norm=norm)(levels)
    for (y, _), (x, _) in zip(out, levels, strict=True):
        torch.testing.assert_close(y, F.layer_norm(x, (4,)) if norm else x)


@pytest.mark.parametrize("strides", [(1, 2, 4), (1, 4, 16), (1, 1, 2, 4)])
@pytest.mark.parametrize("length", [1, 7, 16, 17])
def test_top_down_neck_by_its_definition(strides: tuple[int, ...], length: int) -> None:
    torch.manual_seed(0)
    neck = TopDownNeck(4, 6, strides, norm=True, padding="exact")
    levels = _levels([-(-length // s) for s in strides])
    sums: list[Tensor] = [F.linear(x, m.weight[:, :, 0]) for (x, _), m in zip(levels, neck.laterals, strict=True)]
    for fine in reversed(range(len(strides) - 1)):
        ratio = strides[fine + 1] // strides[fine]
        for t in range(sums[fine].shape[1]):
            sums[fine][:, t] += sums[fine + 1][:, t // ratio]
    for (out, _), total, convolution in zip(neck(levels), sums, neck.convolutions, strict=True):
        expected = F.conv1d(total.mT, convolution.weight, padding=1, groups=6).mT
        torch.testing.assert_close(out, F.layer_norm(expected, (6,)))


def test_neck_hands_on_what_is_valid() -> None:
    valid = [torch.arange(n)[None] < n - 1 for n in (8, 4)]
    levels = [(x, v.expand(2, -1)) for (x, _), v in zip(_levels([8, 4]), valid, strict=True)]
    for neck in (IdentityNeck(4, 2, norm=True), TopDownNeck(4, 4, (1, 2), norm=True, padding="exact")):
        assert all(a is b for (_, a), (_, b) in zip(neck(levels), levels, strict=True))


def test_build_neck() -> None:
    identity = build_neck(ModelConfig(width=8))
    assert isinstance(identity, IdentityNeck)
    assert len(identity.norms) == 6
    top_down = build_neck(ModelConfig(width=8, neck="top_down", neck_width=12, neck_norm=False, factor=4))
    assert isinstance(top_down, TopDownNeck)
    assert top_down.ratios == [4] * 5
    assert top_down.laterals[0].weight.shape == (12, 8, 1)
    assert all(isinstance(norm, nn.Identity) for norm in top_down.norms)
    wide = build_neck(ModelConfig(width=8, neck="top_down"))
    assert isinstance(wide, TopDownNeck)
    assert wide.convolutions[0].weight.shape == (8, 1, 3)
