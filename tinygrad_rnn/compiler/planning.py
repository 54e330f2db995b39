"""Planning: memory for every value, with as little of it as lifetimes allow, and the bound calls that fill it.

Values that lie side by side (see `layout`) share one storage. Storages are handed out in the order of the schedule and
given back after the last reader, so later values reuse memory that is still in the cache; elementwise results are
written over an operand that nobody reads any more. What the backward part reads lives across the cut by the same rule.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ..errors import GraphError
from .address import Address, contiguous
from .builder import volume
from .calls import Call, copy_to
from .kernels import bind, overwrites
from .layout import Block, Layout
from .program import CONSTANT, COTANGENT, INPUT, PARAMETER, VIEWS, Instruction, Program

CACHE_LINE = 64  # bytes
_value = attrgetter("value")


def aligned(nbytes: int) -> np.ndarray:
    """Zeroed bytes that start a cache line: a vector register is then loaded from one line and not from two."""
    raw = np.zeros(nbytes + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + nbytes]


class Outdated(GraphError):
    """A parameter has another shape or dtype than when the program was recorded."""


class Storage:
    """A run of memory that holds one value, or several side by side, from its first write to its last reading."""

    __slots__ = ("array", "block", "dtype", "first", "fixed", "last", "size")

    def __init__(self, size: int, dtype: np.dtype) -> None:
        self.size = size
        self.dtype = dtype
        self.first = -1
        self.last = -1
        self.fixed = False
        self.array: np.ndarray | None = None
        self.block: np.ndarray | None = None  # the bytes that it lies in, as they are handed on afterwards


class Plan:
    """Memory and calls for one program: fill `inputs`, run the calls, read `outputs` and `gradients`.

    forward, backward: bound calls, in order. places: the instruction behind each call of either list.
    inputs, cotangents: the arrays to fill before running. outputs, gradients: the arrays to read afterwards.
    parameters: the leaves that are read live; bound: their arrays. If one has another array by now the plan is stale.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.layout = Layout(program)
        self.arrays: dict[Instruction, np.ndarray] = {}
        self.storages: dict[Instruction, Storage] = {}
        self.forward: list[Call] = []
        self.backward: list[Call] = []
        self.sources: tuple[list[Instruction], list[Instruction]] = ([], [])
        self.parameters: list[Any] = []
        self.bound: list[np.ndarray] = []
        self.bytes = 0
        self._known: dict[Any, np.ndarray] = {}
        self._make_storages()
        self._lifetimes()
        self._allocate_and_bind()
        self._known.clear()
        self.inputs = [self.arrays[i] for i in program.inputs]
        self.cotangents = [None if c is None else self.arrays[c] for c in program.cotangents]
        self.outputs = [self._view(o) for o in program.outputs]
        self.gradients = [None if g is None else self._view(g) for g in program.gradients]
        self.calls = len(self.forward) + len(self.backward)

    @functools.cached_property
    def late(self) -> list[tuple[Any, np.ndarray]]:
        """The parameters that the backward part reads, with their arrays: not to be written before it has run."""
        places = self.layout.places
        roots = {places[a].root for ins in self.program.instructions if ins.backward for a in ins.args}
        nodes = {root.value for root in roots if root.role == PARAMETER}
        return [(node, array) for node, array in zip(self.parameters, self.bound, strict=True) if node in nodes]

    # who shares memory with whom
    def _make_storages(self) -> None:
        layout = self.layout
        shared = [Storage(sum(r.size for r in run), run[0].dtype if run else np.dtype(bool)) for run in layout.chains]
        for ins in self.program.instructions:
            if layout.places[ins].root is not ins or ins.primitive is None:
                continue
            if ins in layout.cells:
                self.storages[ins] = shared[layout.cells[ins][0]]
            elif ins in layout.windows:
                self.storages[ins] = shared[layout.windows[ins][0]]
            elif ins not in layout.homes:
                self.storages[ins] = Storage(ins.size, ins.dtype)
        for ins in self.program.instructions:
            owner = ins
            while owner in layout.homes:
                owner = layout.homes[owner].owner
            if owner is not ins:
                self.storages[ins] = self.storages[owner]

    def _lifetimes(self) -> None:
        places = self.layout.places
        for i, ins in enumerate(self.program.instructions):
            storage = self.storages.get(ins)
            if storage is not None:
                storage.first = i if storage.first < 0 else storage.first
                storage.last = max(storage.last, i)
            if ins.op not in VIEWS or places[ins].root is ins:
                for a in ins.args:
                    read = self.storages.get(places[a].root)
                    if read is not None:
                        read.last = max(read.last, i)
            constant = any(block.source.root.role == CONSTANT for block in self.layout.blocks.get(ins, ()))
            if storage is not None and (ins.op == "place" or constant):
                storage.fixed = True  # zeros between parts, or ones beside others, are written once and for all
        for result in self.program.results():
            storage = self.storages.get(places[result].root)
            if storage is not None:
                storage.last = len(self.program.instructions)

    # memory and calls, in the order of the schedule
    def _allocate_and_bind(self) -> None:
        self._free: dict[int, list[np.ndarray]] = defaultdict(list)
        ends: dict[int, list[Storage]] = defaultdict(list)
        for storage in dict.fromkeys(self.storages.values()):
            ends[storage.last].append(storage)
        self._widened: set[Instruction] = set()
        self._widen_inputs()
        for i, ins in enumerate(self.program.instructions):
            if ins.primitive is None:
                self._leaf(ins)
            elif self.layout.places[ins].root is ins and ins not in self._widened:
                self._compute(i, ins, ends)
            for storage in ends.pop(i, ()):
                self._release(storage)

    def _widen_inputs(self) -> None:
        """Let inputs that are read only to be widened live in the wide array, where the ones are written once and for
        all.
        """
        users = self.layout.users()
        for ins in self.program.instructions:
            storage = self.storages.get(ins)
            if ins.op == "with_ones" and storage is not None and ins.args[0].role == INPUT:
                alone = users[ins.args[0]] == [ins] and ins not in self.layout.cells and ins not in self.layout.homes
                if alone and ins.args[0] not in self.program.results():
                    storage.fixed = True
                    self._take(storage)
                    wide = self.arrays[ins] = self._own(ins, storage)
                    wide[..., -1] = 1
                    self.arrays[ins.args[0]] = wide[..., :-1]
                    self._widened.add(ins)

    def _leaf(self, ins: Instruction) -> None:
        if ins in self.arrays:
            return
        if ins.role in (INPUT, COTANGENT):
            self.arrays[ins] = np.zeros(ins.shape, ins.dtype)
            self.bytes += ins.nbytes
        elif ins.role == PARAMETER:
            value = ins.value.value
            if value.shape != ins.shape or value.dtype != ins.dtype:
                raise Outdated(
                    f"compile: {ins.value.describe()} was {ins.dtype}{list(ins.shape)} when recorded and is "
                    f"{value.dtype}{list(value.shape)} now. Call the function again to record it anew."
                )
            self.parameters.append(ins.value)
            self.bound.append(value)
            if value.flags.c_contiguous:
                self.arrays[ins] = value
            else:  # views of it presume C order
                self.arrays[ins] = np.empty(ins.shape, ins.dtype)
                self._add(ins, [copy_to(self.arrays[ins], value)])
        else:
            self.arrays[ins] = ins.value

    def _compute(self, i: int, ins: Instruction, ends: dict[int, list[Storage]]) -> None:
        storage = self.storages[ins]
        if storage.array is None:
            operand = self._overwritten(ins, storage, ends.get(i, []))
            if operand is not None and operand.array is not None:
                storage.array, storage.block = operand.array.view(storage.dtype), operand.block
                ends[i].remove(operand)
            else:
                self._take(storage)
        out = self.arrays[ins] = self._same(self._own(ins, storage))
        if ins in self.layout.windows:
            return
        for block in self.layout.blocks.get(ins, ()):
            self._copy(ins, block, storage)
        if ins.op in ("stack", "concatenate"):
            self._add(ins, self._join(ins, out))
        else:
            self._add(ins, bind(ins, [self._view(a) for a in ins.args], out, self._scratch))

    def _join(self, ins: Instruction, out: np.ndarray) -> list[Call]:
        """Copies of the operands that do not lie in the joined value already."""
        settled, axis, start = self.layout.settled.get(ins, ()), ins.params["axis"], 0
        calls = []
        for k, a in enumerate(ins.args):
            stop = start + (1 if ins.op == "stack" else a.shape[axis])
            if k not in settled and a.size:
                index = k if ins.op == "stack" else slice(start, stop)
                calls.append(copy_to(out[(*(slice(None),) * axis, index, ...)], self._view(a)))
            start = stop
        return calls

    def _copy(self, ins: Instruction, block: Block, storage: Storage) -> None:
        """Copy one operand of many joined values at once; constants once and for all."""
        place, dtype = block.source, ins.dtype
        strides = (block.step, *contiguous(place.shape[1:]))
        strides = tuple([s * dtype.itemsize for s in strides])
        target = np.ndarray(place.shape, dtype, storage.array, block.start * dtype.itemsize, strides)
        source = self._shown(place)
        if block.source.root.role == CONSTANT:
            target[...] = source
        else:
            self._add(ins, [copy_to(target, source)])

    def _overwritten(self, ins: Instruction, storage: Storage, dying: list[Storage]) -> Storage | None:
        """An operand that nobody reads any more, and that the result of an elementwise operation may take the place
        of.
        """
        for a in overwrites(ins):
            other = self.storages.get(self.layout.places[a].root)
            if other is None or other not in dying or other.array is None or other.fixed:
                continue
            same = a.shape == ins.shape and a.nbytes == storage.size * storage.dtype.itemsize
            if same and other.size == a.size and self.layout.places[a].is_plain():
                return other
        return None

    def _own(self, ins: Instruction, storage: Storage) -> np.ndarray:
        """The array that an instruction writes."""
        assert storage.array is not None
        layout = self.layout
        if ins in layout.cells:
            start = layout.cells[ins][1]
            return storage.array[start : start + ins.size].reshape(ins.shape)
        if ins in layout.windows:
            _, start, step = layout.windows[ins]
            size = ins.dtype.itemsize
            strides = [step * size, *(n * size for n in contiguous(ins.shape[1:]))]
            return np.ndarray(ins.shape, ins.dtype, storage.array, start * size, strides)
        if ins in layout.homes:
            owner, index, axis = layout.homes[ins]
            if owner not in self.arrays:
                self.arrays[owner] = self._own(owner, storage)
            part = self.arrays[owner][(*index, ...)]
            if axis is not None:
                return np.moveaxis(part, axis, 0)
            return part if part.shape == ins.shape else part.reshape(ins.shape)
        return storage.array.reshape(ins.shape)

    def _view(self, ins: Instruction) -> np.ndarray:
        """The array of a value, which for a view is made from the value that it shows."""
        found = self.arrays.get(ins)
        if found is None:
            place = self.layout.places[ins]
            if self._root(place).flags.c_contiguous:
                found = self._shown(place)
            else:
                assert ins.primitive is not None
                found = ins.primitive.forward(self._view(ins.args[0]), **ins.params)
            found = self.arrays[ins] = self._same(found)
        return found

    def _root(self, place: Address) -> np.ndarray:
        return np.asarray(self.arrays[place.root], place.root.dtype)

    def _shown(self, place: Address) -> np.ndarray:
        """The array of an address in a value that lies in C order."""
        root = self._root(place)
        size = root.itemsize
        strides = tuple([s * size for s in place.strides])
        return np.ndarray(place.shape, root.dtype, root, place.offset * size if volume(place.shape) else 0, strides)

    def _same(self, array: np.ndarray) -> np.ndarray:
        """The one array object for this part of memory: loops tell by it what is the same in all their steps."""
        key = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype)
        return self._known.setdefault(key, array)

    def _add(self, ins: Instruction, calls: list[Call]) -> None:
        side = ins.backward
        (self.backward if side else self.forward).extend(calls)
        self.sources[side].extend([ins] * len(calls))

    def _take(self, storage: Storage) -> None:
        """Give a storage memory: what was given back last, if its size fits, for it may still be in the cache."""
        used = storage.size * storage.dtype.itemsize
        nbytes = -(-used // CACHE_LINE) * CACHE_LINE
        if not storage.fixed and self._free[nbytes]:
            storage.block = self._free[nbytes].pop()
        else:
            storage.block = aligned(nbytes)
            self.bytes += nbytes
        storage.array = storage.block[:used].view(storage.dtype)

    def _release(self, storage: Storage) -> None:
        if storage.block is not None and not storage.fixed:
            self._free[storage.block.nbytes].append(storage.block)

    def _scratch(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory that a kernel needs while it runs."""
        self.bytes += int(np.prod(shape)) * np.dtype(dtype).itemsize
        return np.empty(shape, dtype)

    def stale(self) -> bool:
        """Whether a parameter has been given another array since the calls were bound."""
        return not all(map(is_, map(_value, self.parameters), self.bound))
