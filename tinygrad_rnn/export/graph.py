"""An ONNX graph while it is being written: names, constants, sizes, and the values that nodes have become.

Imports the library `onnx` when an exporter makes one; `sizes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..graph import Node
from .sizes import Axes, Size, solve

Sizes = Sequence[int | Size]


class Builder:
    """Collects ONNX nodes; every value has a name.

    axes: the named axes with their sizes in the two recordings. sources: axis -> (input, number of the axis) it is read
    from.
    twins: node of the first recording -> the same node of the second.
    """

    def __init__(self, axes: Axes, sources: dict[str, tuple[str, int]], twins: dict[Node, Node], opset: int) -> None:
        self.helper: Any = import_module("onnx.helper")
        self.checker: Any = import_module("onnx.checker")
        self.numpy_helper: Any = import_module("onnx.numpy_helper")
        self.axes = axes
        self.sources = sources
        self.twins = twins
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.names: dict[Node, str] = {}
        self.shared: dict[Any, Any] = {}  # operators with several outputs, which several nodes stand for
        self._constants: dict[tuple[Any, ...], str] = {}
        self._sizes: dict[str, str] = {}
        self._count = 0

    # values
    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """Append an operator with one output; returns the name of that output. An input "" is left out."""
        return self.add_many(op, inputs, 1, **attributes)[0]

    def add_many(self, op: str, inputs: Sequence[str], outputs: int, **attributes: Any) -> list[str]:
        """Append an operator; returns the names of its outputs."""
        self._count += 1
        names = [f"{op}_{self._count}" if i == 0 else f"{op}_{self._count}_{i}" for i in range(outputs)]
        self.nodes.append(self.helper.make_node(op, list(inputs), names, name=names[0], **attributes))
        return names

    def constant(self, value: Any, dtype: Any = None, name: str = "") -> str:
        """The name of an array of the file; equal unnamed ones are kept once."""
        array = np.array(value, dtype=dtype, order="C")
        key = (array.dtype.str, array.shape, array.tobytes())
        if not name:
            name = self._constants.setdefault(key, f"constant_{len(self._constants)}")
        if name not in self.initializers:
            self.initializers[name] = self.numpy_helper.from_array(array, name)
        return name

    def integers(self, values: Sequence[int]) -> str:
        """A constant vector of int64."""
        return self.constant(list(values), np.int64)

    # sizes
    def size(self, size: int | Size) -> str:
        """The name of a vector of one int64 that holds a size."""
        if isinstance(size, int):
            return self.integers([size])
        total = ""
        for axis in size.names:
            total = self._axis(axis) if not total else self.add("Mul", total, self._axis(axis))
        if size.factor != 1:
            total = self.add("Mul", total, self.integers([size.factor]))
        return self.add("Add", total, self.integers([size.offset])) if size.offset else total

    def _axis(self, name: str) -> str:
        if name not in self._sizes:
            source, axis = self.sources[name]
            self._sizes[name] = self.add("Shape", source, start=axis, end=axis + 1)
        return self._sizes[name]

    def shape(self, sizes: Sizes) -> str:
        """The name of a vector of int64 that holds a shape."""
        if all(isinstance(n, int) for n in sizes):
            return self.integers(sizes)  # type: ignore[arg-type]
        return self.add("Concat", *(self.size(n) for n in sizes), axis=0)

    def solved(self, first: Sequence[int], second: Sequence[int], where: str) -> list[int | Size]:
        """Sizes from their values in the two recordings."""
        return [solve(a, b, self.axes, where) for a, b in zip(first, second, strict=True)]

    def shape_of(self, node: Node) -> list[int | Size]:
        """The shape of a node as sizes."""
        return self.solved(node.shape, self.twins[node].shape, f"the shape of {node.describe()}")

    def declared(self, node: Node) -> list[int | str | None]:
        """The shape of an output for its declaration: ints, names of axes, None for what is neither."""
        sizes: list[int | str | None] = []
        for a, b in zip(node.shape, self.twins[node].shape, strict=True):
            alike = [name for name, pair in self.axes.items() if pair == (a, b)]
            sizes.append(a if a == b else alike[0] if alike else None)
        return sizes

    # the values of nodes
    def value(self, node: Node, dtype: Any = None) -> str:
        """The name of what a node has become, cast to a dtype if it has another."""
        name = self.names.get(node)
        if name is None:
            name = self.names[node] = self._leaf(node, dtype)
            if isinstance(node.value, bool | int | float):
                del self.names[node]  # a Python number takes the dtype it is used with
                return name
        if dtype is not None and node.dtype != dtype:
            return self.add("Cast", name, to=self.element(dtype))
        return name

    def _leaf(self, node: Node, dtype: Any) -> str:
        if isinstance(node.value, bool | int | float):
            return self.constant(node.value, node.dtype if dtype is None else dtype)
        twin = self.twins[node]
        if node.shape == twin.shape:
            return self.constant(node.value)
        flat = np.asarray(node.value).reshape(-1)
        if flat.size and (flat != flat[0]).any():
            self.shape_of(node)  # names the axes if it cannot be solved
            raise ValueError(
                f"export: a constant of shape {list(node.shape)} that is not the same everywhere changes in size."
            )
        scalar = self.constant(flat[:1].reshape(()), node.dtype)
        return self.add("Expand", scalar, self.shape(self.shape_of(node)))

    def element(self, dtype: Any) -> int:
        """ONNX's number for a dtype."""
        return self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
