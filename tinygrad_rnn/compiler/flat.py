"""The parameters of an optimiser in one vector, and its updates on long parts of it.

An optimiser's rule treats each entry by itself, so that one pass over a vector does for all parameters what a pass
over each would. Where they lie is one thing for all compiled steps of an optimiser; which of them a step updates, and
what the optimiser remembers of each, may differ, and others may change both between two steps. So it is looked at
before every step, by identity.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Iterable, Sequence
from operator import attrgetter, is_
from typing import Any

import numpy as np

from ..errors import GraphError
from ..tensor import Tensor, make
from .planning import aligned

BLOCK = 1 << 15
"""Entries that are updated at a time where that is possible."""

_array = attrgetter("array")


def split(vector: np.ndarray, shapes: Iterable[tuple[int, ...]]) -> list[np.ndarray]:
    """A vector as views of these shapes, one after the other."""
    views, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        views.append(vector[start : start + size].reshape(shape))
        start += size
    return views


class Flat:
    """All parameters of an optimiser as views of one vector, or of one for each dtype.

    groups: the optimiser's groups as they were, each with its parameters. members: these, in order. place: parameter ->
    (vector, start, stop).
    """

    def __init__(self, optimizer: Any) -> None:
        self.groups = [(options, tuple(options["params"])) for options in optimizer.param_groups]
        self.members = [p for _, members in self.groups for p in members]
        self._listed = [x for options, members in self.groups for x in (options, *members)]
        self.place: dict[Tensor, tuple[np.ndarray, int, int]] = {}
        _refuse_shared(self.members)
        views: dict[Tensor, np.ndarray] = {}
        for dtype in {p.array.dtype for p in self.members}:
            alike = [p for p in self.members if p.array.dtype == dtype]
            vector = aligned(sum(p.array.nbytes for p in alike)).view(dtype)
            start = 0
            for p, view in zip(alike, split(vector, [p.array.shape for p in alike]), strict=True):
                view[...] = p.array
                views[p] = view
                self.place[p] = vector, start, start + view.size
                start += view.size
        for p, view in views.items():
            p.data = make(view)
        self.views = [views[p] for p in self.members]

    def holds(self, optimizer: Any) -> bool:
        """Whether the optimiser has the same groups and parameters still, and nobody gave one another array."""
        groups = optimizer.param_groups
        if len(groups) != len(self.groups) or not all(map(is_, map(_array, self.members), self.views)):
            return False
        now: list[Any] = []  # one flat list, for this is asked at every step
        for group in groups:
            now.append(group)
            now += group["params"]
        return len(now) == len(self._listed) and all(map(is_, now, self._listed))


def _refuse_shared(members: Sequence[Tensor]) -> None:
    """Parameters that are views of each other would be torn apart."""
    for a, b in itertools.combinations(members, 2):
        if a.array.size and np.may_share_memory(a.array, b.array):
            raise GraphError(
                f"compile_step: parameters of shapes {list(a.shape)} and {list(b.shape)} share memory, which a step "
                f"over all of them at once would part. Use one Parameter in both places."
            )


_flats: weakref.WeakKeyDictionary[Any, Flat] = weakref.WeakKeyDictionary()


def flat(optimizer: Any) -> Flat:
    """The parameters of an optimiser in one vector: moved there if they do not lie there."""
    found = _flats.get(optimizer)
    if found is None or not found.holds(optimizer):
        found = _flats[optimizer] = Flat(optimizer)
    return found


class Segment:
    """Parameters that follow each other in the vector and are updated alike: their group's options are the same, and
    so are the numbers that the optimiser remembers of each, as the count of steps.

    options: the group's dict, read live. vector, gradient: their parts of these. state: what the optimiser remembers,
    as if they were one parameter; their own states are views of it.
    """

    def __init__(
        self,
        options: dict[str, Any],
        parameters: Sequence[Tensor],
        vector: np.ndarray,
        gradient: slice,
        states: dict[Tensor, dict[str, Any]],
    ) -> None:
        self.options, self.parameters, self.vector, self.gradient = options, list(parameters), vector, gradient
        self.state = _gathered([states.get(p) or {} for p in self.parameters])
        self.seen: list[Any] | None = None  # the states of the parameters, and what they hold, after the last update

    def current(self, states: dict[Tensor, dict[str, Any]]) -> bool:
        """Whether nobody else has changed what the optimiser remembers of these parameters."""
        now = self._look(states)
        return self.seen is not None and len(now) == len(self.seen) and all(map(is_, now, self.seen))

    def _look(self, states: dict[Tensor, dict[str, Any]]) -> list[Any]:
        found: list[Any] = list(map(states.get, self.parameters))
        if self.state:
            for state in found[:]:
                found += state.values() if state else ()
        return found

    def update(self, optimizer: Any, gradient: np.ndarray, scale: float = 1) -> None:
        """One step of all of them. gradient: theirs. scale: what to multiply it with beforehand."""
        if self.options.get("maximize"):
            np.negative(gradient, gradient)
        if self.seen is not None and gradient.size > BLOCK and self._keeps_nothing(optimizer):
            self._update_in_blocks(optimizer, gradient, scale)
            return
        if scale != 1:
            np.multiply(gradient, scale, gradient)
        kept = self._kept() if self.state else {}
        optimizer.update(self.vector, gradient, self.state, self.options)
        if self.seen is not None and not self.state:
            return
        states = optimizer.state
        after = self._kept()
        if self.seen is None or kept != after:
            self._expose(states)
        else:
            numbers = {name: value for name, value in self.state.items() if name not in after}
            for p in self.parameters:
                states[p].update(numbers)
        self.seen = self._look(states)

    def _kept(self) -> dict[str, int]:
        """The arrays that the optimiser remembers, by their ids."""
        return {name: id(value) for name, value in self.state.items() if isinstance(value, Tensor)}

    def _keeps_nothing(self, optimizer: Any) -> bool:
        """Whether the optimiser, with its options of now, remembers nothing from step to step."""
        if self.state:
            return False
        state: dict[str, Any] = {}
        optimizer.update(self.vector[:0], self.vector[:0], state, self.options)
        return not state

    def _update_in_blocks(self, optimizer: Any, gradient: np.ndarray, scale: float) -> None:
        """What keeps no state treats each entry by itself: blocks that fit into the cache are scaled and applied."""
        for start in range(0, gradient.size, BLOCK):
            part = gradient[start : start + BLOCK]
            if scale != 1:
                np.multiply(part, scale, part)
            optimizer.update(self.vector[start : start + BLOCK], part, self.state, self.options)

    def _expose(self, states: dict[Tensor, dict[str, Any]]) -> None:
        """Let each parameter's state be its part of this one."""
        shapes = [p.array.shape for p in self.parameters]
        parts: list[dict[str, Any]] = [{} for _ in shapes]
        for name, value in self.state.items():
            if _is_array(value):
                for part, view in zip(parts, split(value.array, shapes), strict=True):
                    part[name] = make(view)
            else:
                for part in parts:
                    part[name] = value
        states.update(zip(self.parameters, parts, strict=True))


