from __future__ import annotations

import math

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from untrimmed.learning.losses import diou_loss, focal_loss, giou_loss

distance = st.floats(0, 1e3, width=32)
segment = st.tuples(distance, distance)
both_losses = pytest.mark.parametrize("loss", [diou_loss, giou_loss])


@given(
    logit=st.floats(-15, 15),
    target=st.floats(0, 1),
    alpha=st.floats(0, 1),
    gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 5.0]),
)
def test_focal_loss_by_its_definition(logit: float, target: float, alpha: float, gamma: float) -> None:
    p = 1 / (1 + math.exp(-logit))
    cross_entropy = -(target * math.log(p) + (1 - target) * math.log(1 - p))
    p_t = target * p + (1 - target) * (1 - p)
    alpha_t = target * alpha + (1 - target) * (1 - alpha)
    expected = alpha_t * (1 - p_t) ** gamma * cross_entropy
    x, t = torch.tensor([logit, target], dtype=torch.float64)
    out = focal_loss(x, t, alpha, gamma)
    assert out.item() == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_focal_loss_defaults_are_those_of_the_paper() -> None:
    logits, targets = torch.randn(5, 3), torch.randint(0, 2, (5, 3)).float()
    torch.testing.assert_close(focal_loss(logits, targets), focal_loss(logits, targets, 0.25, 2.0))
    assert focal_loss(torch.tensor(0.0), torch.tensor(1.0)).item() == pytest.approx(0.25 * 0.25 * math.log(2))


def test_focal_loss_with_gamma_0_is_half_the_cross_entropy() -> None:
    logits, targets = torch.randn(20), torch.rand(20)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    torch.testing.assert_close(focal_loss(logits, targets, 0.5, 0.0), 0.5 * cross_entropy)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("target", [0.0, 0.05, 0.95, 1.0])
def test_focal_loss_of_certain_logits_is_finite_and_so_are_its_gradients(gamma: float, target: float) -> None:
    logits = torch.tensor([-1e4, -200.0, -20.0, 0.0, 20.0, 200.0, 1e4], requires_grad=True)
    loss = focal_loss(logits, torch.full_like(logits, target), gamma=gamma)
    loss.sum().backward()
    assert logits.grad is not None
    assert bool(torch.isfinite(loss).all())
    assert bool((loss >= 0).all())
    assert bool(torch.isfinite(logits.grad).all())


def test_focal_loss_gradient() -> None:
    logits = torch.randn(10, dtype=torch.float64, requires_grad=True)
    targets = torch.rand(10, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: focal_loss(x, targets), logits)


def _slow_overlap(predicted: tuple[float, float], target: tuple[float, float]) -> tuple[float, float, float, float]:
    """IoU, length of the hull, of the union, and distance of the centres, of segments around the moment 0."""
    (a, b), (c, d) = (-predicted[0], predicted[1]), (-target[0], target[1])
    intersection = max(0.0, min(b, d) - max(a, c))
    union = (b - a) + (d - c) - intersection
    return intersection / union, max(b, d) - min(a, c), union, abs((a + b) / 2 - (c + d) / 2)


def _pair(predicted: tuple[float, float], target: tuple[float, float]) -> tuple[Tensor, Tensor]:
    return torch.tensor(predicted, dtype=torch.float64), torch.tensor(target, dtype=torch.float64)


@given(predicted=segment, target=segment.filter(lambda s: sum(s) > 1e-3))
@example(predicted=(0.0, 0.0), target=(0.0, 5.0))
@example(predicted=(5.0, 0.0), target=(0.0, 5.0))
def test_diou_and_giou_by_their_definitions(predicted: tuple[float, float], target: tuple[float, float]) -> None:
    iou, hull, union, between = _slow_overlap(predicted, target)
    diou = diou_loss(*_pair(predicted, target)).item()
    assert diou == pytest.approx(1 - iou + (between / hull) ** 2, rel=1e-6, abs=1e-9)
    assert 0 <= diou <= 2
    giou = giou_loss(*_pair(predicted, target)).item()
    assert giou == pytest.approx(1 - iou + (hull - union) / hull, rel=1e-6, abs=1e-9)
    assert -1e-9 <= giou <= 2


@both_losses
@given(same=segment.filter(lambda s: sum(s) > 1e-3))
def test_identical_segments_have_no_loss(loss: object, same: tuple[float, float]) -> None:
    assert callable(loss)
    assert loss(torch.tensor(same), torch.tensor(same)).item() == pytest.approx(0, abs=1e-6)


@both_losses
@given(predicted=segment, target=segment, factor=st.floats(0.1, 100))
def test_losses_do_not_depend_on_scale_or_direction(
    loss: object, predicted: tuple[float, float], target: tuple[float, float], factor: float
) -> None:
    assert callable(loss)
    a, b = _pair(predicted, target)
    if a.sum() + b.sum() > 1e-3:
        here = loss(a, b).item()
        assert loss(a * factor, b * factor).item() == pytest.approx(here, rel=1e-6, abs=1e-9)
        assert loss(a.flip(-1), b.flip(-1)).item() == pytest.approx(here, rel=1e-6, abs=1e-9)
        assert loss(b, a).item() == pytest.approx(here, rel=1e-6, abs=1e-9)


@both_losses
def test_nothing_in_common_is_the_largest_loss(loss: object) -> None:
    assert callable(loss)
    one_side, other_side = torch.tensor([4.0, 0.0]), torch.tensor([0.0, 4.0])
    assert loss(one_side, other_side).item() == pytest.approx(1.25 if loss is diou_loss else 1.0)


@both_losses
@pytest.mark.parametrize("target", [(0.0, 0.0), (1.0, 0.0), (0.5, 3.0), (1e-9, 1e-9), (1e4, 1e4)])
@pytest.mark.parametrize("predicted", [(0.0, 0.0), (0.0, 2.0), (1e-9, 0.0), (1e4, 0.0)])
def test_gradients_are_finite(loss: object, predicted: tuple[float, float], target: tuple[float, float]) -> None:
    assert callable(loss)
    offsets = torch.tensor(predicted, requires_grad=True)
    out = loss(offsets, torch.tensor(target))
    out.backward()
    assert offsets.grad is not None
    assert bool(torch.isfinite(out))
    assert bool(torch.isfinite(offsets.grad).all())


@both_losses
def test_gradient_at_zero_offsets_is_towards_the_target(loss: object) -> None:
    assert callable(loss)
    offsets = torch.zeros(2, requires_grad=True)
    loss(offsets, torch.tensor([2.0, 2.0])).backward()
    assert offsets.grad is not None
    assert bool((offsets.grad < 0).all())


@both_losses
def test_gradients_are_those_of_the_function(loss: object) -> None:
    assert callable(loss)
    predicted = (torch.rand(10, 2, dtype=torch.float64) + 0.1).requires_grad_()
    target = torch.rand(10, 2, dtype=torch.float64) + 0.1
    assert torch.autograd.gradcheck(lambda x: loss(x, target), predicted)


@both_losses
def test_one_value_for_each_segment(loss: object) -> None:
    assert callable(loss)
    assert loss(torch.rand(3, 4, 2), torch.rand(3, 4, 2)).shape == (3, 4)
    assert loss(torch.rand(0, 2), torch.rand(0, 2)).shape == (0,)
