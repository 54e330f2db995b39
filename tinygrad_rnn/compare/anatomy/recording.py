"""One evaluation of a loss as data: its graph, the value of every node, and where parameters enter it.

Floor 7. The comparer and the doctor read the same recording. Arrays are evaluated again in float64, so what they find
is not blurred by the rounding of a float32 model.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ...errors import DTypeError, GraphError, ShapeError, explain
from ...graph import Node, ancestors
from ...state import enable_grad, record_sources
from ...tensor import Tensor

__all__ = ["Gradients", "LossFunction", "Parameters", "Recording", "Use", "as_gradients", "record", "tolerance"]

LossFunction = Callable[[dict[str, Tensor]], Tensor]
Parameters = Mapping[str, Any]
Gradients = Mapping[str, Any] | Callable[..., Any]
Use = tuple[Node, int]
"""A place where a parameter, or a view of it, meets data: (node, position of the argument)."""

# What may stand between a parameter and its uses without being a use: it moves or adds entries, and mixes in no data.
_VIEWS = {
    "reshape", "transpose", "broadcast_to", "getitem", "concatenate", "stack", "astype", "copy", "flip", "roll", "add",
}  # fmt: skip


class Recording:
    """What `loss_fn` did, once.

    loss: the node of the loss. leaves: the parameters' nodes, by name. order: all nodes through which a gradient flows,
    parents first. gradients: what autograd says, by name; arrays of the parameters' shapes and dtypes. views:
    parameters and what is made of parameters alone by moving entries about (a transpose, a slice, a sum of two biases).
    owners: view -> the parameters in it. uses: where views meet data.
    """

    def __init__(self, loss: Tensor, leaves: dict[str, Node]) -> None:
        assert loss.node is not None, "a loss that records nothing was let through"
        self.loss = loss.node
        self.leaves = leaves
        self.order = ancestors([self.loss], only_grad=True)
        named = set(leaves.values())
        self.views: set[Node] = set()
        for node in self.order:
            if node in named or (node.op in _VIEWS and self._is_view(node)):
                self.views.add(node)
        self.owners: dict[Node, frozenset[Node]] = {}
        for node in self.order:
            if node in self.views:
                self.owners[node] = frozenset([node]) if node in named else _union(self.owners, node)
        self.uses: list[Use] = [
            (node, i)
            for node in self.order
            if node not in self.views
            for i, parent in enumerate(node.parents)
            if parent in self.views
        ]
        loss.backward(retain_graph=True)
        self.gradients = {
            name: np.zeros(node.shape, node.dtype) if node.grad is None else node.grad.array
            for name, node in leaves.items()
        }

    def _is_view(self, node: Node) -> bool:
        """Whether a node is made of views, and perhaps of constants that stretch none of them."""
        own = [parent for parent in node.parents if parent in self.views]
        rest = [parent for parent in node.parents if parent not in self.views]
        still = all(parent.primitive is None and not parent.needs_grad for parent in rest)
        return bool(own) and still and (not rest or all(parent.shape == node.shape for parent in own))

    @functools.cached_property
    def values(self) -> dict[Node, Any]:
        """Every node's value, floats as float64; the leaves are those of the recorded call."""
        values: dict[Node, Any] = {}
        for node in ancestors([self.loss]):
            if node.primitive is None:
                value = node.value
                is_float = isinstance(value, np.ndarray) and value.dtype.kind == "f"
                values[node] = value.astype(np.float64) if is_float else value
            elif node.primitive.kind == "random":
                raise GraphError(
                    f"compare: {node.describe()} draws at random, so every call is another loss. Draw outside of "
                    f"loss_fn, or switch dropout off with eval()."
                )
            else:
                values[node] = np.asarray(node.primitive.forward(*(values[p] for p in node.parents), **_wide(node)))
        return values


def _union(owners: dict[Node, frozenset[Node]], node: Node) -> frozenset[Node]:
    return frozenset().union(*(owners.get(parent, frozenset()) for parent in node.parents))


def _wide(node: Node) -> dict[str, Any]:
    """The params of a recipe, with casts to a float made to float64."""
    if node.op == "astype" and np.dtype(node.params["dtype"]).kind == "f":
        return {"dtype": np.float64}
    return node.params


def tolerance(arrays: Iterable[np.ndarray], rtol: float | None) -> float:
    """`rtol` if it is given, otherwise eps**0.6 of the coarsest float dtype: 4e-10 for float64, 7e-5 for float32."""
    if rtol is not None:
        return rtol
    return max((float(np.finfo(a.dtype).eps) for a in arrays if a.dtype.kind == "f"), default=2.2e-16) ** 0.6


def record(loss_fn: LossFunction, params: Parameters, where: str = "compare") -> Recording:
    """Call `loss_fn` once on Tensors made of copies of `params`, and sweep back once.

    loss_fn: dict of Tensors in, a Tensor with one entry out. params: names -> float arrays of any shapes.
    Raises DTypeError for a parameter that is no float array, GraphError if the loss is no Tensor that depends on a
    parameter, ShapeError if it has more than one entry.
    """
    tensors: dict[str, Tensor] = {}
    for name, value in params.items():
        array = np.array(value.detach().numpy() if isinstance(value, Tensor) else value)
        if array.dtype.kind != "f":
            raise DTypeError(explain(f"{where}: parameter {name!r}", expected="a float array", got=str(array.dtype)))
        tensors[name] = Tensor(array, requires_grad=True)
    leaves: dict[str, Node] = {}
    for name, tensor in tensors.items():
        assert tensor.node is not None
        tensor.node.name = name
        leaves[name] = tensor.node
    with record_sources(), enable_grad():
        loss = loss_fn(dict(tensors))
    if not isinstance(loss, Tensor) or loss.node is None or not loss.requires_grad:
        got = f"a {type(loss).__name__}" + (" without history" if isinstance(loss, Tensor) else "")
        raise GraphError(
            explain(
                f"{where}: loss_fn",
                expected="a Tensor that depends on the parameters it was given",
                got=got,
                do="Build the loss from the Tensors in its argument, without detach() or no_grad().",
            )
        )
    if loss.array.size != 1:
        raise ShapeError(
            explain(f"{where}: loss_fn", expected="a loss with one entry", got=f"shape {list(loss.shape)}")
        )
    return Recording(loss, leaves)


def as_gradients(manual: Gradients, params: Parameters, where: str = "compare") -> dict[str, np.ndarray]:
    """The handwritten side as arrays by name: a mapping, or a callable on `params` that returns one (or a loss and
    one).

    Raises KeyError for a name that is no parameter, DTypeError for entries that are no numbers. Shapes are not judged
    here.
    """
    given = manual({name: np.array(value) for name, value in params.items()}) if callable(manual) else manual
    if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], Mapping):
        given = given[1]
    if not isinstance(given, Mapping):
        raise TypeError(
            explain(f"{where}: manual", expected="a mapping of names to gradients", got=f"a {type(given).__name__}")
        )
    unknown = [name for name in given if name not in params]
    if unknown:
        raise KeyError(
            explain(
                f"{where}: manual",
                expected="names among " + ", ".join(params),
                got=", ".join(map(str, unknown)),
                do="Rename the gradients so that each has the name of its parameter.",
            )
        )
    found: dict[str, np.ndarray] = {}
    for name, value in given.items():
        array = np.array(value.detach().numpy() if isinstance(value, Tensor) else value)
        if array.dtype.kind not in "fiu":
            raise DTypeError(explain(f"{where}: manual {name!r}", expected="numbers", got=f"dtype {array.dtype}"))
        found[name] = array
    return found
