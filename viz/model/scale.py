"""Numbers on one logarithmic scale: what is laid over a diagram as heat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .words import number

WIDEST = 16
"""The scale spans at most so many decades; what is smaller is shown as smallest."""


class Flow(NamedTuple):
    """One recurrent layer. norms: (step, norm of the gradient that reaches its state), for all steps, shown or not.

    ends: the step at which the gradient enters, and the last one on its way back. ratio: of the norms there, last by
    first. verdict: "vanishing", "exploding" or "". beyond: the first
    step, on the way back, that lies beyond the threshold, or None.
    """

    group: int
    name: str
    norms: list[tuple[int, float]]
    ratio: float
    verdict: str
    beyond: int | None
    ends: tuple[int, int]


class Scale(NamedTuple):
    """A logarithmic scale from 10**low to 10**high."""

    low: int
    high: int

    def share(self, norm: float) -> float:
        """Where between 0 and 1 a norm lies; zero lies at 0."""
        if not norm > 0 or math.isinf(norm):
            return 0.0 if not math.isinf(norm) else 1.0
        return min(1.0, max(0.0, (math.log10(norm) - self.low) / (self.high - self.low)))


def common_scale(norms: Sequence[float]) -> Scale:
    """The decades that hold all positive norms, at least one and at most `WIDEST`."""
    logs = [math.log10(norm) for norm in norms if norm > 0 and math.isfinite(norm)]
    if not logs:
        return Scale(-1, 0)
    high = math.ceil(max(logs) - 1e-9)
    low = max(math.floor(min(logs) + 1e-9), high - WIDEST)
    return Scale(low if low < high else high - 1, high)


class Heat:
    """One number for each box, on one logarithmic scale.

    title: what the numbers are. sign: how a number is introduced in a box. numbers: by box id. flows: the fate of the
    gradient along time, for gradients. remark: what the title leaves open.
    """

    def __init__(
        self, title: str, sign: str, numbers: dict[int, float], found: Sequence[Flow] = (), remark: str = ""
    ) -> None:
        self.title = title
        self.sign = sign
        self.numbers = numbers
        self.flows = list(found)
        self.remark = remark
        self.scale = common_scale([*numbers.values(), *(norm for flow in found for _, norm in flow.norms)])

    def share(self, box: int) -> float | None:
        """Where on the scale the box with this id lies, or None if it has no number."""
        value = self.numbers.get(box)
        return None if value is None else self.scale.share(value)

    def label(self, box: int) -> str:
        """The number of a box in words, or nothing."""
        value = self.numbers.get(box)
        return "" if value is None else f"{self.sign} {number(value)}"
