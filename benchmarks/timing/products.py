"""The floor: all matrix products and convolutions of a run, to be computed again alone.

Every product is recorded with its actual arguments, at the level below autograd and autocast. Computed again in their
order, they are what the run cannot do without as long as the model is what it is: no normalisation, activation,
addition, copy, decoding or optimiser is among them. An activation that a product does on its way is left out. Depthwise
convolutions multiply as little as an addition does; they are recorded apart, and are not part of the floor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_BY_WEIGHT = {
    "aten::convolution",
    "aten::_convolution",
    "aten::mkldnn_convolution",
    "aten::linear",
    "aten::mkldnn_linear",
    "mkldnn::_convolution_pointwise",
    "mkldnn::_convolution_pointwise_",
    "mkldnn::_linear_pointwise",
}
_MATRICES = {
    "aten::mm",
    "aten::addmm",
    "aten::addmm_",
    "aten::_addmm_activation",
    "aten::bmm",
    "aten::baddbmm",
    "aten::baddbmm_",
}
_BACKWARD = "aten::convolution_backward"
_ATTENTION = "aten::_scaled_dot_product"
_TRANSPARENT = ("aten", "prim", "prims", "profiler", "c10d")
"""Namespaces whose operations, if they are none of the above, hold no products."""


@dataclass(frozen=True)
class Product:
    """One product: how to compute it again, and its operations, of which a multiplication and an addition are two."""

    compute: Callable[[], object]
    operations: int
    depthwise: bool


class Products(TorchDispatchMode):
    """Records the products of what runs inside its `with` block.

    Attributes:
        every: the products, in their order.
        opaque: operations that are not torch's own, into which it cannot look.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.every: list[Product] = []
        self.opaque: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Compute an operation, and keep it if it is a product."""
        kwargs = kwargs or {}
        with self:  # in inference mode operations come as they were called, such as linear
            out = func.decompose(*args, **kwargs)
        if out is not NotImplemented:
            return out
        out = func(*args, **kwargs)
        name = func._schema.name
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | kwargs
        operations = _operations(name, given, out)
        if operations is not None:
            call = _without_activation(func, given) if "attr" in _names(func) else partial(func, *args, **kwargs)
            self.every.append(Product(call, operations, given.get("groups", 1) > 1))
        elif func.namespace not in _TRANSPARENT:
            self.opaque.add(str(func))
        return out

    @property
    def operations(self) -> int:
        """Operations of the floor."""
        return sum(product.operations for product in self.every if not product.depthwise)

    @torch.inference_mode()
    def again(self) -> None:
        """Compute the floor: all products but depthwise convolutions, alone."""
        for product in self.every:
            if not product.depthwise:
                product.compute()

    @torch.inference_mode()
    def depthwise_again(self) -> None:
        """Compute the depthwise convolutions alone."""
        for product in self.every:
            if product.depthwise:
                product.compute()


def is_product(name: str) -> bool:
    """Whether an operation of this name, such as `aten::mm`, is a product."""
    return name in _BY_WEIGHT or name in _MATRICES or name == _BACKWARD or name.startswith(_ATTENTION)


def _operations(name: str, given: dict[str, Any], out: Any) -> int | None:
    """How many operations a call is; `None` if it is no product."""
    if name in _MATRICES:
        right: Tensor = given["batch2"] if "batch2" in given else given["mat2"]
        return 2 * out.numel() * right.shape[-2]
    if name in _BY_WEIGHT:
        weight = _weight(given)
        source: Tensor = given["input"] if given.get("transposed") else out
        return 2 * source.numel() * math.prod(weight.shape[1:])
    if name == _BACKWARD:
        wanted = sum(given["output_mask"][:2])
        source = given["input"] if given["transposed"] else given["grad_output"]
        return 2 * wanted * source.numel() * math.prod(given["weight"].shape[1:])
    if name.startswith(_ATTENTION):
        forward = 4 * given["query"].numel() * given["key"].shape[-2]
        return forward * 5 // 2 if name.endswith("backward") else forward
    return None


def _weight(given: dict[str, Any]) -> Tensor:
    for name in ("weight", "W"):
        if name in given:
            found: Tensor = given[name]
            return found
    raise KeyError(f"none of {list(given)} is the weight")


def _names(func: Any) -> set[str]:
    return {argument.name.removeprefix("binary_").removeprefix("unary_") for argument in func._schema.arguments}


def _without_activation(func: Any, given: dict[str, Any]) -> Callable[[], object]:
    """The product of a fused operation alone: neither its activation nor what it adds."""
    plain = getattr(torch.ops.mkldnn, func._schema.name.removeprefix("mkldnn::").removesuffix("_")).default
    kept = {argument.name: given.get(argument.name) for argument in plain._schema.arguments}
    return partial(plain, **kept | {"attr": "none", "scalars": [], "algorithm": ""})
