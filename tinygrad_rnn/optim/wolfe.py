"""A line search for the strong Wolfe conditions: bracket a good step, then zoom in by cubic interpolation.

Arrays and numbers only. Sources: as `lbfgs`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

_SUFFICIENT, _CURVATURE = 1e-4, 0.9


def _minimum(
    x1: float, f1: float, g1: float, x2: float, f2: float, g2: float, bounds: tuple[float, float] | None = None
) -> float:
    """Where the cubic through two points (x, value, slope) is least, within bounds. Nocedal and Wright, eq. 3.59."""
    low, high = bounds if bounds is not None else (x1, x2) if x1 <= x2 else (x2, x1)
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2) if x1 != x2 else math.nan
    square = d1 * d1 - g1 * g2
    if not square >= 0:
        return (low + high) / 2.0
    d2 = math.sqrt(square)
    if x1 <= x2:
        best = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        best = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(best, low), high)


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Any]],
    t: float,
    direction: Any,
    loss: float,
    gradient: Any,
    slope: float,
    tolerance: float = 1e-9,
    limit: int = 25,
) -> tuple[float, Any, float, int]:
    """Search along a direction.

    evaluate: step length -> (loss, gradient (N,)). t: the first length to try. direction: (N,).
    loss, gradient, slope: at length 0, the slope being gradient @ direction. limit: rounds at most.
    Returns (loss, gradient, length, number of evaluations).
    """
    longest = float(np.abs(direction).max())
    new_loss, new_gradient = evaluate(t)
    used = 1
    new_slope = float(new_gradient @ direction)
    previous = (0.0, loss, gradient, slope)
    done, rounds = False, 0
    ends: list[tuple[float, float, Any, float]] = []  # (length, loss, gradient, slope)
    while rounds < limit:
        now = (t, new_loss, new_gradient, new_slope)
        if new_loss > loss + _SUFFICIENT * t * slope or (rounds > 1 and new_loss >= previous[1]):
            ends = [previous, now]
            break
        if abs(new_slope) <= -_CURVATURE * slope:
            ends, done = [now], True
            break
        if new_slope >= 0:
            ends = [previous, now]
            break
        least, most = t + 0.01 * (t - previous[0]), t * 10
        longer = _minimum(previous[0], previous[1], previous[3], t, new_loss, new_slope, (least, most))
        previous, t = now, longer
        new_loss, new_gradient = evaluate(t)
        used += 1
        new_slope = float(new_gradient @ direction)
        rounds += 1
    if rounds == limit:
        ends = [(0.0, loss, gradient, slope), (t, new_loss, new_gradient, new_slope)]
    if len(ends) == 1:
        return ends[0][1], ends[0][2], ends[0][0], used
    low, high = (0, 1) if ends[0][1] <= ends[-1][1] else (1, 0)
    stuck = False
    while not done and rounds < limit:
        left, right = min(ends[0][0], ends[1][0]), max(ends[0][0], ends[1][0])
        if (right - left) * longest < tolerance:
            break
        first, second = ends
        t = _minimum(first[0], first[1], first[3], second[0], second[1], second[3])
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            # so close to an end, twice in a row or outside: step to a tenth from that end
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        new_loss, new_gradient = evaluate(t)
        used += 1
        new_slope = float(new_gradient @ direction)
        rounds += 1
        now = (t, new_loss, new_gradient, new_slope)
        if new_loss > loss + _SUFFICIENT * t * slope or new_loss >= ends[low][1]:
            ends[high] = now
            low, high = (0, 1) if ends[0][1] <= ends[1][1] else (1, 0)
        else:
            if abs(new_slope) <= -_CURVATURE * slope:
                done = True
            elif new_slope * (ends[high][0] - ends[low][0]) >= 0:
                ends[high] = ends[low]
            ends[low] = now
    best = ends[low]
    return best[1], best[2], best[0], used
