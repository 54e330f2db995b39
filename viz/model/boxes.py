"""Boxes: which nodes are drawn as one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from .diagram import Box, Diagram
from .record import Recording


class Maker:
    """Makes the boxes of a diagram, node by node, readers first.

    detail: per node, whether it is drawn by itself and not as part of its module.
    """

    def __init__(self, diagram: Diagram, expand: Collection[str]) -> None:
        self.diagram = diagram
        self.graph, self.fold = diagram.graph, diagram.fold
        self.layers = diagram.level == "layers"
        self.detail = _detail(diagram, expand)
        self.clones = self._clones()
        self.column_of = {t: c for c, col in enumerate(diagram.columns) for t in range(col.first, col.last + 1)}
        self.found: dict[Any, Box] = {}

    def make(self) -> None:
        """Fill in the boxes of the diagram, and the box of each node."""
        diagram, graph = self.diagram, self.graph
        diagram.box_of = [None] * len(graph.nodes)
        sources = self._sources() if self.layers else []
        for i in range(len(graph.nodes) - 1, -1, -1):
            if self._is_left_out(i) or self._is_part(i):
                continue
            if self._belongs_to_reader(i):
                diagram.box_of[i] = diagram.box_of[graph.children[i][0]]
                continue
            box = self._box(i, ("input", sources[i]) if self.layers and self.fold.inputs[i] else None)
            box.members.append(i)
            diagram.box_of[i] = box
        for i in range(len(graph.nodes) if self.layers else 0):
            if self._is_part(i):
                diagram.box_of[i] = diagram.box_of[graph.parents[i][0]]
        for box in self.found.values():
            box.members.reverse()
            if self.layers and box.kind == "input":
                del box.members[1:]  # the slices
        self._start()
        diagram.boxes = sorted(self.found.values(), key=lambda b: b.members[0])
        self._finish()

    def _box(self, i: int, key: Any) -> Box:
        """The box of node i; made if it is the first of its box that we meet."""
        fold, node = self.fold, self.graph.nodes[i]
        role = fold.role[i]
        group, t = fold.group[role], fold.step[i]
        column = None if t is None else self.column_of.get(t)
        hidden = column is not None and self.diagram.columns[column].hidden
        single = self.detail[i] and not hidden
        shared = key
        key = key or (i if single else (group, column))
        box = self.found.get(key)
        if box is None:
            kind = "elided" if hidden else self._kind(i)
            where: Any = shared or (("…", group) if hidden else role if single else ("group", group))
            box = self.found[key] = Box(-1, kind, group, column, where, self.graph.path[i])
            box.backward = node.scope.backward
            box.initial = i in fold.initial
        return box

    def _kind(self, i: int) -> str:
        graph, node = self.graph, self.graph.nodes[i]
        if node.primitive is None:
            return "parameter" if graph.is_parameter(i) else "constant" if node.shape == () else "input"
        kind = self.diagram.groups[self.fold.group[self.fold.role[i]]][1]
        if kind == "slice":
            return "op" if self.diagram.level == "ops" else "input"
        return "op" if self.detail[i] or kind == "op" else "module"

    def _is_left_out(self, i: int) -> bool:
        """Whether a node is a cut in an edge, has one box for each reader, or is a detail that would only be in the
        way.
        """
        if i in self.fold.cut or i in self.clones or (self.layers and i in self.fold.initial):
            return True
        return self.graph.prepared[i] and not self.detail[i] and not self.layers

    def _is_part(self, i: int) -> bool:
        """Whether a node cuts its step out of what a module made: with time folded away, that is the thing itself."""
        fold = self.fold
        if not self.layers or fold.inputs[i] or i in fold.initial or i in self.graph.roots:
            return False
        return self.diagram.groups[fold.group[fold.role[i]]][1] == "slice"

    def _belongs_to_reader(self, i: int) -> bool:
        """Whether a leaf is counted to the box that alone reads it: a number, and all that layers keep inside."""
        graph, node, box_of = self.graph, self.graph.nodes[i], self.diagram.box_of
        if self.detail[i] or i in graph.roots or not graph.children[i]:
            return False
        inside = node.primitive is None and node.shape == () and not graph.is_parameter(i)
        if self.layers:
            inside |= graph.is_parameter(i) or graph.prepared[i]
        readers = {id(box_of[c]) for c in graph.children[i]}
        return inside and len(readers) == 1 and box_of[graph.children[i][0]] is not None

    def _sources(self) -> list[int]:
        """For each slice of an input the role of the input itself."""
        sources = list(range(len(self.graph.nodes)))
        for i in range(len(sources)):
            if self.fold.inputs[i] and not self.graph.is_leaf(i):
                sources[i] = sources[self.graph.parents[i][0]]
        return [self.fold.role[i] for i in sources]

    def _clones(self) -> dict[int, list[tuple[int, int]]]:
        """Initial states that start several cells, such as zeros, and each (group, step) that they start."""
        found: dict[int, list[tuple[int, int]]] = {}
        graph, fold = self.graph, self.fold
        for i in sorted(fold.initial) if self.diagram.columns else ():
            if graph.is_leaf(i) and i not in fold.cut:
                places = dict.fromkeys((fold.group[fold.role[c]], fold.step[c]) for c in graph.children[i])
                if len(places) > 1 and all(t is not None for _, t in places):
                    found[i] = [(group, t) for group, t in places if t is not None]
        return found

    def _start(self) -> None:
        """Make the boxes of initial states that start several cells."""
        for i, starts in self.clones.items():
            for place in starts:
                group = self.fold.group[self.fold.role[i]]
                box = self.found["start", i, place] = Box(-1, self._kind(i), group, None, ("start", i), "")
                box.initial = True
                box.members.append(i)
                self.diagram.clones[i, place] = box

    def _finish(self) -> None:
        """Number the boxes, and mark results, residuals and what layers hold."""
        graph, diagram = self.graph, self.diagram
        saved = _residuals(graph)
        for number, box in enumerate(diagram.boxes):
            box.id = number
            box.root = not graph.roots.isdisjoint(box.members)
            box.saved = not saved.isdisjoint(box.members)
        for i, box in enumerate(diagram.box_of if self.layers else ()):
            if box is not None and box.kind == "module" and graph.is_parameter(i):
                box.uses += graph.nodes[i].size


def _detail(diagram: Diagram, expand: Collection[str]) -> list[bool]:
    """Per node, whether it is drawn by itself: at level "ops", and inside modules that were asked to be expanded.

    What has no module (a leaf, a number) goes with what reads it.
    """
    graph = diagram.graph
    if diagram.level == "ops" or not expand or diagram.level == "layers":
        return [diagram.level == "ops"] * len(graph.nodes)
    wanted = {path: any(path == e or path.startswith(e + ".") for e in expand) for path in set(graph.path)}
    detail = [False] * len(graph.nodes)
    for i in range(len(detail) - 1, -1, -1):
        if graph.is_leaf(i):
            detail[i] = bool(graph.children[i]) and all(detail[c] for c in graph.children[i])
        else:
            detail[i] = wanted[graph.path[i]] and diagram.groups[diagram.fold.group[diagram.fold.role[i]]][1] != "slice"
    return detail


def _residuals(graph: Recording) -> set[int]:
    """Positions of the nodes whose values are kept for the backward sweep, by themselves or by a reader."""
    found = {i for i, node in enumerate(graph.nodes) if node.y is not None}
    for node, parents in zip(graph.nodes, graph.parents, strict=True):
        if node.xs is not None and node.xs is not node.parents:
            found.update(p for p, x in zip(parents, node.xs, strict=True) if isinstance(x, np.ndarray))
    return found
