"""The recording chain h = tanh(h * w) in the NumPy frameworks that record a graph: HIPS autograd, MyGrad, DeZero."""

from collections.abc import Callable

import numpy as np

from tests.benchmarks.sides.torchlike import LINKS, Work


def recording(side: str, _: str) -> Work:
    """Recorded and swept on 8x8 float64, counted per op; returns the sum of the gradient of w."""
    rng = np.random.default_rng(0)
    start, w = rng.normal(size=(8, 8)), rng.normal(size=(8, 8))
    return {"autograd": _autograd, "mygrad": _mygrad, "dezero": _dezero}[side](start, w), 2 * LINKS


def _autograd(start: np.ndarray, w: np.ndarray) -> Callable[[], float]:
    import autograd
    import autograd.numpy as anp

    def chain(w):
        h = start
        for _ in range(LINKS):
            h = anp.tanh(h * w)
        return anp.sum(h)

    gradient = autograd.grad(chain)
    return lambda: float(gradient(w).sum())


def _mygrad(start: np.ndarray, w: np.ndarray) -> Callable[[], float]:
    import mygrad

    weight = mygrad.tensor(w)

    def work():
        h = mygrad.tensor(start, constant=True)
        for _ in range(LINKS):
            h = mygrad.tanh(h * weight)
        weight.null_grad()
        h.sum().backward()
        return float(weight.grad.sum())

    return work


def _dezero(start: np.ndarray, w: np.ndarray) -> Callable[[], float]:
    # DeZero reads aliases that NumPy has dropped since; given back, it runs.
    np.int = int  # type: ignore[attr-defined]  # noqa: NPY001
    import dezero
    import dezero.functions

    weight = dezero.Variable(w)

    def work():
        h = dezero.Variable(start)
        for _ in range(LINKS):
            h = dezero.functions.tanh(h * weight)
        weight.cleargrad()
        dezero.functions.sum(h).backward()
        return float(weight.grad.data.sum())

    return work
