"""`Parameter`: a Tensor that a module counts among its own. Also `Buffer`, which is saved and moved but not trained.

Imports the engine only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import DTypeError
from ...graph import Node, leaf
from ...tensor import Tensor, as_array


class Parameter(Tensor):
    """A tensor to be trained: `Parameter(data, requires_grad=True)`; as an attribute of a module it is found by
    `parameters()`.

    data: a Tensor or array-like of floats; memory is shared with a Tensor or array. Nothing given makes an empty one.
    requires_grad: whether `backward()` leaves a gradient in `.grad`.
    Its node always exists and carries the name under which a module first registered it.
    Raises DTypeError if integers shall require gradients.
    """

    __slots__ = ("label",)
    label: str | None
    # never None here, unlike in other tensors
    node: Node

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        self.array = as_array(np.zeros(0, np.float32) if data is None else data)
        self.label = None
        self.node = leaf(self.array)
        if requires_grad:
            self.requires_grad = True

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to this parameter; setting it False freezes the parameter."""
        return self.node.needs_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if value and self.array.dtype.kind != "f":
            raise DTypeError(
                f"Only Tensors of floating point dtype can require gradients, got {self.array.dtype}. Pass "
                f"requires_grad=False."
            )
        if value != self.node.needs_grad:
            grad = self.node.grad
            self.node = leaf(self.array, needs_grad=value)  # pyright: ignore[reportIncompatibleVariableOverride]
            self.node.grad = grad
            self.node.name = self.label

    def named(self, label: str) -> None:
        """Take a name, unless it has one: tied weights keep the name they got first."""
        if self.label is None:
            self.label = self.node.name = label

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        made = type(self)(self.array.copy(), self.requires_grad)
        memo[id(self)] = made
        if self.label is not None:
            made.named(self.label)
        if self.grad is not None:
            made.grad = Tensor(self.grad.array.copy())
        return made

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class Buffer(Tensor):
    """A tensor that belongs to a module without being trained: assigning it registers a buffer.

    data: a Tensor or array-like; memory is shared. persistent: whether it is part of the `state_dict`.
    """

    __slots__ = ("persistent",)
    persistent: bool

    def __init__(self, data: Any, *, persistent: bool = True) -> None:
        super().__init__(data)
        self.persistent = persistent
