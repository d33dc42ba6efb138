from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from untrimmed.segments import clip, intersection, length, pairwise_tiou, tiou

Segments = NDArray[np.float64]

times = st.floats(-1000, 1000, width=32)
pairs = npst.arrays(np.float64, npst.array_shapes(min_dims=1, max_dims=1).map(lambda s: (2, *s, 2)), elements=times)
ordered_pairs = pairs.map(lambda array: np.sort(array, axis=-1))


def slow_overlap(a: Segments, b: Segments) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def test_by_hand() -> None:
    a = np.array([[0.0, 4.0], [0.0, 4.0], [0.0, 4.0], [1.0, 1.0], [3.0, 2.0]])
    b = np.array([[2.0, 6.0], [4.0, 6.0], [0.0, 4.0], [1.0, 1.0], [0.0, 9.0]])
    assert length(a).tolist() == [4, 4, 4, 0, 0]
    assert intersection(a, b).tolist() == [2, 0, 4, 0, 0]
    assert tiou(a, b).tolist() == [1 / 3, 0, 1, 0, 0]


@given(pairs)
def test_intersection_is_the_slow_definition(both: Segments) -> None:
    assert intersection(*both).tolist() == [slow_overlap(a, b) for a, b in zip(*both, strict=True)]


@given(pairs)
def test_tiou_is_symmetric_and_in_range(both: Segments) -> None:
    values = tiou(*both)
    np.testing.assert_allclose(values, tiou(both[1], both[0]), rtol=1e-12)
    assert (values >= 0).all()
    assert (values <= 1 + 1e-12).all()


@given(ordered_pairs, st.floats(-100, 100), st.floats(0.01, 100))
def test_tiou_does_not_depend_on_unit_and_origin(both: Segments, shift: float, scale: float) -> None:
    both = both.round(2)  # lengths that survive the rounding of the sum
    np.testing.assert_allclose(tiou(*(both * scale + shift)), tiou(*both), atol=1e-6)


@given(ordered_pairs)
def test_pairwise_is_every_pair(both: Segments) -> None:
    a, b = both[0], both[1][:2]
    table = pairwise_tiou(a, b)
    assert table.shape == (len(a), len(b))
    assert table.tolist() == [[float(tiou(x, y)) for y in b] for x in a]


@given(ordered_pairs, st.floats(0, 1000))
def test_clip(both: Segments, duration: float) -> None:
    clipped = clip(both[0], duration)
    assert ((clipped >= 0) & (clipped <= duration)).all()
    whole = np.broadcast_to([0.0, duration], clipped.shape)
    np.testing.assert_array_equal(length(clipped), intersection(both[0], whole))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_torch_tensors_give_the_same(dtype: str) -> None:
    import torch

    a = np.array([[0.0, 4.0], [0.0, 4.0], [1.0, 1.0], [3.0, 2.0]])
    b = np.array([[2.0, 6.0], [0.0, 4.0], [1.0, 1.0], [0.0, 9.0]])
    x, y = (torch.from_numpy(array).to(getattr(torch, dtype)) for array in (a, b))
    values = pairwise_tiou(x, y)
    assert values.dtype == x.dtype
    np.testing.assert_allclose(values.double().numpy(), pairwise_tiou(a, b), atol=4e-3)
    assert clip(x, 3.0).tolist() == clip(a, 3.0).tolist()
    assert length(x).tolist() == length(a).tolist()
    assert intersection(x, y).tolist() == intersection(a, b).tolist()


def test_tiou_passes_gradients() -> None:
    import torch

    a = torch.tensor([[0.0, 4.0], [1.0, 1.0]], requires_grad=True)
    tiou(a, torch.tensor([[2.0, 6.0], [1.0, 1.0]])).sum().backward()
    assert a.grad is not None
    assert a.grad.isfinite().all()
    assert (a.grad[0] != 0).all()
