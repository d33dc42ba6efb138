"""Convolutions over three moments with a third of the multiplications left out.

Two neighbouring outputs of a kernel (a, b, c) over inputs (p, q, r, s) are `ap + bq + cr` and `aq + br + cs`: six
products. Winograd's F(2, 3) (Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, CVPR 2016) makes
both of four::

    m1 = (p - r) a
    m2 = (q + r) (a + b + c) / 2          m1 + m2 + m3
    m3 = (r - q) (a - b + c) / 2          m2 - m3 - m4
    m4 = (q - s) c

In fp32 it is as exact as the direct form; in bf16, where each m is rounded, its error is two to three times as large.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import starmap

import torch
import torch.nn.functional as F
from torch import Tensor

LinearMap = Callable[[Tensor], Tensor]
LEAST_WEIGHTS = 3 * 2**18
"""Weights of a convolution from which on the sums and differences cost less than they save, on a CPU."""


def pays(weight: Tensor, stride: int) -> bool:
    """Whether to compute the convolution of a weight `[C', C, K]` so: by measurement, from a width of 512 on."""
    return weight.shape[2] == 3 and stride == 1 and weight.numel() >= LEAST_WEIGHTS


class Winograd:
    """A convolution with a kernel of 3 and "same" padding, `[B, T, C] -> [B, T, C']`, without gradients.

    Args:
        weight: `[C', C, 3]`.
        bias: `[C']` or `None`.
        linear: makes a linear map `[B, n, C] -> [B, n, C']` of a weight `[C', C]` and a bias.
    """

    def __init__(
        self, weight: Tensor, bias: Tensor | None, linear: Callable[[Tensor, Tensor | None], LinearMap]
    ) -> None:
        a, b, c = weight.detach().unbind(2)
        mean = (a + c) / 2
        # The second is in both outputs, so the bias is its own.
        parts = ((a, None), (mean + b / 2, bias), (mean - b / 2, None), (c, None))
        self._first, self._second, self._third, self._fourth = starmap(linear, parts)

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        length = x.shape[1]
        if length % 2:
            x = F.pad(x, (0, 0, 0, 1))
        even, odd = x[:, 0::2], x[:, 1::2]
        # Of the i-th pair of outputs, (p, q, r, s) are odd[i - 1], even[i], odd[i], even[i + 1]; beyond the ends, zero.
        second, third = self._second(even + odd), self._third(odd - even)
        out = second.new_empty(*second.shape[:2], 2, second.shape[2])
        before = odd.new_empty(odd.shape)  # p - r
        torch.neg(odd[:, :1], out=before[:, :1])
        torch.sub(odd[:, :-1], odd[:, 1:], out=before[:, 1:])
        torch.add(self._first(before).add_(second), third, out=out[:, :, 0])
        after = even.new_empty(even.shape)  # q - s
        torch.sub(even[:, :-1], even[:, 1:], out=after[:, :-1])
        after[:, -1:] = even[:, -1:]
        torch.sub(second.sub_(third), self._fourth(after), out=out[:, :, 1])
        return out.flatten(1, 2)[:, :length]
