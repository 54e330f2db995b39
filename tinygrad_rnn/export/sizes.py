"""Numbers that change with the sizes of the inputs, found by comparing two recordings at different sizes.

A size is a plain int where both recordings agree, and otherwise a `Size`: a product of named axes and a factor, plus an
offset. Imports nothing of the engine but errors.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import NamedTuple

from ..errors import MissingRuleError


class Size(NamedTuple):
    """factor * (product of the named axes) + offset; `names` in the order of the inputs."""

    names: tuple[str, ...]
    factor: int = 1
    offset: int = 0


Axes = Mapping[str, tuple[int, int]]
"""Named axis -> its size in the first and in the second recording."""


def solve(first: int, second: int, axes: Axes, where: str) -> int | Size:
    """The size that is `first` in one recording and `second` in the other.

    Raises MissingRuleError if no product of axes, with a factor and an offset of at most 2, gives both.
    """
    if first == second:
        return first
    for count in range(1, len(axes) + 1):
        for names in itertools.combinations(axes, count):
            a, b = (math.prod(axes[name][i] for name in names) for i in (0, 1))
            if a and first % a == 0 and second == first // a * b:
                return Size(names, first // a)
    for name, (a, b) in axes.items():
        if first - a == second - b and abs(first - a) <= 2:
            return Size((name,), 1, first - a)
    known = ", ".join(f"{name} {a} and {b}" for name, (a, b) in axes.items())
    raise MissingRuleError(
        f"export: {where} is {first} in one recording and {second} in another (axes: {known}), and that is no product "
        f"of them. Keep the axis fixed: leave it out of dynamic_axes."
    )
