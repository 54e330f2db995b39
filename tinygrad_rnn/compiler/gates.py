"""Gates: every sigmoid taken apart into what the machine computes fastest, with its factor moved into the weights.

    sigmoid(x) = 1/2 + 1/2 tanh(x / 2)       one tanh can serve all gates of a cell, the candidate's among them
    sigmoid(x) = 1 / (1 + exp(-x))           where a tanh costs twice an exponential or more

The factor of x, 1/2 or -1, is not multiplied in at every step: it is carried up through sums and slices to the weights,
which are scaled once per call.
"""

from __future__ import annotations

import functools
import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..ops.elementwise import exp, minimum, reciprocal, tanh
from .builder import Builder, readers, uses
from .machine import tanh_is_fast
from .program import Instruction, Program
from .saturation import rough

Demand = np.ndarray  # one factor per entry of the last axis


SPARE = 8.0
"""How far, in exponents of e, the argument of an exponential stays below what overflows."""

FEW = 1 << 11
"""Entries of a gate up to which what the tanh costs more is less than what the calls beside the exponential cost."""


def open_sigmoids(program: Program) -> Program:
    """Replace sigmoids, all but those that something delicate is made of; see the module."""
    gates = rough(program)
    return _Scaling(program, gates, through_tanh(gates)).run() if gates else program


def through_tanh(gates: Iterable[Instruction]) -> bool:
    """Whether to go through tanh, and not through exp."""
    return tanh_is_fast() or max(gate.size for gate in gates) <= FEW


