"""A graph as text: a table for terminals and screen readers, one sentence that sums it up, and JSON."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from .model import Box, Diagram
from .model.tips import tip
from .model.words import count, octets


def summary(diagram: Diagram) -> str:
    """What the picture shows, in one or two sentences."""
    kinds = Counter(box.kind for box in diagram.boxes)
    parts = [count(kinds[kind], kind) for kind in ("module", "op", "parameter", "input", "constant") if kinds[kind]]
    text = f"Computation graph with {', '.join(parts) or 'nothing in it'}."
    if diagram.timed:
        hidden = sum(column.count for column in diagram.columns if column.hidden)
        steps = count(diagram.length, "time step runs", "time steps run") + " from left to right"
        text += f" {steps}, {count(hidden, 'equal one')} left out." if hidden else f" {steps}."
    weights = sum(diagram.graph.nodes[box.main].size for box in diagram.boxes if box.kind == "parameter")
    if weights:
        text += f" Parameters hold {count(weights, 'number')}."
    return text


def text(diagram: Diagram) -> str:
    """A table with a line for each box: number, time, what, shape, and the numbers of those it is computed from."""
    coming: dict[int, list[int]] = {}
    for edge in diagram.edges:
        coming.setdefault(edge.target.id, []).append(edge.source.id)
    rows = [("#", "time", "module", "what", "dtype", "shape", "size", "from")]
    for box in diagram.boxes:
        node = diagram.graph.nodes[box.main]
        time = "" if box.column is None else diagram.columns[box.column].title.replace("t = ", "")
        what = (
            box.title
            if box.kind in ("op", "module")
            else f"{box.kind} {box.title}"
            if box.kind != "elided"
            else box.detail
        )
        size = octets(node.size * node.dtype.itemsize)
        sources = " ".join(str(number) for number in sorted(coming.get(box.id, ())))
        rows.append((str(box.id), time, box.path, what, str(node.dtype), str(node.shape), size, sources))
    widths = [max(len(row[k]) for row in rows) for k in range(7)]
    lines = [
        "  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[7]]).rstrip() for row in rows
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return summary(diagram) + "\n\n" + "\n".join(lines) + "\n"


def as_json(diagram: Diagram) -> str:
    """Boxes, edges and columns as JSON text, keys sorted, ASCII only."""
    return json.dumps(as_data(diagram), sort_keys=True, ensure_ascii=True, indent=1)


def as_data(diagram: Diagram) -> dict[str, Any]:
    """Boxes, edges and columns as plain lists and dictionaries."""
    return {
        "level": diagram.level,
        "columns": [{"first": c.first, "last": c.last, "hidden": c.hidden} for c in diagram.columns],
        "boxes": [_box(diagram, box) for box in diagram.boxes],
        "edges": [
            {"source": e.source.id, "target": e.target.id, "kind": e.kind, **({"label": e.label} if e.label else {})}
            for e in diagram.edges
        ],
    }


def _box(diagram: Diagram, box: Box) -> dict[str, Any]:
    node = diagram.graph.nodes[box.main]
    data: dict[str, Any] = {
        "id": box.id, "kind": box.kind, "title": box.title, "path": box.path, "column": box.column,
        "dtype": str(node.dtype), "shape": list(node.shape), "bytes": node.size * node.dtype.itemsize,
        "note": tip(diagram, box), "nodes": len(box.members),
    }  # fmt: skip
    return data
