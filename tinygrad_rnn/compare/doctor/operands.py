"""Wrong indices in the sum over time: which operand meets the error of step t where that of step t belongs.

The gradient of a weight is sum_t delta_t x operand_t. A slip is a map t -> t' of what is read, or steps that add
nothing. Operands are numbered as a list in user code holds them: inputs 0 ... T-1; states -1 (before the first step)
... T-1, of which a recurrent weight reads t-1 at step t, and a head reads t.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...graph import Node
from ..anatomy.shares import Group, Shares
from ..anatomy.structure import Loop, State

__all__ = ["KINDS", "Line", "Slip", "line_of", "moved", "slips", "words"]

KINDS = {
    "shift": "operand of another step",
    "first": "operand of another step",
    "fixed": "one operand for all steps",
    "reversed": "operands in reversed order",
    "left out": "step left out of the sum",
}
"""Form of a slip -> what the doctor calls it."""

_UNKNOWN_SLOT = "u"
_EDGES = ("skipped", "skipped in own", "wrapped", "wrapped in own", "clamped")


class Slip(NamedTuple):
    """One wrong index. form: a key of KINDS. k: how far, or which. edge: what happens beyond the ends of the list."""

    form: str
    k: int = 0
    edge: str = ""


class Line(NamedTuple):
    """What a group of uses reads, as a list over time.

    letter: what the entries are called. offset: step t reads entry t + offset. entries: number -> rows. own: the
    numbers that are read rightly, in order of the steps. steps: those steps.
    """

    letter: str
    offset: int
    entries: dict[int, np.ndarray]
    own: list[int]
    steps: list[int]


def line_of(shares: Shares, group: Group) -> Line | None:
    """The operands of a group over time, with the states before and after those that it reads; None for a bias or where
    the steps differ in size.
    """
    assert group.A is not None, "a group is filled in when it is made"
    steps = sorted({int(n) for n in group.steps})
    blocks = {n: group.A[group.steps == n] for n in steps}
    if group.is_bias or len({block.shape for block in blocks.values()}) != 1:
        return None
    found = _state_read(shares, group)
    if found is None:
        return Line(_letter(shares, group), 0, blocks, steps, steps)
    loop, state, offset = found
    entries = {n + offset: block for n, block in blocks.items()}
    like = next(iter(blocks.values()))
    for n, node in [(-1, _initial(shares, loop, state)), *state.nodes.items()]:
        if node is not None and n not in entries:
            rows = _rows(np.asarray(shares.recording.values[node]), group)
            if rows.shape == like.shape:
                entries[n] = rows
    letter = "c" if not state.entries and len(loop.states) == 2 else "h"
    return Line(letter, offset, entries, [n + offset for n in steps], steps)


def _rows(x: np.ndarray, group: Group) -> np.ndarray:
    return x.reshape(x.shape[0], -1).T if group.flip else x.reshape(-1, x.shape[-1])


def _operands(group: Group) -> Iterator[tuple[Node, Node]]:
    """(use, what it reads), through the ops that only put values side by side."""
    for node, i in group.uses:
        if node.op != "matmul":
            continue
        pending = [node.parents[1 - i]]
        while pending:
            read = pending.pop()
            if read.op in ("stack", "concatenate", "reshape", "transpose", "getitem"):
                pending += read.parents[: None if read.op in ("stack", "concatenate") else 1]
            else:
                yield node, read


def _state_read(shares: Shares, group: Group) -> tuple[Loop, State, int] | None:
    """The state that a group reads, and of which step: 0 for the one that the step makes, -1 for the one before."""
    loop = group.loop
    if loop is None:
        return None
    numbers = {node: (state, n) for state in loop.states for n, node in state.nodes.items()}
    for use, read in _operands(group):
        if read in numbers:
            state, n = numbers[read]
            place = shares.structure.step.get(use)
            return loop, state, 0 if place is None or place[0] is not loop else n - place[1]
    return None


def _initial(shares: Shares, loop: Loop, state: State) -> Node | None:
    """What stands for a state before the first step: what the first step's reader has in its place."""
    for node, i in state.carries:
        first = loop.roles[shares.structure.role[node]].get(0)
        if first is not None and i < len(first.parents):
            return first.parents[i]
    return None


def _letter(shares: Shares, group: Group) -> str:
    """x for inputs: what needs no gradient, or comes from outside of the loop, as another layer's output does."""
    inside = any(
        read.needs_grad and shares.structure.step.get(read, (None,))[0] is group.loop for _, read in _operands(group)
    )
    return _UNKNOWN_SLOT if inside else "x"


