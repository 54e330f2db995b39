"""Where an unknown mistake begins: the parameter nearest to the loss that deviates, and the last step whose cotangents
do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..anatomy.shares import Group
from ..anatomy.steps import cotangents, has_witnesses, sharing, step_errors
from .search import Search

__all__ = ["Location", "localise"]


class Location(NamedTuple):
    """Where the error begins.

    parameter: the first that deviates, counted from the loss. time: the last time step whose cotangents deviate, or
    None if the gradients do not tell. right: the steps whose cotangents are right. errors: time step -> relative error
    of the cotangents, last step first. exact: whether the gradients determine the cotangents, or only the smallest
    change that would explain them. sound: parameters that are made of the same cotangents, all of them, and are right.
    proven: whether other gradients bear out that the cotangents are wrong, and not what is made of them.
    """

    parameter: str
    time: int | None
    right: tuple[int, ...]
    errors: dict[int, float]
    exact: bool
    sound: tuple[str, ...] = ()
    proven: bool = True

    def __str__(self) -> str:
        text = f"Counted from the loss, {self.parameter} is the first to deviate"
        if self.sound:
            many = len(self.sound) > 1
            return (
                f"{text}. {' and '.join(self.sound)}, made of the same errors, {'are' if many else 'is'} right: look "
                f"for the mistake where {self.parameter} is put together (which value meets the error of step t, which "
                f"steps are added, what is done to the sum), not in the errors."
            )
        if self.time is None:
            return f"{text}. Whether the errors that reach it are wrong, or only what is made of them, is not known."
        steps = f"the errors that reach it differ first at t={self.time}"
        steps += f" and are right at t={', '.join(map(str, self.right))}" if self.right else ""
        if self.proven:
            return f"{text}; going back through time, {steps}."
        return f"{text}. If it is put together rightly, then {steps}, going back through time; but that is not known."


def localise(search: Search) -> Location | None:
    """The first parameter and time step that deviate, or None if none does."""
    depth = {node: k for k, node in enumerate(search.sweep.order)}
    wrong = [name for name, form in search.forms.items() if not _close(search, name) and form.manual is not None]
    if not wrong:
        return None
    first = min(wrong, key=lambda name: min((depth[g.uses[0][0]] for g in search.shares.groups[name]), default=0))
    arrived = cotangents(search.shares)
    relatives = sharing(search.shares, first, arrived)
    errors, exact = step_errors(search.shares, first, search.manual, arrived)
    late = [t for t, error in errors.items() if error > _threshold(search)]
    right = tuple(t for t, error in errors.items() if error <= _threshold(search))
    proven = bool(late) and exact and has_witnesses(relatives)
    sound = () if proven else tuple(name for name, group in relatives if name not in wrong and _sees_all(group))
    time = late[0] if late and exact and not sound else None
    return Location(first, time, right, errors, exact, sound, proven)


def _sees_all(group: Group) -> bool:
    """Whether every row meets something that is not zero: nothing that is wrong there goes unseen."""
    return group.A is not None and bool(group.A.any(axis=1).all())


def _threshold(search: Search) -> float:
    return max(1e-6, 100 * search.rtol)


def _close(search: Search, name: str) -> bool:
    m, g = search.manual.get(name), search.recording.gradients[name]
    return (
        m is not None
        and m.shape == g.shape
        and np.abs(m - g).max(initial=0.0) <= search.rtol * np.abs(g).max(initial=0.0)
    )
