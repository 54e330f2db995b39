"""A flat list of calls, run as fast as Python can: what repeats runs in a loop that was written for it.

`f(*args)` costs Python more than `f(a, b)`. The steps of a recurrence are the same few calls on other arrays, so a
small function is made for the pattern that repeats, once, and the arrays of each repetition are a row that it unpacks.
Its size is that of one step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from .kernels import Call
from .program import Instruction

LONGEST = 96
"""Calls of the longest pattern that is looked for."""

FEWEST = 4
"""Repetitions, at least, that make a loop worth it."""

Shape = tuple[bool, int]  # of a call: whether its function changes from row to row, and how many arguments it has


class Routine:
    """A list of calls cut into loops and the calls between them. sources: the instruction behind each call."""

    def __init__(self, calls: Sequence[Call], sources: Sequence[Instruction]) -> None:
        self.sources = sources
        self.parts: list[tuple[Callable[..., Any], Sequence[Any], tuple[Any, ...], int, int]] = []
        for start, stop, period in _pieces(_signatures(calls)):
            if not period:
                self.parts.append((_one_by_one, calls[start:stop], (), start, 1))
                continue
            pattern = calls[start : start + period]
            loop = _loop(tuple((_moves(f), len(args)) for f, args in pattern))
            rows = [_row(calls[i : i + period]) for i in range(start, stop, period)]
            self.parts.append((loop, rows, tuple(f for f, _ in pattern if not _moves(f)), start, period))

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


def _row(calls: Sequence[Call]) -> tuple[Any, ...]:
    row: list[Any] = []
    for function, args in calls:
        if _moves(function):
            row.append(function)
        row.extend(args)
    return tuple(row)


@functools.lru_cache(maxsize=256)
def _loop(pattern: tuple[Shape, ...]) -> Callable[..., Any]:
    """`def loop(rows, f0, f2): for a0, a1, f1, b0 in rows: f0(a0, a1); f1(b0)`, one call a line."""
    names, fixed, lines = [], [], []
    for k, (moves, count) in enumerate(pattern):
        args = [f"a{k}_{i}" for i in range(count)]
        names += [*([f"f{k}"] if moves else []), *args]
        fixed += [] if moves else [f"f{k}"]
        lines.append(f"        f{k}({', '.join(args)})")
    head = f"def loop(rows{''.join(', ' + f for f in fixed)}):\n    for {', '.join(names)}, in rows:\n"
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
