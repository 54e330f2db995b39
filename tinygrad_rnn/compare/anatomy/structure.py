"""The shape of a recurrence, read off a recorded graph: steps, roles, states, and what feeds or reads them.

A *loop* is a set of steps: nodes whose innermost time scope lies in the same place. Graphs without time scopes get
theirs from the longest chain of uses of one parameter, each depending on the one before. A *role* is what a node is in
its step, so that "the same op one step earlier" has a meaning. A *state* is a value that the next step reads and that a
parameter then acts upon. The *spine* is all that leads from states to later ones; what reads a state and is not of the
spine is *outside*, such as the head and the loss.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable
from typing import NamedTuple

from ...graph import Node
from .recording import Recording, Use

__all__ = ["Gate", "Loop", "State", "Structure", "block_of"]

Role = tuple[Hashable, ...]


class Gate(NamedTuple):
    """A node whose blocks along one axis are read apart from each other: `blocks` of `size`, in index order."""

    node: Node
    axis: int
    blocks: int
    size: int


class State(NamedTuple):
    """One value that steps hand on: its node at each step in order, and the edges that do it, as (reader, position)."""

    nodes: dict[int, Node]
    carries: list[Use]
    entries: list[Use]


class Loop:
    """The steps of one recurrence, numbered 0, 1, ... in the order they were recorded.

    key: identifies it. times: the time step, as scopes name it, of each. roles: role -> step -> node. states: see
    `State`. spine: the nodes of its steps that lead to a later step, and their like in the last one.
    """

    def __init__(self, key: Hashable, times: list[int]) -> None:
        self.key = key
        self.times = times
        self.roles: dict[Role, dict[int, Node]] = {}
        self.states: list[State] = []
        self.spine: set[Node] = set()

    def __len__(self) -> int:
        return len(self.times)


class Structure:
    """All loops of a recording.

    step: node -> (loop, number of the step) for nodes within one. role: node -> its role. children: node -> edges that
    read it.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.nodes = [node for node in recording.order if node not in recording.views]
        self.children: dict[Node, list[Use]] = {node: [] for node in recording.order}
        for node in self.nodes:
            for i, parent in enumerate(node.parents):
                if parent.needs_grad:
                    self.children[parent].append((node, i))
        self.step: dict[Node, tuple[Loop, int]] = {}
        self.role: dict[Node, Role] = {}
        self.inferred = not any(node.scope.t is not None for node in self.nodes)
        self.loops = self._loops(_inferred_places(recording, self) if self.inferred else _scoped_places(self.nodes))
        self._find_roles()
        for loop in self.loops:
            self._find_states(loop)
        self.loops = [loop for loop in self.loops if loop.states]

    def _loops(self, places: dict[Node, tuple[Hashable, int]]) -> list[Loop]:
        times: dict[Hashable, dict[int, None]] = {}
        for node in self.nodes:  # recording order, so the steps come in the order they were taken
            if node in places:
                key, t = places[node]
                times.setdefault(key, {})[t] = None
        found = {key: Loop(key, list(steps)) for key, steps in times.items()}
        number = {key: {t: n for n, t in enumerate(steps)} for key, steps in times.items()}
        for node, (key, t) in places.items():
            self.step[node] = found[key], number[key][t]
        return list(found.values())

    def _find_roles(self) -> None:
        counts: dict[tuple[int, int, Role], int] = {}
        for node in self.nodes:
            if node not in self.step:
                continue
            loop, n = self.step[node]
            kind = (_path_within(node), node.op, node.shape, _gate_of(node))
            nth = counts.get((id(loop), n, kind), 0)
            counts[id(loop), n, kind] = nth + 1
            self.role[node] = role = (*kind, nth)
            loop.roles.setdefault(role, {})[n] = node

    def crossings(self, loop: Loop) -> list[Use]:
        """Edges from a step of the loop to a later one along which the recurrence runs."""
        meets_parameter = {node for node, _ in self.recording.uses}
        live: set[Node] = set()  # a parameter still acts on what it becomes, so it is no running total of losses
        for node in reversed(self.nodes):
            if node in meets_parameter or any(child in live for child, _ in self.children[node]):
                live.add(node)
        found, lively = [], set()
        for child in self.nodes:
            if self.step.get(child, (None, 0))[0] is not loop:
                continue
            for i, parent in enumerate(child.parents):
                place = self.step.get(parent)
                if place is not None and place[0] is loop and place[1] < self.step[child][1] and parent.needs_grad:
                    found.append((child, i))
                    if child in live:
                        lively.add((self.role[child], i))
        return [(child, i) for child, i in found if (self.role[child], i) in lively]

    def _find_states(self, loop: Loop) -> None:
        crossings = self.crossings(loop)
        reaching: set[Node] = set()
        crossing = set(crossings)
        for node in reversed(self.nodes):
            for edge in self.children[node]:
                child = edge[0]
                if edge in crossing or (child in reaching and self.step.get(child, (None,))[0] is loop):
                    reaching.add(node)
        spine_roles = {self.role[node] for node in reaching if self.step.get(node, (None,))[0] is loop}
        loop.spine = {node for role in spine_roles for node in loop.roles[role].values()}
        handed_on: dict[Node, list[Use]] = {}
        for child, i in crossings:
            handed_on.setdefault(child.parents[i], []).append((child, i))
        groups: dict[Hashable, dict[int, Node]] = {}
        for node, edges in handed_on.items():
            readers = frozenset((self.role[child], i) for child, i in edges)
            groups.setdefault(readers, {})[self.step[node][1]] = node
        for nodes in self._merged(groups, loop):
            carries = [edge for node in nodes.values() for edge in handed_on.get(node, ())]
            entries = [e for node in nodes.values() for e in self.children[node] if e[0] not in loop.spine]
            loop.states.append(State(dict(sorted(nodes.items())), carries, entries))

    def _merged(self, groups: dict[Hashable, dict[int, Node]], loop: Loop) -> Iterable[dict[int, Node]]:
        """Groups of state nodes with the last step's added, and groups of one and the same role put together."""
        merged: dict[Role, dict[int, Node]] = {}
        for nodes in groups.values():
            latest = nodes[max(nodes)]
            together = merged.setdefault(self.role[latest], {})
            together.update(nodes)
            last = loop.roles[self.role[latest]].get(len(loop) - 1)
            if last is not None:
                together[len(loop) - 1] = last
        return merged.values()

    def like(self, node: Node, offset: int) -> Node | None:
        """The node of the same role so many steps later (earlier if negative), or None."""
        if node not in self.step:
            return None
        loop, n = self.step[node]
        return loop.roles[self.role[node]].get(n + offset)

    def gates(self, loop: Loop) -> list[Gate]:
        """The nodes of the spine, no activations, that are cut along one axis; a block is the smallest cut."""
        found = []
        for node in self.nodes:
            if node not in loop.spine or (len(node.parents) == 1 and node.primitive is not None):
                continue
            parts = {block_of(child) for child, _ in self.children[node] if child.op == "getitem"} - {None}
            for axis in {part[0] for part in parts if part is not None}:
                cuts = sorted({part[1:] for part in parts if part is not None and part[0] == axis})
                size = math.gcd(*(stop - start for start, stop in cuts))
                ends = [0, *(stop for _, stop in cuts)]
                if len(cuts) >= 2 and ends[-1] == node.shape[axis] and [start for start, _ in cuts] == ends[:-1]:
                    found.append(Gate(node, axis, node.shape[axis] // size, size))
        return found


def block_of(node: Node) -> tuple[int, int, int] | None:
    """(axis, start, stop) of a slice that cuts its parent along one axis and is whole on the others, or None."""
    shape, index = node.parents[0].shape, node.params.get("index", ())
    index = index if isinstance(index, tuple) else (index,)
    if Ellipsis in index:
        k = index.index(Ellipsis)
        index = index[:k] + (slice(None),) * (len(shape) - len(index) + 1) + index[k + 1 :]
    if len(index) > len(shape) or not all(isinstance(part, slice) for part in index):
        return None
    ranges = [part.indices(n) for part, n in zip(index, shape, strict=False)]
    cut = [axis for axis, (r, n) in enumerate(zip(ranges, shape, strict=False)) if r != (0, n, 1)]
    if len(cut) != 1 or ranges[cut[0]][2] != 1:
        return None
    return cut[0], *ranges[cut[0]][:2]


def _gate_of(node: Node) -> Hashable:
    """Which slice a node takes, or its first parent does: tells the gates of one cell apart."""
    for one in (node, *node.parents[:1]):
        if one.op == "getitem" and one.parents[0].needs_grad:
            block = block_of(one)
            if block is not None:
                return block
    return None


def _path_within(node: Node) -> tuple[str | None, ...]:
    """The names of the scopes inside the innermost time step."""
    frames = node.scope.frames
    last = max((k for k, (_, t) in enumerate(frames) if t is not None), default=-1)
    return tuple(name for name, _ in frames[last + 1 :])


def _scoped_places(nodes: list[Node]) -> dict[Node, tuple[Hashable, int]]:
    places: dict[Node, tuple[Hashable, int]] = {}
    for node in nodes:
        frames = node.scope.frames
        steps = [k for k, (_, t) in enumerate(frames) if t is not None]
        if steps:
            last = steps[-1]
            t = frames[last][1]
            assert t is not None
            places[node] = (frames[:last], frames[last][0]), t
    return places


def _inferred_places(recording: Recording, structure: Structure) -> dict[Node, tuple[Hashable, int]]:
    """Steps of a graph without time scopes: how many uses of the most often repeated parameter a node depends on."""
    best: dict[Node, int] = {}
    for leaf in recording.leaves.values():
        counts: dict[Node, int] = {}
        for node in structure.nodes:
            used = node.op == "matmul" and any(leaf in recording.owners.get(p, ()) for p in node.parents)
            counts[node] = max((counts.get(parent, 0) for parent in node.parents), default=0) + used
        if max(counts.values(), default=0) > max(best.values(), default=0):
            best = counts
    if max(best.values(), default=0) < 2:
        return {}
    places = {node: n for node, n in best.items() if n}
    for node in reversed(structure.nodes):  # what only prepares a step belongs to the step that reads it
        if node not in places:
            readers = {places[child] for child, _ in structure.children[node] if child in places}
            if len(readers) == 1:
                places[node] = readers.pop()
    return {node: ((), n - 1) for node, n in places.items()}
