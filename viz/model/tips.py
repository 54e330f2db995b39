"""What a tooltip says of a box: everything that is known and does not fit into it."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from .diagram import Box, Diagram
from .sweep import Measure, measure
from .words import clean, count, number, octets, shape

LONGEST = 120

OURS = str(Path(__file__).parent.parent)
"""Where drawings are made: the line there that called a module says nothing to its author."""


def tip(diagram: Diagram, box: Box) -> list[str]:
    """Lines of text: what it is, where and when, shape and size, params, residuals, value and gradient, source line."""
    node = diagram.graph.nodes[box.main]
    lines = [_headline(diagram, box)]
    if box.kind == "elided":
        column = diagram.columns[box.column or 0]
        lines.append(f"{count(column.count, 'equal step')} left out")
        return lines
    size = int(math.prod(node.shape)) * node.dtype.itemsize
    lines.append(f"{node.dtype} {shape(node.shape)}, {octets(size)}")
    if box.kind == "module":
        ops = Counter(diagram.graph.nodes[i].op for i in box.members if diagram.graph.nodes[i].primitive is not None)
        lines.append(", ".join(f"{n} {op}" if n > 1 else op for op, n in ops.items()))
    elif node.params:
        lines.append(_cut("; ".join(f"{key}={_param(value)}" for key, value in node.params.items())))
    if box.uses > 1:
        lines.append(f"used {box.uses} times")
    if box.saved:
        lines.append("saved for the backward sweep")
    if not node.needs_grad:
        lines.append("needs no gradient")
    value, gradient = measures(diagram, box)
    if value is not None:
        lines.append("value: " + statistics(value, node.size))
    if gradient is not None:
        lines.append("gradient: " + statistics(gradient, node.size))
    if node.source is not None and not node.source.file.startswith(OURS):
        lines.append(_line(diagram, node.source))
    return [clean(line) for line in lines]


def _line(diagram: Diagram, source: Any) -> str:
    """ "train.py:31 in forward"; looking a line up takes a while, so it is done once for each place."""
    place = (id(source.code), source.instruction)
    if place not in diagram.lines:
        diagram.lines[place] = f"{PurePath(source.file).name}:{source.line} in {source.function}"
    return diagram.lines[place]


def _headline(diagram: Diagram, box: Box) -> str:
    node = diagram.graph.nodes[box.main]
    what = {
        "module": "module",
        "parameter": "parameter",
        "input": "input",
        "constant": "constant",
        "elided": "steps",
    }.get(box.kind)
    name = box.title if box.kind != "elided" else ""
    parts = [name if what is None else f"{what} {name}".strip()]
    if box.path:
        parts.append(box.path)
    t = diagram.fold.step[box.main]
    if box.column is not None and box.kind == "elided":
        parts.append(diagram.columns[box.column].title)
    elif t is not None:
        parts.append(f"t = {t}")
    if node.scope.backward:
        parts.append("backward")
    return " · ".join(parts)


def measures(diagram: Diagram, box: Box) -> tuple[Measure | None, Measure | None]:
    """What is known of the value and of the gradient of a box: measured everywhere, or of leaves and retained
    gradients.
    """
    if diagram.values is not None and diagram.gradients is not None:
        return diagram.values[box.main], diagram.gradients[box.main]
    node = diagram.graph.nodes[box.main]
    value = None if node.value is None else measure(node.value)
    gradient = None if node.grad is None else measure(getattr(node.grad, "array", node.grad))
    return value, gradient


def statistics(found: Measure, size: int) -> str:
    """Norm, mean, range, and shares of zeros and of values that are not finite; a single number as it is."""
    if size == 1 and not found.broken:
        return number(found.mean)
    parts = [f"norm {number(found.norm)}", f"mean {number(found.mean)}"]
    parts.append(f"range {number(found.low)} … {number(found.high)}")
    if found.zeros >= 0.005:
        parts.append(f"{found.zeros:.0%} zeros")
    if found.broken:
        parts.append(f"{found.broken:.0%} NaN or infinite")
    return ", ".join(parts)


def _param(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {shape(value.shape)}"
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    if type(value).__repr__ is object.__repr__:
        return type(value).__name__  # the default repr tells an address, which differs from run to run
    return repr(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
