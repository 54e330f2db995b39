"""A flat list of calls, run as fast as Python can: what repeats runs in a loop that was written for it.

`f(*args)` costs Python more than `f(a, b)`. The steps of a recurrence are the same few calls on other arrays, so a
small function is made for the pattern that repeats, once. What is the same in all repetitions (the weights, scratch)
is handed to it by name; what changes is a row that it unpacks. Its size is that of one step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .calls import Call
from .program import Instruction

LONGEST = 96
"""Calls of the longest pattern that is looked for, and of the longest function that is made."""

FEWEST = 4
"""Repetitions, at least, that make a loop worth it."""


class Routine:
    """A list of calls cut into loops and the calls between them. sources: the instruction behind each call."""

    def __init__(self, calls: Sequence[Call], sources: Sequence[Instruction]) -> None:
        self.sources = sources
        self.parts: list[tuple[Callable[..., Any], Sequence[Any], tuple[Any, ...], int, int]] = []
        for start, stop, period in _pieces(_signatures(calls)):
            if not period and stop - start > LONGEST:
                self.parts.append((_one_by_one, calls[start:stop], (), start, 1))
                continue
            period = period or stop - start
            rows = [[x for f, args in calls[i : i + period] for x in (f, *args)] for i in range(start, stop, period)]
            slots, moving, fixed = _slots(rows)
            slot = iter(slots)
            loop = _loop(
                tuple(tuple(next(slot) for _ in range(1 + len(args))) for _, args in calls[start : start + period])
            )
            self.parts.append((loop, moving, fixed, start, period))

    def run(self) -> None:
        """Run all calls in order; an exception is told where in the model it happened."""
        for loop, rows, functions, start, period in self.parts:
            rest: Any = iter(rows)
            try:
                loop(rest, *functions)
            except Exception as error:
                done = len(rows) - rest.__length_hint__() - 1
                raise located(error, self.sources[start + done * period + _line(error, period)]) from error


def located(error: Exception, ins: Instruction) -> Exception:
    """The same error with the place in front of its text."""
    place = f"in the compiled program: {ins.op}{ins.scope.where()}, {ins.dtype}{list(ins.shape)}"
    if error.args and isinstance(error.args[0], str):
        error.args = (f"{place}: {error.args[0]}", *error.args[1:])
    else:
        error.add_note(place)
    return error


def _one_by_one(calls: Any) -> None:
    for function, args in calls:
        function(*args)


def _moves(function: Callable[..., Any]) -> bool:
    """Whether a function belongs to one array, as `a.dot` does, and so differs between repetitions."""
    return getattr(function, "__self__", None) is not None


def _signatures(calls: Sequence[Call]) -> list[int]:
    numbers: dict[Any, int] = {}
    return [numbers.setdefault((f.__name__ if _moves(f) else f, len(args)), len(numbers)) for f, args in calls]


def _pieces(ids: list[int]) -> list[tuple[int, int, int]]:
    """Cut a sequence of signatures into (start, stop, period); period 0 for what does not repeat."""
    pieces: list[tuple[int, int, int]] = []
    i = plain = 0
    while i < len(ids):
        best = (0, 0)
        for period in range(1, min(LONGEST, (len(ids) - i) // FEWEST) + 1):
            if ids[i + period] != ids[i] or ids[i : i + period] != ids[i + period : i + 2 * period]:
                continue
            stop = i + 2 * period
            while ids[stop : stop + period] == ids[i : i + period]:
                stop += period
            if stop - i >= FEWEST * period and stop - i > best[0]:
                best = (stop - i, period)
        if best[1]:
            if plain < i:
                pieces.append((plain, i, 0))
            pieces.append((i, i + best[0], best[1]))
            i = plain = i + best[0]
        else:
            i += 1
    if plain < len(ids):
        pieces.append((plain, len(ids), 0))
    return pieces


def _slots(rows: list[list[Any]]) -> tuple[list[str], list[tuple[Any, ...]], tuple[Any, ...]]:
    """A name for each position of a row; positions that always hold the same share one.

    Returns the names, the rows of what changes ("r0", "r1", ...), and what is the same in all rows ("c0", "c1", ...).
    """
    columns = list(zip(*rows, strict=True))
    names: dict[Any, str] = {}
    moving: list[Any] = []
    fixed: list[Any] = []
    slots = []
    for column in columns:
        ids = tuple(map(id, column))
        key = ids[0] if ids.count(ids[0]) == len(ids) else ids
        if key not in names:
            chosen = moving if key is ids else fixed
            names[key] = f"{'r' if key is ids else 'c'}{len(chosen)}"
            chosen.append(column if key is ids else column[0])
        slots.append(names[key])
    return slots, list(zip(*moving, strict=True)) if moving else [()] * len(rows), tuple(fixed)


@functools.lru_cache(maxsize=256)
def _loop(pattern: tuple[tuple[str, ...], ...]) -> Callable[..., Any]:
    """`def loop(rows, c0, c1): for r0, r1, in rows: c0(r0, c1); r1(r0)`, one call a line; pattern: function and
    arguments of each call.
    """
    names = dict.fromkeys(name for call in pattern for name in call)
    moving, fixed = ([n for n in names if n[0] == kind] for kind in "rc")
    lines = [f"        {function}({', '.join(args)})" for function, *args in pattern]
    head = f"def loop({', '.join(['rows', *fixed])}):\n    for {', '.join(moving)}{',' if moving else '_'} in rows:\n"
    space: dict[str, Any] = {}
    exec(compile(head + "\n".join(lines), "<steps of a compiled program>", "exec"), space)
    return space["loop"]


def _line(error: Exception, period: int) -> int:
    """Which call of a row raised: each stands in a line of its own, after two lines of head."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<steps of a compiled program>":
            return min(max(trace.tb_lineno - 3, 0), period - 1)
        trace = trace.tb_next
    return 0
