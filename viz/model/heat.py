"""Numbers laid over a diagram: gradient norms, or errors of a comparison; and marks with something to say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .diagram import Box, Diagram
from .flow import flows
from .scale import Heat, Scale
from .sweep import Measure, gradients_of, measure, values_of
from .words import clean, shape

GRADIENT, ERROR = "gradient norm ‖∂L/∂·‖", "relative error"
MOST_ROOTS = 3
"""So many outputs are named where it is said what L is."""


def look_at_gradients(diagram: Diagram) -> None:
    """Measure values and gradients of all nodes, if they are not measured yet, and lay the gradients over the diagram.

    Raises ValueError if nothing in the graph requires a gradient.
    """
    graph = diagram.graph
    if not any(graph.nodes[root].needs_grad for root in graph.roots):
        raise ValueError(
            "viz.draw: gradients=True, but nothing that was drawn requires a gradient. Give the parameters "
            "requires_grad=True, or draw the loss and not its value."
        )
    if diagram.values is None or diagram.gradients is None:
        values = values_of(graph)
        diagram.values = [measure(value) for value in values]
        diagram.gradients = gradients_of(graph, values)
    along = flows(diagram, diagram.gradients)
    norms: dict[tuple[int, int | None], float] = {(flow.group, t): norm for flow in along for t, norm in flow.norms}
    numbers: dict[int, float] = {}
    for box in diagram.boxes:
        found = _of(diagram, box, diagram.gradients)
        if found is not None and box.kind in ("op", "module"):
            whole = norms.get((box.group, diagram.fold.step[box.main])) if box.kind == "module" else None
            numbers[box.id] = found if whole is None else whole  # a cell and its bar below say the same
    put(diagram, Heat(GRADIENT, "∇", numbers, along, _said_of_scalar(diagram)))


def _said_of_scalar(diagram: Diagram) -> str:
    """What L is: the number that was drawn, or the sum over all entries of what was drawn."""
    graph, outputs = diagram.graph, []
    for i in sorted(graph.roots):
        box, sizes = diagram.box_of[i], graph.nodes[i].shape
        outputs.append(f"“{'output' if box is None else box.title}”, {'a ' if sizes == () else ''}{shape(sizes)}")
    if len(outputs) == 1 and outputs[0].endswith("a scalar"):
        return f"L is the output {outputs[0]}"
    if len(outputs) > MOST_ROOTS:
        outputs[MOST_ROOTS:] = [f"{len(outputs) - MOST_ROOTS} more"]
    return f"L is the sum of all entries of the output{'s' * (len(outputs) > 1)} {'; '.join(outputs)}"


def _of(diagram: Diagram, box: Box, measures: Sequence[Measure | None]) -> float | None:
    """The norm at what leaves a box; of all its states together where several travel on."""
    roles = {edge.node for edge in diagram.leaving.get(box.id, ()) if edge.state >= 0} | {box.main}
    found = [m for m in (measures[i] for i in roles) if m is not None]
    if not found:
        return None
    return math.inf if any(m.broken for m in found) else math.hypot(*(m.norm for m in found))


def look_at_errors(diagram: Diagram, errors: Any) -> None:
    """Lay relative errors over the diagram; a box shows the largest of its nodes.

    errors: by node or by the name of a parameter, or a gradient report (what `compare_gradients` returns): its rows
    give the errors of parameters, its steps those of what reads them in each step.
    Raises KeyError for a name that no parameter has.
    """
    by_node = _from_report(diagram, errors) if hasattr(errors, "rows") else _by_node(diagram, errors)
    numbers: dict[int, float] = {}
    for i, node in enumerate(diagram.graph.nodes):
        box = diagram.box_of[i]
        if box is not None and node in by_node and box.kind != "elided":
            numbers[box.id] = max(numbers.get(box.id, 0.0), by_node[node])
    put(diagram, Heat(ERROR, "error", numbers))


def _by_node(diagram: Diagram, errors: Mapping[Any, float]) -> dict[Any, float]:
    return {
        node: float(error)
        for key, error in errors.items()
        for node in (_parameters(diagram, key) if isinstance(key, str) else [key])
    }


def _parameters(diagram: Diagram, name: str) -> list[Any]:
    """The parameters called `name`, with or without the path of their module."""
    graph, called = diagram.graph, diagram.names
    known = [node for i, node in enumerate(graph.nodes) if graph.is_parameter(i) and node in called]
    found = [node for node in known if called[node] == name or name.endswith("." + called[node])]
    if not found:
        names = ", ".join(dict.fromkeys(called[node] for node in known)) or "none with a name"
        raise KeyError(f"viz.draw: no parameter is called {name!r}; there are {names}.")
    return found


def _from_report(diagram: Diagram, report: Any) -> dict[Any, float]:
    graph, fold = diagram.graph, diagram.fold
    errors: dict[Any, float] = {}
    position = {node: i for i, node in enumerate(graph.nodes)}
    for row in report.rows:
        if row.relative is None:
            continue
        steps, _ = report.step_errors(row.name)
        for node in _parameters(diagram, row.name):
            errors[node] = float(row.relative)
            for reader in _readers(diagram, position[node]):
                t = fold.step[reader]
                if t in steps:
                    errors[graph.nodes[reader]] = max(errors.get(graph.nodes[reader], 0.0), float(steps[t]))
    return errors


def _readers(diagram: Diagram, i: int) -> list[int]:
    """What reads a parameter, directly or as something prepared from it."""
    graph = diagram.graph
    found = [i]
    for k in found:  # grows while we walk it
        if k == i or graph.prepared[k]:
            found += [c for c in graph.children[k] if c not in found]
    return [k for k in found[1:] if not graph.prepared[k]]


def put(diagram: Diagram, heat: Heat) -> None:
    """Lay `heat` over the diagram and write its numbers into the boxes."""
    diagram.heat = heat
    for box in diagram.boxes:
        box.note = heat.label(box.id)


def mark(diagram: Diagram, marks: Any) -> None:
    """Accuse the boxes of some nodes; what is said of them stands below the picture, by number.

    marks: text by node or by the name of a parameter, or findings of the gradient doctor (with `where` and `says`),
    which name a parameter. Raises KeyError for what is not in the graph.
    """
    if not isinstance(marks, Mapping):
        marks = {
            name: f"{f.says} (is {f.wrong}, should be {f.right})" for f in marks for name in _named(diagram, f.where)
        }
    known = {node: i for i, node in enumerate(diagram.graph.nodes)}
    for key, text in marks.items():
        for node in _parameters(diagram, key) if isinstance(key, str) else [key]:
            if node not in known:
                raise KeyError(f"viz.draw: marks names {node!r}, which is not in the graph that is drawn.")
            box = diagram.box_of[known[node]]
            if box is not None:
                diagram.marks[box.id] = clean(text)


def _named(diagram: Diagram, where: str) -> list[str]:
    """The names of parameters that occur in a text."""
    said = set(where.replace(",", " ").replace(":", " ").split())
    return [name for name in dict.fromkeys(diagram.names.values()) if name in said]


def worst(heat: Heat) -> int | None:
    """Id of the box with the largest number."""
    return max(heat.numbers, key=lambda k: (heat.numbers[k], -k), default=None)


def share_scale(*diagrams: Diagram) -> None:
    """Put the heat of several diagrams on one scale, so that colours and bars can be compared."""
    scales = [diagram.heat.scale for diagram in diagrams if diagram.heat is not None]
    common = Scale(min(s.low for s in scales), max(s.high for s in scales))
    for diagram in diagrams:
        if diagram.heat is not None:
            diagram.heat.scale = common
