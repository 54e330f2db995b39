"""Wide rows: the input of a step beside its state, so that one product takes both.

h W + x U + b = [h x 1] [W; U; b]. For batches, x U + b is best computed for all steps at once. For a single row the
product and the sum take hardly longer than it takes to call them; with everything in one row, a step has one call less,
forward and, with the gradient that comes from above beside the one that comes from later, backward.

The states of all steps, which others read stacked, are then the left part of a stack of rows. Layout has them written
there from the start, and the inputs copied beside them in one go.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from .address import Address, address, contiguous
from .address import emit as emit_view
from .builder import Builder, readers, volume
from .chains import Chains
from .program import VIEWS, Instruction, Program

LIGHT = 1 << 12
"""Bytes of the weight of an input, up to which each step may read it again: a few features, or one output."""

FEWEST = 4
"""Steps, at least, that make it worth it."""

LOOSE = 2
"""So many states may have no step of their own, and so many inputs no state: at the ends of a loop."""


def widen_rows(program: Program) -> Program:
    """Put inputs beside states where that spares a call a step and every stack of the states can follow."""
    found = _Rows(program)
    return found.run() if found.steps else program


class _Input(NamedTuple):
    """What a row of a product over all steps was made of: row `row` of `rows`, times `weight`, plus `bias`. made: the
    value of all rows.
    """

    made: Instruction
    rows: Instruction
    row: int
    weight: Instruction
    bias: Instruction | None

    def beside(self) -> tuple[Instruction, int, bool]:
        """What has to be put beside a state for it."""
        return self.rows, self.row, self.bias is None


class _Step(NamedTuple):
    """One step: total = product + input, product = state times weight."""

    total: Instruction
    product: Instruction
    input: _Input

    @property
    def state(self) -> Instruction:
        """The row that the recurrence multiplies."""
        return self.product.args[0]


class _Rows:
    """What is widened.

    steps: by their totals. beside: computed state -> the input that lies beside it; of one without a step, any. stacks:
    the stacks of states, each with the states and their inputs. singles: views that show the input of a step that has
    no state.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.readers = readers(program)
        self.places: dict[Instruction, Address] = {}
        self.steps: dict[Instruction, _Step] = {}
        self.beside: dict[Instruction, _Input] = {}
        self.stacks: dict[Instruction, list[tuple[Instruction, _Input]]] = {}
        self.singles: dict[Instruction, _Input] = {}
        self.position = {ins: i for i, ins in enumerate(program.instructions)}
        self.b = Builder()
        self.new: dict[Instruction, Instruction] = {}
        self.rows: dict[Any, Instruction] = {}
        self.weights: dict[Any, Instruction] = {}
        groups: dict[tuple[Instruction | None, ...], list[_Step]] = defaultdict(list)
        for ins in program.instructions:
            step = self._step(ins)
            if step is not None:
                groups[step.product.args[1], step.input.weight, step.input.bias].append(step)
        for steps in groups.values():
            if len(steps) >= FEWEST:
                self._admit(steps)

    def _step(self, ins: Instruction) -> _Step | None:
        if ins.op != "add" or ins.ndim != 2 or ins.shape[0] != 1 or not ins.size:
            return None
        for product, other in (ins.args, ins.args[::-1]):
            alone = product.op == "matmul" and product.shape == ins.shape and self.readers[product] == [ins]
            if alone and product.args[1].invariant and product.args[0].op not in VIEWS:
                made_of = self._input(other)
                if made_of is not None and product.dtype == made_of.weight.dtype:
                    return _Step(ins, product, made_of)
        return None

    def _input(self, ins: Instruction) -> _Input | None:
        """What one row was made of, if it is one of many that were made together."""
        if ins.ndim != 2:
            return None
        place = address(ins, self.places)
        made, columns = place.root, ins.shape[-1]
        if place.shape != (1, columns) or place.strides[1] != 1 or place.offset % columns:
            return None
        product, bias = made, None
        if made.op == "add" and made.shape[-1:] == (columns,):
            product, bias = made.args if made.args[1].invariant else made.args[::-1]
            if not bias.invariant or bias.size != columns or bias.dtype != made.dtype:
                return None
            whole = address(product, self.places)
            product = whole.root
            if product.size != made.size or not whole.is_plain():
                return None
            if any(r is not made for _, r in self._read(product)):
                return None
        if product.op != "matmul" or product.ndim != 2 or product.shape[0] < 2 or product.shape[1] != columns:
            return None
        rows, weight = product.args
        light = weight.nbytes <= LIGHT and weight.invariant and not rows.invariant
        return _Input(made, rows, place.offset // columns, weight, bias) if light else None

    def _read(self, ins: Instruction) -> Iterable[tuple[Instruction, Instruction]]:
        """Who reads a value, through any views: pairs of what is read and its reader; a result is read by itself."""
        shown = [ins]
        for view in shown:  # grows while we walk it
            for reader in self.readers[view]:
                if reader.op in VIEWS and reader is not view:
                    shown.append(reader)
                else:
                    yield view, reader

    def _admit(self, steps: list[_Step]) -> None:
        """Take up steps with common weights, unless something that reads their states or inputs speaks against it."""
        totals = {step.total for step in steps}
        beside = {step.state: step.input for step in steps}
        if len(beside) < len(steps) or any(s.state.primitive and s.state.backward != s.total.backward for s in steps):
            return
        if any(s in self.beside and self.beside[s].beside() != one.beside() for s, one in beside.items()):
            return
        singles = {}
        for made in {step.input.made for step in steps}:
            for view, reader in self._read(made):
                if reader not in totals:
                    one = self._input(view) if view is not reader else None
                    if one is None:
                        return
                    singles[view] = one
        stacks = self._stacks(beside, steps[0])
        if len(singles) > LOOSE or not stacks:
            return
        chains = Chains()
        for rows in [*self.stacks.values(), *stacks.values()]:
            if not chains.link([state for state, _ in rows if state.primitive]):
                return
        self.steps.update({step.total: step for step in steps})
        self.beside.update({state: one for state, one in beside.items() if state.primitive})
        self.stacks.update(stacks)
        self.singles.update(singles)

    def _stacks(
        self, beside: dict[Instruction, _Input], first: _Step
    ) -> dict[Instruction, list[tuple[Instruction, _Input]]]:
        """All stacks of states; none if not all can become stacks of rows. States without a step join `beside`."""
        found: dict[Instruction, list[tuple[Instruction, _Input]]] = {}
        loose = 0
        states = list(beside)
        for state in states:  # grows while we walk it
            if (state.shape, state.dtype) != (first.state.shape, first.state.dtype):
                return {}
            for join in self._joins(state) if state.primitive else ():  # what is handed in is copied in any case
                if join in found:
                    continue
                members = [self._state(part) for part in join.args] if join.op == "stack" else [None]
                if volume(join.shape[: join.params.get("axis", 0)]) != 1:
                    return {}
                found[join] = []
                for member in members:
                    if member is None:
                        return {}
                    if member not in beside:
                        loose += 1
                        beside[member] = first.input
                        states.append(member)
                    found[join].append((member, beside[member]))
                known = all(self.position[one.rows] < self.position[join] for _, one in found[join])
                if loose > LOOSE or not known:
                    return {}
        return found

    def _joins(self, state: Instruction) -> Iterable[Instruction]:
        """What puts a state, or a copy of it made for that end, beside other values."""
        for _, reader in self._read(state):
            if reader.op in ("stack", "concatenate", "place"):
                yield reader
            elif reader.op == "cell":
                yield from self._joins(reader)

    def _state(self, part: Instruction) -> Instruction | None:
        """The state that an operand of a stack shows, all of it."""
        place = address(part, self.places)
        root = place.root
        if not place.is_plain() or root.size != part.size:
            return None
        return root.args[0] if root.op == "cell" else root

    def run(self) -> Program:
        """The program with wide rows."""
        b, new = self.b, self.new
        products = {step.product for step in self.steps.values()}
        for ins in self.program.instructions:
            if ins.primitive is None:
                new[ins] = b.leaf(ins)
            elif ins in self.steps:
                step = self.steps[ins]
                row = self._row(step.state, step.input, step.product)
                new[ins] = b.matmul(row, self._weight(step), step.product)
            elif ins in self.singles:
                new[ins] = self._single(self.singles[ins], ins)
            elif ins in self.stacks:
                new[ins] = self._stack(ins)
            elif ins not in products:
                new[ins] = b.again(ins, tuple([new[a] for a in ins.args]))
        return self.program.rebuilt(new, b.order)

    def _row(self, state: Instruction, one: _Input, like: Instruction) -> Instruction:
        """A state with its input beside it."""
        name = state, *one.beside()
        if name not in self.rows:
            parts = [self.new[state], self._input_row(one, like)]
            if one.bias is not None:
                parts.append(self.b.full(1.0, (1, 1), state.dtype, like))
            self.rows[name] = self.b.concatenate(parts, 1, like)
        return self.rows[name]

    def _weight(self, step: _Step) -> Instruction:
        """What a wide row is multiplied by."""
        weight, made_of = step.product.args[1], step.input
        name = weight, made_of.weight, made_of.bias
        if name not in self.weights:
            parts = [self.new[weight], self.new[made_of.weight]]
            if made_of.bias is not None:
                parts.append(self.b.reshape(self.new[made_of.bias], (1, weight.shape[1]), step.product))
            self.weights[name] = self.b.concatenate(parts, 0, step.product)
        return self.weights[name]

    def _input_row(self, one: _Input, like: Instruction) -> Instruction:
        return self.b.part(self.new[one.rows], 0, one.row, one.row + 1, like)

    def _single(self, one: _Input, like: Instruction) -> Instruction:
        """The input of a step that has no state to stand beside."""
        made = self.b.matmul(self._input_row(one, like), self.new[one.weight], like)
        if one.bias is None:
            return made
        return self.b.add(made, self.b.reshape(self.new[one.bias], made.shape, like), like)

    def _stack(self, stack: Instruction) -> Instruction:
        """A stack of states as the left part of a stack of rows."""
        rows = self.b.stack(tuple([self._row(state, one, stack) for state, one in self.stacks[stack]]), 0, stack)
        strides = list(contiguous(stack.args[0].shape))
        strides.insert(stack.params["axis"], rows.shape[-1])
        return emit_view(self.b, Address(rows, 0, stack.shape, tuple(strides)), stack)