def slips(line: Line | None, steps: list[int]) -> Iterator[tuple[Slip, int]]:
    """The natural slips, likeliest first, with their rank; those without operands (a bias) can only leave out steps."""
    if line is not None:
        for k in (1, -1):
            for edge, rank in zip(_EDGES, (2, 2, 3, 3, 4), strict=True):
                yield Slip("shift", k, edge), rank
        if line.offset < 0:
            yield Slip("first"), 3
        yield Slip("fixed", -1), 3
        yield Slip("fixed", 0), 3
        for k in range(-1, 3):
            yield Slip("reversed", k), 3 if k == 0 else 4
    for k in (1, -1, 2, -2):
        if abs(k) < len(steps):
            yield Slip("left out", k), abs(k) + 1
    if line is not None:
        for k in (2, -2):
            yield from ((Slip("shift", k, edge), 4) for edge in _EDGES)


def _map(slip: Slip, line: Line) -> dict[int, int | None]:
    """Step -> number of the entry that is read, None for none."""
    low, high = min(line.entries), max(line.entries)
    own, last = line.own, len(line.own) - 1
    start, stop = (own[0], own[-1]) if slip.edge.endswith("in own") else (low, high)
    found: dict[int, int | None] = {}
    for n, (step, right) in enumerate(zip(line.steps, own, strict=True)):
        wanted = right + slip.k
        if slip.form == "first":
            found[step] = right if n else high
        elif slip.form == "fixed":
            found[step] = high if slip.k else low
        elif slip.form == "reversed":
            found[step] = low + (own[last] - n + slip.k - low) % (high - low + 1)
        elif slip.edge.startswith("skipped"):
            found[step] = wanted if start <= wanted <= stop else None
        elif slip.edge == "clamped":
            found[step] = min(max(wanted, start), stop)
        else:
            found[step] = start + (wanted - start) % (stop - start + 1)
    return found


def moved(group: Group, line: Line | None, steps: list[int], slip: Slip) -> np.ndarray | None:
    """The operand under a slip, (R, M) as group.A; None if the slip makes no difference, or has no such entries."""
    assert group.A is not None, "a group is filled in when it is made"
    if slip.form == "left out":
        out = steps[: slip.k] if slip.k > 0 else steps[slip.k :]
        return group.A * ~np.isin(group.steps, out)[:, None]
    if line is None:
        return None
    A = np.zeros_like(group.A)
    for step, number in _map(slip, line).items():
        if number is not None:
            if number not in line.entries:
                return None
            A[group.steps == step] = line.entries[number]
    return A


def _entry(line: Line, k: int) -> str:
    shift = line.offset + k
    return f"{line.letter}_t" if not shift else f"{line.letter}_{{t{shift:+d}}}"


def _numbered(line: Line, times: list[int], n: int | None) -> str:
    if n is None:
        return "nothing"
    if n < 0:
        return f"the {line.letter} before the first step"
    return f"{line.letter}_{times[n] if n < len(times) else n}"


def words(slip: Slip, line: Line | None, steps: list[int], times: list[int]) -> tuple[str, str, str]:
    """What a slip makes of a sum over time: a sentence about `{which}`, the wrong index and the right one.

    steps: those that add to the sum. times: what scopes call each step of the loop.
    """
    if line is None or slip.form == "left out":
        right = _entry(line, 0) if line is not None else ""
        out = steps[: slip.k] if slip.k > 0 else steps[slip.k :]
        text = " and ".join(f"t={times[n]}" for n in out)
        end = "first" if slip.k > 0 else "last"
        count = f"{end} step adds" if len(out) == 1 else f"{end} {len(out)} steps add"
        verb = "is" if len(out) == 1 else "are"
        return (
            f"the {count} nothing to {{which}}: {text} {verb} left out (a loop that ends too early, or a guard)",
            f"{right}, without {text}".lstrip(", "),
            right,
        )
    right = _entry(line, 0)
    note = f" ({line.letter}_t: what it is multiplied with at step t)" if line.letter == _UNKNOWN_SLOT else ""
    seen = _map(slip, line)
    if slip.form == "shift":
        used = _entry(line, slip.k)
        says = f"{{which}} {{has}} {used} in the product where {right} belongs{note}"
        ends = [step for step, own in zip(line.steps, line.own, strict=True) if seen[step] != own + slip.k]
        parts = [f"{_numbered(line, times, seen[step])} at t={times[step]}" for step in ends]
        why = {"skipped": "", "clamped": ": the index stops at the end"}.get(
            slip.edge.removesuffix(" in own"), ": the index runs over the end of the list"
        )
        return f"{says}, and {', '.join(parts)}{why}" if parts else says, used, right
    if slip.form == "first":
        t, last = times[line.steps[0]], _numbered(line, times, max(line.entries))
        says = f"{{which}} {{has}} {last} in the product at t={t} where {right} belongs, as index -1 gives it"
        return says, f"{right}, but {last} at t={t}", right
    if slip.form == "fixed":
        used = _numbered(line, times, max(line.entries) if slip.k else min(line.entries))
        return f"{{which}} {{has}} {used} in the product at every step where {right} belongs{note}", used, right
    pairs = [f"{_numbered(line, times, seen[step])} at t={times[step]}" for step in line.steps[:2]]
    says = f"{{which}} {{has}} the {line.letter} in reversed order: {', '.join(pairs)}, ...{note}"
    return says, f"({pairs[0]}, ...)", right
