"""Numbers laid over a diagram: gradient norms, or errors of a comparison; and marks with something to say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from .diagram import Box, Diagram
from .flow import flows
from .scale import Heat, Scale
from .sweep import Measure, gradients_of, measure, values_of
from .words import clean

GRADIENT, ERROR = "gradient norm ‖∂L/∂·‖", "relative error"


def look_at_gradients(diagram: Diagram) -> None:
    """Measure values and gradients of all nodes, and lay the gradients over the diagram.

    Raises ValueError if nothing in the graph requires a gradient.
    """
    graph = diagram.graph
    if not any(graph.nodes[root].needs_grad for root in graph.roots):
        raise ValueError(
            "viz.draw: gradients=True, but nothing that was drawn requires a gradient. Give the parameters "
            "requires_grad=True, or draw the loss and not its value."
        )
    values = values_of(graph)
    diagram.values = [measure(value) for value in values]
    diagram.gradients = gradients_of(graph, values)
    numbers: dict[int, float] = {}
    for box in diagram.boxes:
        found = _of(diagram, box, diagram.gradients)
        if found is not None and box.kind in ("op", "module"):
            numbers[box.id] = found
    put(diagram, Heat(GRADIENT, "∇", numbers, flows(diagram, diagram.gradients)))


def _of(diagram: Diagram, box: Box, measures: Sequence[Measure | None]) -> float | None:
    """The norm at what leaves a box; of all its states together where several travel on."""
    roles = {edge.node for edge in diagram.leaving.get(box.id, ()) if edge.state >= 0} | {box.main}
    found = [m for m in (measures[i] for i in roles) if m is not None]
    if not found:
        return None
    return math.inf if any(m.broken for m in found) else math.hypot(*(m.norm for m in found))


def look_at_errors(diagram: Diagram, errors: Mapping[Any, float]) -> None:
    """Lay relative errors, by node, over the diagram; a box shows the largest of its nodes."""
    numbers: dict[int, float] = {}
    for box in diagram.boxes:
        found = [float(errors[diagram.graph.nodes[i]]) for i in box.members if diagram.graph.nodes[i] in errors]
        if found:
            numbers[box.id] = max(found)
    put(diagram, Heat(ERROR, "error", numbers))


def put(diagram: Diagram, heat: Heat) -> None:
    """Lay `heat` over the diagram and write its numbers into the boxes."""
    diagram.heat = heat
    for box in diagram.boxes:
        box.note = heat.label(box.id)


def mark(diagram: Diagram, marks: Mapping[Any, str]) -> None:
    """Accuse the boxes of some nodes; the text is said beside the first of them.

    Raises KeyError if a node is not in the graph.
    """
    known = {node: i for i, node in enumerate(diagram.graph.nodes)}
    for node, text in marks.items():
        if node not in known:
            raise KeyError(f"viz.draw: marks names {node!r}, which is not in the graph that is drawn.")
        box = diagram.box_of[known[node]]
        if box is not None:
            diagram.marks[box.id] = clean(text)


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