def _is_array(value: Any) -> bool:
    """Whether an entry of a state has a number for each of the parameter."""
    return isinstance(value, Tensor) and value.array.ndim > 0


def _gathered(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The states of parameters whose numbers are the same as one."""
    return {
        name: make(np.concatenate([s[name].array.reshape(-1) for s in states])) if _is_array(value) else value
        for name, value in states[0].items()
    }


def _numbers(state: dict[str, Any]) -> dict[str, Any]:
    """What a state knows besides arrays, and which arrays it has."""
    return {name: None if _is_array(value) else float(value) for name, value in state.items()}


def segments(where: Flat, members: Sequence[Tensor], states: dict[Tensor, dict[str, Any]]) -> list[Segment]:
    """Some parameters of an optimiser, in its order, cut where they are not updated alike or do not follow each
    other.
    """
    chosen, found = set(members), []
    run: list[Tensor] = []
    start = 0
    for options, group in where.groups:
        for p in (*(p for p in group if p in chosen), None):  # None: the group is over
            if run and (p is None or not _alike(where, run[-1], p, states)):
                vector, first, _ = where.place[run[0]]
                size = sum(q.array.size for q in run)
                found.append(Segment(options, run, vector[first : first + size], slice(start, start + size), states))
                start += size
                run = []
            if p is not None:
                run.append(p)
    return found


def _alike(where: Flat, a: Tensor, b: Tensor, states: dict[Tensor, dict[str, Any]]) -> bool:
    (vector, _, stop), (other, start, _) = where.place[a], where.place[b]
    return vector is other and stop == start and _numbers(states.get(a) or {}) == _numbers(states.get(b) or {})
