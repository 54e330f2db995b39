"""From recorded nodes to boxes and edges, at the level of detail that was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .diagram import Box, Diagram, Edge
from .labels import label
from .record import Recording
from .roles import Folding
from .steps import columns

LEVELS = ("ops", "modules", "layers")


def read(
    outputs: Iterable[Any],
    *,
    level: str = "modules",
    steps: slice | int | Iterable[int] | None = None,
    elide: int | None = None,
    names: Mapping[Any, str] | None = None,
    classes: Mapping[str, str] | None = None,
) -> Diagram:
    """Read the graph of `outputs` (nodes) into boxes and edges.

    level: "ops" draws every primitive, "modules" a box for each cell and module, "layers" folds time away.
    steps, elide: see `columns`. names: what to call inputs, by node. classes: the class name of each module path.
    Raises ValueError for an unknown level, IndexError for a step that does not exist.
    """
    if level not in LEVELS:
        raise ValueError(
            f"viz.draw: level={level!r} is none of {', '.join(map(repr, LEVELS))}. Choose how much detail to draw."
        )
    graph = Recording(list(outputs))
    fold = Folding(graph, fold_time=level == "layers")
    cols, odd = ([], []) if level == "layers" else columns(fold, steps, elide)
    diagram = Diagram(graph, fold, level, cols, odd)
    _make_boxes(diagram)
    _make_edges(diagram)
    label(diagram, names or {}, classes or {})
    return diagram


def _make_boxes(diagram: Diagram) -> None:
    graph, fold, ops = diagram.graph, diagram.fold, diagram.level == "ops"
    column_of = {t: c for c, col in enumerate(diagram.columns) for t in range(col.first, col.last + 1)}
    found: dict[Any, Box] = {}
    diagram.box_of = [None] * len(graph.nodes)
    for i in range(len(graph.nodes) - 1, -1, -1):
        node, role = graph.nodes[i], fold.role[i]
        group, t = fold.group[role], fold.step[i]
        column = None if t is None else column_of.get(t)
        hidden = column is not None and diagram.columns[column].hidden
        leaf = node.primitive is None
        if leaf and not ops and node.shape == () and not graph.is_parameter(i) and i not in graph.roots:
            readers = {id(diagram.box_of[c]) for c in graph.children[i]}
            if len(readers) == 1:  # a number belongs to the op that it scales
                diagram.box_of[i] = diagram.box_of[graph.children[i][0]]
                continue
        if i in fold.cut:
            continue  # drawn as a cut in the edge that would have been
        key: Any = (group, column) if hidden or not ops else i
        box = found.get(key)
        if box is None:
            kind = "elided" if hidden else _kind(diagram, i)
            where = group if hidden or not ops else role
            box = found[key] = Box(-1, kind, group, column, where, graph.path[i])
            box.backward = node.scope.backward
            box.initial = i in fold.initial
        box.members.append(i)
        diagram.box_of[i] = box
    for box in found.values():
        box.members.reverse()
    diagram.boxes = sorted(found.values(), key=lambda b: b.members[0])
    saved = _residuals(graph)
    for number, box in enumerate(diagram.boxes):
        box.id = number
        box.root = not graph.roots.isdisjoint(box.members)
        box.saved = not saved.isdisjoint(box.members)


def _residuals(graph: Recording) -> set[int]:
    """Positions of the nodes whose values are kept for the backward sweep, by themselves or by a reader."""
    found = {i for i, node in enumerate(graph.nodes) if node.y is not None}
    for node, parents in zip(graph.nodes, graph.parents, strict=True):
        if node.xs is not None and node.xs is not node.parents:
            found.update(p for p, x in zip(parents, node.xs, strict=True) if isinstance(x, np.ndarray))
    return found


def _kind(diagram: Diagram, i: int) -> str:
    graph, node = diagram.graph, diagram.graph.nodes[i]
    if node.primitive is None:
        return "parameter" if graph.is_parameter(i) else "constant" if node.shape == () else "input"
    kind = diagram.groups[diagram.fold.group[diagram.fold.role[i]]][1]
    if kind == "slice":
        return "input" if diagram.level != "ops" else "op"
    return "op" if diagram.level == "ops" or kind == "op" else "module"


def _make_edges(diagram: Diagram) -> None:
    graph, fold, box_of = diagram.graph, diagram.fold, diagram.box_of
    found: dict[tuple[int, int, int], Edge] = {}
    for i, parents in enumerate(graph.parents):
        target = box_of[i]
        if target is None:
            continue
        t = fold.step[i]
        for place, p in enumerate(parents):
            initial, before = p in fold.initial, fold.cut.get(p)
            p = p if before is None else before
            source = box_of[p]
            if source is None:
                continue
            s = fold.step[p]
            across = t is not None and s is not None and t != s
            if source is target:
                source.loop += across and source.kind != "elided"
                continue
            # Two states may travel between the same two cells, as in an LSTM: they are two edges.
            key = (source.id, target.id, fold.role[p] if across else -1)
            if key in found:
                continue
            kind = (
                "cut"
                if before is not None
                else "recurrent"
                if across
                else "weight"
                if source.kind == "parameter"
                else "data"
            )
            found[key] = Edge(source, target, kind, p)
            if across:
                found[key].state = fold.role[p]
                source.main = max(source.main, p)
            elif initial:
                found[key].state = fold.carried.get((fold.role[i], place), (-1, 0))[0]
    diagram.edges = list(found.values())
    for box in diagram.boxes:
        if box.main < 0:
            inside = set(box.members)
            leaving = [i for i in box.members if i in graph.roots or not inside.issuperset(graph.children[i])]
            box.main = (leaving or box.members)[-1]
        if box.kind == "parameter":
            box.uses = len({(c, fold.step[c]) for c in graph.children[box.main]})
