"""Gradients against central differences: `gradcheck` and `gradgradcheck`.

Floor 7. Names and defaults are PyTorch's (`torch.autograd.gradcheck`); what is added is any order, the entry at fault
in fast mode too, and the verdict that a point has no derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backward import pull
from ..errors import DTypeError, explain
from ..state import enable_grad, is_grad_enabled
from ..tensor import Tensor, make
from .differences import (
    GradcheckError,
    NotDifferentiableError,
    Settings,
    central_difference,
    evaluate,
    kink,
    outputs_of,
    report,
    require_derivative,
)  # fmt: skip

__all__ = ["GradcheckError", "NotDifferentiableError", "central_difference", "gradcheck", "gradgradcheck"]


def gradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    order: int = 1,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
    projections: int = 2,
    generator: np.random.Generator | None = None,
) -> bool:
    """Compare the gradients of `fn` with central differences.

    fn: takes the inputs, returns a tensor or several. It is run many times and must give the same result each time; it
        may also read the inputs from elsewhere (the parameters of a module): their data is exchanged and restored.
    inputs: one tensor or a sequence; those that require grad are checked and must be float64.
    eps: the step. atol, rtol: |analytic - numeric| <= atol + rtol * |numeric| is required of every entry.
    order: 2 also checks the gradient of the gradient, 3 the one of that, and so on.
    raise_exception: return False instead of raising GradcheckError.
    nondet_tol: how much two sweeps through the same graph may differ.
    check_grad_dtypes: require that each gradient has the dtype of its input.
    fast_mode: compare products with random vectors, `projections` of them, instead of whole Jacobians; two runs each.
        Where they disagree, the whole Jacobian names the entry.
    generator: draws the random vectors (default: seeded with 0).
    Returns True. Raises GradcheckError if a gradient is wrong, NotDifferentiableError at a kink, DTypeError for inputs
    that are not float64, ValueError if none requires grad.
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    _check_inputs(given)
    rng = np.random.default_rng(0) if generator is None else generator
    settings = Settings(eps, atol, rtol, nondet_tol, check_grad_dtypes, projections if fast_mode else 0, rng)
    name = getattr(fn, "__name__", type(fn).__name__)
    try:
        for level in range(1, order + 1):
            title = f"gradcheck of {name}" + (f" (order {level})" if level > 1 else "")
            _check(fn, given, settings, title)
            if level < order:
                fn, given = _gradient_function(fn, given, None, rng)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    fn: Callable[..., Any],
    inputs: Tensor | Sequence[Any],
    grad_outputs: Tensor | Sequence[Tensor] | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
    projections: int = 2,
    generator: np.random.Generator | None = None,
) -> bool:
    """Check the gradients of the gradients of `fn`: with respect to the inputs, and to the cotangents of the outputs.

    grad_outputs: the cotangents, one per differentiable output; default: random ones that require grad.
    The rest as in `gradcheck`.
    """
    given = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    _check_inputs(given)
    rng = np.random.default_rng(0) if generator is None else generator
    seeds = (grad_outputs,) if isinstance(grad_outputs, Tensor) else grad_outputs
    settings = Settings(eps, atol, rtol, nondet_tol, check_grad_dtypes, projections if fast_mode else 0, rng)
    name = getattr(fn, "__name__", type(fn).__name__)
    try:
        _check(*_gradient_function(fn, given, seeds, rng), settings, f"gradgradcheck of {name}")
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def _check_inputs(inputs: Sequence[Any]) -> None:
    wanted = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError("gradcheck: expected an input that requires grad, got none. Pass requires_grad=True to one.")
    for i, x in enumerate(inputs):
        if isinstance(x, Tensor) and x.requires_grad and x.dtype != np.float64:
            what = f"float64 for input {i}"
            raise DTypeError(
                explain("gradcheck", expected=what, got=str(x.dtype), do="Differences need it: use .double().")
            )


