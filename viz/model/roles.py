"""The loop folded up: which nodes of different time steps play the same role, and which roles form one cell.

Layout is decided once for a role and stamped for every step, so a thousand steps cost little more than ten, the same
role has the same height in all columns, and steps can be compared for equality.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from .order import components, sizes, topological
from .record import Recording


class Folding:
    """Roles and groups of a recording.

    role: the role number of each node. group: the group number of each role; a group becomes a box or a frame (a
    cell, a layer).
    step: the recording's steps, with inputs adopted by the step that alone reads them. initial: nodes that start the
    recurrence.
    carried: for a role and the place of an argument that comes from another step, the role it comes from and how many
    steps off.
    reader: for an input adopted by a step, the node that reads it. cut: initial nodes in the middle of a sequence
    (detached there) -> the node of the step before whose place they
    take.
    inputs: per node, whether it is an input or a slice of one. keys: for each group (path, kind), kind one of "cell"
    (takes part in or feeds a recurrence), "step" (the rest of a step), "module" (no time), "op", "slice", "leaf".
    """

    def __init__(self, graph: Recording, fold_time: bool = False, merged: frozenset[str] = frozenset()) -> None:
        self.graph = graph
        self.merged = merged
        self.step = list(graph.step)
        self.inputs = _inputs(graph)
        self.initial: set[int] = set()
        self.reader: dict[int, int] = {}
        self.role: list[int] = [-1] * len(graph.nodes)
        self.count = 0
        self._roles_of_ops()
        self._adopt_inputs()
        self.carried: dict[tuple[int, int], tuple[int, int]] = {}
        self.across, self.within = self._edges()
        self.cut = self._cuts()
        self.group, self.keys = _groups(self, fold_time)

    def _roles_of_ops(self) -> None:
        graph, table = self.graph, {}
        used: dict[tuple[Any, ...], int] = {}
        for i, node in enumerate(graph.nodes):
            t = self.step[i]
            if node.primitive is None or t is None:
                continue
            place = (graph.path[i], node.scope.backward, node.primitive.name)
            occurrence = used[place, t] = used.get((place, t), -1) + 1
            self.role[i] = table.setdefault((place, occurrence), len(table))
        self.count = len(table)

    def _adopt_inputs(self) -> None:
        """Inputs read in one step belong to it, unless they stand where other steps have the step before: then they
        start it.
        """
        graph, step, role = self.graph, self.step, self.role
        recurrent = {
            (role[i], place)
            for i, parents in enumerate(graph.parents)
            if step[i] is not None
            for place, p in enumerate(parents)
            if step[p] is not None and step[p] != step[i] and not self.inputs[p]
        }
        reader: dict[int, tuple[int, int]] = {}
        table: dict[Hashable, int] = {}
        for i in range(len(graph.nodes) - 1, -1, -1):
            if self.inputs[i] and (graph.is_leaf(i) or step[i] is None or graph.inferred):
                reading = {step[c] for c in graph.children[i]}
                places = [(c, graph.parents[c].index(i)) for c in graph.children[i]]
                starts = [c in self.initial or (role[c], place) in recurrent for c, place in places]
                if starts and all(starts):
                    self.initial.add(i)
                    step[i] = None
                else:
                    step[i] = reading.pop() if len(reading) == 1 and not graph.is_parameter(i) else None
                if step[i] is not None:
                    c, place = min(places)
                    reader[i] = (c, place)
                    self.reader[i] = c
            if role[i] < 0 or i in reader:
                key: Hashable = i
                if i in reader:
                    c, place = reader[i]
                    key = ("read by", role[c], place)
                role[i] = table.setdefault(key, self.count + len(table))
        self.count += len(table)
        if not graph.inferred:
            return
        for i in range(len(graph.nodes)):  # an op that only prepares the initial state has no step of its own
            if self.initial.issuperset(graph.parents[i]) and graph.parents[i] and graph.looks_on(i):
                self.initial.add(i)

    def _edges(self) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
        """Edges between roles: those from one step to another, and all others (parameters left out)."""
        across: set[tuple[int, int]] = set()
        within: set[tuple[int, int]] = set()
        step, role = self.step, self.role
        parameter = [self.graph.is_parameter(i) or made for i, made in enumerate(self.graph.prepared)]
        for i, parents in enumerate(self.graph.parents):
            t = step[i]
            for place, p in enumerate(parents):
                if parameter[p]:
                    continue
                before = step[p]
                if t is not None and before is not None and t != before:
                    across.add((role[p], role[i]))
                    self.carried.setdefault((role[i], place), (role[p], before - t))
                else:
                    within.add((role[p], role[i]))
        return across, within

    def _cuts(self) -> dict[int, int]:
        wanted = {role for role, _ in self.carried.values()}
        at = {(role, self.step[i]): i for i, role in enumerate(self.role) if role in wanted}
        cut: dict[int, int] = {}
        for i in sorted(self.initial):
            for c in self.graph.children[i]:
                t, source = self.step[c], self.carried.get((self.role[c], self.graph.parents[c].index(i)))
                before = None if source is None or t is None else at.get((source[0], t + source[1]))
                if before is not None:
                    cut[i] = before
        return cut


def _inputs(graph: Recording) -> list[bool]:
    """Per node, whether it is a leaf that is no parameter, or a slice, transpose or reshape of one."""
    found: list[bool] = []
    for i in range(len(graph.nodes)):
        leaf = graph.is_leaf(i) and not graph.is_parameter(i)
        found.append(leaf or (graph.looks_on(i) and found[graph.parents[i][0]]))
    return found


def _groups(fold: Folding, fold_time: bool) -> tuple[list[int], list[tuple[str, str]]]:
    """Group number of each role, and (path, kind) of each group; no circle runs through groups within a step."""
    graph = fold.graph
    state = _recurrences(fold)
    key: list[Hashable] = [None] * fold.count
    kind: list[tuple[str, str]] = [("", "leaf")] * fold.count
    for i, role in enumerate(fold.role):
        if key[role] is not None:
            continue
        path, timed = graph.path[i], fold.step[i] is not None
        backward = graph.nodes[i].scope.backward
        if graph.is_leaf(i):
            key[role], kind[role] = ("leaf", role), (path, "leaf")
        elif fold.inputs[i] or i in fold.initial or (timed and _is_slice(fold, i)):
            key[role], kind[role] = ("slice", role), (path, "slice")
        elif timed:
            name = "cell" if state[role] >= 0 or path in fold.merged else "step"
            recurrence = None if path in fold.merged else state[role]
            key[role] = (path, backward, recurrence, None if fold_time and path else True)
            kind[role] = (path, name)
        elif path:
            key[role], kind[role] = (path, backward, None, None), (path, "module")
            if fold_time:
                key[role] = (path, backward, state[role], None)
        else:
            key[role], kind[role] = ("op", role), (path, "op")
    for i in sorted(fold.reader, reverse=True):  # a number stands with the op that it scales
        if graph.is_leaf(i) and graph.nodes[i].shape == ():
            reader = fold.role[fold.reader[i]]
            key[fold.role[i]], kind[fold.role[i]] = key[reader], kind[reader]
    number: dict[Hashable, int] = {}
    group = [number.setdefault(k, len(number)) for k in key]
    group = without_circles(group, sorted(fold.within))
    keys: list[tuple[str, str]] = [("", "")] * (max(group, default=-1) + 1)
    for role in range(fold.count - 1, -1, -1):
        keys[group[role]] = kind[role]
    return group, keys


def _is_slice(fold: Folding, i: int) -> bool:
    """Whether a node of a step reads its part of something outside time."""
    graph = fold.graph
    source = graph.parents[i][0] if graph.looks_on(i) else i
    return source != i and graph.nodes[i].primitive.kind == "index" and fold.step[source] is None


def _recurrences(fold: Folding) -> list[int]:
    """For each role the recurrence it is part of or first leads into, -1 for none."""
    after: list[list[int]] = [[] for _ in range(fold.count)]
    for a, b in sorted(fold.within | fold.across):
        after[a].append(b)
    part = components(after)
    size = sizes(part)
    loops = {part[a] for a, b in fold.across if part[a] == part[b]} | {p for p in part if size[p] > 1}
    reached = [-1] * len(size)
    members: list[list[int]] = [[] for _ in size]
    for role, p in enumerate(part):
        members[p].append(role)
    for p in range(len(size)):  # successors have smaller numbers, so they are done; the largest number is met first
        reached[p] = p if p in loops else max((reached[part[b]] for a in members[p] for b in after[a]), default=-1)
    return [reached[p] for p in part]


def without_circles(group: list[int], edges: list[tuple[int, int]]) -> list[int]:
    """Split groups that lie on a circle by how often the circle has come back to them."""
    n = max(group, default=-1) + 1
    after: list[set[int]] = [set() for _ in range(n)]
    for a, b in edges:
        if group[a] != group[b]:
            after[group[a]].add(group[b])
    part = components([sorted(a) for a in after])
    size = sizes(part)
    if all(s <= 1 for s in size):
        return group
    into: list[list[int]] = [[] for _ in group]
    for a, b in edges:
        if part[group[a]] == part[group[b]]:
            into[b].append(a)
    turn = [0] * len(group)
    for role in topological(len(group), edges):
        for a in into[role]:
            turn[role] = max(turn[role], turn[a] + (group[a] != group[role]))
    number: dict[Hashable, int] = {}
    return [number.setdefault((g, turn[r] if size[part[g]] > 1 else 0), len(number)) for r, g in enumerate(group)]
