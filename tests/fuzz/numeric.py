"""How the fuzzers compare: equal up to rounding, and as central differences say."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

AGREED, REFUSED, KINK = "agreed", "refused", "kink"
_STEPS = (1e-6, 1e-5, 1e-7)


class Disagreement(AssertionError):
    """Two ways of running one thing gave different results; the text says which, and ends with the thing."""


def same(case: object, what: str, a: np.ndarray, b: np.ndarray, tolerance: float) -> None:
    """Raise Disagreement unless `a` equals `b` up to tolerance times the largest entry of `b`, or 1."""
    scale = max(1.0, float(np.max(np.abs(b), initial=0)))
    if a.shape != b.shape or not np.all(np.abs(a - b) <= tolerance * scale):
        gap = float(np.max(np.abs(a - b), initial=0)) if a.shape == b.shape else math.nan
        raise Disagreement(f"{what} by {gap:.3g}: {a.tolist()} and {b.tolist()}\n{case}")


def dot(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """The sum of all products, entry by entry."""
    return math.fsum(float(np.sum(x * y)) for x, y in zip(a, b, strict=True))


def differences(case: object, what: str, function: Callable[[float], float], slope: float) -> str:
    """Hold the slope of a function at 0 against central differences, at the step size that suits best.

    Returns AGREED, or KINK where the slopes on the two sides differ; raises Disagreement otherwise.
    """
    middle = function(0.0)
    errors = []
    for step in _STEPS:
        numeric = (function(step) - function(-step)) / (2 * step)
        noise = 1e-9 * (1 + abs(middle)) / step * 1e-6
        errors.append(abs(numeric - slope) - 1e-4 * max(1.0, abs(slope)) - noise)
        if errors[-1] <= 0:
            return AGREED
    if _kinked(function, middle):
        return KINK
    raise Disagreement(f"central differences of the {what} differ from {slope:.9g} by {min(errors):.3g}\n{case}")


def _kinked(function: Callable[[float], Any], middle: float) -> bool:
    """Whether the slopes on the two sides stay apart, or grow, as the step shrinks."""
    gaps = []
    for step in (1e-5, 1e-6):
        above, below = function(step), function(-step)
        gaps.append(abs((above - middle) - (middle - below)) / step)
    return gaps[0] > 1e-3 and gaps[1] > 0.5 * gaps[0]
