"""Errors that miss a factor on one way and have it on the others: a slope, a gate, a block; or have another's factor.

What `gating` spoils for a node as a whole, these spoil for one of its readers: the way back, the carried error, the
output's error. An error before the slope is the error behind it, divided by the slope.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...graph import Node
from ..anatomy.pull import pull, sum_to
from ..anatomy.recording import Use
from ..anatomy.structure import Loop, State, Structure
from .flow import by_role
from .gating import is_activation
from .names import Names
from .sweep import Edit, Hypothesis

__all__ = ["FLAT", "behind", "confusions", "forgotten_gates", "slopes"]

FLAT = 1e-6
"""A slope below which nothing can be divided by it."""


def behind(structure: Structure, node: Node, what: str) -> np.ndarray | None:
    """The last factor of a node's cotangent: the slope of the activation that it is the argument of, or the factor of
    the product that it goes into; None if there is none. what: "slope" or "factor".
    """
    children = structure.children[node]
    values = structure.recording.values
    if len(children) == 1:
        child, i = children[0]
        if child.op == "add" and child.shape == node.shape:
            return behind(structure, child, what)
        if is_activation(child) and child.shape == node.shape:
            return slope_of(structure, child) if what == "slope" else np.ones(node.shape)
        if child.op == "multiply" and what == "factor" and child.shape == node.shape:
            factor = child.parents[1 - i]
            return np.broadcast_to(values[factor], node.shape) if factor.needs_grad else None
    if not children or any(child.op != "getitem" for child, _ in children):
        return None
    found = np.full(node.shape, np.nan)
    for child, _ in children:
        part = behind(structure, child, what)
        if part is not None:
            found[child.params["index"]] = part
    return None if np.isnan(found).any() else found


def slope_of(structure: Structure, node: Node) -> np.ndarray:
    """The derivative of an activation, of its shape."""
    values = structure.recording.values
    return pull(node, 0, np.ones((1, *node.shape)), values[node], [values[node.parents[0]]])[0]


def _pulled(structure: Structure, edge: Use, before: np.ndarray | None = None, after: np.ndarray | None = None) -> Edit:
    """What an edge hands back, its cotangent or the result multiplied by something."""
    (node, i), values = edge, structure.recording.values

    def edit(g: np.ndarray) -> np.ndarray:
        part = pull(node, i, g if before is None else g * before, values[node], [values[p] for p in node.parents])
        return part if after is None else part * after

    return edit


def slopes(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """A slope or a gate that is missing on one way back, or that is on one way too many."""
    carries = [edge for state in loop.states for edge in state.carries]
    inside = [
        (node, i)
        for node in structure.nodes
        if node.op == "multiply" and node in loop.spine
        for i in (0, 1)
        if node.parents[i].needs_grad and node.parents[i] not in structure.recording.views
    ]
    for what, factor in (("slope", "the derivative of the activation"), ("factor", "the gate")):
        for edges in by_role(structure, [edge for edge in (*carries, *inside) if edge[0].op in ("matmul", "multiply")]):
            found = {edge: behind(structure, edge[0], what) for edge in dict.fromkeys(edges)}
            arrays = {edge: array for edge, array in found.items() if array is not None}
            if len(arrays) < len(found) or all((array == 1).all() for array in arrays.values()):
                continue
            node, i = edges[-1]
            this = names.symbol(node.parents[i], node)
            where = f"{names.place(node)}, towards {this}"
            right = f"d{this} = (back through {node.op}) of da_t"
            if all((np.abs(array) > FLAT).all() for array in arrays.values()):
                yield Hypothesis(
                    f"{'activation derivative' if what == 'slope' else 'factor'} missing on one way back", where,
                    f"the error goes back to {this} without {factor}, which it has elsewhere",
                    f"d{this} = (back through {node.op}) of the error before {factor}", right,
                    edges={edge: _pulled(structure, edge, before=1 / array) for edge, array in arrays.items()}, rank=3,
                )  # fmt: skip
            if what == "slope":
                yield Hypothesis(
                    "activation derivative taken twice", where,
                    f"the error goes back to {this} with {factor} twice",
                    f"d{this} = (back through {node.op}) of da_t * act'(a_t)", right,
                    edges={edge: _pulled(structure, edge, before=array) for edge, array in arrays.items()},
                    rank=4, alone=True,
                )  # fmt: skip
    for state in loop.states:
        yield from _of_state(structure, names, state)


def _of_state(structure: Structure, names: Names, state: State) -> Iterator[Hypothesis]:
    """da = dy * slope + (carried error), and the other way round; the slope of what reads a state on both."""
    letter = names.states[state.nodes[max(state.nodes)]]
    carried, out = f"(from step t+1 to {letter}_t)", f"(from the output to {letter}_t)"
    if all(is_activation(node) for node in state.nodes.values()):
        slope = {node: slope_of(structure, node) for node in state.nodes.values()}
        if all((np.abs(array) > FLAT).all() for array in slope.values()):
            for edges, who, wrong in (
                (state.carries, "the carried error", f"da_t = {out} * act'(a_t) + {carried}"),
                (state.entries, "the output's error", f"da_t = {out} + {carried} * act'(a_t)"),
            ):
                yield Hypothesis(
                    "activation derivative missing on one way back", f"{letter}_t, {who}",
                    f"{who} is added behind the activation, so it has no derivative of it",
                    wrong, f"da_t = ({out} + {carried}) * act'(a_t)",
                    edges={(n, i): _pulled(structure, (n, i), after=1 / slope[n.parents[i]]) for n, i in edges}, rank=3,
                )  # fmt: skip
    readers = {
        node: [
            child
            for child, _ in structure.children[node]
            if is_activation(child) and _same_step(structure, child, node)
        ]
        for node in state.nodes.values()
    }
    if all(len(found) == 1 for found in readers.values()):
        edits = {
            (n, i): _pulled(structure, (n, i), after=slope_of(structure, readers[n.parents[i]][0]))
            for n, i in state.carries
        }
        op = readers[state.nodes[0]][0].op if 0 in state.nodes else "act"
        yield Hypothesis(
            "activation derivative on the carried error too", f"{letter}_t",
            f"the error that {letter}_t has from step t+1 is multiplied by the derivative of {op}({letter}_t) as well",
            f"d{letter}_t = ((through {op}({letter}_t)) + (from step t+1)) * {op}'({letter}_t)",
            f"d{letter}_t = (through {op}({letter}_t)) * {op}'({letter}_t) + (from step t+1)",
            edges=edits, rank=3,
        )  # fmt: skip


def _same_step(structure: Structure, a: Node, b: Node) -> bool:
    return structure.step.get(a) is not None and structure.step.get(a) == structure.step.get(b)


def forgotten_gates(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """One block of the gates' errors left out where they go back through the weight."""
    gates = {gate.node: gate for gate in structure.gates(loop) if gate.axis == gate.node.ndim - 1}
    edges = [edge for state in loop.states for edge in state.carries if edge[0].op == "matmul" and edge[1] == 0]
    for group in by_role(structure, edges):
        found = {edge: _sum_of(structure, edge[0], set(gates)) for edge in group}
        gate = gates.get(next(iter(found.values())) or group[0][0])
        if gate is None or None in found.values():
            continue
        letters = {4: "ifgo", 3: "rzn"}.get(gate.blocks, "1234567")
        node = group[-1][0]
        this = names.symbol(node.parents[0], node)
        for k in range(min(gate.blocks, len(letters))):
            keep = np.ones(gate.blocks * gate.size)
            keep[k * gate.size : (k + 1) * gate.size] = 0.0
            yield Hypothesis(
                "gate forgotten on the way back", f"{names.place(node)}, block {k} ({letters[k]})",
                f"the error of gate {letters[k]} does not go back to {this}",
                f"d{this} = sum over the gates without {letters[k]}", f"d{this} = sum over all gates",
                edges={edge: _pulled(structure, edge, before=keep) for edge in group}, rank=3, alone=True,
            )  # fmt: skip


