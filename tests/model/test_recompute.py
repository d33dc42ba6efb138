from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from untrimmed.model.convolution import Pointwise
from untrimmed.model.recompute import recomputed, through

Function = Callable[[Tensor], Tensor]


def _kept(run: Callable[[], Tensor]) -> set[int]:
    """Sizes of what is kept for the backward pass where nothing is computed again."""
    sizes: set[int] = set()

    def pack(tensor: Tensor) -> Tensor:
        sizes.add(tensor.untyped_storage().data_ptr())
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sizes


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "before",
    [F.gelu, nn.LayerNorm(8), lambda x: F.relu_(F.layer_norm(x, (8,))), nn.Sequential(Pointwise(8, 8), nn.GELU())],
)
def test_gradients_are_the_same(before: Function, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    product = Pointwise(8, 4)
    x = torch.randn(2, 5, 8, requires_grad=True)
    parameters = [*product.parameters(), *(before.parameters() if isinstance(before, nn.Module) else ())]
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        plain = product(before(x.to(dtype)))
        ours = through(before, product, x.to(dtype))
        nested = through(lambda h: recomputed(before, h), product, x.to(dtype))
    expected = torch.autograd.grad(plain.float().square().sum(), [x, *parameters])
    for out in (ours, nested):
        assert torch.equal(out, plain)
        for a, b in zip(torch.autograd.grad(out.float().square().sum(), [x, *parameters]), expected, strict=True):
            assert torch.equal(a, b)


def test_what_is_between_is_not_kept() -> None:
    made: list[Tensor] = []

    def before(x: Tensor) -> Tensor:
        made.append(F.gelu(x))
        return made[-1]

    product = Pointwise(8, 4)
    x = torch.randn(2, 5, 8, requires_grad=True)
    out = through(before, product, x)
    assert len(made) == 1
    kept = made.pop().detach()
    kept.zero_()  # were it kept, the gradient would be of zeros
    out.sum().backward()
    assert len(made) == 1  # computed again, once
    assert product.weight.grad is not None
    torch.testing.assert_close(product.weight.grad[0, :, 0], F.gelu(x.detach()).sum((0, 1)))


def test_without_gradients_nothing_is_recorded() -> None:
    product = Pointwise(8, 4)
    x = torch.randn(2, 5, 8)
    with torch.no_grad():
        assert not through(F.gelu, product, x).requires_grad
        assert not recomputed(F.gelu, x).requires_grad


def test_recomputed_keeps_its_argument_alone() -> None:
    norm = nn.LayerNorm(8)
    x = torch.randn(2, 5, 8, requires_grad=True)
    plain = _kept(lambda: F.relu_(norm(x)))
    again = recomputed(lambda h: F.relu_(norm(h)), x)
    assert len(plain) > 2
    expected = torch.autograd.grad(F.relu_(norm(x)).square().sum(), [x, norm.weight])
    for a, b in zip(torch.autograd.grad(again.square().sum(), [x, norm.weight]), expected, strict=True):
        assert torch.equal(a, b)
