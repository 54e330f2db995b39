"""Mistakes in activations, gates and the products between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ...graph import Node
from ..anatomy.pull import product, pull, sum_to
from ..anatomy.structure import Gate, Loop, Structure, block_of
from .flow import by_role, lost
from .names import Names
from .sweep import Edit, Hypothesis, Patch

__all__ = ["activations", "is_activation", "orders", "products", "reset_side"]

_NO_ACTIVATION = {"square", "log", "sqrt", "exp", "reciprocal", "absolute", "log1p", "expm1", "clip"}


_WRONG_SLOPES: dict[str, dict[str, Callable[[np.ndarray], np.ndarray]]] = {
    "tanh": {
        "{0} (1 - {0}), which is the sigmoid's": lambda y: y * (1 - y), "(1 - {0})": lambda y: 1 - y,
        "(1 + {0}^2)": lambda y: 1 + y * y,
    },
    "sigmoid": {
        "(1 - {0}^2), which is tanh's": lambda y: 1 - y * y, "(1 - {0})": lambda y: 1 - y, "{0}": lambda y: y,
    },
}  # fmt: skip


def _times(factor: np.ndarray) -> Edit:
    return lambda g: g * factor


def is_activation(node: Node) -> bool:
    """Whether a node is a function of one argument that keeps what its derivative needs: tanh, sigmoid, ..."""
    return (
        node.primitive is not None
        and node.primitive.kind == "elementwise"
        and len(node.parents) == 1
        and bool(node.primitive.saves)
        and node.op not in _NO_ACTIVATION
    )


def _activation_groups(structure: Structure, nodes: list[Node]) -> list[list[Node]]:
    return [[node for node, _ in edges] for edges in by_role(structure, [(node, 0) for node in nodes])]


def activations(structure: Structure, names: Names) -> Iterator[Hypothesis]:
    """Derivatives that are missing, taken of the wrong value, or of the wrong step; signs."""
    found = [node for node in structure.nodes if is_activation(node)]
    groups = _activation_groups(structure, found)
    for group in groups:
        slices = _slices(structure, group)
        for part in slices:
            yield from _of_activation(structure, names, group, names.gate(part[-1]), common=True, part=part)
        yield from _of_activation(structure, names, group, names.gate(group[-1]), common=not slices)
    for op in dict.fromkeys(node.op for node in found):
        same = [node for group in groups if group[0].op == op for node in group]
        if sum(group[0].op == op for group in groups) > 1:
            yield from _of_activation(structure, names, same, f"every {op}", common=False)
    if len({node.op for node in found}) > 1:
        yield from _of_activation(structure, names, found, "every activation", common=False)


def _of_activation(
    structure: Structure, names: Names, nodes: list[Node], what: str, common: bool, part: Sequence[Node] = ()
) -> Iterator[Hypothesis]:
    ops = sorted({node.op for node in nodes})
    op = ops[0] if len(ops) == 1 else "act"
    slope = {"tanh": "(1 - {0}^2)", "sigmoid": "{0} (1 - {0})"}.get(op, "act'({0})")
    symbol = (
        names.symbol(part[-1] if part else nodes[-1], nodes[-1])
        if op != "act" and not what.startswith("every")
        else "y_t"
    )
    right = f"da_t = dy_t * {slope.format(symbol)}"
    where = f"{what}, {names.place(nodes[0])}"

    block = block_of(part[-1]) if part else None

    def made(kind: str, says: str, wrong: str, edits: dict[Any, Edit], rank: int, often: bool = common) -> Hypothesis:
        edges = {place: edit if block is None else Patch(edit, *block) for place, edit in edits.items()}
        alone = kind.startswith("wrong formula")
        return Hypothesis(kind, where, says, wrong, right, edges=edges, rank=rank, common=often, alone=alone)

    values = structure.recording.values
    yield made(
        "activation derivative missing", f"the error passes {what} unchanged", "da_t = dy_t",
        {(node, 0): (lambda g: g) for node in nodes}, 2,
    )  # fmt: skip
    confused = {(node, 0): _derived(structure, node, x=values[node], y=values[node.parents[0]]) for node in nodes}
    yield made(
        "derivative at the pre-activation",
        f"the derivative of {what} is computed from its argument a_t where its output belongs",
        f"da_t = dy_t * {slope.format('a_t')}", confused, 2,
    )  # fmt: skip
    again = {(node, 0): _derived(structure, node, x=values[node], y=_applied(node, values[node])) for node in nodes}
    yield made(
        "derivative at the output",
        f"the derivative of {what} is evaluated at its output, so {op} is applied twice",
        f"da_t = dy_t * {slope.format(f'{op}({symbol})')}", again, 4, often=False,
    )  # fmt: skip
    yield made(
        "sign", f"the error that passes {what} has the wrong sign", f"da_t = -dy_t * {slope.format(symbol)}",
        {(node, 0): _negated(structure, node, 0) for node in nodes}, 4, often=False,
    )  # fmt: skip
    for text, formula in _WRONG_SLOPES.get(op, {}).items():
        edits = {(node, 0): _times(formula(values[node])) for node in nodes}
        said = text.format(symbol)
        yield made(
            "wrong formula for the derivative", f"the derivative of {what} is taken to be {said}",
            f"da_t = dy_t * {said}",
            edits, 4, often=False,
        )  # fmt: skip
    loops = {id(structure.step[node][0]): structure.step[node][0] for node in nodes if node in structure.step}
    if len(loops) != 1 or len(nodes) < 2:
        return
    loop = next(iter(loops.values()))
    ends = (
        (-1, "last", "activation shared by all steps", 2),
        (0, "first", "activation shared by all steps", 5),
    )
    for end, word, kind, rank in ends:
        edits = {(node, 0): _like(structure, node, structure.role[node], end, loop) for node in nodes}
        yield made(
            kind, f"one object serves all steps: the derivative of {what} always uses the {word} step's stored output",
            f"da_t = dy_t * {slope.format(f'y_{word}')}", {k: e for k, e in edits.items() if e is not None}, rank,
            often=common and rank == 2,
        )  # fmt: skip
    for offset, word in ((-1, "one step earlier"), (1, "one step later")):
        edits = {(node, 0): _beside(structure, node, offset) for node in nodes}
        yield made(
            "derivative of another step", f"the derivative of {what} uses the output of {word}",
            f"da_t = dy_t * {slope.format(f'y_{{t{offset:+d}}}')}",
            {k: e for k, e in edits.items() if e is not None}, 3, often=False,
        )  # fmt: skip


def _slices(structure: Structure, nodes: list[Node]) -> list[list[Node]]:
    """The slices that are read of an activation computed for several gates at once, by block."""
    found: dict[Any, list[Node]] = {}
    for node in nodes:
        for child, _ in structure.children[node]:
            block = block_of(child) if child.op == "getitem" else None
            if block is not None:
                found.setdefault(block, []).append(child)
    return list(found.values()) if len(found) > 1 else []


def _applied(node: Node, x: np.ndarray) -> np.ndarray:
    assert node.primitive is not None
    return np.asarray(node.primitive.forward(x, **node.params))


def _derived(structure: Structure, node: Node, x: np.ndarray, y: np.ndarray) -> Edit:
    return lambda g: pull(node, 0, g, y, [x])


def _like(structure: Structure, node: Node, role: Any, end: int, loop: Loop) -> Edit | None:
    """The derivative with the residuals of the last (or first) step."""
    steps = loop.roles[role]
    other = steps[max(steps) if end else min(steps)]
    values = structure.recording.values
    return None if other is node else _derived(structure, node, x=values[other.parents[0]], y=values[other])


def _beside(structure: Structure, node: Node, offset: int) -> Edit | None:
    other = structure.like(node, offset)
    values = structure.recording.values
    if other is not None:
        return _derived(structure, node, x=values[other.parents[0]], y=values[other])
    if offset < 0:  # before the first step stands the zero state
        zero = np.zeros(node.shape)
        return _derived(structure, node, x=zero, y=zero)
    return None


def _negated(structure: Structure, node: Node, i: int) -> Edit:
    values = structure.recording.values
    return lambda g: -pull(node, i, g, values[node], [values[parent] for parent in node.parents])


def products(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """Products of gates and states: one side's error lost, its factor forgotten, or taken from another step."""
    views = structure.recording.views
    edges = [
        (node, i)
        for node in structure.nodes
        if node.op == "multiply" and node in loop.spine and not any(p in views for p in node.parents)
        for i in (0, 1)
        if node.parents[i].needs_grad
    ]
    for group in by_role(structure, edges):
        node, i = group[-1]
        if not node.parents[1 - i].needs_grad:  # a constant; the state before the first step is one, too, but not last
            continue
        this, other = (names.symbol(node.parents[j], node) for j in (i, 1 - i))
        if node.op == "subtract":
            yield from _of_difference(structure, names, group, this)
            continue
        where = f"{names.place(node)}, towards {this}"
        whole = f"d{this} = dy * {other}"
        carried = structure.step.get(node.parents[i], (None, 0))[1] != structure.step[node][1]
        if not carried:  # a lost carry is told elsewhere
            yield Hypothesis(
                "path dropped", where, f"no error reaches {this} through its product with {other}",
                f"d{this} = 0 (from this product)", whole, edges=lost(group), rank=3, common=True,
            )  # fmt: skip
        yield Hypothesis(
            "factor missing", where, f"the error goes on to {this} without the factor {other}",
            f"d{this} = dy", whole, edges={edge: _unscaled(*edge) for edge in group}, rank=3, common=True,
        )  # fmt: skip
        for offset in (-1, 1):
            edits = {edge: _other_step(structure, *edge, offset) for edge in group}
            edits = {edge: edit for edge, edit in edits.items() if edit is not None}
            if edits:
                yield Hypothesis(
                    "factor of another step", where,
                    f"the factor {other} is that of one step {'earlier' if offset < 0 else 'later'}",
                    f"d{this} = dy * {other} at {'t-1' if offset < 0 else 't+1'}", whole, edges=edits, rank=4,
                )  # fmt: skip


