"""How passes write: a builder that gives equal instructions one value, and the walk that rewrites a program through it.

Also the two passes that follow from it alone, dead code and common subexpressions.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..ops.contract import matmul
from ..ops.elementwise import add, multiply
from ..ops.index import getitem
from ..ops.reduce import sum_
from ..ops.shape import broadcast_to, concatenate, reshape, stack, transpose
from ..primitive import Primitive
from .program import CONSTANT, Instruction, Program

Rule = Callable[["Builder", Instruction, tuple[Instruction, ...]], Instruction]


_backward = attrgetter("backward")


class Builder:
    """Emits instructions in order; asked twice for the same computation it gives the same value.

    Each method that is named like a primitive works out shape and dtype; `like` is the instruction in whose place the
    new one stands: scope, time and side of the cut come from it.
    """

    def __init__(self) -> None:
        self.order: list[Instruction] = []
        self.known: dict[Any, Instruction] = {}

    def keep(self, ins: Instruction) -> Instruction:
        """Take over an instruction as it is, or the equal one that is there already."""
        primitive, known = ins.primitive, self.known
        assert primitive is not None
        if primitive.kind == "random":
            self.order.append(ins)
            return ins
        count = len(known)
        found = known.setdefault((primitive, ins.args, ins.identity), ins)
        if len(known) > count:
            self.order.append(ins)
        return found

    def leaf(self, ins: Instruction) -> Instruction:
        """Take over a leaf; equal numbers become one."""
        if ins.role == CONSTANT:
            name = _constant_name(ins.value)
            if name in self.known:
                return self.known[name]
            self.known[name] = ins
        self.order.append(ins)
        return ins

    def emit(
        self,
        primitive: Primitive | None,
        args: tuple[Instruction, ...],
        params: dict[str, Any],
        shape: tuple[int, ...],
        dtype: np.dtype,
        like: Instruction,
    ) -> Instruction:
        """The value of a primitive on operands."""
        backward = like.backward or any(map(_backward, args))
        identity = like.identity if params is like.params else None
        return self.keep(Instruction(primitive, args, params, shape, dtype, like.scope, backward, like.key, identity))

    def again(self, ins: Instruction, args: tuple[Instruction, ...]) -> Instruction:
        """The same computation on other operands of the same types."""
        return self.keep(ins if args == ins.args else ins.on(args))

    def constant(self, value: Any, dtype: np.dtype) -> Instruction:
        """A number, as a 0-d array of `dtype`, or an array."""
        array = np.asarray(value, dtype)
        name = _constant_name(array)
        if name not in self.known:
            ins = Instruction(None, (), {}, array.shape, array.dtype, role=CONSTANT, value=array)
            self.known[name] = ins
            self.order.append(ins)
        return self.known[name]

    def full(self, value: float, shape: tuple[int, ...], dtype: np.dtype, like: Instruction) -> Instruction:
        """A number in every entry of `shape`, without memory of that size."""
        return self.broadcast_to(self.constant(value, dtype), shape, like)

    def reshape(self, x: Instruction, shape: tuple[int, ...], like: Instruction) -> Instruction:
        """x in another shape."""
        if x.op == "reshape":
            x = x.args[0]
        return x if x.shape == shape else self.emit(reshape, (x,), {"shape": shape}, shape, x.dtype, like)

    def transpose(self, x: Instruction, axes: tuple[int, ...], like: Instruction) -> Instruction:
        """x with its axes in another order."""
        if x.op == "transpose":
            axes = tuple(x.params["axes"][i] for i in axes)
            x = x.args[0]
        if axes == tuple(range(x.ndim)):
            return x
        return self.emit(transpose, (x,), {"axes": axes}, tuple(x.shape[i] for i in axes), x.dtype, like)

    def broadcast_to(self, x: Instruction, shape: tuple[int, ...], like: Instruction) -> Instruction:
        """x repeated along axes of size 1."""
        if x.op == "broadcast_to":
            x = x.args[0]
        return x if x.shape == shape else self.emit(broadcast_to, (x,), {"shape": shape}, shape, x.dtype, like)

    def getitem(self, x: Instruction, index: tuple[Any, ...], like: Instruction) -> Instruction:
        """A part of x; `index` in full: one non-negative int or plain slice for each axis."""
        shape = tuple([len(range(i.start, i.stop, i.step)) for i in index if i.__class__ is slice])
        return x if shape == x.shape else self.emit(getitem, (x,), {"index": index}, shape, x.dtype, like)

    def part(self, x: Instruction, axis: int, start: int, stop: int, like: Instruction) -> Instruction:
        """Entries start to stop of one axis."""
        index = [slice(start, stop, 1) if i == axis else slice(0, n, 1) for i, n in enumerate(x.shape)]
        return self.getitem(x, tuple(index), like)

    def item(self, x: Instruction, i: int, like: Instruction, axis: int = 0) -> Instruction:
        """Entry i of one axis, which goes away."""
        index = [i if k == axis else slice(0, n, 1) for k, n in enumerate(x.shape)]
        return self.getitem(x, tuple(index), like)

    def items(self, x: Instruction, likes: Sequence[Instruction]) -> list[Instruction]:
        """All entries of the first axis, each in the place of one of `likes`."""
        shape = x.shape[1:]
        rest = tuple([slice(0, n, 1) for n in shape])
        return [self.emit(getitem, (x,), {"index": (i, *rest)}, shape, x.dtype, like) for i, like in enumerate(likes)]

    def stack(self, parts: tuple[Instruction, ...], axis: int, like: Instruction) -> Instruction:
        """Values side by side along a new axis; consecutive parts of one array are a part of it again."""
        first = parts[0]
        base = first.args[0] if first.op == "getitem" else None
        if base is not None and all(p.op == "getitem" and p.args[0] is base for p in parts):
            found = self._consecutive(parts, base, axis, like)
            if found is not None:
                return found
        shape = (*first.shape[:axis], len(parts), *first.shape[axis:])
        return self.emit(stack, parts, {"axis": axis}, shape, first.dtype, like)

    def concatenate(self, parts: Sequence[Instruction], axis: int, like: Instruction) -> Instruction:
        """Values one behind the other along an axis that they have."""
        first = parts[0]
        shape = (*first.shape[:axis], sum([p.shape[axis] for p in parts]), *first.shape[axis + 1 :])
        return self.emit(concatenate, tuple(parts), {"axis": axis}, shape, first.dtype, like)

    def _consecutive(
        self, parts: tuple[Instruction, ...], base: Instruction, axis: int, like: Instruction
    ) -> Instruction | None:
        indices = [p.params["index"] for p in parts]
        if any(len(index) != base.ndim for index in indices):
            return None
        varying = [k for k in range(base.ndim) if any(index[k] != indices[0][k] for index in indices)]
        if len(varying) > 1:
            return None
        where = varying[0] if varying else next((k for k, i in enumerate(indices[0]) if isinstance(i, int)), None)
        if where is None or not all(isinstance(index[where], int) for index in indices):
            return None
        start = indices[0][where]
        if [index[where] for index in indices] != list(range(start, start + len(parts))):
            return None
        # the stacked axis lands where the int was, less the ints in front of it
        landed = sum(isinstance(i, slice) for i in indices[0][:where])
        if landed != axis:
            return None
        index = tuple(slice(start, start + len(parts), 1) if k == where else i for k, i in enumerate(indices[0]))
        return self.getitem(base, index, like)

    def matmul(self, a: Instruction, b: Instruction, like: Instruction) -> Instruction:
        """The product of matrices, or of stacks of them."""
        lead = broadcast(a.shape[:-2], b.shape[:-2])
        return self.emit(matmul, (a, b), {}, (*lead, a.shape[-2], b.shape[-1]), a.dtype, like)

    def sum(self, x: Instruction, axis: tuple[int, ...], like: Instruction) -> Instruction:
        """The sum over axes, which go away."""
        if not axis:
            return x
        shape = tuple(n for i, n in enumerate(x.shape) if i not in axis)
        return self.emit(sum_, (x,), {"axis": axis, "keepdims": False}, shape, x.dtype, like)

    def _binary(self, primitive: Primitive, a: Instruction, b: Instruction, like: Instruction) -> Instruction:
        dtype = b.dtype if a.role == CONSTANT else a.dtype
        return self.emit(primitive, (a, b), {}, broadcast(a.shape, b.shape), dtype, like)

    def add(self, a: Instruction, b: Instruction, like: Instruction) -> Instruction:
        """a + b."""
        return self._binary(add, a, b, like)

    def multiply(self, a: Instruction, b: Instruction, like: Instruction) -> Instruction:
        """a * b."""
        return self._binary(multiply, a, b, like)


def broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an elementwise result: mostly that of both operands, or of the one that is no number."""
    return a if a == b or not b else np.broadcast_shapes(a, b)


