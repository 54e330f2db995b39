"""A reverse sweep that makes mistakes on purpose: K of them at once, each on a row of its own.

A hypothesis is a set of edits to the sweep: what an edge hands back, what becomes of a node's cotangent, how the
contributions from outside are spread over the steps. All edits are linear in the cotangents, as the sweep itself is.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...graph import Node
from ..anatomy.pull import pull
from ..anatomy.recording import Recording, Use
from ..anatomy.structure import Structure

__all__ = ["Edit", "Hypothesis", "Patch", "Sweep"]

Edit = Callable[[np.ndarray], np.ndarray]
"""k cotangents of a node in, (k, *shape); k cotangents out: of the argument for an edge, of the same node for a node.
"""


class Patch:
    """An edit of one block of what an edge hands back: the others stay as they are.

    edit: gives the whole. axis, start, stop: the block, by the axes of the argument.
    """

    __slots__ = ("block", "edit", "index")

    def __init__(self, edit: Edit, axis: int, start: int, stop: int) -> None:
        self.edit = edit
        self.block = axis, start, stop
        self.index = (slice(None),) * (axis + 1) + (slice(start, stop),)

    def __call__(self, g: np.ndarray, part: np.ndarray) -> np.ndarray:
        part[self.index] = self.edit(g)[self.index]
        return part


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One mistake in how cotangents flow.

    kind: its name, one of a fixed list. where: parameter, node, time step, in words. says: what the code does. wrong,
    right: the equation as it is and as it should be. edges, nodes: edits by place. mixing: state -> matrix M; what
    enters the state at step t from outside is then the sum over s of M[t, s] times what entered at step s. window:
    cotangents live for k steps only, every k at once. rank: smaller is the likelier name where two give the same
    numbers. common: worth trying in threes. alone: worth trying by itself only. jumps: state -> the one before it,
    which gets the same cotangent once more, whole (True) or as far as it came from the next step (False). unswept: how
    many steps at the beginning (or, negative, at the end) add nothing.
    """

    kind: str
    where: str
    says: str
    wrong: str
    right: str
    edges: Mapping[Use, Edit | Patch] = field(default_factory=dict)
    nodes: Mapping[Node, Edit] = field(default_factory=dict)
    mixing: dict[int, np.ndarray] = field(default_factory=dict)
    window: bool = False
    rank: int = 5
    common: bool = False
    alone: bool = False
    unswept: int = 0
    jumps: Mapping[Node, tuple[Node, bool]] = field(default_factory=dict)

    def collides(self, other: Hypothesis) -> bool:
        """Whether both edit one and the same place."""
        return bool(
            any(_same_block(self.edges[e], other.edges[e]) for e in self.edges.keys() & other.edges.keys())
            or self.nodes.keys() & other.nodes.keys()
            or self.mixing.keys() & other.mixing.keys()
            or self.jumps.keys() & other.jumps.keys()
            or (self.window and other.window)
        )


def _same_block(a: Edit | Patch, b: Edit | Patch) -> bool:
    return not (isinstance(a, Patch) and isinstance(b, Patch) and a.block != b.block)


