"""Which leaves are parameters, and which are inputs.

A graph does not say it: `tg.tensor(..., requires_grad=True)` may be a weight to be trained or an input that somebody
wants the gradient of. What has a name is a parameter (modules name theirs), and so is what wants a gradient, unless
data come in where it is read:

- it is an argument of the module that is drawn;
- a loop starts from it: in other steps, the step before stands in its place;
- a loop reads along it: in other steps, the next entry, or another leaf, stands in its place;
- a module's weight multiplies it from the right.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

PRODUCTS = {"matmul", "dot", "einsum", "tensordot", "linear"}


def parameters(graph: Any, known: Mapping[Any, bool]) -> list[bool]:
    """Per node, whether it is a parameter.

    graph: a `Recording` with its steps. known: of some leaves, whether they are parameters.
    """
    named = [graph.is_leaf(i) and node.name is not None for i, node in enumerate(graph.nodes)]
    found = list(named)
    for i, node in enumerate(graph.nodes):
        found[i] |= known.get(node, False)
    unsure = [i for i, node in enumerate(graph.nodes) if graph.is_leaf(i) and node.needs_grad and not found[i]]
    if not unsure:
        return found
    loop = _Loop(graph)
    for i in unsure:
        reads = list(_reads(graph, i))
        comes_in = loop.starts_from(reads) or loop.reads_along(i, reads) or _multiplied(graph, reads, named)
        found[i] = known.get(graph.nodes[i], True) and not comes_in
    return found


def _reads(graph: Any, i: int) -> Iterator[tuple[int, int]]:
    """(reader, place among its arguments) for all that reads a node, through slices, transposes and reshapes."""
    waiting = [i]
    while waiting:
        k = waiting.pop()
        for c in dict.fromkeys(graph.children[k]):
            if graph.looks_on(c):
                waiting.append(c)
            else:
                yield from ((c, place) for place, p in enumerate(graph.parents[c]) if p == k)


def _multiplied(graph: Any, reads: list[tuple[int, int]], named: list[bool]) -> bool:
    """Whether all reads are products with a module's weight at the right."""
    for c, place in reads:
        if graph.nodes[c].op not in PRODUCTS or place != 0 or len(graph.parents[c]) < 2:
            return False
        other = graph.parents[c][1]
        while graph.looks_on(other):
            other = graph.parents[other][0]
        if not named[other]:
            return False
    return bool(reads)


class _Loop:
    """What stands in the places of arguments, step by step: places of ops that have their like in other steps."""

    def __init__(self, graph: Any) -> None:
        self.graph = graph
        self.sign: list[Any] = [None] * len(graph.nodes)
        used: dict[Any, int] = {}
        self.carried: set[Any] = set()
        self.leaves: dict[Any, dict[int, tuple[int, int | None]]] = {}
        for i, node in enumerate(graph.nodes):
            t = graph.step[i]
            if node.primitive is None or t is None:
                continue
            place = (graph.path[i], node.scope.backward, node.primitive.name)
            used[place, t] = used.get((place, t), -1) + 1
            self.sign[i] = (place, used[place, t])
            for k, p in enumerate(graph.parents[i]):
                source, entry = self._source(p)
                if graph.is_leaf(source):
                    self.leaves.setdefault((self.sign[i], k), {})[t] = source, entry
                elif graph.step[source] not in (None, t):
                    self.carried.add((self.sign[i], k))

    def _source(self, i: int) -> tuple[int, int | None]:
        """What a node looks at, and which entry of it, if it is one."""
        entry = None
        while self.graph.looks_on(i):
            index = self.graph.nodes[i].params.get("index")
            numbers = [n for n in (index if isinstance(index, tuple) else (index,)) if isinstance(n, int)]
            entry = numbers[0] if numbers and entry is None else entry
            i = self.graph.parents[i][0]
        return i, entry

    def starts_from(self, reads: list[tuple[int, int]]) -> bool:
        """Whether what is read so is the state that a recurrence starts from."""
        return bool(reads) and all((self.sign[c], place) in self.carried for c, place in reads)

    def reads_along(self, i: int, reads: list[tuple[int, int]]) -> bool:
        """Whether every step reads the next entry of a leaf, forwards or backwards, or a leaf of its own."""
        return bool(reads) and all(self._is_along(i, (self.sign[c], place)) for c, place in reads)

    def _is_along(self, i: int, place: Any) -> bool:
        found = self.leaves.get(place, {})
        if len(found) < 2:
            return False
        sources = {source for source, _ in found.values()}
        if len(sources) > 1:
            return len(sources) == len(found)
        entries = [entry for _, (_, entry) in sorted(found.items())]
        ways = {None if a is None or b is None else b - a for a, b in pairwise(entries)}
        return ways in ({1}, {-1})