def _of_difference(structure: Structure, names: Names, group: list[Any], this: str) -> Iterator[Hypothesis]:
    """a - b: the error lost on its way to one of the two."""
    node, i = group[-1]
    if (
        structure.step.get(node.parents[i], (None, 0))[1] == structure.step[node][1]
    ):  # otherwise a carry, told elsewhere
        sign = "-" if i else ""
        yield Hypothesis(
            "path dropped", f"{names.place(node)}, towards {this}", f"no error reaches {this} through this difference",
            f"d{this} = 0 (from this difference)", f"d{this} = {sign}dy", edges=lost(group), rank=3, common=True,
        )  # fmt: skip


def _unscaled(node: Node, i: int) -> Edit:
    shape = node.parents[i].shape
    return lambda g: sum_to(g, shape)


def _other_step(structure: Structure, node: Node, i: int, offset: int) -> Edit | None:
    """The factor of a product from another step; where a state has no later one, or an earlier one, nothing is changed
    or zero.
    """
    factor, shape = node.parents[1 - i], node.parents[i].shape
    other, same = structure.like(factor, offset), structure.like(node, offset)
    if other is None and same is not None:
        other = same.parents[1 - i]  # the state before the first step is a constant without a role
    if other is None and (offset > 0 or factor not in structure.step):
        return None
    value = np.zeros(factor.shape) if other is None else structure.recording.values[other]
    return lambda g: sum_to(g * value, shape)