class _Scaling:
    """Factors asked for by readers, gathered from the last instruction up, and then built in from the first one
    down.
    """

    def __init__(self, program: Program, gates: set[Instruction], by_tanh: bool) -> None:
        self.program = program
        self.gates = gates
        self.by_tanh = by_tanh
        self.scale = 0.5 if by_tanh else -1.0
        self.counts = uses(program)
        self.asked: dict[Instruction, list[tuple[Any, Demand]]] = defaultdict(list)  # (slice of the last axis, factors)
        self.factor: dict[Instruction, Demand] = {}  # values that are built scaled
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.scaled: dict[Instruction, Instruction] = {}

    def run(self) -> Program:
        for ins in reversed(self.program.instructions):
            self._gather(ins)
        mates = self._mates() if self.by_tanh else {}
        b, new = self.b, self.new
        for ins in self.program.instructions:
            if ins.primitive is None:
                new[ins] = b.leaf(ins)
                continue
            args = tuple([new[a] for a in ins.args])
            if ins in mates:
                spread, shift, k = mates[ins]
                t = self._tanh(ins, self._argument(ins) if ins in self.gates else self._of(ins.args[0]))
                one = b.multiply(t, b.item(b.constant(spread, ins.dtype), k, ins), ins)
                new[ins] = b.add(one, b.item(b.constant(shift, ins.dtype), k, ins), ins)
            elif ins in self.gates:
                new[ins] = self._opened(ins)
            elif ins not in self.factor and self._untouched(ins):
                new[ins] = b.again(ins, (self.scaled[ins.args[0]],))
            else:
                new[ins] = b.again(ins, args)
            if ins in self.factor:
                self.scaled[ins] = self._build(ins)
        return self.program.rebuilt(new, b.order)

    def _untouched(self, ins: Instruction) -> bool:
        """Whether a slice shows columns of a scaled value that are not scaled: it may as well be read there."""
        if ins.op != "getitem" or ins.args[0] not in self.scaled:
            return False
        index = ins.params["index"]
        columns = index[-1] if isinstance(index, tuple) and len(index) == ins.args[0].ndim else slice(None)
        return bool((self.factor[ins.args[0]][columns] == 1.0).all())

    def _opened(self, ins: Instruction) -> Instruction:
        b, x = self.b, self._argument(ins)
        if self.by_tanh:
            half = b.constant(0.5, ins.dtype)
            return b.add(b.multiply(self._tanh(ins, x), half, ins), half, ins)
        highest = b.constant(math.log(np.finfo(ins.dtype).max) - SPARE, ins.dtype)
        x = b.emit(minimum, (x, highest), {}, ins.shape, ins.dtype, ins)
        below = b.add(b.emit(exp, (x,), {}, ins.shape, ins.dtype, ins), b.constant(1, ins.dtype), ins)
        return b.emit(reciprocal, (below,), {}, ins.shape, ins.dtype, ins)

    def _tanh(self, like: Instruction, x: Instruction) -> Instruction:
        return self.b.emit(tanh, (x,), {}, like.shape, like.dtype, like)

    # upwards: who asks for which factors
    def _gather(self, ins: Instruction) -> None:
        if ins in self.gates and ins.ndim:
            self.asked[ins.args[0]].append((slice(None), np.full(ins.shape[-1], self.scale)))
            return
        wish = self._agreed(ins)
        if wish is None:
            return
        self.factor[ins] = wish
        if ins.op == "add":
            for a in ins.args:
                if a.ndim and a.shape[-1] == ins.shape[-1]:
                    self.asked[a].append((slice(None), wish))
        elif ins.op == "getitem":
            index = ins.params["index"]
            self.asked[ins.args[0]].append((index[-1] if isinstance(index[-1], slice) else slice(None), wish))
        elif ins.op == "reshape":
            self.asked[ins.args[0]].append((slice(None), wish))

    def _agreed(self, ins: Instruction) -> Demand | None:
        """The factors for a value, if all of its readers want it scaled in ways that fit together, and it can be built
        so.
        """
        asked = self.asked.get(ins)
        if not asked or not ins.ndim or ins.invariant or not self._buildable(ins):
            return None
        silent = self.counts[ins] - len(asked)
        wish = np.zeros(ins.shape[-1])
        for part, factors in asked:
            now = wish[part]
            if now.shape != factors.shape or (now.any() and ((now != 0) & (now != factors)).any()):
                return None
            wish[part] = factors
        wish[wish == 0] = 1.0
        if silent:
            # others read it as it is: they must read other columns, which stay unscaled
            for reader in self._readers[ins]:
                index = reader.params["index"][-1] if reader.op == "getitem" else slice(None)
                if not any(r is reader for r in self._askers(ins)) and np.any(wish[index] != 1.0):
                    return None
        return wish

    @functools.cached_property
    def _readers(self) -> dict[Instruction, list[Instruction]]:
        return readers(self.program)

    def _askers(self, ins: Instruction) -> list[Instruction]:
        return [r for r in self._readers[ins] if r in self.factor or r in self.gates]

    def _buildable(self, ins: Instruction) -> bool:
        if ins.op == "add":
            return all(a.ndim and a.shape[-1] == ins.shape[-1] for a in ins.args)
        if ins.op == "matmul":
            return ins.args[1].invariant and ins.args[0].ndim >= 2 and ins.args[1].ndim == 2
        if ins.op == "getitem":
            index = ins.params["index"]
            return isinstance(index, tuple) and len(index) == ins.args[0].ndim and isinstance(index[-1], slice)
        if ins.op == "reshape":
            return bool(ins.args[0].ndim) and ins.args[0].shape[-1] == ins.shape[-1]
        return False

    # downwards: build what was agreed
    def _of(self, ins: Instruction) -> Instruction:
        """A value as a reader that asks for no factor sees it."""
        return self.new[ins]

    def _argument(self, gate: Instruction) -> Instruction:
        """The argument of a gate times the factor, from scaled weights if that was agreed."""
        x = gate.args[0]
        if x in self.scaled:
            return self.scaled[x]
        return self.b.multiply(self.new[x], self.b.constant(self.scale, x.dtype), gate)

    def _build(self, ins: Instruction) -> Instruction:
        wish, b = self.factor[ins], self.b
        if ins.op == "add":
            left, right = (self._scaled(a, wish, ins) for a in ins.args)
            return b.add(left, right, ins)
        if ins.op == "matmul":
            return b.emit(
                ins.primitive, (self.new[ins.args[0]], self._times(self.new[ins.args[1]], wish, ins)), {}, ins.shape,
                ins.dtype, ins,
            )  # fmt: skip
        base = self.scaled[ins.args[0]] if ins.args[0] in self.scaled else self._sliced(ins, wish)
        return b.emit(ins.primitive, (base,), ins.params, ins.shape, ins.dtype, ins)

    def _sliced(self, ins: Instruction, wish: Demand) -> Instruction:
        """The base of a view, scaled as far as this view shows it; used where the base itself was not agreed on."""
        base = ins.args[0]
        full = np.ones(base.shape[-1])
        full[ins.params["index"][-1] if ins.op == "getitem" else slice(None)] = wish
        return self._times(self.new[base], full, ins)

    def _scaled(self, a: Instruction, wish: Demand, like: Instruction) -> Instruction:
        return self.scaled[a] if a in self.scaled else self._times(self.new[a], wish, like)

    def _times(self, x: Instruction, wish: Demand, like: Instruction) -> Instruction:
        if (wish == 1.0).all():
            return x
        like = x if x.primitive is not None else like
        if (wish == wish[0]).all():
            return self.b.multiply(x, self.b.constant(wish[0], x.dtype), like)
        if x.op == "transpose" and x.ndim == 2:  # the weight is scaled as it lies, which is several times faster
            factor = self.b.constant(wish[:, None], x.dtype)
            return self.b.transpose(self.b.multiply(x.args[0], factor, like), (1, 0), like)
        return self.b.multiply(x, self.b.constant(wish, x.dtype), like)

    def _mates(self) -> dict[Instruction, tuple[np.ndarray, np.ndarray, int]]:
        """Sigmoids and tanhs of slices of one value: what to multiply and add after one tanh over all, and which slice
        is whose.
        """
        groups: dict[Instruction, list[Instruction]] = defaultdict(list)
        for ins in self.program.instructions:
            if (
                (ins in self.gates or ins.op == "tanh")
                and ins.args[0].op == "getitem"
                and self.counts[ins.args[0]] == 1
            ):
                groups[ins.args[0].args[0]].append(ins)
        found = {}
        for value, members in groups.items():
            mixed = {m.op for m in members} == {"sigmoid", "tanh"} and value in self.factor
            if mixed and len({m.shape for m in members}) == 1:
                members.sort(key=lambda m: m.args[0].params["index"][-1].start)
                spread = np.array([0.5 if m.op == "sigmoid" else 1.0 for m in members])
                shift = np.array([0.5 if m.op == "sigmoid" else 0.0 for m in members])
                found.update({m: (spread, shift, k) for k, m in enumerate(members)})
        return found
