"""What is written in the boxes: titles, details, and the names of the states that travel from step to step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from .diagram import Box, Diagram
from .words import clean, count, number, shape

_SIGNS = {"matmul": "@", "add": "+", "multiply": "×", "subtract": "−", "divide": "÷", "negative": "−"}
_PRODUCTS = {"matmul", "dot", "einsum", "tensordot", "linear"}


def label(diagram: Diagram, classes: Mapping[str, str]) -> None:
    """Fill in the titles of all boxes and the labels of recurrent edges. classes: the class of each module path."""
    names = diagram.names
    cells: dict[int, str] = {}
    for box in diagram.boxes:
        main = diagram.graph.nodes[box.main]
        if box.kind == "elided":
            column = diagram.columns[box.column or 0]
            box.title, box.detail = "⋯", count(column.count, "step")
        elif box.kind == "module":
            _label_module(diagram, box, cells, classes)
        elif main.primitive is None:
            box.title = clean(names.get(main, "")) or _unnamed(diagram, box)
            box.detail = shape(main.shape) if box.kind != "constant" else "" if box.title[:1].isdigit() else "scalar"
        elif box.kind == "input":
            box.title, box.detail = _slice_name(diagram, box, names), shape(main.shape)
        else:
            box.title, box.detail = clean(main.primitive.name), shape(main.shape)
    _name_states(diagram)


def _unnamed(diagram: Diagram, box: Box) -> str:
    node = diagram.graph.nodes[box.main]
    if node.shape == () and node.value is not None:
        return number(float(node.value))
    if box.initial:
        return "initial state"
    if box.kind == "parameter":
        return "parameter"
    return "dropout mask" if _is_mask(diagram, box.main) else "input"


def _is_mask(diagram: Diagram, i: int) -> bool:
    """Whether a leaf is multiplied only and holds nothing but zeros and one number above 1, as `dropout` makes it."""
    graph, held = diagram.graph, diagram.graph.nodes[i].value
    if held is None or held.dtype.kind != "f" or any(graph.nodes[c].op != "multiply" for c in graph.children[i]):
        return False
    scale = held.max(initial=0)
    return bool(scale > 1 and held.size > 1 and ((held == 0) | (held == scale)).all())


def _slice_name(diagram: Diagram, box: Box, names: Mapping[Any, str]) -> str:
    """ "x[3]" for a slice of x."""
    graph, i, reads = diagram.graph, box.main, []
    while graph.looks_on(i):
        index = graph.nodes[i].params.get("index")
        reads.append(f"[{_index(index)}]" if index is not None else "")
        i = graph.parents[i][0]
    node = graph.nodes[i]
    base = names.get(node)
    if not base and node.primitive is not None:
        base = graph.path[i].rpartition(".")[2] or node.op
    base = base or ("initial" if box.initial else "input")
    return clean(base) + clean("".join(reversed(reads)))


def _index(index: Any) -> str:
    if isinstance(index, tuple):
        return ", ".join(_index(part) for part in index)
    if isinstance(index, slice):
        parts = ["" if part is None else str(part) for part in (index.start, index.stop)]
        return ":".join(parts) + (f":{index.step}" if index.step is not None else "")
    return "…" if index is Ellipsis else "None" if index is None else str(index)


def _label_module(diagram: Diagram, box: Box, cells: dict[int, str], classes: Mapping[str, str]) -> None:
    graph = diagram.graph
    kind = diagram.groups[box.group][1]
    if box.group not in cells:
        cells[box.group] = describe_group(diagram, box)
    name = box.path.rpartition(".")[2]
    if not name:
        name = "loss" if graph.nodes[box.main].shape == () else "cell" if kind == "cell" else "output"
    box.title = clean(f"{name} · {classes[box.path]}" if box.path in classes else name)
    if box.backward:
        box.title = f"∂ {box.title}"
    if box.loop:
        box.title += f" × {len({diagram.fold.step[i] for i in box.members} - {None})}"
    weights = count(box.uses, "parameter") if box.uses else ""
    box.detail = " · ".join(part for part in (cells[box.group], shape(graph.nodes[box.main].shape), weights) if part)


def describe_group(diagram: Diagram, box: Box) -> str:
    """What a group of ops amounts to: "LSTM", "GRU", "tanh", or its ops."""
    graph = diagram.graph
    own = {diagram.fold.role[i]: graph.nodes[i].op for i in box.members if graph.nodes[i].primitive is not None}
    ops = Counter(own.values())
    gated = _gated(diagram, box, ops)
    if gated:
        return gated
    for name in ("lstm", "gru"):
        if any(name in op for op in ops):
            return name.upper()
    looking = {graph.nodes[i].op for i in box.members if graph.looks_on(i)}
    telling = [op for op in ops if op not in _SIGNS and op not in looking]
    if diagram.groups[box.group][1] == "cell":
        known = next((op for op in ("tanh", "relu", "sigmoid") if ops[op]), "")
        if known:
            return known
    if telling:
        return ", ".join(telling[-2:])
    return "linear" if ops["matmul"] else next(iter(ops), "")


def _gated(diagram: Diagram, box: Box, ops: Mapping[str, int]) -> str:
    """ "LSTM" or "GRU" for a group with at least two gates and a tanh, else nothing.

    A GRU carries one state and has two gates for its tanh. An LSTM carries two; it has three gates, or two if they are
    coupled, for two tanh, or for one if its output has none. The ratio also tells several layers drawn as one box.
    """
    gates, tanh = _gates(diagram, box), ops["tanh"]
    if gates < 2 or not tanh:
        return ""
    group, fold = diagram.fold.group, diagram.fold
    states = {a for a, b in fold.across if group[a] == group[b] == box.group}
    return "GRU" if len(states) == 1 or gates == 2 * tanh else "LSTM"


def _gates(diagram: Diagram, box: Box) -> int:
    """How many gates a group has: one for each sigmoid, or one for each part that is cut out of it.

    A layer may take the sigmoid of all its gates at once, and cut them apart behind it.
    """
    graph, role = diagram.graph, diagram.fold.role
    parts: dict[int, set[int]] = {role[i]: set() for i in box.members if graph.nodes[i].op == "sigmoid"}
    for i in box.members:
        if graph.looks_on(i) and graph.nodes[i].primitive.kind == "index" and role[graph.parents[i][0]] in parts:
            parts[role[graph.parents[i][0]]].add(role[i])
    return sum(max(1, len(cut)) for cut in parts.values())


def _name_states(diagram: Diagram) -> None:
    """Call the recurrent values h, a running total Σ, and c where a cell also has a straight line of sums (LSTM)."""
    graph, fold = diagram.graph, diagram.fold
    called: dict[int, str] = {}
    pairs: dict[tuple[int, int], set[int]] = {}
    for edge in diagram.edges:
        if edge.kind in ("recurrent", "cut") and not edge.source.backward:
            pairs.setdefault((edge.source.group, edge.target.group), set()).add(fold.role[edge.node])
    multiplied = {fold.role[p] for i, node in enumerate(graph.nodes) if node.op in _PRODUCTS for p in graph.parents[i]}
    totals = {fold.role[i] for i, node in enumerate(graph.nodes) if node.shape == ()}
    for (source, target), roles in pairs.items():
        if source == target and diagram.groups[source][1] == "cell" and len(roles) <= 2:
            for role in roles:
                called[role] = "Σ" if role in totals else "h" if len(roles) == 1 or role in multiplied else "c"
    for edge in diagram.edges:
        if edge.kind in ("recurrent", "cut"):
            edge.label = called.get(fold.role[edge.node], "")
