"""The program: a recorded computation as a typed list of instructions, with its checker, its printer and its
interpreter.

Floor 5. An instruction *is* the value that it computes, so operands are plain references and nothing has to be renamed
when passes rewrite. Programs are immutable: a pass builds a new one. The form (a primitive, inputs, parameters, a typed
output; a checker to run after every transformation; one printed line each) follows Autodidax (google/jax,
`docs/autodidax.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from ..errors import GraphError
from ..primitive import Primitive
from ..state import Scope

INPUT, COTANGENT, PARAMETER, CONSTANT = "input", "cotangent", "parameter", "constant"
FIXED = (PARAMETER, CONSTANT)
"""Roles of leaves that no call hands in."""

NOWHERE = Scope(None, None, None)
VIEWS = frozenset({"reshape", "transpose", "broadcast_to", "getitem", "strided"})
"""Primitives whose output NumPy gives as a view, so that they cost no pass over the data."""


_backward = attrgetter("backward")


class Instruction:
    """One line of a program, and the value that it computes.

    primitive: what runs; None for a leaf. role: what kind of leaf, "" for all others. op: the name of the primitive, or
        the role.
    args: the instructions of its array arguments. params: the other arguments, by name.
    shape, ndim, dtype: of the value. scope: module path and time step of the op that it came from.
    backward: whether it lies behind the cut, in the part that `backward()` replays.
    key: where it belongs in time: instructions of one kind are put side by side in this order.
    identity: a hashable stand-in for params, equal for instructions that do the same to their operands.
    invariant: whether it depends on parameters and constants only. The product of a constant state with a weight does
        not count: it is the first of many that are done alike.
    value: of a leaf: the graph node that holds the array now (a parameter), the position of an input, the number of a
        constant.
    """

    __slots__ = (
        "args", "backward", "dtype", "identity", "invariant", "key", "ndim", "op", "params", "primitive", "role",
        "scope", "shape", "value",
    )  # fmt: skip

    def __init__(
        self,
        primitive: Primitive | None,
        args: tuple[Instruction, ...],
        params: dict[str, Any],
        shape: tuple[int, ...],
        dtype: np.dtype,
        scope: Scope = NOWHERE,
        backward: bool = False,
        key: int = 0,
        identity: Any = None,
        role: str = "",
        value: Any = None,
    ) -> None:
        self.primitive = primitive
        self.op = role if primitive is None else primitive.name
        self.args = args
        self.params = params
        self.shape = shape
        self.ndim = len(shape)
        self.dtype = dtype
        self.scope = scope
        self.backward = backward
        self.key = key
        self.role = role
        self.value = value
        self.identity: Any = identity if identity is not None else freeze(params) if params else ()
        if args:
            self.invariant = args[0].invariant and all(a.invariant for a in args) and not self._is_of_state()
        else:
            self.invariant = role in FIXED

    def _is_of_state(self) -> bool:
        return self.op == "matmul" and self.args[0].role == PARAMETER and not self.args[0].value.needs_grad

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the value."""
        return self.size * self.dtype.itemsize

    def on(self, args: tuple[Instruction, ...]) -> Instruction:
        """The same computation on other operands of the same types."""
        return Instruction(
            self.primitive, args, self.params, self.shape, self.dtype, self.scope,
            self.backward or any(map(_backward, args)), self.key, self.identity,
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<{self.op} {self.dtype}{list(self.shape)}{self.scope.where()}>"


class Program(NamedTuple):
    """Instructions in an order that respects their operands, leaves included.

    inputs: what a call hands in. cotangents: one for each output that can be differentiated (None for the others), what
    `backward()` hands in. outputs: what the call returns. wanted: the leaves whose gradients are asked for; gradients:
    one each, or None where no gradient reaches the leaf. Instructions with `backward` lie behind the cut.
    """

    instructions: tuple[Instruction, ...]
    inputs: tuple[Instruction, ...]
    cotangents: tuple[Instruction | None, ...]
    outputs: tuple[Instruction, ...]
    wanted: tuple[Instruction, ...]
    gradients: tuple[Instruction | None, ...]

    def results(self) -> list[Instruction]:
        """Everything that must be computed: outputs and gradients."""
        return [*self.outputs, *(g for g in self.gradients if g is not None)]

    def rebuilt(self, new: dict[Instruction, Instruction], order: Iterable[Instruction] | None = None) -> Program:
        """This program with its instructions replaced, live ones only.

        new: old instruction -> the one that stands for it now, if it is another one. order: the new instructions,
        operands first; by default in the order of discovery.
        """
        outputs = tuple(new.get(o, o) for o in self.outputs)
        gradients = tuple(None if g is None else new.get(g, g) for g in self.gradients)
        inputs = tuple(new.get(i, i) for i in self.inputs)
        cotangents = tuple(None if c is None else new.get(c, c) for c in self.cotangents)
        wanted = tuple(new.get(w, w) for w in self.wanted)
        roots = [*outputs, *(g for g in gradients if g is not None)]
        keep = [*inputs, *(c for c in cotangents if c is not None), *wanted]
        kept = sort(roots, keep) if order is None else live(order, roots, keep)
        return Program(tuple(kept), inputs, cotangents, outputs, wanted, gradients)


def live(order: Iterable[Instruction], roots: Iterable[Instruction], keep: Iterable[Instruction]) -> list[Instruction]:
    """The instructions of `order` that `roots` need; those of `keep` stay in any case."""
    order = list(order)
    needed = {*roots, *keep}
    for ins in reversed(order):
        if ins in needed:
            needed.update(ins.args)
    return [ins for ins in order if ins in needed]


def sort(roots: Iterable[Instruction], first: Iterable[Instruction] = ()) -> list[Instruction]:
    """All instructions that `roots` need, operands first, forward before backward; iterative."""
    order: dict[Instruction, None] = dict.fromkeys(first)
    stack: list[Instruction] = list(roots)[::-1]
    while stack:
        ins = stack[-1]
        if ins in order:
            stack.pop()
            continue
        missing = [a for a in ins.args if a not in order]
        if missing:
            stack.extend(reversed(missing))
        else:
            order[ins] = None
            stack.pop()
    return sorted(order, key=lambda ins: ins.backward)


def freeze(x: Any) -> Any:
    """Params as something that can be hashed and compared."""
    kind = x.__class__  # what indices are made of comes first: there is one for each part of each gate at each step
    if kind is slice:
        return ("slice", x.start, x.stop, x.step)
    if kind is int:
        return x
    if isinstance(x, (tuple, list)):
        return tuple([v if v.__class__ is int else freeze(v) for v in x])
    if isinstance(x, dict):
        return tuple([(k, freeze(v)) for k, v in x.items()])
    if isinstance(x, np.ndarray):
        return (x.shape, x.dtype.str, x.tobytes())
    return (kind, x) if isinstance(x, (int, float)) else x


def check(program: Program) -> Program:
    """Raise AssertionError unless the program is well formed, and every type is what its primitive gives; returns the
    program.

    Operands come before their use, nothing in front of the cut needs what lies behind it, and each primitive, run on
    arrays of the declared operand types, gives the declared shape and dtype (values are ones: types do not depend on
    them). Once one lies behind the cut, all that follow do, but for leaves: memory is handed out in this order.
    """
    seen: set[Instruction] = set()
    cut = False
    for ins in program.instructions:
        assert ins.backward or ins.primitive is None or not cut, f"{ins} lies in front of the cut, but comes after it"
        cut = cut or (ins.backward and ins.primitive is not None)
        for a in ins.args:
            assert a in seen, f"{ins} comes before its operand {a}"
            assert ins.backward or not a.backward, f"{ins} lies in front of the cut but needs {a} from behind it"
        assert ins not in seen, f"{ins} stands in the program twice"
        seen.add(ins)
        if ins.primitive is not None and ins.size < 1_000_000:
            with np.errstate(all="ignore"):
                operands = [a.value if a.op == CONSTANT else _sample(a) for a in ins.args]
                got = np.asarray(ins.primitive.forward(*operands, **ins.params))
            assert got.shape == ins.shape, f"{ins} gives shape {got.shape} from {ins.args}"
            assert got.dtype == ins.dtype, f"{ins} gives {got.dtype} from {ins.args}"
    for result in program.results():
        assert result in seen, f"the result {result} is not computed"
    for leaf, gradient in zip(program.wanted, program.gradients, strict=True):
        assert gradient is None or (gradient.shape, gradient.dtype) == (leaf.shape, leaf.dtype), (
            f"{gradient} for {leaf}"
        )
    return program


def _sample(ins: Instruction) -> np.ndarray:
    # zeros are valid indices, and ones are in the domain of logarithms
    return np.zeros(ins.shape, ins.dtype) if ins.dtype.kind in "iub" else np.ones(ins.shape, ins.dtype)


def interpret(
    program: Program, inputs: Sequence[Any], cotangents: Sequence[Any] = ()
) -> tuple[list[Any], list[Any | None]]:
    """Run a program instruction by instruction, with the array functions of its primitives: the reference for every
    pass.

    inputs: one array per input. cotangents: one per output that has one; without them only the forward part runs.
    Returns the outputs and the gradients (None each where the backward part was not run, or no gradient flows).
    """
    values: dict[Instruction, Any] = dict(zip(program.inputs, inputs, strict=True))
    seeds = [c for c in program.cotangents if c is not None]
    backward = bool(seeds) and len(cotangents) == len(seeds)
    values.update(zip(seeds, cotangents, strict=backward))
    for ins in program.instructions:
        if ins.backward and not backward:
            continue
        if ins.primitive is not None:
            values[ins] = np.asarray(ins.primitive.forward(*(values[a] for a in ins.args), **ins.params))
        elif ins.role == PARAMETER:
            values[ins] = ins.value.value
        elif ins.role == CONSTANT:
            values[ins] = ins.value
    gradients = [None if g is None or not backward else np.asarray(values[g]) for g in program.gradients]
    return [np.asarray(values[o]) for o in program.outputs], gradients


def show(program: Program, limit: int = 200) -> str:
    """The program as text, one line an instruction: `v7: float32[16, 64] = matmul v3 v5    # rnn.l0 t=3`.

    limit: how many lines to print at most; what is left out is counted.
    """
    names = {ins: f"v{i}" for i, ins in enumerate(program.instructions)}
    results = dict.fromkeys(program.outputs, "output") | {g: "gradient" for g in program.gradients if g is not None}
    lines = []
    cut = False
    for ins in program.instructions[:limit]:
        if ins.backward and ins.primitive is not None and not cut:  # what is handed in may stand anywhere
            cut = True
            lines.append("---- the cut: what follows runs in backward() ----")
        params = "".join(f" {k}={v!r}" for k, v in ins.params.items())
        number = ins.role == CONSTANT and ins.size == 1
        value = f" {ins.value!r}" if number else f" {ins.value.name}" if ins.role == PARAMETER else ""
        place = " ".join(part for part in (ins.scope.where().strip(), results.get(ins, "")) if part)
        operands = "".join(f" {names[a]}" for a in ins.args)
        line = f"{names[ins]}: {ins.dtype}{list(ins.shape)} = {ins.op}{value}{operands}{params}"
        lines.append(f"{line}    # {place}" if place else line)
    if len(program.instructions) > limit:
        lines.append(f"... and {len(program.instructions) - limit} more")
    return "\n".join(lines)


def refuse(what: str, do: str) -> GraphError:
    """The error for what a program cannot hold: what it is, and the way out."""
    return GraphError(f"compile: {what} {do}")
