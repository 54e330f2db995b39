"""In-place writes: who may still trust a recorded array after somebody wrote into its memory.

Floor 3, on the graph. Arrays carry no version of their own, so each write is noted against the array that owns the
memory; a residual recorded before the last write to its owner is stale. Nothing is paid for this until somebody
writes, and little by nodes that were recorded after the last write, as all of a training step are: the optimiser wrote
before them.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .errors import GraphError
from .graph import Node, tick
from .protection import Held, follow, lift, owner
from .state import STATE, Source, call_site


class Writes(dict[int, tuple[Any, int, Source | None]]):
    """id of an array that owns memory -> (weak reference to it, when it was last written, where).

    newest: when the last of all writes ever noted here happened. It never falls: younger nodes are not looked at.
    """

    newest = -1


changes = Writes()
rewritten = Writes()
_noting = threading.RLock()  # reentrant, for the handler of a signal may write as well


def mutated(array: np.ndarray, *, by: Node | None = None, above: int = 0) -> None:
    """Note that the memory of `array` has just been written in place.

    by: the node of the op that wrote, if it was recorded; it then stands for the memory as it is after the write, and
    other Tensors on the same memory can no longer be used in a graph. above: see `call_site`.
    """
    if by is None:
        refuse_while_recording()
    base = owner(array)
    for table in (changes, rewritten) if by is not None else (changes,):
        _note(table, base, tick(), call_site(1 + above))
    if by is not None:
        by.index = tick()


def refuse_while_recording() -> None:
    """Raise GraphError if a compiler is recording: no replay would repeat the write that is about to be made."""
    if STATE.get().tracing:
        raise GraphError(
            f"an array is written in place at {call_site()} while compile is recording, which no replay would repeat. "
            f"Write through the tensor (t += x, t[k] = x), or do it outside of the compiled function."
        )


def _note(table: Writes, base: np.ndarray, when: int, source: Source | None) -> None:
    key = id(base)
    with _noting:
        table.newest = max(table.newest, when)
    known = table.get(key)
    if known is None:
        table[key] = (weakref.ref(base, lambda _: table.pop(key, None)), when, source)
    elif when >= 0:
        table[key] = (known[0], when, source)


class Notes:
    """What was noted of writes until now, so that a write that is taken back can leave no note."""

    def __init__(self) -> None:
        self._tables = [(table, dict(table)) for table in (changes, rewritten)]

    def restore(self, array: np.ndarray) -> None:
        """Note of the memory of `array` what was noted then."""
        base = owner(array)
        key = id(base)
        for table, before in self._tables:
            note = before.get(key)
            if note is not None and note[0]() is base:
                table[key] = note
            else:
                table.pop(key, None)


def overwrite(array: np.ndarray, values: Any, where: Any = ...) -> None:
    """`array[where] = values` in memory that residuals may refer to, noted."""
    refuse_while_recording()
    lift(array)
    array[where] = values
    mutated(array)


def protect(node: Node | None, arrays: Sequence[Any], out: np.ndarray) -> None:
    """Make the residuals of a node read-only for as long as it has them. arrays, out: what its op read and made."""
    if STATE.get().tracing:
        return  # a compiler records, and keeps its nodes for ever
    follow(out, arrays)
    if node is None or node.xs is None:
        return
    held = [a for a in (node.y, *node.xs) if isinstance(a, np.ndarray)]
    if held:
        node.xs = Held(node.xs, node.y)
    for array in held:  # as if written before everything: backward looks at residuals only while the table holds one
        _note(changes, owner(array), -1, None)


def shows_leaf(node: Node | None, array: np.ndarray) -> bool:
    """Whether `array` is memory of a leaf that requires grad, seen through views from `node` back to it."""
    while node is not None and node.primitive is not None and node.parents:
        if node.primitive.kind not in ("shape", "index") and node.op not in ("einsum", "stop_gradient"):
            return False
        node = node.parents[0]  # an op that may return a view shows its first argument
    if node is None or node.primitive is not None or not node.needs_grad:
        return False
    return owner(node.value) is owner(array)


def written_by(node: Node | None, array: np.ndarray) -> bool:
    """Whether the last recorded write to the memory of `array` was that of `node`."""
    change = rewritten.get(id(owner(array)))
    return node is not None and change is not None and change[1] == node.index - 1


def preserve(node: Node, array: np.ndarray, since: int) -> None:
    """Before `array` is written, copy the residuals in it of `node` and of what led to it after index `since`."""
    base = owner(array)
    change = changes.get(id(base))
    found = [node]
    seen = {node}
    for one in found:
        # a residual that is stale already must stay recognisable as such
        fresh = change is None or change[1] < one.index
        if fresh and one.primitive is not None and one.xs is not None:
            held, touched = one.xs, False
            if any(isinstance(x, np.ndarray) and owner(x) is base for x in one.xs):
                one.xs = [x.copy() if isinstance(x, np.ndarray) and owner(x) is base else x for x in one.xs]
                touched = True
            if one.y is not None and owner(one.y) is base:
                one.y = one.y.copy()
                touched = True
            if touched and isinstance(held, Held):
                one.xs = Held(one.xs, one.y, held.marks)
        for parent in one.parents:
            if parent.index > since and parent not in seen:
                seen.add(parent)
                found.append(parent)


def unspoilt(node: Node) -> tuple[Any, Sequence[Any], str]:
    """The residuals of `node` as (output, inputs, complaint).

    In place of one that was written after it was recorded stands its node, as for one that was never saved:
    a rule that reads it fails, and the complaint is the reason; to a rule that does not it is all one. "" if none was.
    """
    assert node.xs is not None
    complaint = ""
    y: Any = node if node.y is None else node.y
    xs: Sequence[Any] = node.xs
    held = xs if isinstance(xs, Held) else None
    for position, array in enumerate((y, *xs)):
        change = changes.get(id(owner(array))) if isinstance(array, np.ndarray) else None
        if change is not None and change[1] > node.index:
            by = f"an inplace operation at {change[2] or 'an unknown place'}"
        elif held is not None and held.altered(position, array):
            by = "something that NumPy shows nobody (a view taken before, a buffer, another library)"
        else:
            continue
        part = "the output" if position == 0 else f"argument {position - 1}"
        complaint = (
            f"backward through {node.describe()}: {part}, {array.dtype}{list(array.shape)}, has been modified "
            f"by {by} after it was recorded, and its old "
            f"value is needed for the gradient. Write out of place (x = x + 1), or change a clone()."
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
