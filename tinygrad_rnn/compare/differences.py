"""Central and one-sided differences, and what `gradcheck` says when they disagree with a gradient.

Floor 7. That a point without a derivative is told apart from a wrong rule follows Chainer (`gradient_check.py`): at a
kink the slopes from the left and from the right stay different however small the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import TinygradError
from ..state import no_grad
from ..tensor import Tensor

_SHOWN = 6


class GradcheckError(TinygradError, RuntimeError):
    """A gradient differs from central differences; the text names input, entry, both values and the relative error."""


class NotDifferentiableError(GradcheckError):
    """The function has no derivative at this point, so nothing can be said about the rule: move the input."""


class Settings(NamedTuple):
    """What a check was asked to do; `projections` is 0 for whole Jacobians."""

    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    check_grad_dtypes: bool
    projections: int
    rng: np.random.Generator


def central_difference(loss: Callable[[], Any], array: np.ndarray, eps: float = 1e-6) -> np.ndarray:
    """The gradient of a scalar with respect to an array that `loss` reads, by central differences.

    loss: called without arguments, twice per entry of `array`; returns a number or anything that float() takes.
    array: float64, writable; varied in place and restored. Returns an array of its shape.
    """
    result = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        before = array[index]
        try:
            array[index] = before + eps
            above = float(loss())
            array[index] = before - eps
            below = float(loss())
        finally:
            array[index] = before
        result[index] = (above - below) / (2 * eps)
    return result


def outputs_of(result: Any) -> list[Tensor]:
    """The float tensors among what a function returned."""
    results = [result] if isinstance(result, Tensor) else list(result)
    return [y for y in results if isinstance(y, Tensor) and y.dtype.kind == "f"]


def evaluate(
    fn: Callable[..., Any], inputs: Sequence[Any], moves: dict[int, np.ndarray], scale: float
) -> list[np.ndarray]:
    """The outputs with inputs[i] moved by scale * moves[i]; the inputs are as before when it returns."""
    before = {i: inputs[i].array for i in moves}
    try:
        for i, move in moves.items():
            inputs[i].data = before[i] + scale * move
        with no_grad():
            return [np.array(y.array, dtype=np.float64) for y in outputs_of(fn(*inputs))]
    finally:
        for i, array in before.items():
            inputs[i].data = array


Samples = tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]
"""The outputs one step above, at, and one step below the point."""


def kink(
    fn: Callable[..., Any], inputs: Sequence[Any], moves: dict[int, np.ndarray], samples: Samples, settings: Settings
) -> tuple[float, float] | None:
    """The slopes from the left and from the right if they differ, at a smaller step too; None if there is no kink."""
    right, left = _sided(samples, settings.eps)
    gap = _apart(right, left, settings)
    if gap <= 0:
        return None
    small = settings.eps / 8
    nearer = (evaluate(fn, inputs, moves, small), samples[1], evaluate(fn, inputs, moves, -small))
    # of a smooth function the difference shrinks with the step; at a kink it stays, at a jump or a pole it grows
    if _apart(*_sided(nearer, small), settings) <= 0.5 * gap:
        return None
    worst = int(np.argmax(np.abs(right - left)))
    return float(left[worst]), float(right[worst])


def require_derivative(
    fn: Callable[..., Any],
    inputs: Sequence[Any],
    i: int,
    move: np.ndarray,
    samples: Samples,
    settings: Settings,
    title: str,
) -> None:
    """Raise NotDifferentiableError if there is a kink along `move`, which varies one entry of input i."""
    slopes = kink(fn, inputs, {i: move}, samples, settings)
    if slopes is not None:
        index = tuple(int(n) for n in np.unravel_index(int(np.argmax(move)), move.shape))
        raise NotDifferentiableError(
            f"{title}: the function is not differentiable at this point. Along entry {list(index)} of input {i}, whose "
            f"value is {inputs[i].array[index]:.6g}, the slope is {slopes[0]:.6g} from the left and {slopes[1]:.6g} "
            f"from the right. Move the input away from there, and check the convention at the point by its value."
        )


def _sided(samples: Samples, eps: float) -> tuple[np.ndarray, np.ndarray]:
    above, middle, below = (np.concatenate([y.reshape(-1) for y in part]) if part else np.zeros(0) for part in samples)
    return (above - middle) / eps, (middle - below) / eps


def _apart(right: np.ndarray, left: np.ndarray, settings: Settings) -> float:
    """By how much one-sided slopes differ beyond what the tolerance and a mild curvature explain; 0 is not at all."""
    allowed = 10 * (settings.atol + settings.rtol * np.maximum(np.abs(right), np.abs(left)))
    return float(np.max(np.abs(right - left) - allowed, initial=0.0))


def report(
    title: str, k: int, shape: tuple[int, ...], i: int, x: Tensor, analytic: np.ndarray, numeric: np.ndarray,
    wrong: np.ndarray, settings: Settings,
) -> str:  # fmt: skip
    """The worst entries of a Jacobian (outputs, inputs), analytic beside numeric."""
    relative = np.abs(analytic - numeric) / np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), 1e-300)
    worst = np.argsort(np.where(wrong, -relative, 1.0), axis=None, kind="stable")[: min(_SHOWN, int(wrong.sum()))]
    name = f" ({x.node.name})" if x.node is not None and x.node.name else ""
    head = (
        f"{title}: the gradient of output {k}, shape {list(shape)}, with respect to input {i}{name}, "
        f"{x.dtype}{list(x.shape)}, is wrong in {int(wrong.sum())} of {wrong.size} entries "
        f"(eps={settings.eps:g}, atol={settings.atol:g}, rtol={settings.rtol:g})."
    )
    lines = [head, f"{'input entry':>14} {'output entry':>14} {'analytic':>16} {'numeric':>16} {'relative error':>15}"]
    for flat in worst.tolist():
        row, column = divmod(flat, analytic.shape[1])
        entry = str([int(n) for n in np.unravel_index(column, x.shape)])
        output = str([int(n) for n in np.unravel_index(row, shape)])
        a, n, r = analytic[row, column], numeric[row, column], relative[row, column]
        lines.append(f"{entry:>14} {output:>14} {a:>16.9g} {n:>16.9g} {r:>15.2e}")
    return "\n".join(lines)
