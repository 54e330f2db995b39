"""Edges between boxes."""

from __future__ import annotations

from .diagram import Diagram, Edge


def make_edges(diagram: Diagram) -> None:
    """Join the boxes of `diagram`, and note for each what leaves it and how often it is used."""
    graph, fold, box_of = diagram.graph, diagram.fold, diagram.box_of
    found: dict[tuple[int, int, int], Edge] = {}
    origins = _origins(diagram)
    for i, parents in enumerate(graph.parents):
        target = box_of[i]
        if target is None:
            continue
        t = fold.step[i]
        for place, p in enumerate(parents):
            initial, before = p in fold.initial, fold.cut.get(p)
            p = p if before is None else before
            for q in origins.get(p, (p,)):
                source = box_of[q]
                if initial and source is None and t is not None:
                    source = diagram.clones.get((q, (fold.group[fold.role[i]], t)))
                if source is None:
                    continue
                s = fold.step[q]
                across = t is not None and s is not None and t != s
                if source is target:
                    source.loop += across and source.kind != "elided"
                    continue
                # Two states may travel between the same two cells, as in an LSTM: they are two edges.
                key = (source.id, target.id, fold.role[q] if across else -1)
                if key in found:
                    continue
                shared = source.kind == "parameter" or graph.prepared[q]
                kind = "cut" if before is not None else "recurrent" if across else "weight" if shared else "data"
                edge = found[key] = Edge(source, target, kind, q)
                if across:
                    edge.state = fold.role[q]
                    source.main = max(source.main, q)
                elif initial and target.column is not None:
                    edge.state = fold.carried.get((fold.role[i], place), (-1, 0))[0]
    diagram.edges = list(found.values())
    _finish(diagram)


def _origins(diagram: Diagram) -> dict[int, tuple[int, ...]]:
    """For nodes prepared from parameters and not drawn: the parameters behind them."""
    graph = diagram.graph
    behind: dict[int, tuple[int, ...]] = {}
    for i, made in enumerate(graph.prepared):
        if made and diagram.box_of[i] is None:
            behind[i] = tuple(dict.fromkeys(q for p in graph.parents[i] for q in behind.get(p, (p,))))
    return behind


def _finish(diagram: Diagram) -> None:
    """The main node of each box, and how often each parameter is used."""
    graph, fold = diagram.graph, diagram.fold
    uses: dict[int, set[tuple[int, int | None]]] = {}
    for i in range(len(graph.nodes) - 1, -1, -1):
        if graph.prepared[i] or graph.is_parameter(i):
            own = uses[i] = set()
            for c in graph.children[i]:
                own |= uses[c] if graph.prepared[c] else {(c, fold.step[c])}
    for box in diagram.boxes:
        if box.main < 0:
            inside = set(box.members)
            leaving = [i for i in box.members if i in graph.roots or not inside.issuperset(graph.children[i])]
            box.main = (leaving or box.members)[-1]
        if box.main in uses:
            box.uses = len(uses[box.main])