def _pulled(
    outputs: Sequence[Tensor], seeds: Sequence[Any], inputs: Sequence[Tensor], create_graph: bool = False
) -> list[Any]:
    """Gradients of the inputs, None where there is none; the graph is kept."""
    pairs = [(y, v) for y, v in zip(outputs, seeds, strict=True) if y.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    found = pull(
        [y for y, _ in pairs], [v for _, v in pairs], make, inputs=inputs, retain_graph=True, create_graph=create_graph
    )
    return [found[x.node][0] if x.node in found else None for x in inputs]


def _gradient_function(
    fn: Callable[..., Any], inputs: Sequence[Any], seeds: Sequence[Tensor] | None, rng: np.random.Generator
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """(inputs, cotangents) -> gradients of the inputs: a function that can itself be checked, and where to check it."""
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    if seeds is None:
        seeds = []
        for y in outputs_of(fn(*inputs)):
            seed = make(rng.standard_normal(y.shape))
            seed.requires_grad = True
            seeds.append(seed)

    def gradient(*arguments: Any) -> list[Tensor]:
        recorded = is_grad_enabled()  # while differences are taken it is off, and the rules run on plain arrays
        points, cotangents = arguments[: len(inputs)], arguments[len(inputs) :]
        with enable_grad():
            sources = [points[i] for i in wanted]
            grads = _pulled(outputs_of(fn(*points)), cotangents, sources, create_graph=recorded)
        full = [make(np.zeros(x.shape)) if g is None else g for g, x in zip(grads, sources, strict=True)]
        return [g if isinstance(g, Tensor) else make(np.array(g)) for g in full]

    gradient.__name__ = getattr(fn, "__name__", "fn")
    return gradient, (*inputs, *seeds)


def _check(fn: Callable[..., Any], inputs: Sequence[Any], settings: Settings, title: str) -> None:
    outputs = outputs_of(fn(*inputs))
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    _check_sweeps(outputs, [inputs[i] for i in wanted], wanted, settings, title)
    if settings.projections and all(
        _projection_agrees(fn, inputs, wanted, settings) for _ in range(settings.projections)
    ):
        return
    for i in wanted:
        _check_jacobian(fn, inputs, i, outputs, settings, title)
    if settings.projections:
        raise NotDifferentiableError(
            f"{title}: every entry of the Jacobian agrees, and its product with a random vector does not: the function "
            f"has a kink near this point. Move the input."
        )


def _check_sweeps(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], wanted: Sequence[int], settings: Settings, title: str
) -> None:
    """Shape and dtype of the gradients, and that two sweeps give the same."""
    seeds = [make(settings.rng.standard_normal(y.shape)) for y in outputs]
    first, second = (_pulled(outputs, seeds, inputs) for _ in range(2))
    for i, x, a, b in zip(wanted, inputs, first, second, strict=True):
        if a is None:
            continue
        if a.shape != x.shape or (settings.check_grad_dtypes and a.dtype != x.dtype):
            raise GradcheckError(
                explain(
                    f"{title}, gradient of input {i}",
                    expected=f"{x.dtype}{list(x.shape)}",
                    got=f"{a.dtype}{list(a.shape)}",
                )
            )
        gap = float(np.max(np.abs(np.subtract(a, b)), initial=0.0))
        if gap > settings.nondet_tol:
            raise GradcheckError(
                f"{title}: two sweeps through the same graph differ by {gap:.3g} in the gradient of input {i}; "
                f"nondet_tol is {settings.nondet_tol:g}."
            )


def _projection_agrees(
    fn: Callable[..., Any], inputs: Sequence[Any], wanted: Sequence[int], settings: Settings
) -> bool:
    outputs = outputs_of(fn(*inputs))
    moves = {i: settings.rng.standard_normal(inputs[i].shape) for i in wanted}
    length = float(np.sqrt(sum(np.sum(m * m) for m in moves.values()))) or 1.0
    moves = {i: m / length for i, m in moves.items()}
    weights = [settings.rng.standard_normal(y.shape) for y in outputs]
    grads = _pulled(outputs, [make(w) for w in weights], [inputs[i] for i in wanted])
    analytic = sum(float(np.sum(g * moves[i])) for i, g in zip(wanted, grads, strict=True) if g is not None)
    above, middle, below = (evaluate(fn, inputs, moves, sign * settings.eps) for sign in (1, 0, -1))
    if kink(fn, inputs, moves, (above, middle, below), settings):
        return False
    slopes = [(a - b) / (2 * settings.eps) for a, b in zip(above, below, strict=True)]
    numeric = sum(float(np.sum(w * s)) for w, s in zip(weights, slopes, strict=True))
    # a product with two random vectors is small by accident only, so it is held to the size of its terms
    size = sum(float(np.sum(np.abs(w * s))) for w, s in zip(weights, slopes, strict=True))
    return bool(abs(analytic - numeric) <= settings.atol + settings.rtol * min(size, 10 * abs(numeric)))


def _check_jacobian(
    fn: Callable[..., Any], inputs: Sequence[Any], i: int, outputs: Sequence[Tensor], settings: Settings, title: str
) -> None:
    """Whole Jacobians of all outputs with respect to input i: one sweep per output entry, two runs per input entry."""
    x = inputs[i]
    analytic = [np.zeros((y.array.size, x.array.size)) for y in outputs]
    for k, y in enumerate(outputs):
        for row in range(y.array.size):
            seed = np.zeros(y.shape)
            seed.flat[row] = 1
            (g,) = _pulled([y], [make(seed)], [x])
            if g is not None:
                analytic[k][row] = np.reshape(g, -1)
    middle = evaluate(fn, inputs, {}, 0.0)
    numeric = [np.zeros_like(a) for a in analytic]
    for column in range(x.array.size):
        move = np.zeros(x.shape)
        move.flat[column] = 1
        above, below = (evaluate(fn, inputs, {i: move}, sign * settings.eps) for sign in (1, -1))
        require_derivative(fn, inputs, i, move, (above, middle, below), settings, title)
        for k, (a, b) in enumerate(zip(above, below, strict=True)):
            numeric[k][:, column] = (a - b).reshape(-1) / (2 * settings.eps)
    for k, (a, n) in enumerate(zip(analytic, numeric, strict=True)):
        wrong = ~(np.abs(a - n) <= settings.atol + settings.rtol * np.abs(n))
        if wrong.any():
            raise GradcheckError(report(title, k, outputs[k].shape, i, x, a, n, wrong, settings))
