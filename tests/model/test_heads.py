from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from untrimmed.model.blocks import Level
from untrimmed.model.config import ModelConfig
from untrimmed.model.heads import ClassificationHead, RegressionHead, build_heads


def _heads(**settings: Any) -> tuple[ClassificationHead, RegressionHead]:
    torch.manual_seed(0)
    small = {"input_dims": 6, "num_classes": 5, "width": 8, "downsampling_blocks": 2}
    return build_heads(ModelConfig(**(small | settings)))


def _levels(width: int = 8) -> list[Level]:
    torch.manual_seed(1)
    return [(torch.randn(2, n, width), None) for n in (8, 4, 2)]


@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_every_class_starts_at_its_prior(prior: float) -> None:
    head, _ = _heads(prior=prior, empty_classes=(1, 4))
    nn.init.zeros_(head.output.weight)
    for logits in head(_levels()):
        probabilities = logits.sigmoid()
        expected = torch.tensor([prior, 1e-6, prior, prior, 1e-6]).expand_as(logits)
        torch.testing.assert_close(probabilities, expected, rtol=1e-4, atol=0)


def test_outputs_of_both_heads() -> None:
    classification, regression = _heads()
    levels = _levels()
    assert [x.shape for x in classification(levels)] == [(2, 8, 5), (2, 4, 5), (2, 2, 5)]
    offsets = regression(levels)
    assert [x.shape for x in offsets] == [(2, 8, 2), (2, 4, 2), (2, 2, 2)]
    assert min(float(x.detach().min()) for x in offsets) == 0  # half of them would be negative
    assert max(float(x.detach().max()) for x in offsets) > 0


def test_towers_are_shared_by_the_levels_and_not_by_the_heads() -> None:
    classification, regression = _heads()
    levels = _levels()
    for head in (classification, regression):
        alone = [head.output(head.tower(x, None), None) for x, _ in levels]
        if isinstance(head, RegressionHead):
            alone = [F.relu(x) for x in alone]
        for together, by_itself in zip(head(levels), alone, strict=True):
            torch.testing.assert_close(together, by_itself)
    ours, theirs = set(classification.parameters()), set(regression.parameters())
    assert not ours & theirs


def test_every_level_has_a_scale_for_its_offsets() -> None:
    _, regression = _heads()
    levels = _levels()
    before = regression(levels)
    with torch.no_grad():
        for i, scale in enumerate(regression.scales):
            scale.scale.fill_(i + 2.0)
    for i, (a, b) in enumerate(zip(before, regression(levels), strict=True)):
        torch.testing.assert_close(b, a * (i + 2))


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 3])
def test_head_has_so_many_convolutions(layers: int, kernel: int) -> None:
    for head in _heads(head_layers=layers, head_width=12, head_kernel=kernel):
        shapes = [tuple(c.weight.shape) for c in (*head.tower.convolutions, head.output)]
        widths = [8] + [12] * (layers - 1)
        outs = [12] * (layers - 1) + [5 if isinstance(head, ClassificationHead) else 2]
        assert shapes == [(b, a, kernel) for a, b in zip(widths, outs, strict=True)]
        assert [x.shape[1] for x in head(_levels())] == [8, 4, 2]


def test_heads_take_the_width_of_the_neck() -> None:
    for head in _heads(neck="top_down", neck_width=4):
        assert head.tower.convolutions[0].weight.shape == (4, 4, 3)
        assert head(_levels(4))[0].shape[1] == 8


@pytest.mark.parametrize("norm", [False, True])
def test_norm_of_both_heads_is_a_switch(norm: bool) -> None:
    for head in _heads(head_norm=norm):
        assert [isinstance(n, nn.LayerNorm) for n in head.tower.norms] == [norm, norm]
        assert (head.tower.convolutions[0].bias is None) == norm
        assert head.output.bias is not None
