"""Convolutions over time and linear maps, which are nearly all of the network's arithmetic.

Features are `[B, T, C]`. That is the layout of a channels-last image of height 1, so each of them is a `conv2d` on a
view of the same memory: nothing is copied between layouts, and on a CPU the library's convolutions can be about twice
as fast as its matrix products in fp32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LARGE = 2**19
"""Numbers in an input from which on the library's weight gradient, in fp32, falls behind one product for each tap."""


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None = None, stride: int = 1) -> Tensor:
    """1-D convolution over time, "same" padding: `[B, T, C], [C', C / groups, K] -> [B, ceil(T / stride), C']`."""
    if torch.is_autocast_enabled(x.device.type):
        # Here and not by autocast, which does not look into the functions below.
        dtype = torch.get_autocast_dtype(x.device.type)
        x, weight, bias = x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)
        with torch.autocast(x.device.type, enabled=False):
            return convolve(x, weight, bias, stride)
    kernel = weight.shape[2]
    groups = x.shape[-1] // weight.shape[1]
    if stride > 1 and x.shape[1] <= kernel + stride and _on_cpu_in_bf16(x):
        # Of inputs shorter than the kernel's reach, the library (oneDNN 3.12) takes memory that was never set for a
        # part of the weight's gradient.
        return convolve(x.float(), weight.float(), None if bias is None else bias.float(), stride).to(x.dtype)
    image, filters = as_image(x), weight.unsqueeze(2)
    if groups == 1 and stride == 1 and _taps_are_faster(x, weight):
        return as_features(_by_taps(image, filters, bias))
    if groups > 1 and stride > 1 and _on_cpu_in_bf16(x) and torch.is_grad_enabled() and x.requires_grad:
        return as_features(_strided(image, filters, bias, stride))
    # In one thread torch computes a pointwise convolution half as fast as it could, unless it is strided or dilated;
    # the dilation of a single tap changes nothing.
    dilation = 2 if kernel == 1 and x.device.type == "cpu" else 1
    padding = (0, kernel // 2)
    return as_features(F.conv2d(image, filters, bias, (1, stride), padding, (1, dilation), groups))


def as_image(x: Tensor) -> Tensor:
    """View `[B, T, C]` as a channels-last image, `[B, C, 1, T]`."""
    return x.transpose(1, 2).unsqueeze(2)


def as_features(image: Tensor) -> Tensor:
    """View a channels-last image `[B, C, 1, T]` as `[B, T, C]`."""
    return image.squeeze(2).transpose(1, 2)


class Convolution(nn.Module):
    """Weight and bias of a convolution over time, and how it is computed: `[B, T, C] -> [B, ceil(T / stride), C']`.

    `depthwise` convolves each channel by itself; `full_precision` computes in the precision of the weights also where
    autocast is on. Biases start at zero, weights as torch's convolutions do. Where `packed` is set, it computes instead
    (see `untrimmed.model.packed`).
    """

    packed: Callable[[Tensor], Tensor] | None = None

    def __init__(
        self,
        in_width: int,
        out_width: int,
        kernel: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        bias: bool = True,
        full_precision: bool = False,
    ) -> None:
        super().__init__()
        self.stride = stride
        self.full_precision = full_precision
        self.depthwise = depthwise
        self.weight = nn.Parameter(torch.empty(out_width, 1 if depthwise else in_width, kernel))
        self.bias = nn.Parameter(torch.zeros(out_width)) if bias else None
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))

    def convolve(self, x: Tensor) -> Tensor:
        """Apply it to `x` as it is."""
        if self.packed is not None:
            return self.packed(x)
        if self.full_precision:
            with torch.autocast(x.device.type, enabled=False):
                return convolve(x.to(self.weight.dtype), self.weight, self.bias, self.stride)
        return convolve(x, self.weight, self.bias, self.stride)


