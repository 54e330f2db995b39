"""The loop over time: one layer in one direction, as a Python loop over steps.

Every step is recorded at its own time, `scope(t=t)`, so whoever reads the graph sees the cell repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...ops.index import getitem
from ...ops.shape import concatenate
from ...state import scope
from ...tensor import Tensor, apply
from .steps import State, Step, Weights


class Slices(Sequence[Tensor]):
    """The inputs of all steps, each cut out of one tensor where it is first read, so in the scope of that step."""

    def __init__(self, x: Tensor, indices: Sequence[Any]) -> None:
        self._x = (x,)
        self._indices = indices
        self._made: list[Tensor | None] = [None] * len(indices)

    def __len__(self) -> int:
        return len(self._made)

    def __getitem__(self, t: Any) -> Any:
        made = self._made[t]
        if made is None:
            made = self._made[t] = apply(getitem, self._x, {"index": self._indices[t]})
        return made


def unroll(
    step: Step, xs: Sequence[Tensor], state: State, weights: Weights, reverse: bool, sizes: Sequence[int] | None = None
) -> tuple[list[Tensor], State]:
    """Run `step` over time.

    xs: T inputs (B, D); of a packed batch (sizes[t], D). state: what the first step starts from, each (B, H).
    reverse: run from the last step to the first. sizes: of a packed batch, how many sequences have a step t; falling.
    Returns the outputs in order of time, and the state after the last step of each sequence.
    """
    outputs: list[Tensor] = [None] * len(xs)  # type: ignore[list-item]
    times = range(len(xs) - 1, -1, -1) if reverse else range(len(xs))
    if sizes is None:
        for t in times:
            with scope(t=t):
                state = step(xs[t], state, weights)
            outputs[t] = state[0]
        return outputs, state
    first, finished = state, []
    running = sizes[-1] if reverse else sizes[0]
    state = _rows(first, 0, running)
    for t in times:
        with scope(t=t):
            if sizes[t] < running:  # forwards: the shortest sequences have ended
                finished.append(_rows(state, sizes[t], running))
                state = _rows(state, 0, sizes[t])
            elif sizes[t] > running:  # backwards: longer batches begin as their sequences do
                state = _joined([state, _rows(first, running, sizes[t])])
            running = sizes[t]
            state = step(xs[t], state, weights)
        outputs[t] = state[0]
    return outputs, _joined([state, *reversed(finished)])


def _rows(state: State, start: int, stop: int) -> State:
    if start == 0 and stop == state[0].shape[0]:
        return state
    return tuple(apply(getitem, (part,), {"index": (slice(start, stop),)}) for part in state)


def _joined(states: list[State]) -> State:
    if len(states) == 1:
        return states[0]
    return tuple(apply(concatenate, parts, {"axis": 0}) for parts in zip(*states, strict=True))
