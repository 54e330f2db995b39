"""The recorded graph: nodes, the scope they were made in, and the state that says whether to record.

Floor 2. A node is a *recipe* (primitive, parents, params), never a closure, so everybody can read it: the sweep
differentiates it, the compiler schedules it, `viz` draws it. Nodes hold no Tensor and Tensors hold one node, so no
cycle of references forms and a graph dies with the last Tensor that needs it, without the help of the garbage
collector.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from .errors import GraphError
from .primitive import Primitive
from .state import STATE, Source, State, call_site

__all__ = ["Node", "ancestors", "leaf", "mutated", "replay", "unspoilt"]

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


# In-place changes. Arrays carry no version of their own, so each change is noted against the array that owns the
# memory; a residual recorded before the last change of its owner is stale. Nothing is paid for this until somebody
# writes in place.
changes: dict[int, tuple[Any, int, Source | None]] = {}
rewritten: dict[int, tuple[Any, int, Source | None]] = {}


def owner(array: np.ndarray) -> np.ndarray:
    """The array whose memory a view shows."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def mutated(array: np.ndarray, *, by: Node | None = None) -> None:
    """Note that the memory of `array` has just been written in place.

    by: the node of the op that wrote, if it was recorded; it then stands for the memory as it is after the write, and
    other Tensors on the same memory can no longer be used in a graph.
    """
    if by is None and STATE.get().tracing:
        raise GraphError(
            f"an array is written in place at {call_site()} while compile is recording, which no replay would repeat. "
            f"Write through the tensor (t += x, t[k] = x), or do it outside of the compiled function."
        )
    base = owner(array)
    key = id(base)
    for table in (changes, rewritten) if by is not None else (changes,):
        known = table.get(key)
        reference = known[0] if known is not None else weakref.ref(base, lambda _, t=table, k=key: t.pop(k, None))
        table[key] = (reference, tick(), call_site())
    if by is not None:
        by.index = tick()


def written_by(node: Node | None, array: np.ndarray) -> bool:
    """Whether the last recorded write to the memory of `array` was that of `node`."""
    change = rewritten.get(id(owner(array)))
    return node is not None and change is not None and change[1] == node.index - 1


def preserve(node: Node, array: np.ndarray, since: int) -> None:
    """Before `array` is written in place: give `node` and what led to it after index `since` copies of residuals that
    lie in it."""
    base = owner(array)
    change = changes.get(id(base))
    found = [node]
    seen = {node}
    for one in found:
        fresh = (
            change is None or change[1] < one.index
        )  # a residual that is stale already must stay recognisable as such
        if fresh and one.primitive is not None and one.xs is not None:
            if any(isinstance(x, np.ndarray) and owner(x) is base for x in one.xs):
                one.xs = [x.copy() if isinstance(x, np.ndarray) and owner(x) is base else x for x in one.xs]
            if one.y is not None and owner(one.y) is base:
                one.y = one.y.copy()
        for parent in one.parents:
            if parent.index > since and parent not in seen:
                seen.add(parent)
                found.append(parent)


def unspoilt(node: Node) -> tuple[Any, Sequence[Any], str]:
    """The residuals of `node` as (output, inputs, complaint).

    In place of one that was written in place after it was recorded stands its node, as for one that was never saved: a
    rule that reads it fails, and the complaint is the reason; to a rule that does not it is all one. "" if none was.
    """
    assert node.xs is not None
    complaint = ""
    y: Any = node if node.y is None else node.y
    xs: Sequence[Any] = node.xs
    for position, array in enumerate((y, *xs)):
        change = changes.get(id(owner(array))) if isinstance(array, np.ndarray) else None
        if change is not None and change[1] > node.index:
            part = "the output" if position == 0 else f"argument {position - 1}"
            complaint = (
                f"backward through {node.describe()}: {part}, {array.dtype}{list(array.shape)}, has been modified "
                f"by an inplace operation at {change[2] or 'an unknown place'} after it was recorded, and its old value is "
                f"needed for the gradient. Write out of place (x = x + 1), or change a clone()."
            )
            if node.source is None:
                complaint += " Under detect_anomaly() this message also names the line that recorded it."
            if position == 0:
                y = node
            else:
                xs = [*xs[: position - 1], node.parents[position - 1], *xs[position:]]
    return y, xs, complaint


def in_rewritten(array: np.ndarray) -> bool:
    """Whether a recorded in-place write has reached the memory of `array`."""
    return id(owner(array)) in rewritten


def check_current(tensors: Iterable[Any]) -> None:
    """Raise GraphError for a Tensor whose memory a recorded in-place write reached through another Tensor.

    Its values are new and its history is old: to go on would lose the gradient that flows through the write. Whatever
    was detached, or read under no_grad, after the write has a leaf of its own that is newer.
    """
    for tensor in tensors:
        array, node = getattr(tensor, "array", None), getattr(tensor, "node", None)
        change = rewritten.get(id(owner(array))) if array is not None else None
        if array is None or change is None or (node is not None and node.index > change[1]):
            continue
        if node is not None and node.primitive is None and node.needs_grad:
            continue  # a leaf has no history to be wrong about: its gradient is that of the value it has now
        what = "a tensor" if node is None else node.describe()
        raise GraphError(
            f"{what}, {array.dtype}{list(array.shape)}: its memory was rewritten through another tensor by an inplace "
            f"operation at {change[2]}, and its recorded history does not know of it. Use the tensor that was written, "
            f"or write out of place; detach() this one if no gradient shall flow."
        )
