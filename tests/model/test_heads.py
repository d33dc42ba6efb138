from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from untrimmed.model.blocks import Level
from untrimmed.model.config import ModelConfig
from untrimmed.model.heads import ClassificationHead, JoinedLevels, RegressionHead, build_heads, join
from untrimmed.model.layers import mask


def _heads(**settings: Any) -> tuple[ClassificationHead, RegressionHead]:
    torch.manual_seed(0)
    small = {"input_dims": 6, "num_classes": 5, "width": 8, "downsampling_blocks": 2}
    return build_heads(ModelConfig(**(small | settings)))


LENGTHS = [8, 4, 2]


def _levels(width: int = 8) -> list[Level]:
    torch.manual_seed(1)
    return [(torch.randn(2, n, width), None) for n in LENGTHS]


def _joined(width: int = 8, gap: int = 1) -> JoinedLevels:
    return join(_levels(width), gap)


@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_every_class_starts_at_its_prior(prior: float) -> None:
    head, _ = _heads(prior=prior, empty_classes=(1, 4))
    nn.init.zeros_(head.output.weight)
    logits = head(_joined())
    expected = torch.tensor([prior, 1e-6, prior, prior, 1e-6]).expand_as(logits)
    torch.testing.assert_close(logits.sigmoid(), expected, rtol=1e-4, atol=0)


def test_outputs_of_both_heads() -> None:
    classification, regression = _heads()
    levels = _joined()
    assert classification(levels).shape == (2, 14, 5)
    offsets = regression(levels)
    assert offsets.shape == (2, 14, 2)
    assert float(offsets.detach().min()) == 0  # half of them would be negative
    assert float(offsets.detach().max()) > 0


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kernel", [1, 3, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_towers_go_over_each_level_by_itself_and_are_not_shared_by_the_heads(
    kernel: int, norm: bool, masked: bool
) -> None:
    classification, regression = _heads(head_kernel=kernel, head_norm=norm)
    for parameter in (*classification.parameters(), *regression.parameters()):
        nn.init.normal_(parameter)
    levels = _levels()
    if masked:
        levels = [(x, torch.arange(x.shape[1])[None] < torch.tensor([[x.shape[1]], [1]])) for x, _ in levels]
    for head in (classification, regression):
        alone = [head.output(head.tower(mask(x, valid), valid), valid) for x, valid in levels]
        if isinstance(head, RegressionHead):
            alone = [F.relu(scale(x)) for scale, x in zip(head.scales, alone, strict=True)]
        joined = join(levels, kernel // 2)
        for together, by_itself in zip(head(joined).split(LENGTHS, dim=1), alone, strict=True):
            torch.testing.assert_close(together[0], by_itself[0])
            torch.testing.assert_close(together[1, :1], by_itself[1, :1])
    ours, theirs = set(classification.parameters()), set(regression.parameters())
    assert not ours & theirs


def test_every_level_has_a_scale_for_its_offsets() -> None:
    _, regression = _heads()
    levels = _joined()
    before = regression(levels).split(LENGTHS, dim=1)
    with torch.no_grad():
        for i, scale in enumerate(regression.scales):
            scale.scale.fill_(i + 2.0)
    for i, (a, b) in enumerate(zip(before, regression(levels).split(LENGTHS, dim=1), strict=True)):
        torch.testing.assert_close(b, a * (i + 2))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3])
def test_head_has_so_many_convolutions(layers: int, kernel: int) -> None:
    for head in _heads(head_layers=layers, head_width=12, head_kernel=kernel):
        shapes = [tuple(c.weight.shape) for c in (*head.tower.convolutions, head.output)]
        widths = [8] + [12] * (layers - 1)
        outs = [12] * (layers - 1) + [5 if isinstance(head, ClassificationHead) else 2]
        assert shapes == [(b, a, kernel) for a, b in zip(widths, outs, strict=True)]
        assert head(_joined(gap=kernel // 2)).shape[1] == sum(LENGTHS)


def test_heads_take_the_width_of_the_neck() -> None:
    for head in _heads(neck="top_down", neck_width=4):
        assert head.tower.convolutions[0].weight.shape == (4, 4, 3)
        assert head(_joined(4)).shape[1] == sum(LENGTHS)


@pytest.mark.parametrize("norm", [False, True])
def test_norm_of_both_heads_is_a_switch(norm: bool) -> None:
    for head in _heads(head_norm=norm):
        assert [isinstance(n, nn.LayerNorm) for n in head.tower.norms] == [norm, norm]
        assert (head.tower.convolutions[0].bias is None) == norm
        assert head.output.bias is not None


def test_outputs_are_computed_in_fp32_also_where_the_towers_are_not() -> None:
    classification, regression = _heads()
    levels = _joined()
    for head in (classification, regression):
        inside: list[torch.Tensor] = []
        head.tower.convolutions[0].register_forward_hook(lambda *args, seen=inside: seen.append(args[2]))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = head(levels)
        assert inside[0].dtype == torch.bfloat16
        assert out.dtype == torch.float32
        assert not torch.equal(out, out.bfloat16().float())
        out.sum().backward()
        assert head.output.weight.grad is not None
        assert head.output.weight.grad.dtype == torch.float32


def test_offsets_start_around_their_prior() -> None:
    config = replace(ModelConfig(input_dims=4, num_classes=2, width=16, attention_heads=2, window=5), offset_prior=1.5)
    for prior in (0.0, 1.5):
        torch.manual_seed(0)
        _, head = build_heads(replace(config, offset_prior=prior))
        assert head.output.bias is not None
        assert head.output.bias.tolist() == [prior, prior]