def orders(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """The blocks of the gates' errors put together in another order than the weights have."""
    by_count: dict[int, list[Gate]] = {}
    for gate in structure.gates(loop):
        by_count.setdefault(gate.blocks, []).append(gate)
    for count, gates in by_count.items():
        if count > 4:
            continue
        for order in itertools.permutations(range(count)):
            moved = sum(k != j for k, j in enumerate(order))
            if not moved:
                continue
            letters = "ifgo" if count == 4 else "rzn" if count == 3 else "1234"
            text, own = ", ".join(letters[k] for k in order), ", ".join(letters[:count])
            yield Hypothesis(
                "gate order swapped", f"{names.place(gates[0].node)}, {count} blocks of {gates[0].size}",
                f"the errors of the gates are stacked as {text} before they meet the weights, which are stacked {own}",
                f"da = [{', '.join('d' + letters[k] for k in order)}]",
                f"da = [{', '.join('d' + letter for letter in letters[:count])}]",
                nodes={gate.node: _reordered(gate, order) for gate in gates},
                rank=2 if moved == 2 else 4, common=moved == 2,
            )  # fmt: skip


def _reordered(gate: Gate, order: tuple[int, ...]) -> Edit:
    index = np.concatenate([np.arange(k * gate.size, (k + 1) * gate.size) for k in order])
    return lambda g: np.take(g, index, axis=gate.axis + 1)


def reset_side(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """r * (W h + b) in the graph, differentiated as W (r * h) + b; rows are examples, and W may hold other gates
    besides.
    """
    found = []
    for node in structure.nodes:
        if node.op == "multiply" and node in loop.spine:
            for i in (0, 1):
                meets = _product_behind(structure, node.parents[i])
                if meets is not None and structure.step[node.parents[1 - i]][1] == structure.step[node][1]:
                    found.append((node, i, *meets))
    for group in by_role(structure, [(node, i) for node, i, *_ in found]):
        inside = [entry for entry in found if (entry[0], entry[1]) in group]
        edges: dict[Any, Edit] = {}
        recurrence: dict[Any, Edit] = {}
        for node, i, meet, columns in inside:
            values = structure.recording.values
            r, h, weight = (values[n] for n in (node.parents[1 - i], meet.parents[0], meet.parents[1]))
            edges[node, i] = _unscaled(node, i)
            edges[node, 1 - i] = _through(weight[:, columns], h)
            if meet.parents[0].needs_grad:
                edges[meet, 0] = _back(weight, columns, r, inner=True)
                recurrence[meet, 0] = _back(weight, columns, r, inner=False)
            edges[meet, 1] = _into_weight(h, columns, r)
        weight = names.view(inside[0][2].parents[1])
        where = f"{names.place(inside[0][0])} and {weight.removesuffix('^T')}"
        yield Hypothesis(
            "reset gate on the wrong side", where,
            "the backward pass is that of r inside the product, the forward pass has r outside of it",
            "backward of n = tanh(x_n + W_hn (r * h) + b_hn)", "backward of n = tanh(x_n + r * (W_hn h + b_hn))",
            edges=edges, rank=2, common=True,
        )  # fmt: skip
        if recurrence:
            yield Hypothesis(
                "reset gate on the wrong side", f"{where}, in the recurrence only",
                "the error is first sent back through the weight and then multiplied by r",
                "dh_{t-1} = r * (W_hn^T da_n)", "dh_{t-1} = W_hn^T (r * da_n)",
                edges=recurrence, rank=3, common=True,
            )  # fmt: skip


def _product_behind(structure: Structure, node: Node) -> tuple[Node, slice] | None:
    """The product of the state before with a weight that a value was cut out of, and which columns it is."""
    views, columns = structure.recording.views, slice(None)
    while node.op in ("getitem", "add") and node in structure.step:
        if node.op == "getitem":
            start, stop = _columns(node)
            if stop < 0:
                return None
            columns = slice(start, stop)
            node = node.parents[0]
        else:
            inner = [parent for parent in node.parents if parent not in views]
            if len(inner) != 1:
                return None
            node = inner[0]
    if node.op != "matmul" or node.parents[1] not in views or node.ndim != 2 or node.parents[0].ndim != 2:
        return None
    earlier = structure.step.get(node.parents[0])
    if earlier is not None and earlier[1] >= structure.step[node][1]:
        return None
    return node, columns


def _columns(node: Node) -> tuple[int, int]:
    block = block_of(node)
    return (block[1], block[2]) if block is not None and block[0] == node.ndim - 1 else (0, -1)


def _through(weight: np.ndarray, h: np.ndarray) -> Edit:
    """dr = (da_n W_n) * h"""
    return lambda g: product(g, weight.T) * h


def _back(weight: np.ndarray, columns: slice, r: np.ndarray, inner: bool) -> Edit:
    """dh = the other gates' share, and r * (da_n W_n); the cotangent holds da_n (inner), or r * da_n"""
    rest = weight.copy()
    rest[:, columns] = 0.0

    def edit(g: np.ndarray) -> np.ndarray:
        block = g[..., columns] if inner else g[..., columns] / r
        return product(g, rest.T) + product(block, weight[:, columns].T) * r

    return edit


def _into_weight(h: np.ndarray, columns: slice, r: np.ndarray) -> Edit:
    """dW_n = (r * h)^T da_n"""

    def edit(g: np.ndarray) -> np.ndarray:
        part = np.matmul(h.T, g)
        part[..., columns] = np.matmul((r * h).T, g[..., columns])
        return part

    return edit
