"""Layout: which values are computed right where their reader wants them, so that stacking and joining copy nothing.

A value that is an operand of a stack or a concatenation can be written into its place there from the start: it gets a
*home*. Stacks along the first axis form chains, so one buffer of T + 1 cells serves readers of cells 0..T-1 and of
cells 1..T alike. Parts of one value that are joined step by step are copied for all steps at once. What
cannot be granted is left as an explicit copy, and `explain()` counts it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, NamedTuple

from .address import Address, address, contiguous, side_by_side
from .builder import volume
from .chains import Chains
from .program import VIEWS, Instruction, Program

_JOINS = ("stack", "concatenate", "place")


class Home(NamedTuple):
    """Where a value is written: the part `index` of the value `owner`, with axis `axis` of it moved to the front if
    that is not None.
    """

    owner: Instruction
    index: Any
    axis: int | None = None


def _only_joined(users: list[Instruction]) -> bool:
    """Whether a value goes into joins along the first axis only, and so is better written there than beside others."""
    readers = [u for u in users if u.op not in VIEWS]
    return bool(readers) and all(u.op == "concatenate" and u.params["axis"] == 0 for u in readers)


class Window(NamedTuple):
    """Where a stack lies that copies nothing: its items begin at `start` in a chain, `step` entries apart."""

    chain: int
    start: int
    step: int


class Block(NamedTuple):
    """The same operand of some values that follow each other in a chain, and that itself lies in equal steps: copied at
    once. start: where the first is to lie in the chain. step: between two of them there. source: where they lie, along
    a new first axis.
    """

    start: int
    step: int
    source: Address


class Layout:
    """The decisions for one program.

    places: the address of every value. homes: value -> its place inside of another value. cells: value -> (chain,
        position in it).
    chains: each a list of values that lie side by side in one buffer. windows: the stacks that show a part of a chain.
    blocks: what is copied at once, by the value before which that happens. settled: join -> numbers of the operands
        that lie there from the start, or are in a block.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.places: dict[Instruction, Address] = {}
        for ins in program.instructions:
            address(ins, self.places)
        self.homes: dict[Instruction, Home] = {}
        self.cells: dict[Instruction, tuple[int, int]] = {}
        self.chains: list[list[Instruction]] = []
        self.windows: dict[Instruction, Window] = {}
        self.blocks: dict[Instruction, list[Block]] = defaultdict(list)
        self.settled: dict[Instruction, set[int]] = defaultdict(set)
        self._shaped = self._read_as_block()
        self._chain()
        self._nest()
        self._copy_at_once()

    def _read_as_block(self) -> set[Instruction]:
        """Values with a view that presumes C order: they must not lie spread out."""
        found = set()
        for ins in self.program.instructions:
            if ins.op in ("reshape", "strided"):
                found.add(self.places[ins.args[0]].root)
        return found

    def _whole(self, ins: Instruction) -> Instruction | None:
        """The computed value that `ins` is, all of it and in its order; None if it is a part, is handed in, or lives
        elsewhere.
        """
        place = self.places[ins]
        root = place.root
        if root.primitive is None or root in self.homes or root.op == "place":
            return None
        if not place.is_plain() or root.size != ins.size:
            return None
        return root

    def _chain(self) -> None:
        users = self.users()
        wishes = [
            i
            for i in self.program.instructions
            if i.op == "stack" and i.params["axis"] == 0 and i.size and not _only_joined(users[i])
        ]
        chains = Chains()
        granted = []
        for wish in sorted(wishes, key=lambda ins: -ins.nbytes):
            roots = self._roots(wish)
            if roots is not None and (len(roots) == 1 or chains.link(roots)):
                granted.append((wish, roots))
        for run in chains.runs():
            start = 0
            for root in run:
                self.cells[root] = len(self.chains), start
                start += root.size
            self.chains.append(run)
        for wish, roots in granted:
            if roots[0] in self.cells:
                self.windows[wish] = Window(*self.cells[roots[0]], wish.size // len(wish.args))
        self._put_in_rows([wish for wish in wishes if wish not in self.windows])

    def _put_in_rows(self, wishes: list[Instruction]) -> None:
        """Chains of equal length, one after the other in one buffer: what stands at the same place in each, the gates
        of one step, is then a stack with a wide step, and the chains themselves are a stack.
        """
        lengths = [sum(root.size for root in run) for run in self.chains]
        row_of: dict[int, tuple[int, ...]] = {}
        granted: list[tuple[Instruction, Window]] = []
        for wish in sorted(wishes, key=lambda ins: -ins.nbytes):
            found = self._same_place(wish)
            if found is None:
                continue
            rows, start = found
            length, size = lengths[rows[0]], wish.size // len(rows)
            if any(lengths[r] != length for r in rows) or (size != length and wish in self._shaped):
                continue
            if any(row_of.get(r, rows) != rows for r in rows):
                continue
            row_of.update(dict.fromkeys(rows, rows))
            granted.append((wish, Window(rows[0], start, length)))
        self.windows.update(granted)
        for rows in set(row_of.values()):
            first = rows[0]
            for k, r in enumerate(rows[1:], 1):
                self.chains[first] = self.chains[first] + self.chains[r]
                self._shift(r, first, k * lengths[r])
                self.chains[r] = []

    def _same_place(self, wish: Instruction) -> tuple[tuple[int, ...], int] | None:
        """The chains in which the operands of a stack lie, each in another, and the one place that all have there."""
        found = []
        for a in wish.args:
            place = self.places[a]
            root = place.root
            if not place.is_plain() or root.size != a.size:
                return None
            if root in self.windows and self.windows[root].step * len(root.args) == root.size:
                found.append(self.windows[root][:2])
            elif root in self.cells and root.dtype == wish.dtype:
                found.append(self.cells[root])
            else:
                return None
        rows = tuple([chain for chain, _ in found])
        same = len(set(rows)) == len(rows) > 1 and len({start for _, start in found}) == 1
        return (rows, found[0][1]) if same else None

    def _shift(self, chain: int, target: int, offset: int) -> None:
        """Move what lies in one chain behind the beginning of another."""
        for root, (number, start) in self.cells.items():
            if number == chain:
                self.cells[root] = target, start + offset
        for wish, (number, start, step) in self.windows.items():
            if number == chain:
                self.windows[wish] = Window(target, start + offset, step)

    def _roots(self, wish: Instruction) -> list[Instruction] | None:
        """The whole values that the operands of a stack amount to: themselves, or all items of a batched value in
        order.
        """
        roots: list[Instruction] = []
        i = 0
        while i < len(wish.args):
            n = 1
            root = self._whole(wish.args[i])
            if root is None:
                n = self._run_of_items(wish, i)
                root = self.places[wish.args[i]].root if n > 1 else None
            if root is None or (root.op == "stack" and root.params["axis"] == 0) or root.dtype != wish.dtype:
                return None
            roots.append(root)
            i += n
        return roots

    def _nest(self) -> None:
        """Write operands of joins straight into the joined value; the outermost first, so that homes nest."""
        for ins in reversed(self.program.instructions):
            if ins.op not in ("stack", "concatenate") or ins in self.windows or not ins.size:
                continue
            axis: int = ins.params["axis"]
            lead = (slice(None),) * axis
            start, i = 0, 0
            while i < len(ins.args):
                part = ins.args[i]
                run = self._run_of_items(ins, i) if ins.op == "stack" else 1
                root = self.places[part].root
                if run > 1 and root not in self._shaped and root.backward == ins.backward:
                    self.homes[self.places[part].root] = Home(ins, (*lead, slice(i, i + run)), axis)
                    self.settled[ins].update(range(i, i + run))
                elif ins.op == "stack":
                    self._house(ins, i, (*lead, i), axis)
                else:
                    self._house(ins, i, (*lead, slice(start, start + part.shape[axis])), axis)
                    start += part.shape[axis]
                i += run

    def _house(self, ins: Instruction, k: int, index: Any, axis: int) -> None:
        """Give one operand of a join its home there, if nothing speaks against it."""
        part = ins.args[k]
        root = self._whole(part)
        if root is None or root in self.cells or root in self.windows:
            return
        if part.shape != root.shape and (axis or part.ndim > 1 or ins in self.homes):
            return  # a flattened value can be shaped again only where it lies in one piece
        if ins.args.count(part) > 1 or root.backward != ins.backward:
            return
        spread = volume(ins.shape[:axis]) > 1 or ins in self.homes
        if not (root in self._shaped and spread):
            self.homes[root] = Home(ins, index)
            self.settled[ins].add(k)

    def _run_of_items(self, ins: Instruction, i: int) -> int:
        """How many operands of a stack, from the i-th on, are all the items of one value, in order; 1 if they are
        not.
        """
        first = self.places[ins.args[i]]
        root = first.root
        if root.primitive is None or root in self.homes or root in self.cells or root in self.windows or root is ins:
            return 1
        n = root.shape[0] if root.ndim else 0
        if n < 2 or i + n > len(ins.args) or root.op in _JOINS:
            return 1
        size = root.size // n
        for k, part in enumerate(ins.args[i : i + n]):
            place = self.places[part]
            if place.root is not root or place.offset != k * size or place.shape != root.shape[1:]:
                return 1
            if place.strides != contiguous(place.shape) or ins.args.count(part) > 1:
                return 1
        return n

    def _copy_at_once(self) -> None:
        """Find what is one value in parts, and is joined with others in many values of one chain: as the inputs of all
        steps are beside the states.
        """
        position = {ins: i for i, ins in enumerate(self.program.instructions)}
        for run in self.chains:
            alike = run and run[0].op == "concatenate" and all(ins.params == run[0].params for ins in run)
            if not alike or volume(run[0].shape[: run[0].params["axis"]]) > 1:
                continue
            for k in range(min(len(ins.args) for ins in run)):
                start = 0
                while start < len(run):
                    stop = self._evenly_joined(run, k, start)
                    rows, start = run[start:stop], stop
                    first = min(rows, key=position.__getitem__)
                    source = side_by_side([self.places[ins.args[k]] for ins in rows])
                    if len(rows) < 2 or source is None or not self._in_one_piece(source.root):
                        continue
                    place = self.cells[rows[0]][1] + sum(a.size for a in rows[0].args[:k])
                    self.blocks[first].append(Block(place, rows[0].size, source))
                    for ins in rows:
                        self.settled[ins].add(k)

    def _in_one_piece(self, root: Instruction) -> bool:
        if root in self.windows:
            return self.windows[root].step * len(root.args) == root.size
        return root not in self.homes

    def _evenly_joined(self, run: list[Instruction], k: int, start: int) -> int:
        """Up to where the k-th operands of a run, from one on, lie in equal steps."""
        places = [self.places[ins.args[k]] for ins in run[start : start + 2]]
        if len(places) < 2 or k in self.settled[run[start]]:
            return start + 1
        step = places[1].offset - places[0].offset
        stop, last = start + 1, places[0]
        while stop < len(run):
            place = self.places[run[stop].args[k]]
            if place != last._replace(offset=last.offset + step) or run[stop].shape != run[start].shape:
                break
            stop, last = stop + 1, place
        return stop if step >= 0 else start + 1

    def count_copies(self) -> int:
        """How many operands are still copied into the value that joins them."""
        total = sum(len(blocks) for blocks in self.blocks.values())
        for ins in self.program.instructions:
            if ins.op in ("stack", "concatenate") and ins not in self.windows:
                total += len(ins.args) - len(self.settled.get(ins, ()))
        return total

    def users(self) -> dict[Instruction, list[Instruction]]:
        """Root -> the instructions that read it, through any view."""
        found: dict[Instruction, list[Instruction]] = defaultdict(list)
        for ins in self.program.instructions:
            for a in ins.args:
                found[self.places[a].root].append(ins)
        return found
