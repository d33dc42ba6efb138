"""Inference on a CPU with weights in the layout that the library multiplies in.

Torch's convolutions and matrix products put their weights into such a layout at every call. For weights that do not
change this can be done once, which makes the products of long videos a little faster, and those of short videos and of
coarse levels several times; and in this form a GELU is computed on the way out of a product.

The operators are those that torch's own compiler uses for frozen models. Where they are not there, nothing is packed.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from itertools import pairwise
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from untrimmed.model import winograd
from untrimmed.model.convolution import Convolution, Pointwise, as_features, as_image
from untrimmed.model.network import ActionFormer

# A product is prepared anew for every length, and by default the library keeps 1,024 of them, those of some 30 lengths.
# It reads this at the first product of the process, so it is set when this module is imported.
os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "4096")

Activation = Literal["none", "gelu"]
AnyModule = TypeVar("AnyModule", bound=nn.Module)


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether weights can be packed for computing on this device in this precision."""
    operators = torch.ops.mkldnn
    if device.type != "cpu" or not torch.backends.mkldnn.enabled or not torch.backends.mkldnn.is_available():
        return False
    wanted = ("_convolution_pointwise", "_linear_pointwise", "_reorder_linear_weight", "_is_mkldnn_bf16_supported")
    if not all(hasattr(operators, name) for name in wanted):
        return False
    return dtype == torch.float32 or (dtype == torch.bfloat16 and bool(operators._is_mkldnn_bf16_supported()))


class Packed:
    """A model for inference in one precision: packed where it can be, and anew when its weights have changed."""

    def __init__(self, model: ActionFormer, dtype: torch.dtype) -> None:
        self._model = model
        self._dtype = dtype
        self._packed: tuple[list[tuple[int, int]], ActionFormer] | None = None

    def current(self) -> ActionFormer:
        """Return the model, packed with the weights of now."""
        weights = list(self._model.parameters())
        if not can_pack(weights[0].device, self._dtype) or any(w.dtype != torch.float32 for w in weights):
            return self._model
        state = [(w.data_ptr(), 0 if w.is_inference() else w._version) for w in weights]
        if self._packed is None or self._packed[0] != state:
            self._packed = state, pack(self._model, self._dtype)
        return self._packed[1]


def pack(model: AnyModule, dtype: torch.dtype) -> AnyModule:
    """Return a copy of a model in eval mode for inference in `dtype`, with all weights packed; see `can_pack`.

    What is not packed (norms, scales) is shared with the model, what is packed has the weights of now.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    packed = copy.deepcopy(model, shared).eval()
    for module in packed.modules():
        if isinstance(module, nn.Sequential):
            _fuse_activations(module, dtype)
    for module in packed.modules():
        if isinstance(module, Convolution) and module.packed is None:
            own = torch.float32 if module.full_precision else dtype
            module.packed = _packed(module, own)
    return packed


def _packed(layer: Convolution, dtype: torch.dtype) -> Callable[[Tensor], Tensor]:
    if not winograd.pays(layer.weight, layer.stride):
        groups = len(layer.weight) if layer.depthwise else 1
        return PackedKernel(layer.weight, layer.bias, layer.stride, dtype, groups=groups)

    def linear(weight: Tensor, bias: Tensor | None) -> PackedKernel:
        return PackedKernel(weight.unsqueeze(2), bias, 1, dtype)

    pairs = winograd.Winograd(layer.weight, layer.bias, linear)
    return lambda x: pairs(x.to(dtype))


def _fuse_activations(layers: nn.Sequential, dtype: torch.dtype) -> None:
    """Let each linear map that a GELU follows compute it too."""
    for i, (layer, following) in enumerate(pairwise(layers)):
        if isinstance(layer, Pointwise) and isinstance(following, nn.GELU):
            layer.packed = PackedKernel(layer.weight, layer.bias, 1, dtype, "gelu")
            layers[i + 1] = nn.Identity()


class PackedKernel:
    """A convolution over time, `[B, T, C] -> [B, ceil(T / stride), C']`, with its weight packed.

    Args:
        weight: `[C', C, K]`, or `[C', 1, K]` of a depthwise convolution.
        bias: `[C']` or `None`.
        stride: of the convolution.
        dtype: in which it is computed.
        activation: what its output goes through.
        groups: 1, or C if it is depthwise.
    """

    def __init__(
        self,
        weight: Tensor,
        bias: Tensor | None,
        stride: int,
        dtype: torch.dtype,
        activation: Activation = "none",
        *,
        groups: int = 1,
    ) -> None:
        self.dtype = dtype
        self.activation = activation
        self.bias = None if bias is None else bias.detach().to(dtype)
        self._geometry = [0, weight.shape[2] // 2], [1, stride], [1, 1], groups  # padding, stride, dilation
        weight = weight.detach().to(dtype)
        # As linear maps, pointwise convolutions are packed in one way for all lengths; as convolutions they are not.
        self.linear = weight.shape[2] == stride == groups == 1
        self.weight: Tensor = (
            torch.ops.mkldnn._reorder_linear_weight(weight.squeeze(2).contiguous())
            if self.linear
            else torch._C._nn.mkldnn_reorder_conv2d_weight(
                weight.unsqueeze(2).contiguous().to_mkldnn(), *self._geometry
            )
        )

    def __call__(self, x: Tensor) -> Tensor:
        """Apply it."""
        x = x.to(self.dtype)
        if self.linear:
            out: Tensor = torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, self.activation, [], "none")
            return out
        image: Tensor = torch.ops.mkldnn._convolution_pointwise(
            as_image(x), self.weight, self.bias, *self._geometry, self.activation, [], "none"
        )
        return as_features(image)
