from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from untrimmed.model.attention import dense_attention, local_attention


def _inputs(batch: int, length: int, width: int, seed: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, length, width, generator=generator, dtype=dtype).requires_grad_() for _ in range(3)]


def slow_attention(
    query: Tensor, key: Tensor, value: Tensor, heads: int, window: int | None, valid: Tensor, bias: Tensor | None
) -> Tensor:
    """Attention moment by moment, as Eq. 1 and 2 say it; zero where no real key is seen."""
    batch, length, width = query.shape
    out = torch.zeros_like(query)
    size = width // heads
    for b in range(batch):
        for h in range(heads):
            part = slice(h * size, (h + 1) * size)
            for t in range(length):
                half = length if window is None else window // 2
                seen = [s for s in range(max(0, t - half), min(length, t + half + 1)) if valid[b, s]]
                if not seen:
                    continue
                scores = torch.stack([query[b, t, part] @ key[b, s, part] / math.sqrt(size) for s in seen])
                if bias is not None:
                    scores = scores + torch.stack([bias[h, s - t + half] for s in seen])
                out[b, t, part] = scores.softmax(0) @ value[b, seen, part]
    return out


def _sees_a_key(valid: Tensor, window: int | None) -> Tensor:
    """`[B, T]`, whether a moment has a real key in its window."""
    if window is None:
        return valid.any(1, keepdim=True).expand_as(valid)
    return torch.nn.functional.max_pool1d(valid.float(), window, 1, window // 2) > 0


@pytest.mark.parametrize("window", [None, 3, 5, 9])
@pytest.mark.parametrize("biased", [False, True])
def test_dense_attention_by_its_definition(window: int | None, biased: bool) -> None:
    query, key, value = _inputs(2, 7, 6, seed=0)
    valid = torch.tensor([[True] * 7, [False, True, True, False, False, False, True]])
    bias = torch.randn(3, window, dtype=torch.float64) if biased and window else None
    expected = slow_attention(query, key, value, 3, window, valid, bias)
    out = dense_attention(query, key, value, heads=3, window=window, valid=valid, bias=bias)
    sees = _sees_a_key(valid, window)
    torch.testing.assert_close(out[sees], expected[sees])


def test_dense_attention_to_all() -> None:
    query, key, value = _inputs(1, 5, 4, seed=1)
    everywhere = torch.ones(1, 5, dtype=torch.bool)
    expected = slow_attention(query, key, value, 2, None, everywhere, None)
    torch.testing.assert_close(dense_attention(query, key, value, heads=2), expected)


@given(
    batch=st.integers(1, 3),
    length=st.integers(1, 80),
    heads=st.integers(1, 3),
    size=st.integers(1, 4),
    window=st.integers(1, 12).map(lambda half: 2 * half + 1),
    block=st.one_of(st.none(), st.integers(1, 90)),
    masking=st.sampled_from(["none", "prefix", "random"]),
    biased=st.booleans(),
    fused=st.booleans(),
    seed=st.integers(0, 2**31),
)
@example(batch=2, length=1, heads=1, size=1, window=3, block=None, masking="random", biased=True, fused=True, seed=0)
@example(batch=2, length=5, heads=2, size=3, window=19, block=None, masking="prefix", biased=True, fused=True, seed=0)
@example(batch=2, length=65, heads=2, size=3, window=19, block=None, masking="random", biased=True, fused=True, seed=0)
@example(batch=2, length=64, heads=2, size=3, window=9, block=32, masking="prefix", biased=True, fused=True, seed=0)
@example(batch=1, length=7, heads=1, size=2, window=25, block=1, masking="none", biased=False, fused=False, seed=0)
def test_local_attention_is_dense_attention(
    batch: int,
    length: int,
    heads: int,
    size: int,
    window: int,
    block: int | None,
    masking: str,
    biased: bool,
    fused: bool,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    inputs = _inputs(batch, length, heads * size, seed)
    if biased:
        inputs.append(torch.randn(heads, window, dtype=torch.float64).requires_grad_())
    valid = None
    if masking == "random":
        valid = torch.rand(batch, length) < 0.5
    elif masking == "prefix":
        valid = torch.arange(length) < torch.randint(0, length + 1, (batch, 1))
    options: dict[str, Any] = {"heads": heads, "window": window, "valid": valid}
    if biased:
        options["bias"] = inputs[3]
    dense = dense_attention(*inputs[:3], **options)
    local = local_attention(*inputs[:3], **options, fused=fused, **({} if block is None else {"block": block}))
    assert local.shape == dense.shape
    assert bool(torch.isfinite(local).all())
    sees = torch.ones(batch, length, dtype=torch.bool) if valid is None else _sees_a_key(valid, window)
    torch.testing.assert_close(local[sees], dense[sees], atol=1e-10, rtol=1e-10)

    towards = torch.randn_like(dense) * sees[..., None]
    for a, b in zip(
        torch.autograd.grad(local, inputs, towards), torch.autograd.grad(dense, inputs, towards), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("masked", [False, True])
def test_local_attention_in_single_precision(masked: bool) -> None:
    query, key, value = _inputs(2, 100, 8, seed=2, dtype=torch.float32)
    valid = torch.arange(100) < torch.tensor([[100], [37]]) if masked else None
    dense = dense_attention(query, key, value, heads=2, window=9, valid=valid)
    local = local_attention(query, key, value, heads=2, window=9, valid=valid)
    sees = torch.ones(2, 100, dtype=torch.bool) if valid is None else _sees_a_key(valid, 9)
    torch.testing.assert_close(local[sees], dense[sees], atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_row_without_any_key_is_finite_and_so_are_its_gradients(dtype: torch.dtype) -> None:
    valid = torch.arange(40) < torch.tensor([[0], [3]])
    bias = torch.zeros(2, 5, requires_grad=True)
    for window in (5, None):
        inputs = _inputs(2, 40, 4, seed=3, dtype=dtype)
        if window is None:
            out = dense_attention(*inputs, heads=2, valid=valid)
        else:
            out = local_attention(*inputs, heads=2, window=window, valid=valid, bias=bias)
        out.sum().backward()
        for tensor in (out, *(x.grad for x in inputs)):
            assert tensor is not None
            assert bool(torch.isfinite(tensor).all())
    assert bias.grad is not None
    assert bool(torch.isfinite(bias.grad).all())


@pytest.mark.parametrize("length", [1, 10, 64, 75])
def test_what_is_outside_the_window_or_not_valid_has_no_influence(length: int) -> None:
    query, key, value = (x.detach() for x in _inputs(1, length, 4, seed=4))
    valid = torch.arange(length)[None] % 3 != 1
    before = local_attention(query, key, value, heads=2, window=7, valid=valid)
    here = length // 2
    near = (torch.arange(length) - here).abs() <= 3
    hidden = ~(near & valid[0])
    key[:, hidden] = 1e6
    value[:, hidden] = -1e6
    after = local_attention(query, key, value, heads=2, window=7, valid=valid)
    torch.testing.assert_close(after[:, here], before[:, here])


class _Largest(TorchDispatchMode):
    """Notes how many elements the largest tensor has that any operation makes, forwards and backwards."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return out


def _largest_tensor(length: int) -> int:
    width, heads, window = 8, 2, 19
    inputs = _inputs(1, length, width, seed=5, dtype=torch.float32)
    valid = torch.arange(length)[None] < length - 3
    bias = torch.zeros(heads, window, requires_grad=True)
    with _Largest() as largest:
        local_attention(*inputs, heads=heads, window=window, valid=valid, bias=bias).sum().backward()
    return largest.elements


def test_no_matrix_of_all_pairs_is_built() -> None:
    length = 20_000
    small, large = _largest_tensor(length // 4), _largest_tensor(length)
    assert large < 200 * length  # blocks of 32 see 50 keys each: 50 scores a moment and head
    assert large <= 4.1 * small
