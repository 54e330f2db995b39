"""Gates: every sigmoid as a tanh, and wide products cut into the slices that are read of them.

sigmoid(x) = 1/2 + 1/2 tanh(x / 2), so one tanh can serve all gates of a cell. The half is not multiplied in at every
step: it is carried up through sums and slices to the weights, which are scaled once per call. A product whose columns
are read as slices only (the gates of a cell side by side) becomes one product per slice; batching then makes a stack of
them, in which each gate lies contiguous.
"""

from __future__ import annotations

import functools
import itertools
from collections import defaultdict
from typing import Any

import numpy as np

from ..ops.elementwise import tanh
from .builder import Builder, readers, uses
from .kinds import invariants
from .program import Instruction, Program
from .saturation import rough

Demand = np.ndarray  # one factor per entry of the last axis


def sigmoids_as_tanh(program: Program) -> Program:
    """Replace sigmoids, all but those that something delicate is made of; see the module."""
    gates = rough(program)
    return _Scaling(program, gates).run() if gates else program


class _Scaling:
    """Factors asked for by readers, gathered from the last instruction up, and then built in from the first one
    down.
    """

    def __init__(self, program: Program, gates: set[Instruction]) -> None:
        self.program = program
        self.gates = gates
        self.invariant = invariants(program)
        self.counts = uses(program)
        self.asked: dict[Instruction, list[tuple[Any, Demand]]] = defaultdict(list)  # (slice of the last axis, factors)
        self.factor: dict[Instruction, Demand] = {}  # values that are built scaled
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.scaled: dict[Instruction, Instruction] = {}

    def run(self) -> Program:
        for ins in reversed(self.program.instructions):
            self._gather(ins)
        mates = self._mates()
        b, new = self.b, self.new
        for ins in self.program.instructions:
            if ins.primitive is None:
                new[ins] = b.leaf(ins)
                continue
            args = tuple([new[a] for a in ins.args])
            if ins in mates:
                spread, shift, k = mates[ins]
                t = self._tanh(ins, self._half(ins.args[0], ins) if ins in self.gates else self._of(ins.args[0]))
                one = b.multiply(t, b.item(b.constant(spread, ins.dtype), k, ins), ins)
                new[ins] = b.add(one, b.item(b.constant(shift, ins.dtype), k, ins), ins)
            elif ins in self.gates:
                t = self._tanh(ins, self._half(ins.args[0], ins))
                new[ins] = b.add(b.multiply(t, b.constant(0.5, ins.dtype), ins), b.constant(0.5, ins.dtype), ins)
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
        return bool(np.all(self.factor[ins.args[0]][columns] == 1.0))

    def _tanh(self, like: Instruction, x: Instruction) -> Instruction:
        return self.b.emit(tanh, (x,), {}, like.shape, like.dtype, like)

    # upwards: who asks for which factors
    def _gather(self, ins: Instruction) -> None:
        if ins in self.gates and ins.ndim:
            self.asked[ins.args[0]].append((slice(None), np.full(ins.shape[-1], 0.5)))
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
        if not asked or not ins.ndim or ins in self.invariant or not self._buildable(ins):
            return None
        silent = self.counts[ins] - len(asked)
        wish = np.zeros(ins.shape[-1])
        for part, factors in asked:
            now = wish[part]
            if now.shape != factors.shape or np.any((now != 0) & (now != factors)):
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
            return ins.args[1] in self.invariant and ins.args[0].ndim >= 2 and ins.args[1].ndim == 2
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

    def _half(self, x: Instruction, like: Instruction) -> Instruction:
        """Half of x, from scaled weights if that was agreed."""
        if x in self.scaled:
            return self.scaled[x]
        return self.b.multiply(self.new[x], self.b.constant(0.5, x.dtype), like)

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
        return b.emit(
            ins.primitive,
            (self.scaled.get(ins.args[0], self._sliced(ins, wish)),),
            ins.params,
            ins.shape,
            ins.dtype,
            ins,
        )

    def _sliced(self, ins: Instruction, wish: Demand) -> Instruction:
        """The base of a view, scaled as far as this view shows it; used where the base itself was not agreed on."""
        base = ins.args[0]
        full = np.ones(base.shape[-1])
        full[ins.params["index"][-1] if ins.op == "getitem" else slice(None)] = wish
        return self._times(self.new[base], full, ins)

    def _scaled(self, a: Instruction, wish: Demand, like: Instruction) -> Instruction:
        return self.scaled[a] if a in self.scaled else self._times(self.new[a], wish, like)

    def _times(self, x: Instruction, wish: Demand, like: Instruction) -> Instruction:
        if np.all(wish == 1.0):
            return x
        factor = self.b.constant(wish[0] if np.all(wish == wish[0]) else wish, x.dtype)
        return self.b.multiply(x, factor, x if x.primitive is not None else like)

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


