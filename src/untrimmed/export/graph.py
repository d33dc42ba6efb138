"""Writing an ONNX graph, operator by operator.

The graph is written here and not traced by an exporter: torch's, of the network as it stands, took over a minute for a
small model, and gave a graph that fails at other lengths and batches than those of its example. What is written names
only shapes that are computed in the graph, so every length and batch runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from untrimmed.errors import MissingExtraError

if TYPE_CHECKING:
    import onnx

OPSET = 20
"""Of the operators: the first with `Gelu`. LayerNormalization is in it since 17."""
IR_VERSION = 9
"""Of the file: the one of this opset, so that older runtimes read it."""
FLOAT, INT64, BOOL = 1, 7, 9
"""Types in `Cast`, as onnx numbers them."""
END = int(np.iinfo(np.int64).max)
"""As the end of a slice: as far as there is something."""


class Graph:
    """A graph that grows: values are names, and `add` puts an operator behind what is there.

    Raises:
        MissingExtraError: if onnx is not installed.
    """

    def __init__(self) -> None:
        try:
            import onnx.helper  # noqa: PLC0415
            import onnx.numpy_helper  # noqa: PLC0415
        except ImportError as error:
            raise MissingExtraError("onnx", "onnx", "exporting a model") from error
        self._onnx = onnx
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, onnx.TensorProto] = {}
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._scope = ""

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Let the names of what is added begin with `name`, as those of the model's parts do."""
        outer, self._scope = self._scope, f"{self._scope}{name}."
        try:
            yield
        finally:
            self._scope = outer

    def add(self, operator: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """Add an operator; returns the name of its output, or a list of them where there are several to be."""
        name = f"{self._scope}{operator}_{len(self._nodes)}"
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self._nodes.append(self._onnx.helper.make_node(operator, list(inputs), names, name, **attributes))
        return name if outputs == 1 else names

    def weight(self, name: str, tensor: Tensor) -> str:
        """Add numbers that the model has learnt, in the layout in which they are used."""
        name = f"{self._scope}{name}"
        array = tensor.detach().float().cpu().contiguous().numpy()
        self._weights[name] = self._onnx.numpy_helper.from_array(array, name)
        return name

    def constant(self, values: Any, dtype: type[np.generic] = np.int64) -> str:
        """Add numbers that are no weights; those that are there already are taken."""
        array = np.asarray(values, dtype=dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._constants)}"
            self._weights[name] = self._onnx.numpy_helper.from_array(array, name)
        return self._constants[key]

    def length(self, x: str) -> str:
        """Return the second dimension, T of `[B, T, ...]`, as an array `[1]`."""
        shape = self.add("Shape", x, start=1, end=2)
        return str(shape)

    def slice(self, x: str, start: int, stop: int | str, axis: int, step: int = 1) -> str:
        """`x[..., start:stop:step, ...]`; the end may be computed, `[1]`."""
        end = stop if isinstance(stop, str) else self.constant([stop])
        return str(self.add("Slice", x, self.constant([start]), end, self.constant([axis]), self.constant([step])))

    def model(
        self,
        inputs: Sequence[tuple[str, type[np.generic], Sequence[str | int]]],
        outputs: Sequence[tuple[str, str, type[np.generic], Sequence[str | int]]],
        metadata: dict[str, str],
    ) -> onnx.ModelProto:
        """Make a model of what was added.

        Args:
            inputs: name, type and shape of each; dimensions that are not known are names.
            outputs: name, the value that it is, type and shape of each.
            metadata: what is told in the file besides.
        """
        helper = self._onnx.helper

        def info(name: str, dtype: type[np.generic], shape: Sequence[str | int]) -> onnx.ValueInfoProto:
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            return helper.make_tensor_value_info(name, kind, list(shape))

        for name, value, _, _ in outputs:
            self._nodes.append(helper.make_node("Identity", [value], [name], f"output.{name}"))
        graph = helper.make_graph(
            self._nodes,
            "untrimmed",
            [info(*each) for each in inputs],
            [info(name, dtype, shape) for name, _, dtype, shape in outputs],
            list(self._weights.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
        helper.set_model_props(model, metadata)
        return model