def _sum_of(structure: Structure, node: Node, wanted: set[Node]) -> Node | None:
    """The first of the wanted nodes that a node is a summand of."""
    while node not in wanted:
        children = structure.children[node]
        if len(children) != 1 or children[0][0].op != "add" or children[0][0].shape != node.shape:
            return None
        node = children[0][0]
    return node


def confusions(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """Products whose one side gets another value of the step as its factor, and sums of two whose factors are
    exchanged.
    """
    last = len(loop) - 1
    nodes = [node for node in structure.nodes if node.op == "multiply" and node in loop.spine]
    nodes = [
        node for node in nodes if structure.step[node][1] == last and all(_is_inner(structure, p) for p in node.parents)
    ]
    places: dict[Node, tuple[Any, int]] = {}
    for node in nodes:
        for i, parent in enumerate(node.parents):
            places.setdefault(parent, (structure.role[node], i))
            if is_activation(parent) and parent in structure.role:
                places.setdefault(parent.parents[0], (structure.role[parent], 0))
    for node, i in (edge for state in loop.states for edge in state.carries):
        if structure.step[node][1] == last:
            places.setdefault(node.parents[i], (structure.role[node], i))
    for node in nodes:
        for i in (0, 1):
            factor = node.parents[1 - i]
            for other, place in places.items():
                if other is not factor and other.shape == factor.shape:
                    yield from _confused(structure, names, loop, node, i, other, place)
    for node in structure.nodes:
        if node.op == "add" and all(parent in nodes for parent in node.parents):
            yield from _exchanged(structure, names, loop, node)


def _is_inner(structure: Structure, node: Node) -> bool:
    return node.needs_grad and node not in structure.recording.views


def _with_factor(structure: Structure, loop: Loop, role: Any, i: int, place: tuple[Any, int]) -> dict[Any, Edit]:
    """Edits of one side of a product at every step: the value at a place of the step is its factor."""
    reader, j = place
    edits: dict[Any, Edit] = {}
    for n, node in loop.roles[role].items():
        source = loop.roles[reader].get(n)
        if source is not None and node.parents[i].needs_grad:
            value, shape = np.asarray(structure.recording.values[source.parents[j]]), node.parents[i].shape
            edits[node, i] = lambda g, value=value, shape=shape: sum_to(g * value, shape)
    return edits


def _confused(
    structure: Structure, names: Names, loop: Loop, node: Node, i: int, other: Node, place: tuple[Any, int]
) -> Iterator[Hypothesis]:
    this, factor = node.parents[i], node.parents[1 - i]
    target, belongs = names.symbol(this, node), names.symbol(factor, node)
    bare = is_activation(factor) and other is factor.parents[0]
    used = f"the argument of {belongs}" if bare else names.symbol(other, node)
    if belongs in (used, target):
        belongs = f"the value of {names.place(factor)}"
    yield Hypothesis(
        "factor confused", f"{names.place(node)}, towards {target}",
        f"the error goes on to {target} with the factor {used} where {belongs} belongs",
        f"d{target} = dy * {used}", f"d{target} = dy * {belongs}",
        edges=_with_factor(structure, loop, structure.role[node], i, place), rank=5, alone=True,
    )  # fmt: skip


def _exchanged(structure: Structure, names: Names, loop: Loop, node: Node) -> Iterator[Hypothesis]:
    first, second = node.parents
    for i in (0, 1):
        for j in (0, 1):
            one, two = names.symbol(first.parents[i], node), names.symbol(second.parents[j], node)
            u, v = names.symbol(first.parents[1 - i], node), names.symbol(second.parents[1 - j], node)
            a, b = structure.role[first], structure.role[second]
            edits = _with_factor(structure, loop, a, i, (b, 1 - j)) | _with_factor(structure, loop, b, j, (a, 1 - i))
            yield Hypothesis(
                "factors exchanged", names.place(node),
                f"the errors go on to {one} and {two} with each other's factor: {v} and {u}",
                f"d{one} = dy * {v}, d{two} = dy * {u}", f"d{one} = dy * {u}, d{two} = dy * {v}",
                edges=edits, rank=4, alone=True,
            )  # fmt: skip
