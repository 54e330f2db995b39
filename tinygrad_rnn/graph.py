"""The recorded graph: nodes, the scope they were made in, and the state that says whether to record.

Floor 2. A node is a *recipe* (primitive, parents, params), never a closure, so everybody can read it: the sweep
differentiates it, the compiler schedules it, `viz` draws it. Nodes hold no Tensor and Tensors hold one node, so no
cycle of references forms and a graph dies with the last Tensor that needs it, without the help of the garbage
collector.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .errors import GraphError
from .primitive import Primitive
from .state import STATE, Source, State, call_site

__all__ = ["Node", "ancestors", "leaf", "replay", "tick"]

# A sweep frees all residuals at once, and glibc hands the free top of its heap back to the system, so that the next
# training step faults every page in anew: a tenth of its time. Having seen a block of almost 32 MB freed, glibc keeps
# twice as much.
np.empty((32 << 20) - (1 << 16), np.uint8)

_clock = itertools.count()
tick = _clock.__next__
by_index = attrgetter("index")


class Node:
    """One recorded op, or a leaf.

    primitive: what was applied; None for a leaf (a parameter, an input, a constant).
    parents: the nodes of its array arguments, constants included. params: the other arguments, by name.
    shape, dtype: of its output. scope: module path and time step in which it was recorded.
    index: when it was recorded; parents always have smaller ones, so sorting by it is a topological order.
    needs_grad: whether a cotangent is wanted. keeps_grad: whether the sweep stores it in `grad` (leaves,
    `retain_grad`).
    value: the array of a leaf. y, xs: the residuals, output and inputs. In place of an output that no rule reads there
    is None, and of such an input its node, which knows shape and dtype and nothing else, so a rule that forgot to
    declare one fails. A sweep that is not told to retain the graph sets `xs` to None.
    name: the local name of a parameter. source: the user's line, if sources are being recorded.
    """

    __slots__ = (
        "__weakref__", "dtype", "grad", "hooks", "index", "keeps_grad", "name", "needs_grad", "params", "parents",
        "primitive", "scope", "shape", "source", "value", "xs", "y",
    )  # fmt: skip

    def __init__(
        self,
        primitive: Primitive | None,
        parents: tuple[Node, ...],
        params: dict[str, Any],
        arrays: Sequence[Any],
        out: np.ndarray,
        state: State,
        needs_grad: bool,
    ) -> None:
        self.primitive = primitive
        self.parents = parents
        self.params = params
        self.shape = out.shape
        self.dtype = out.dtype
        self.scope = state.scope
        self.index = tick()
        self.needs_grad = needs_grad
        self.keeps_grad = False
        self.grad: Any = None
        self.hooks: dict[int, Any] | None = None
        self.name: str | None = None
        self.value: Any = None
        self.source: Source | None = call_site() if state.sources else None
        # the residuals: what the rules declare that they read, and nothing else
        self.y: np.ndarray | None = None
        self.xs: Sequence[Any] | None = parents
        if needs_grad and primitive is not None:
            if primitive.saves_output:
                self.y = out
            kept = primitive.saves_inputs
            if kept is None:
                self.xs = arrays
            elif kept:
                self.xs = [x if i in kept else parents[i] for i, x in enumerate(arrays)]

    # A stand-in for a value that was not saved must not pass for one, not even as an object array.
    __array_ufunc__ = None

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise GraphError(f"{self!r} knows shape and dtype only: a rule reads a residual that `saves` does not declare.")

    @property
    def op(self) -> str:
        """The name of the primitive, or "leaf"."""
        return "leaf" if self.primitive is None else self.primitive.name

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return f"<node {self.index}: {self.describe()} {self.dtype}{list(self.shape)}>"

    def describe(self) -> str:
        """Where and what this is, for error messages: "matmul in rnn.cell at t=3 (train.py:12)"."""
        name, source = f" {self.name}" if self.name else "", f" ({self.source})" if self.source else ""
        return f"{self.op}{name}{self.scope.where()}{source}"


def leaf(array: np.ndarray, needs_grad: bool = False) -> Node:
    """A node without a recipe: it holds the array itself."""
    node = Node(None, (), {}, (), array, STATE.get(), needs_grad)
    node.value = array
    node.keeps_grad = needs_grad
    return node


def ancestors(nodes: Iterable[Node], *, only_grad: bool = False) -> list[Node]:
    """All nodes that `nodes` were made from, themselves included, in recording order (parents first).

    only_grad: leave out those that need no gradient. Iterative: depth is bounded by memory alone.
    """
    found = [node for node in dict.fromkeys(nodes) if node.needs_grad or not only_grad]
    seen = set(found)
    for node in found:  # grows while we walk it
        for parent in node.parents:
            if parent not in seen and (parent.needs_grad or not only_grad):
                seen.add(parent)
                found.append(parent)
    found.sort(key=by_index)
    return found


def replay(nodes: Iterable[Node]) -> dict[Node, np.ndarray]:
    """Re-evaluate every recipe that leads to `nodes` and return the array of each node.

    Random primitives draw anew. Leaves give the arrays they hold now.
    """
    arrays: dict[Node, np.ndarray] = {}
    for node in ancestors(nodes):
        if node.primitive is None:
            arrays[node] = node.value
        else:
            arrays[node] = np.asarray(node.primitive.forward(*(arrays[p] for p in node.parents), **node.params))
    return arrays