def cut_products(program: Program) -> Program:
    """Products that are read as slices of their columns only become one product per slice."""
    return _Cutting(program).run()


class _Cutting:
    """Slices carried up through sums and views to the weights."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.invariant = invariants(program)
        self.readers = readers(program)
        self.cuts: dict[Instruction, frozenset[tuple[int, int]]] = {}
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.parts: dict[tuple[Instruction, int, int], Instruction] = {}

    def run(self) -> Program:
        for ins in reversed(self.program.instructions):
            if ins.primitive is not None and ins.ndim:
                self._gather(ins)
        if not any(ins.op == "matmul" for ins in self.cuts):
            return self.program
        for ins in self.program.instructions:
            if ins.primitive is None:
                self.new[ins] = self.b.leaf(ins)
            elif ins in self.cuts:
                for start, stop in sorted(self.cuts[ins]):
                    self.parts[ins, start, stop] = self._build(ins, start, stop)
            elif ins.op == "getitem" and ins.args[0] in self.cuts:
                index = ins.params["index"]
                part = self.parts[ins.args[0], index[-1].start, index[-1].stop]
                whole = slice(0, part.shape[-1], 1)
                self.new[ins] = self.b.getitem(part, (*index[:-1], whole), ins)
            else:
                self.new[ins] = self.b.again(ins, tuple([self.new[a] for a in ins.args]))
        return self.program.rebuilt(self.new, self.b.order)

    def _gather(self, ins: Instruction) -> None:
        """Cut a value if each of its readers is a slice of its columns, or is itself cut; all in the same places."""
        if ins in self.invariant or not self._buildable(ins):
            return
        n = ins.shape[-1]
        spans: set[tuple[int, int]] = set()
        for reader in self.readers[ins]:
            if reader is ins:
                return
            if reader in self.cuts and reader.shape[-1] == n and reader.op != "matmul":
                spans |= self.cuts[reader]
            elif reader.op == "getitem" and self._columns(reader):
                last = reader.params["index"][-1]
                spans.add((last.start, last.stop))
            else:
                return
        order = sorted(spans)
        tiles = order and order[0][0] >= 0 and all(a[1] <= b[0] for a, b in itertools.pairwise(order))
        if tiles and len(order) > 1 and len({b - a for a, b in order}) == 1:
            self.cuts[ins] = frozenset(order)

    def _columns(self, reader: Instruction) -> bool:
        index = reader.params["index"]
        if not isinstance(index, tuple) or len(index) != reader.args[0].ndim:
            return False
        last = index[-1]
        return isinstance(last, slice) and last.step == 1 and last.stop - last.start < reader.args[0].shape[-1]

    def _buildable(self, ins: Instruction) -> bool:
        if ins.op == "add":
            return all(a in self.invariant or a.shape[-1:] == ins.shape[-1:] for a in ins.args)
        if ins.op == "matmul":
            return ins.args[1] in self.invariant and ins.args[1].ndim == 2 and ins.args[0].ndim >= 2
        if ins.op == "getitem":
            index = ins.params["index"]
            full = isinstance(index, tuple) and len(index) == ins.args[0].ndim and isinstance(index[-1], slice)
            return full and index[-1] == slice(0, ins.args[0].shape[-1], 1)
        return ins.op == "reshape" and ins.args[0].shape[-1:] == ins.shape[-1:]

    def _part(self, a: Instruction, start: int, stop: int, n: int, like: Instruction) -> Instruction:
        """Columns start to stop of an operand."""
        if (a, start, stop) in self.parts:
            return self.parts[a, start, stop]
        whole = self.new[a]
        if not whole.ndim or whole.shape[-1] != n:
            return whole  # one column, or a number, for all
        return self.b.part(whole, whole.ndim - 1, start, stop, like)

    def _build(self, ins: Instruction, start: int, stop: int) -> Instruction:
        shape = (*ins.shape[:-1], stop - start)
        n = ins.shape[-1]
        if ins.op == "add":
            left, right = (self._part(a, start, stop, n, ins) for a in ins.args)
            return self.b.emit(ins.primitive, (left, right), {}, shape, ins.dtype, ins)
        if ins.op == "matmul":
            left = self.new[ins.args[0]]
            right = self._part(ins.args[1], start, stop, n, ins)
            return self.b.emit(ins.primitive, (left, right), {}, shape, ins.dtype, ins)
        base = self._part(ins.args[0], start, stop, n, ins)
        if ins.op == "reshape":
            return self.b.reshape(base, shape, ins)
        return self.b.getitem(base, (*ins.params["index"][:-1], slice(0, stop - start, 1)), ins)
