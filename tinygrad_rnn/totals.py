"""The sums of a sweep: what has arrived so far at each node that it has not reached yet.

Floor 2, on the graph. Three ways lead in. A cotangent is added. The cotangent of a part is added into a buffer in
place, so that T reads of one array cost one buffer and not T. And one that is a product of two thin matrices is
collected by its factors: an unrolled network multiplies by the same weight at each of T steps, and instead of T small
products, each added to a matrix that has left the cache meanwhile, there is one product of many rows now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .graph import Node
from .ops.index import place
from .primitive import Primitive

ROWS = 256
"""Factors are multiplied when they have this many rows: enough for a product to run at full speed, and few enough for
them to stay in the cache, and to weigh nothing beside a graph of any length."""


def _collected(*_: Any, **__: Any) -> None:
    """In place of a rule whose cotangent is accounted for."""


class _Factors:
    """Room for the rows of `left` and `right`, whose product left.T @ right is part of a total; `filled` rows are."""

    __slots__ = ("filled", "left", "right")

    def __init__(self, left: np.ndarray, right: np.ndarray) -> None:
        self.left = np.empty((ROWS, left.shape[1]), left.dtype)
        self.right = np.empty((ROWS, right.shape[1]), right.dtype)
        self.filled = 0


class Totals(dict[Node, Any]):
    """The sum of what has arrived so far at each node that the sweep has not reached yet."""

    def __init__(self, recorded: bool) -> None:
        self.recorded = recorded
        self.own: set[Node] = set()  # nodes whose total is an array that only we hold: it may be added to in place
        self.parts: dict[Node, tuple[list[Any], list[Any]]] = {}  # cotangents of slices, while recording
        self.filled: dict[Node, Any] = {}  # of buffers that began as zeros: what may be none now, see `Primitive.fill`
        self.waiting: dict[Node, _Factors] = {}  # what their totals still lack

    def add(self, node: Node, g: Any, shared: bool = True) -> None:
        """Add a cotangent; shared: whether something else may hold the same array."""
        total = self.get(node)
        if total is None:
            self[node] = g
            if (
                node.primitive is None
                and not shared
                and not self.recorded
                and g.__class__ is np.ndarray
                and g.base is None
            ):
                self.own.add(node)
        elif node in self.own:
            total += g
            self.filled.pop(node, None)
        else:
            total = self[node] = total + g
            if total.__class__ is np.ndarray:  # not a Tensor, and not the scalar that NumPy makes of a 0-d sum
                self.own.add(node)

    def buffer(self, node: Node) -> np.ndarray:
        """The total of a node as an array that may be added to in place."""
        self.filled.pop(node, None)
        if node not in self.own:
            total = self.get(node)
            self[node] = np.zeros(node.shape, node.dtype) if total is None else np.array(total)
            self.own.add(node)
        return self[node]

    def add_read(self, node: Node, g: Any, primitive: Primitive, params: dict[str, Any]) -> None:
        """Add the cotangent of an op that read a part of a node and nothing else."""
        assert primitive.scatter is not None
        if primitive.fill is None:
            primitive.scatter(self.buffer(node), g, **params)
            return
        filled = self.filled.get(node) if node in self else ()
        filled = primitive.fill(self.buffer(node), g, filled, **params)
        if filled is not None:
            self.filled[node] = filled

    def add_part(self, node: Node, g: Any, index: Any) -> None:
        """Add the cotangent of a slice, while recording: all slices of a node become one `place`."""
        parts, indices = self.parts.setdefault(node, ([], []))
        parts.append(g)
        indices.append(index)

    def placed(self, node: Node, total: Any) -> Any:
        """The total of a node with the cotangents of its slices in it."""
        if node not in self.parts:
            return total
        parts, indices = self.parts.pop(node)
        slices = place(*parts, indices=tuple(indices), shape=node.shape)
        return slices if total is None else total + slices

    def without_collected(self, node: Node, g: Any, y: Any, xs: Sequence[Any]) -> Sequence[Any]:
        """The rules of a node whose primitive has factors, but for the one whose cotangent could be collected.

        The first cotangent of a parent never is, so a weight that is used once is multiplied as ever.
        """
        primitive = node.primitive
        assert primitive is not None
        assert primitive.factors is not None
        i, factors = primitive.factors
        rules = primitive.vjps
        if node.parents[i] not in self:
            return rules
        pair = factors(g, y, *xs, **node.params)
        if pair is None or not self._collect(node.parents[i], *pair):
            return rules
        return (*rules[:i], _collected, *rules[i + 1 :])

    def _collect(self, node: Node, left: np.ndarray, right: np.ndarray) -> bool:
        """Copy factors of a cotangent, for whoever owns them may write there before they are multiplied; False for
        those that are better multiplied at once."""
        rows = len(left)
        if 2 * rows > ROWS or not left.dtype == right.dtype == node.dtype:
            return False
        room = self.waiting.get(node)
        if room is None:
            room = self.waiting[node] = _Factors(left, right)
        if room.filled + rows > ROWS:
            self._multiply(node, room)
        start, room.filled = room.filled, room.filled + rows
        room.left[start : room.filled] = left
        room.right[start : room.filled] = right
        return True

    def _multiply(self, node: Node, room: _Factors) -> None:
        self.add(node, np.dot(room.left[: room.filled].T, room.right[: room.filled]), shared=False)
        room.filled = 0

    def settled(self, node: Node, total: Any) -> Any:
        """The total of a node, which was just taken out, with what was collected for it."""
        self[node] = total
        self._multiply(node, self.waiting.pop(node))
        return self.pop(node)