def _constant_name(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return (CONSTANT, value.dtype, value.shape, value.tobytes())
    return (CONSTANT, type(value), value)


def rewrite(program: Program, rule: Rule) -> Program:
    """Walk the program in order and let `rule(builder, instruction, new operands)` say what stands for each
    instruction.
    """
    b = Builder()
    new: dict[Instruction, Instruction] = {}
    now = new.__getitem__
    for ins in program.instructions:
        if ins.primitive is None:
            new[ins] = b.leaf(ins)
        else:
            new[ins] = rule(b, ins, tuple(map(now, ins.args)))
    return program.rebuilt(new, b.order)


def uses(program: Program) -> Counter[Instruction]:
    """How many times each value is read; being a result counts once."""
    counts = Counter(itertools.chain.from_iterable([ins.args for ins in program.instructions]))
    counts.update(program.results())
    return counts


def readers(program: Program) -> dict[Instruction, list[Instruction]]:
    """Who reads each value, once for each operand; a result is read by itself."""
    found: dict[Instruction, list[Instruction]] = defaultdict(list)
    for ins in program.instructions:
        for a in ins.args:
            found[a].append(ins)
    for result in program.results():
        found[result].append(result)
    return found


def remove_dead_code(program: Program) -> Program:
    """Only what outputs and gradients need stays."""
    return program.rebuilt({}, program.instructions)


def share_common_subexpressions(program: Program) -> Program:
    """Equal primitives on equal operands with equal params are one value; draws never are."""
    return rewrite(program, lambda b, ins, args: b.again(ins, args))


def normal_index(index: Any, shape: tuple[int, ...]) -> tuple[Any, ...] | None:
    """A basic index in full, one entry for each axis: non-negative ints and plain slices; None if it adds axes."""
    index = index if isinstance(index, tuple) else (index,)
    if any(i is None for i in index):
        return None
    if any(i is Ellipsis for i in index):
        at = next(k for k, i in enumerate(index) if i is Ellipsis)
        index = (*index[:at], *(slice(None),) * (len(shape) - len(index) + 1), *index[at + 1 :])
    index = (*index, *(slice(None),) * (len(shape) - len(index)))
    full = []
    for i, n in zip(index, shape, strict=True):
        if isinstance(i, slice):
            start, stop, step = i.indices(n)
            if step < 0:
                return None
            full.append(slice(start, max(stop, start), step))
        else:
            full.append(int(i) + n if i < 0 else int(i))
    return tuple(full)


def volume(shape: tuple[int, ...]) -> int:
    """Number of entries of a shape."""
    return math.prod(shape)