class Pointwise(Convolution):
    """A linear map of every moment by itself: `[B, T, C] -> [B, T, C']`."""

    def __init__(self, in_width: int, out_width: int) -> None:
        super().__init__(in_width, out_width, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return self.convolve(x)


def _by_taps(image: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
    out: Tensor = _Convolution.apply(image, filters, bias)  # type: ignore[no-untyped-call]
    return out


def _strided(image: Tensor, filters: Tensor, bias: Tensor | None, stride: int) -> Tensor:
    out: Tensor = _StridedDepthwise.apply(image, filters, bias, stride)  # type: ignore[no-untyped-call]
    return out


class _Convolution(torch.autograd.Function):
    """A convolution of stride 1 whose weight gradient is `weight_gradient`; images `[B, C, 1, T]`."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, filters: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(image, filters)
        ctx.with_bias = bias is not None
        kernel = filters.shape[3]
        return F.conv2d(image, filters, bias, padding=(0, kernel // 2), dilation=(1, 2 if kernel == 1 else 1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        image, filters = ctx.saved_tensors
        wants_image, wants_filters, _ = ctx.needs_input_grad
        rows = as_features(grad).contiguous()
        of_image = _backward(as_image(rows), image, filters, (True, False))[0] if wants_image else None
        of_filters = weight_gradient(as_features(image), rows, filters.shape[3]).unsqueeze(2) if wants_filters else None
        return of_image, of_filters, rows.sum((0, 1)) if ctx.with_bias else None


def weight_gradient(x: Tensor, grad: Tensor, kernel: int) -> Tensor:
    """Gradient of a convolution's weight, `[C', C, K]`, as one matrix product for each tap.

    Args:
        x: its input, `[B, T, C]`.
        grad: the gradient of its output, `[B, T, C']`, contiguous.
        kernel: K, an odd number.
    """
    if kernel == 1:
        return _product(grad.flatten(0, 1), x.flatten(0, 1)).unsqueeze(2)
    taps = [_tap_gradient(x, grad, tap - kernel // 2) for tap in range(kernel)]
    return torch.stack(taps, dim=2)


def _tap_gradient(x: Tensor, grad: Tensor, shift: int) -> Tensor:
    """Sum over videos and moments t of `grad[t] x[t + shift]^T`: `[C', C]`.

    The videos are taken as one long one, and what that adds where two of them meet is taken off again.
    """
    rows, grads, reach = x.flatten(0, 1), grad.flatten(0, 1), abs(shift)
    if not shift:
        return _product(grads, rows)
    if reach >= x.shape[1]:  # so far away is nothing of the same video
        return x.new_zeros(grad.shape[2], x.shape[2])
    if shift < 0:
        whole = _product(grads[reach:], rows[:-reach])
        across = grad[1:, :reach], x[:-1, -reach:]
    else:
        whole = _product(grads[:-reach], rows[reach:])
        across = grad[:-1, -reach:], x[1:, :reach]
    if len(x) == 1:
        return whole
    return torch.addmm(whole, across[0].flatten(0, 1).t(), across[1].flatten(0, 1), alpha=-1)


def _product(grads: Tensor, rows: Tensor) -> Tensor:
    """`[n, C'], [n, C] -> [C', C]`, summed over n."""
    if rows.dtype != torch.float32:
        return grads.t() @ rows
    # In fp32 the library is fastest at this product when it is asked for the gradient of a pointwise convolution.
    like = rows.new_empty(grads.shape[1], rows.shape[1], 1, 1)
    return _backward(as_image(grads[None]), as_image(rows[None]), like, (False, True))[1].flatten(1)


class _StridedDepthwise(torch.autograd.Function):
    """A strided depthwise convolution; its input's gradient is a convolution of stride 1 over gradients spread out.

    In bf16 on a CPU, the library takes 50 times as long for that gradient.
    """

    @staticmethod
    def forward(ctx: Any, image: Tensor, filters: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        ctx.save_for_backward(image, filters)
        ctx.with_bias, ctx.stride = bias is not None, stride
        padding = (0, filters.shape[3] // 2)
        return F.conv2d(image, filters, bias, (1, stride), padding, groups=len(filters))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        image, filters = ctx.saved_tensors
        wants_image, wants_filters, *_ = ctx.needs_input_grad
        rows = as_features(grad).contiguous()
        of_image = of_filters = None
        if wants_image:
            spread = rows.new_zeros(as_features(image).shape)
            spread[:, :: ctx.stride] = rows
            padding = (0, filters.shape[3] // 2)
            of_image = F.conv2d(as_image(spread), filters.flip(3), padding=padding, groups=len(filters))
        if wants_filters:
            of_filters = _backward(as_image(rows), image, filters, (False, True), ctx.stride)[1]
        return of_image, of_filters, rows.sum((0, 1)) if ctx.with_bias else None, None


def _backward(
    grad: Tensor, image: Tensor, filters: Tensor, wanted: tuple[bool, bool], stride: int = 1
) -> tuple[Tensor, Tensor]:
    """Gradients of input and weight, of those that are wanted, by the library."""
    kernel, groups = filters.shape[3], image.shape[1] // filters.shape[1]
    padding, dilation = [0, kernel // 2], [1, 2 if kernel == 1 else 1]
    of_image, of_filters, _ = torch.ops.aten.convolution_backward(
        grad, image, filters, None, [1, stride], padding, dilation, False, [0, 0], groups, [*wanted, False]
    )
    return of_image, of_filters


def _taps_are_faster(x: Tensor, weight: Tensor) -> bool:
    """Whether to compute the weight's gradient tap by tap: on CPUs, by measurement."""
    if x.device.type != "cpu" or not (torch.is_grad_enabled() and weight.requires_grad):
        return False
    return x.dtype == torch.bfloat16 or (x.dtype == torch.float32 and weight.shape[2] > 1 and x.numel() >= LARGE)


def _on_cpu_in_bf16(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype == torch.bfloat16
