"""Where an unknown mistake begins: the parameter nearest to the loss that deviates, and the last step whose cotangents
do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..anatomy.steps import cotangents, step_errors
from .search import Search

__all__ = ["Location", "localise"]


class Location(NamedTuple):
    """Where the error begins.

    parameter: the first that deviates, counted from the loss. time: the last time step whose cotangents deviate, or
    None if the gradients do not tell. right: the steps whose cotangents are right. errors: time step -> relative error
    of the cotangents, last step first. exact: whether the gradients determine the cotangents, or only the smallest
    change that would explain them.
    """

    parameter: str
    time: int | None
    right: tuple[int, ...]
    errors: dict[int, float]
    exact: bool

    def __str__(self) -> str:
        text = f"Counted from the loss, {self.parameter} is the first to deviate"
        if self.time is None:
            return text + "."
        text += f"; going back through time, the errors that reach it differ first at t={self.time}"
        text += f" and are right at t={', '.join(map(str, self.right))}" if self.right else ""
        return text + (
            "."
            if self.exact
            else ". (The gradients do not determine this: it is the smallest change that would explain them.)"
        )


def localise(search: Search) -> Location | None:
    """The first parameter and time step that deviate, or None if none does."""
    depth = {node: k for k, node in enumerate(search.sweep.order)}
    wrong = [name for name, form in search.forms.items() if not _close(search, name) and form.manual is not None]
    if not wrong:
        return None
    first = min(wrong, key=lambda name: min((depth[g.uses[0][0]] for g in search.shares.groups[name]), default=0))
    errors, exact = step_errors(search.shares, first, search.manual, cotangents(search.shares))
    late = [t for t, error in errors.items() if error > _threshold(search)]
    right = tuple(t for t, error in errors.items() if error <= _threshold(search))
    return Location(first, late[0] if late else None, right, errors, exact)


def _threshold(search: Search) -> float:
    return max(1e-6, 100 * search.rtol)


def _close(search: Search, name: str) -> bool:
    m, g = search.manual.get(name), search.recording.gradients[name]
    return (
        m is not None
        and m.shape == g.shape
        and np.abs(m - g).max(initial=0.0) <= search.rtol * np.abs(g).max(initial=0.0)
    )
