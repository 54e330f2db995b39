"""Mistakes in the recurrence itself: the transposed weight, the carry, the outputs' contributions, the loss.

Each function reads the structure of a recording and yields hypotheses about it. Nothing here knows a model: a weight is
what a product meets, a carry is an edge between steps.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...graph import Node
from ..anatomy.pull import product, pull
from ..anatomy.recording import Use
from ..anatomy.structure import Loop, State, Structure
from .names import Names
from .sweep import Edit, Hypothesis

__all__ = ["carries", "entries", "losses", "weights"]


def _zero(shape: tuple[int, ...]) -> Edit:
    return lambda g: np.zeros((len(g), *shape))


def lost(edges: list[Use]) -> dict[Use, Edit]:
    """Edits under which edges hand nothing back."""
    return {(node, i): _zero(node.parents[i].shape) for node, i in edges}


def by_role(structure: Structure, edges: list[Use]) -> list[list[Use]]:
    """Edges grouped by what they are in their step."""
    groups: dict[Any, list[Use]] = {}
    for node, i in edges:
        groups.setdefault((structure.role.get(node, id(node)), i), []).append((node, i))
    return list(groups.values())


def weights(structure: Structure, names: Names) -> Iterator[Hypothesis]:
    """A weight where its transpose belongs, on the way back through a product."""
    views = structure.recording.views
    products = [
        (node, i)
        for node in structure.nodes
        if node.op == "matmul" and node.parents[0].ndim <= 2 and node.parents[1].ndim <= 2
        for i in (0, 1)
        if node.parents[1 - i] in views and node.parents[1 - i].ndim == 2 and node.parents[i].needs_grad
    ]
    for edges in by_role(structure, products):
        node, i = edges[-1]
        weight = node.parents[1 - i]
        if min(weight.shape) < 2 or max(weight.shape) % min(weight.shape):
            continue
        crosses = _crosses(structure, edges)
        edits = {edge: _straight(structure, *edge) for edge in edges}
        forth, back = names.view(weight), names.transposed(weight)
        if i == 1:  # weight @ state: the columns are the examples
            forth, back = back, forth
        error, target = ("da_t", "dh_{t-1}") if crosses else ("dy", "dx")
        where = "in the recurrence" if crosses else f"on the way back through {names.place(node)}"
        yield Hypothesis(
            "weight not transposed",
            f"{_bare(forth)}, {where}",
            f"the error goes back through {_bare(forth)} as the values came forward, and not through its transpose",
            f"{target} = {error} {forth} (with examples as columns: {back} {error})",
            f"{target} = {error} {back} (with examples as columns: {forth} {error})",
            edges=edits,
            rank=1 if crosses else 3,
            common=crosses,
        )


def _bare(text: str) -> str:
    return text.removesuffix("^T")


def _crosses(structure: Structure, edges: list[Use]) -> bool:
    carried = {edge for loop in structure.loops for state in loop.states for edge in state.carries}
    return any(edge in carried for edge in edges)


def _straight(structure: Structure, node: Node, i: int) -> Edit:
    """The error through a square weight, or through each square block of one, as if it were its own transpose."""
    weight = np.asarray(structure.recording.values[node.parents[1 - i]])
    shape = node.parents[i].shape
    n = min(weight.shape)
    axis = int(weight.shape[1] > weight.shape[0])
    blocks = np.split(weight, max(weight.shape) // n, axis=axis)
    turned = np.concatenate([block.T for block in blocks], axis=axis)
    if i == 0:
        return lambda g: product(g, turned.T).reshape(len(g), *shape)
    return lambda g: np.matmul(turned.T, g.reshape(len(g), turned.shape[0], -1)).reshape(len(g), *shape)


def carries(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """The error that one step hands to the one before: lost, cut after k steps, cut in chunks, swept in part only."""
    every = [edge for state in loop.states for edge in state.carries]
    T, where = len(loop), f"the recurrence{names.loop(loop)}"
    yield Hypothesis(
        "BPTT cut after k steps", f"{where}, k=1",
        "nothing comes back from step t+1: each step learns from its own output only",
        "dh_t = (from the output at t)", "dh_t = (from the output at t) + (from step t+1)",
        edges=lost(every), rank=1, common=True,
    )  # fmt: skip
    if T > 2:
        yield Hypothesis(
            "BPTT cut after k steps", f"{where}, k={{k}}",
            "an error reaches the {k} steps up to its own and no further back",
            "sum over s-{k} < t <= s", "sum over all t <= s",
            window=True, rank=2,
        )  # fmt: skip
    groups = by_role(structure, every)
    for edges in groups if len(groups) > 1 else ():
        yield _carry_lost(names, edges, loop)
    for state in loop.states if len(loop.states) > 1 else ():
        if len(by_role(structure, state.carries)) > 1:
            yield _carry_lost(names, state.carries, loop)
    for k in range(1, T):
        yield _unswept(structure, loop, every, k, where)
    yield from _added(names, loop)
    for k in range(2, T):
        cut = [(node, i) for node, i in every if structure.step[node][1] % k == 0]
        yield Hypothesis(
            "BPTT in chunks", f"{where}, chunks of {k} steps",
            f"the state is detached every {k} steps, so no error crosses from one chunk to the one before",
            f"dh_t = (from the output at t) where t+1 is a multiple of {k}",
            "dh_t = (from the output at t) + (from step t+1)",
            edges=lost(cut), rank=4,
        )  # fmt: skip


def _added(names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """dh += ... where dh = ... belongs: what a step hands back comes on top of what it was handed."""
    for state in loop.states:
        letter = names.states[state.nodes[max(state.nodes)]]
        for whole, what in ((True, f"all of d{letter}_t"), (False, f"what d{letter}_t had from step t+1")):
            yield Hypothesis(
                "error added instead of replaced", f"d{letter}{names.loop(loop)}",
                f"{what} is still in d{letter} when step t adds what it sends back to {letter}_{{t-1}}: += for =",
                f"d{letter}_{{t-1}} += (back through step t)", f"d{letter}_{{t-1}} = (back through step t)",
                jumps={node: (state.nodes[n - 1], whole) for n, node in state.nodes.items() if n - 1 in state.nodes},
                rank=3,
            )  # fmt: skip


def _carry_lost(names: Names, edges: list[Use], loop: Loop) -> Hypothesis:
    node, i = edges[-1]
    letter = names.states[node.parents[i]]
    reader = names.place(node)
    return Hypothesis(
        "carry dropped", f"{letter}_{{t-1}} as read by {reader}",
        f"what step t sends back to {letter}_{{t-1}} through {reader} is lost",
        f"d{letter}_{{t-1}} lacks the term from {reader} at t", f"d{letter}_{{t-1}} = ... + (through {reader} at t)",
        edges=lost(edges), rank=2, common=True,
    )  # fmt: skip


def _unswept(structure: Structure, loop: Loop, every: list[Use], k: int, where: str) -> Hypothesis:
    first = len(loop) - k
    cut = [(node, i) for node, i in every if structure.step[node][1] == first]
    keep = np.diag((np.arange(len(loop)) >= first).astype(float))
    numbers = _state_numbers(structure)
    mixing = {numbers[id(state)]: keep for state in loop.states if state.entries}
    t = loop.times[first]
    return Hypothesis(
        "first steps not swept", f"{where}, before t={t}",
        f"the loop back through time ends at t={t}: earlier steps add nothing",
        f"for t = {loop.times[-1]} ... {t}", f"for t = {loop.times[-1]} ... {loop.times[0]}",
        edges=lost(cut), mixing=mixing, rank=4 if first > 1 else 3, unswept=first,
    )  # fmt: skip


def _state_numbers(structure: Structure) -> dict[int, int]:
    states = [state for loop in structure.loops for state in loop.states]
    return {id(state): s for s, state in enumerate(states)}


def entries(structure: Structure, names: Names, loop: Loop) -> Iterator[Hypothesis]:
    """What the outputs contribute to the states: dropped, or at the wrong step."""
    numbers = _state_numbers(structure)
    T, last = len(loop), len(loop) - 1
    twice = 2 * np.eye(T)
    only_last, later, latest_twice, earlier, everywhere = (np.zeros((T, T)) for _ in range(5))
    only_last[last, last] = 1.0
    later[np.arange(last), np.arange(1, T)] = 1.0
    latest_twice[:] = later
    latest_twice[last, last] = 1.0
    earlier[np.arange(1, T), np.arange(last)] = 1.0
    everywhere[:, last] = 1.0
    for state in loop.states:
        if not state.entries:
            continue
        letter = names.states[state.nodes[max(state.nodes)]]
        right = f"d{letter}_t = (from the output at t) + (from step t+1)"

        def shift(kind: str, matrix: np.ndarray, says: str, wrong: str, rank: int, state: State = state,
                  letter: str = letter, right: str = right, common: bool = False,
                  unswept: int = 0) -> Hypothesis:  # fmt: skip
            return Hypothesis(
                kind, f"{letter}_t{names.loop(loop)}, {names.times(loop)}", says, wrong, right,
                mixing={numbers[id(state)]: matrix}, rank=rank, common=common, unswept=unswept,
            )  # fmt: skip

        yield shift(
            "outputs of earlier steps dropped", only_last,
            "only the last step's output sends its error into the recurrence",
            f"d{letter}_t = (from step t+1), for all but the last t", 2, common=True,
        )  # fmt: skip
        yield shift(
            "outputs shifted by one step", latest_twice,
            f"the output's error of step t+1 is added to d{letter}_t, where that of step t belongs",
            f"d{letter}_t = (from the output at t+1) + (from step t+1)", 2, common=True,
        )  # fmt: skip
        yield shift(
            "outputs shifted by one step", later,
            f"the output's error of step t+1 is added to d{letter}_t, and the last state gets none",
            f"d{letter}_t = (from the output at t+1) + (from step t+1)", 3,
        )  # fmt: skip
        yield shift(
            "outputs shifted by one step", earlier,
            f"the output's error of step t-1 is added to d{letter}_t, where that of step t belongs",
            f"d{letter}_t = (from the output at t-1) + (from step t+1)", 2, common=True,
        )  # fmt: skip
        yield shift(
            "output's error added twice", twice, "the error of the output at t is added twice",
            f"d{letter}_t = 2 * (from the output at t) + (from step t+1)", 3,
        )  # fmt: skip
        for k in range(1, min(3, T)):
            yield shift(
                "last steps not swept", np.diag((np.arange(T) < T - k).astype(float)),
                f"the loop back through time begins at t={loop.times[last - k]}: later steps add nothing",
                f"for t = {loop.times[last - k]} ... {loop.times[0]}", 3, unswept=-k,
            )  # fmt: skip
        yield shift(
            "last output's error at every step", everywhere,
            "the error of the last output enters at every step, as if each step had that output",
            f"d{letter}_t = (from the output at the last step) + (from step t+1)", 2, common=True,
        )  # fmt: skip


def losses(structure: Structure, names: Names) -> Iterator[Hypothesis]:
    """Softmax where softmax minus one-hot belongs, and the softmax left out altogether."""
    fused = [(node, 0) for node in structure.nodes if node.op in ("cross_entropy", "log_softmax", "softmax")]
    for edges in by_role(structure, fused):
        node = edges[0][0]
        where = names.place(node)
        yield from _other_targets(structure, edges, where)
        yield Hypothesis(
            "softmax instead of softmax minus one-hot", where,
            "the one-hot target is not subtracted from the softmax",
            "dz = softmax(z)", "dz = softmax(z) - onehot(target)",
            edges={edge: _softmax_only(structure, edge[0]) for edge in edges}, rank=2, common=True,
        )  # fmt: skip
        if node.op != "cross_entropy":
            yield Hypothesis(
                "softmax derivative missing", where,
                "the gradient at the probabilities is used as that at the scores",
                "dz = dp", "dz = p * (dp - sum(dp * p))",
                edges={edge: (lambda g: g) for edge in edges}, rank=3,
            )  # fmt: skip


def _other_targets(structure: Structure, edges: list[Use], where: str) -> Iterator[Hypothesis]:
    """The one-hot targets of the step before or after."""
    values, nodes = structure.recording.values, [node for node, _ in edges]
    if len(nodes) < 2 or nodes[0].op != "cross_entropy" or nodes[0] not in structure.step:
        return
    targets = [np.asarray(values[node.parents[1]]) for node in nodes]
    for k in (1, -1):
        edits: dict[Use, Edit] = {}
        for n, node in enumerate(nodes):
            other = targets[(n + k) % len(nodes)]  # beyond the end of the list stands its other end: index -1
            if other.dtype.kind not in "iu" or other.shape != targets[n].shape:
                return
            change = np.eye(node.parents[0].shape[-1])[targets[n]] - np.eye(node.parents[0].shape[-1])[other]
            edits[node, 0] = _moved_target(structure, node, change)
        yield Hypothesis(
            "targets of another step", where,
            f"the one-hot target of step t{k:+d} is subtracted where that of t belongs",
            f"dz_t = softmax(z_t) - onehot(target_{{t{k:+d}}})", "dz_t = softmax(z_t) - onehot(target_t)",
            edges=edits, rank=3, alone=True,
        )  # fmt: skip


def _moved_target(structure: Structure, node: Node, change: np.ndarray) -> Edit:
    values = structure.recording.values
    y, xs = values[node], [values[parent] for parent in node.parents]
    return lambda g: pull(node, 0, g, y, xs) + g[..., None] * change


def _softmax_only(structure: Structure, node: Node) -> Edit:
    """The part of the rule that does not look at the target."""
    values = structure.recording.values
    y, xs = values[node], [values[parent] for parent in node.parents]
    if node.op == "cross_entropy":
        z = xs[0] - xs[0].max(axis=-1, keepdims=True)
        p = np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)
        return lambda g: g[..., None] * p
    if node.op == "log_softmax":
        return lambda g: pull(node, 0, g, y, xs) - g
    return lambda g: pull(node, 0, g, y, xs) - g * y
