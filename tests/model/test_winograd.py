from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from untrimmed.model.winograd import LinearMap, Winograd, pays


def _linear(weight: Tensor, bias: Tensor | None) -> LinearMap:
    return partial(F.linear, weight=weight, bias=bias)


@given(
    length=st.integers(1, 40),
    in_width=st.integers(1, 6),
    out_width=st.integers(1, 6),
    batch=st.integers(1, 3),
    biased=st.booleans(),
)
def test_it_is_the_convolution(length: int, in_width: int, out_width: int, batch: int, biased: bool) -> None:
    torch.manual_seed(0)
    weight = torch.randn(out_width, in_width, 3, dtype=torch.float64)
    bias = torch.randn(out_width, dtype=torch.float64) if biased else None
    x = torch.randn(batch, length, in_width, dtype=torch.float64)
    before = x.clone()
    out = Winograd(weight, bias, _linear)(x)
    torch.testing.assert_close(out, F.conv1d(x.mT, weight, bias, padding=1).mT)
    assert torch.equal(x, before)


def test_it_is_as_exact_as_the_direct_form() -> None:
    torch.manual_seed(0)
    weight, x = torch.randn(64, 512, 3), torch.randn(1, 300, 512)
    exact = F.conv1d(x.double().mT, weight.double(), padding=1).mT
    errors = [
        (out - exact).abs().max() for out in (Winograd(weight, None, _linear)(x), F.conv1d(x.mT, weight, padding=1).mT)
    ]
    assert errors[0] < 2 * errors[1]


def test_it_makes_two_outputs_of_four_products() -> None:
    rows = []

    def counted(weight: Tensor, bias: Tensor | None) -> LinearMap:
        def apply(x: Tensor) -> Tensor:
            rows.append(x.shape[1])
            return F.linear(x, weight, bias)

        return apply

    Winograd(torch.randn(2, 4, 3), None, counted)(torch.randn(1, 100, 4))
    assert sum(rows) == 2 * 100


def test_it_pays_for_wide_convolutions_over_three_moments() -> None:
    assert pays(torch.empty(512, 512, 3, device="meta"), 1)
    assert pays(torch.empty(512, 2048, 3, device="meta"), 1)
    assert not pays(torch.empty(512, 512, 3, device="meta"), 2)
    assert not pays(torch.empty(512, 1, 3, device="meta"), 1)
    assert not pays(torch.empty(512, 512, 5, device="meta"), 1)
    assert not pays(torch.empty(20, 512, 3, device="meta"), 1)