class Sweep:
    """The recorded graph, ready to be swept many times.

    order: nodes, readers first; everything outside of a loop comes before its spine, so that contributions can change
    their step.
    """

    def __init__(self, recording: Recording, structure: Structure) -> None:
        self.recording = recording
        self.structure = structure
        values = recording.values
        self.order = _readers_first(structure)
        self.residuals = {node: (values[node], [values[p] for p in node.parents]) for node in self.order}
        self.kept = {node for node, _ in recording.uses}
        views = recording.views
        self.wanted = {
            node: [(i, p) for i, p in enumerate(node.parents) if p.needs_grad and p not in views] for node in self.order
        }
        self.states = [(loop, state) for loop in structure.loops for state in loop.states]
        self.entries: dict[Use, tuple[int, int]] = {}
        self.carries: set[Use] = set()
        self.flush: dict[Node, list[int]] = {}
        for s, (loop, state) in enumerate(self.states):
            steps = {node: n for n, node in state.nodes.items()}
            self.carries.update(state.carries)
            for edge in state.entries:
                self.entries[edge] = s, steps[edge[0].parents[edge[1]]]
            first = next(node for node in self.order if node in loop.spine)
            self.flush.setdefault(first, []).append(s)

    def run(self, candidates: Sequence[Sequence[Hypothesis]]) -> dict[Node, np.ndarray]:
        """Sweep once for all candidates, each a set of hypotheses without collisions.

        Returns, for every node at which a parameter meets data, its cotangents: (K, *shape), K = len(candidates). If
        the candidates hold a window, all must; then K = len(candidates) * T, and rows count its length 1, 2, ..., T
        within each candidate.
        """
        ages = self._ages(candidates)
        K = len(candidates) * ages
        edges, nodes, mixing, jumps = _by_place(candidates, ages)
        loss = self.recording.loss
        seed = np.zeros((len(candidates), ages, *loss.shape))
        seed[:, 0] = 1.0
        totals = _Totals({loss: seed.reshape(K, *loss.shape)})
        kept: dict[Node, np.ndarray] = {}
        entered: dict[tuple[int, int], np.ndarray] = {}
        carried: dict[Node, np.ndarray] = {}
        for node in self.order:
            for s in self.flush.get(node, ()):
                for target, part in self._spread(s, entered, mixing.get(s, ()), K):
                    totals.add(target, part)
            g = totals.pop(node, None)
            if g is None:
                continue
            for edit, rows in nodes.get(node, ()):
                g = g.copy()
                g[rows] = edit(g[rows])
            if node in self.kept:
                kept[node] = g
            for (target, whole), rows in jumps.get(node, ()):
                source = g if whole else carried.get(node)
                if source is not None:
                    part = np.zeros_like(source)
                    part[rows] = source[rows]
                    part = _older(part, ages) if ages > 1 else part
                    totals.add(target, part)
                    carried[target] = carried[target] + part if target in carried else part
            for i, parent in self.wanted[node]:
                part = self._part((node, i), g, edges.get((node, i), ()), ages)
                if jumps and (node, i) in self.carries:
                    carried[parent] = carried[parent] + part if parent in carried else part
                place = self.entries.get((node, i))
                if place is None:
                    totals.add(parent, part)
                else:
                    entered[place] = entered[place] + part if place in entered else part
        return {node: _up_to_age(g, ages) for node, g in kept.items()} if ages > 1 else kept

    def _part(
        self, edge: Use, g: np.ndarray, edits: Sequence[tuple[Edit | Patch, np.ndarray]], ages: int
    ) -> np.ndarray:
        """What an edge hands back, rightly or as the edits have it."""
        part = pull(*edge, g, *self.residuals[edge[0]])
        if edits:
            part = np.array(part)
            for edit, rows in edits:
                part[rows] = edit(g[rows], part[rows]) if isinstance(edit, Patch) else edit(g[rows])
        return _older(part, ages) if ages > 1 and edge in self.carries else part

    def _ages(self, candidates: Sequence[Sequence[Hypothesis]]) -> int:
        windows = [any(h.window for h in candidate) for candidate in candidates]
        assert all(windows) or not any(windows), "candidates with and without a window must not be mixed"
        return max(len(loop) for loop in self.structure.loops) if windows and windows[0] else 1

    def _spread(
        self,
        s: int,
        entered: dict[tuple[int, int], np.ndarray],
        mixings: Sequence[tuple[np.ndarray, np.ndarray]],
        K: int,
    ) -> list[tuple[Node, np.ndarray]]:
        """What enters the state at each of its steps from outside, after the edits."""
        nodes = self.states[s][1].nodes
        parts = {n: entered[s, n] for n in nodes if (s, n) in entered}
        if not mixings:
            return [(nodes[n], part) for n, part in parts.items()]
        given = dict(parts)
        for n, node in nodes.items():
            part = np.array(given[n]) if n in given else np.zeros((K, *node.shape))
            for matrix, rows in mixings:
                part[rows] = 0.0
                for m, source in given.items():
                    if matrix[n, m] and source.shape == part.shape:
                        part[rows] += matrix[n, m] * source[rows]
            parts[n] = part
        return [(nodes[n], part) for n, part in parts.items()]


class _Totals(dict[Node, np.ndarray]):
    """The sums of what has arrived so far; those that only we hold are added to in place."""

    def __init__(self, seeds: dict[Node, np.ndarray]) -> None:
        super().__init__(seeds)
        self.own: set[Node] = set()

    def add(self, node: Node, part: np.ndarray) -> None:
        """Add a cotangent; the first is taken as it is and not written to."""
        total = self.get(node)
        if total is None:
            self[node] = part
        elif node in self.own:
            np.add(total, part, out=total)
        else:
            self[node] = total + part
            self.own.add(node)


_Edits = dict[Any, list[tuple[Any, np.ndarray]]]


def _by_place(candidates: Sequence[Sequence[Hypothesis]], ages: int) -> tuple[_Edits, _Edits, _Edits, _Edits]:
    """Edits with the rows they act upon, by edge, node, state and node jumped from; each acts once for all its rows."""
    rows: dict[int, tuple[Hypothesis, list[int]]] = {}
    for k, candidate in enumerate(candidates):
        for hypothesis in candidate:
            rows.setdefault(id(hypothesis), (hypothesis, []))[1].extend(range(k * ages, (k + 1) * ages))
    edges, nodes, mixing, jumps = _Edits(), _Edits(), _Edits(), _Edits()
    for hypothesis, numbers in rows.values():
        where = np.array(numbers)
        tables = (
            (edges, hypothesis.edges),
            (nodes, hypothesis.nodes),
            (mixing, hypothesis.mixing),
            (jumps, hypothesis.jumps),
        )
        for table, edits in tables:
            for place, edit in edits.items():
                table.setdefault(place, []).append((edit, where))
    return edges, nodes, mixing, jumps


def _older(part: np.ndarray, ages: int) -> np.ndarray:
    """Cotangents that went one step back: each row hands on to the next, and the oldest end."""
    part = part.reshape(-1, ages, *part.shape[1:])
    moved = np.zeros_like(part)
    moved[:, 1:] = part[:, :-1]
    return moved.reshape(-1, *part.shape[2:])


def _up_to_age(g: np.ndarray, ages: int) -> np.ndarray:
    return np.cumsum(g.reshape(-1, ages, *g.shape[1:]), axis=1).reshape(g.shape)


def _readers_first(structure: Structure) -> list[Node]:
    """Reverse topological order; spines come as late as they may, those of later loops before those of earlier ones."""
    urgency = dict.fromkeys(structure.nodes, 0)
    for k, loop in enumerate(reversed(structure.loops), start=1):
        urgency.update(dict.fromkeys(loop.spine, k))
    waiting = {node: len(structure.children[node]) for node in structure.nodes}
    ready = [(urgency[node], -node.index, node) for node in structure.nodes if not waiting[node]]
    heapq.heapify(ready)
    order = []
    while ready:
        node = heapq.heappop(ready)[2]
        order.append(node)
        for parent in node.parents:
            if parent in waiting:
                waiting[parent] -= 1
                if not waiting[parent]:
                    heapq.heappush(ready, (urgency[parent], -parent.index, parent))
    return order
