"""What a tooltip says of a box: everything that is known and does not fit into it."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np

from .diagram import Box, Diagram
from .words import clean, number, octets, shape

LONGEST = 120


def tip(diagram: Diagram, box: Box) -> list[str]:
    """Lines of text: what it is, where and when, shape and size, params, residuals, value and gradient, source line."""
    node = diagram.graph.nodes[box.main]
    lines = [_headline(diagram, box)]
    if box.kind == "elided":
        column = diagram.columns[box.column or 0]
        lines.append(f"{column.count} equal steps left out")
        return lines
    size = int(math.prod(node.shape)) * node.dtype.itemsize
    lines.append(f"{node.dtype} {shape(node.shape)}, {octets(size)}")
    if box.kind == "module":
        ops = Counter(diagram.graph.nodes[i].op for i in box.members if diagram.graph.nodes[i].primitive is not None)
        lines.append(", ".join(f"{count} {op}" if count > 1 else op for op, count in ops.items()))
    elif node.params:
        lines.append(_cut("; ".join(f"{key}={_param(value)}" for key, value in node.params.items())))
    if box.uses > 1:
        lines.append(f"used {box.uses} times")
    if box.saved:
        lines.append("saved for the backward sweep")
    if not node.needs_grad:
        lines.append("needs no gradient")
    value = node.value if node.primitive is None else None
    if value is not None:
        lines.append("value: " + statistics(np.asarray(value)))
    if node.grad is not None:
        lines.append("gradient: " + statistics(np.asarray(getattr(node.grad, "array", node.grad))))
    if node.source is not None:
        lines.append(clean(node.source))
    return [clean(line) for line in lines]


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


def statistics(array: Any) -> str:
    """Norm, mean, range, and shares of zeros and of values that are not finite; small arrays in full."""
    if array.size == 0:
        return "empty"
    if array.dtype.kind not in "fiub":
        return str(array.dtype)
    if array.size == 1:
        return number(float(array.reshape(-1)[0]))
    values = array.astype(np.float64, copy=False)
    finite = np.isfinite(values)
    good = values[finite]
    parts = []
    if good.size:
        norm = float(np.sqrt(np.square(good).sum()))
        parts += [f"‖·‖ = {number(norm)}", f"mean {number(float(good.mean()))}"]
        parts.append(f"range {number(float(good.min()))} … {number(float(good.max()))}")
        zeros = float((good == 0).mean())
        if zeros >= 0.005:
            parts.append(f"{zeros:.0%} zeros")
    if not finite.all():
        parts.append(f"{(~finite).mean():.0%} NaN or infinite")
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
