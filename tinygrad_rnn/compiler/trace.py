"""Record one call of a function and its reverse sweep, and lower the recorded graph into a program.

Stand-ins take the place of all arrays among the arguments; the leaves that turn up besides them are the parameters,
constants and buffers that the function closes over, and are read afresh at every replay. Reading a traced value raises,
for it would be baked in.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .. import graph
from ..backward import sweep
from ..errors import MissingRuleError
from ..graph import Node, ancestors
from ..state import current, record_everything
from ..tensor import Tensor, make
from ..writes import Notes
from .program import CONSTANT, COTANGENT, INPUT, PARAMETER, Instruction, Program, refuse
from .signature import fill, flatten, refuse_result

REASON = (
    "compile is recording, and the value of a traced tensor is known only when the program runs; reading it here would "
    "bake in the value of this one call. Choose between tensors with np.where or a mask, return the tensor and read it "
    "outside, or pass what you branch on as a Python value: each value then gets a program of its own."
)


class Recording(NamedTuple):
    """A program and what ties it to the call: the template of the results, and for each wanted leaf its node.

    template: the structure of the result, arrays as slots. program: what was lowered. live: outputs that can be
    differentiated, by position. missing: the error to raise in backward() where a rule was missing, else None.
    identical: output position -> number of the argument that is returned as it is. effects: tensors that the function
    writes in place; their values are the last outputs.
    """

    template: Any
    program: Program
    live: tuple[int, ...]
    missing: MissingRuleError | None
    identical: dict[int, int]
    effects: tuple[Any, ...]


def record(function: Callable[..., Any], template: Any, leaves: Sequence[Any]) -> Recording:
    """Run `function` on stand-ins for `leaves`, record it and its sweep, and lower both.

    template: (args, kwargs) with slots for the leaves. Raises GraphError where a value is read or something cannot be
        replayed.
    """
    written: list[Any] = []
    notes = Notes()
    try:
        return _record(function, template, leaves, written)
    finally:
        for _, _, array, _ in written:  # the writes were taken back, and the sweep is done: nothing was written
            notes.restore(array)


def _record(function: Callable[..., Any], template: Any, leaves: Sequence[Any], written: list[Any]) -> Recording:
    grad = current().recording
    stand_ins = []
    for x in leaves:
        array = x.array if isinstance(x, Tensor) else x
        node = graph.leaf(array, needs_grad=grad and isinstance(x, Tensor) and x.requires_grad)
        stand_ins.append(make(array, node))
    nodes = [t.node for t in stand_ins]
    start = graph.tick()
    args, kwargs = fill(template, stand_ins)
    with record_everything(tracing=REASON, written=written):
        effects: list[Any] = []
        try:
            result = function(*args, **kwargs)
            outputs: list[Any] = []
            if inspect.iscoroutine(result):
                result.close()
                raise refuse(
                    "the function is async: to call it runs nothing of it.", "Compile what it awaits or calls."
                )
            shape = flatten(result, outputs, [], refuse_result)
            for o in outputs:
                if isinstance(o, Tensor) and o.node is None:  # closed over and not read: on the tensor, as `data=` is
                    o.node = graph.leaf(o.array)
            outputs = [make(o.array, o.node) if isinstance(o, Tensor) else make(o) for o in outputs]
            # what only the call itself knew dies here, so that the tensors left among those written are the user's
            del result, args, kwargs
        finally:
            effects = _undo(written)
        for o in outputs:
            if o.node is None:
                o.node = graph.leaf(o.array)
        if any(tensor is stand_in for tensor, _ in effects for stand_in in stand_ins):
            raise refuse(
                "the function writes into one of its arguments in place.", "Write into a clone() and return it."
            )
        count = len(outputs)
        outputs += [make(tensor.array, node) for tensor, node in effects]
        known = set(nodes)
        live = tuple(i for i, o in enumerate(outputs[:count]) if o.node.needs_grad and o.node not in known)
        cut = graph.tick()
        wanted, seeds, found, missing = _sweep([outputs[i] for i in live], start)
    roots = [o.node for o in outputs]
    gradients = [found.get(w) for w in wanted]
    lowered = _lower([*roots, *(g for g in gradients if g is not None)], nodes, seeds, wanted, start, cut)
    cotangents: list[Instruction | None] = [None] * len(outputs)
    for i, seed in zip(live, seeds, strict=True):
        cotangents[i] = lowered[seed]
    program = Program(
        tuple(lowered.values()),
        tuple(lowered[n] for n in nodes),
        tuple(cotangents),
        tuple(lowered[r] for r in roots),
        tuple(lowered[w] for w in wanted),
        tuple(None if g is None else lowered[g] for g in gradients),
    )
    identical = {i: nodes.index(o.node) for i, o in enumerate(outputs[:count]) if o.node in known}
    return Recording(shape, program, live, missing, identical, tuple(tensor for tensor, _ in effects))


def _undo(written: list[Any]) -> list[tuple[Any, Node]]:
    """Take back the in-place writes of the recorded call: replays repeat them. Returns the tensors that live on, each
    with the node of its last value.
    """
    last: dict[int, tuple[Any, Node]] = {}
    for reference, _, _, _ in written:
        tensor = reference()
        if tensor is not None:
            last[id(tensor)] = tensor, tensor.node
    for reference, node, array, before in reversed(written):
        np.copyto(array, before)
        tensor = reference()
        if tensor is not None:
            tensor.node = node
    return list(last.values())


def _sweep(outputs: list[Any], start: int) -> tuple[list[Node], list[Node], dict[Node, Node], MissingRuleError | None]:
    """Pull a fresh cotangent of each output back; the leaves that want one, the cotangents, the gradients, and what
    went wrong.

    start: when the function was called. A leaf that it made itself, as an initial state that requires grad, wants none:
    the next call makes another one.
    """
    leaves = [n for n in ancestors((o.node for o in outputs), only_grad=True) if n.primitive is None]
    wanted = [n for n in leaves if n.index < start]
    seeds = [make(np.ones(o.shape, o.dtype), graph.leaf(np.ones(o.shape, o.dtype))) for o in outputs]
    hooks = [(n, n.hooks) for n in wanted if n.hooks]
    for node, _ in hooks:
        node.hooks = None  # they run when backward() reaches the leaf itself
    try:
        roots = list(dict.fromkeys(o.node for o in outputs))
        if len(roots) < len(outputs):  # one tensor returned twice has two cotangents
            merged: dict[Node, Any] = {}
            for o, seed in zip(outputs, seeds, strict=True):
                merged[o.node] = seed if o.node not in merged else merged[o.node] + seed
            totals = list(merged.values())
        else:
            totals = seeds
        # only the record matters: in-place writes were undone, so the values may be none that the function ever had
        with np.errstate(all="ignore"):
            found = sweep(roots, totals, make, inputs=wanted, create_graph=True)
    except MissingRuleError as error:
        return wanted, [s.node for s in seeds if s.node], {}, error
    finally:
        for node, kept in hooks:
            node.hooks = kept
    return wanted, [s.node for s in seeds if s.node], {n: g.node for n, (g, _) in found.items()}, None


def _lower(
    roots: Sequence[Node], inputs: Sequence[Any], seeds: Sequence[Node], wanted: Sequence[Node], start: int, cut: int
) -> dict[Node, Instruction]:
    """Every node that the roots need as an instruction, in recording order."""
    roles = {n: (INPUT, i) for i, n in enumerate(inputs)} | {n: (COTANGENT, i) for i, n in enumerate(seeds)}
    lowered: dict[Node, Instruction] = {}
    for node in ancestors([*roots, *inputs, *seeds, *wanted]):
        backward = node.index >= cut
        if node.primitive is not None:
            if node.index < start:
                raise refuse(
                    f"the function closes over a tensor with history ({node.describe()}), which a replay cannot see.",
                    "Pass it as an argument, or detach() it outside.",
                )
            if node.primitive.kind == "alias":  # its result was recorded; it only has a rule of its own
                lowered[node] = lowered[node.parents[0]]
                continue
            if node.op in ("take", "put") and any(p.dtype == np.bool_ for p in node.parents[1:]):
                raise refuse(
                    f"{node.describe()} reads through a mask, so its shape depends on values.",
                    "Multiply with the mask, or use np.where; or pass the positions, as integers.",
                )
            lowered[node] = Instruction(
                node.primitive, tuple(map(lowered.__getitem__, node.parents)), node.params, node.shape, node.dtype,
                node.scope, backward, -node.index if backward else node.index,
            )  # fmt: skip
        else:
            role, value = roles.get(node, (PARAMETER, node))
            if role == PARAMETER and not isinstance(node.value, np.ndarray):
                role, value = CONSTANT, node.value
            lowered[node] = Instruction(
                None, (), {}, node.shape, node.dtype, node.scope, role == COTANGENT, node.index, None, role, value
            )  # fmt: skip
    return lowered
