"""Digits: special functions against mpmath, over the whole range, in both dtypes, and no floating-point accident."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mpmath
import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.primitive import PRIMITIVES

DTYPES = [np.float64, np.float32]
# from one end of what exponentials survive to the other, with zero, tiny numbers and subnormals
RANGE = [
    -1e4,
    -745.2,
    -103.0,
    -88.8,
    -30.0,
    -3.0,
    -0.5,
    -1e-8,
    -5e-324,
    0.0,
    5e-324,
    1e-8,
    0.5,
    3.0,
    30.0,
    88.8,
    745.2,
    1e4,
]


def exact(function: Callable[[Any], Any], xs: np.ndarray) -> np.ndarray:
    with mpmath.workdps(400):  # 1 + exp(-745) needs more than 300 digits
        return np.array([float(function(mpmath.mpf(float(x)))) for x in xs.ravel()]).reshape(xs.shape)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


FUNCTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * sigmoid(-x)),
    "softplus": (lambda x: mpmath.log(1 + mpmath.exp(x)), sigmoid),
    "tanh": (mpmath.tanh, lambda x: mpmath.sech(x) ** 2),
    "erf": (mpmath.erf, lambda x: 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-x * x)),
    "gelu": (
        lambda x: x * mpmath.ncdf(x),
        lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x),
    ),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_values_and_gradients_over_the_whole_range(name: str, dtype: Any):
    value, slope = FUNCTIONS[name]
    with np.errstate(under="ignore"):
        xs = np.array(RANGE).astype(dtype)
        t = tg.Tensor(xs, requires_grad=True)
        y = PRIMITIVES[name](t)
        y.backward(np.ones_like(xs))
    eps = np.finfo(dtype).eps
    # what underflows is 0, and what is far below 1 is known to the precision of 1, as in PyTorch
    np.testing.assert_allclose(y.detach().numpy(), exact(value, xs), rtol=4 * eps, atol=4 * eps)
    assert t.grad is not None
    np.testing.assert_allclose(t.grad.numpy(), exact(slope, xs), rtol=8 * eps, atol=4 * eps)


@pytest.mark.parametrize("name", ["sigmoid", "softplus"])
def test_the_left_tails_keep_their_relative_precision(name: str):
    xs = np.linspace(-700.0, -1.0, 200)
    y = PRIMITIVES[name].forward(xs)
    np.testing.assert_allclose(y, exact(FUNCTIONS[name][0], xs), rtol=1e-15 * 200)


def test_erf_to_the_last_digit():
    xs = np.concatenate([np.linspace(-7, 7, 801), [1e-300, -1e-20, 1e-8, 0.46874, 0.46876, 3.9999, 4.0001, 26.0, 27.5]])
    np.testing.assert_allclose(PRIMITIVES["erf"].forward(xs), exact(mpmath.erf, xs), rtol=1e-15)


SCORES = np.array([
    [1e4, 0.0, -1e4], [1e4, 1e4 - 0.5, 1e4 - 1.0], [-1e4, -1e4, -1e4], [1e-310, 0.0, -1e-310], [700.0, -700.0, 0.0],
    [0.1, 0.2, 0.3],
])  # fmt: skip


def softmax_rows(xs: np.ndarray) -> np.ndarray:
    with mpmath.workdps(50):
        rows = []
        for row in xs:
            powers = [mpmath.exp(mpmath.mpf(float(x))) for x in row]
            rows.append([float(p / sum(powers)) for p in powers])
        return np.array(rows)


def log_total_rows(xs: np.ndarray) -> np.ndarray:
    with mpmath.workdps(50):
        return np.array([float(mpmath.log(sum(mpmath.exp(mpmath.mpf(float(x))) for x in row))) for row in xs])


def losses(xs: np.ndarray, target: int) -> np.ndarray:
    with mpmath.workdps(50):
        away = [[mpmath.mpf(float(x)) - mpmath.mpf(float(row[target])) for x in row] for row in xs]
        return np.array([float(mpmath.log(sum(map(mpmath.exp, row)))) for row in away])


@pytest.mark.parametrize("dtype", DTYPES)
def test_normalisers_at_the_ends_of_the_range(dtype: Any):
    xs, eps = SCORES.astype(dtype), np.finfo(dtype).eps
    shares, totals = softmax_rows(xs), log_total_rows(xs)
    with np.errstate(under="ignore"):
        t = tg.Tensor(xs, requires_grad=True)
        np.testing.assert_allclose(
            PRIMITIVES["softmax"](t, axis=(1,)).detach().numpy(), shares, rtol=8 * eps, atol=1e-38
        )
        y = PRIMITIVES["logsumexp"](t, axis=(1,), keepdims=False)
        np.testing.assert_allclose(y.detach().numpy(), totals, rtol=2 * eps, atol=2 * eps)
        logs = PRIMITIVES["log_softmax"](t, axis=(1,)).detach().numpy()
        np.testing.assert_allclose(logs, np.subtract(xs.astype(float).T, totals).T, rtol=4 * eps, atol=2 * eps * 1e4)
        (g,) = tg.autograd.grad(y.sum(), [t])
        # the sum is rounded to the size of its largest term, and the gradient knows its terms no better
        np.testing.assert_allclose(g.numpy(), shares, atol=2e4 * eps)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("target", [0, 1, 2])
def test_cross_entropy_at_the_ends_of_the_range(dtype: Any, target: int):
    xs, eps = SCORES.astype(dtype), np.finfo(dtype).eps
    targets = np.full(len(xs), target)
    expected = losses(xs, target)
    with np.errstate(under="ignore"):
        t = tg.Tensor(xs, requires_grad=True)
        y = PRIMITIVES["cross_entropy"](t, targets)
        y.backward(np.ones(len(xs), dtype))
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=4 * eps, atol=4 * eps)
    assert t.grad is not None
    # relative to the loss: softmax is the exponential of minus a loss that is rounded to its own last digit
    exact_gradient = softmax_rows(xs) - np.eye(3)[targets]
    assert np.all(np.abs(t.grad.numpy() - exact_gradient) <= 8 * eps * (1 + expected[:, None]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_recurrence_with_saturated_gates_neither_overflows_nor_goes_nan(dtype: Any):
    # 10,000 steps of a gate held shut and one held open by scores of 1e4
    shut, open_ = (tg.Tensor(np.full(3, s, dtype), requires_grad=True) for s in (-1e4, 1e4))
    h = tg.Tensor(np.array([0.1, -0.5, 0.9], dtype))
    start = h.numpy().copy()
    for _ in range(10_000):
        h = PRIMITIVES["sigmoid"](open_) * h + PRIMITIVES["sigmoid"](shut) * np.tanh(h)
    h.sum().backward()
    np.testing.assert_array_equal(h.detach().numpy(), start)
    for t in (shut, open_):
        assert t.grad is not None
        np.testing.assert_array_equal(t.grad.numpy(), np.zeros(3))


def test_variance_of_large_numbers_with_small_differences():
    xs = 1e8 + np.array([0.0, 1.0, 2.0, 3.0])
    t = tg.Tensor(xs, requires_grad=True)
    y = PRIMITIVES["var"](t, axis=(0,), keepdims=False, ddof=0)
    y.backward(np.ones(()))
    assert y.item() == 1.25
    assert t.grad is not None
    np.testing.assert_allclose(t.grad.numpy(), [-0.75, -0.25, 0.25, 0.75])


def test_sigmoid_overflows_for_nobody_and_leaves_the_error_state_alone():
    # large enough for NumPy to let other threads run in the midst of it
    xs = np.tile(np.array([-np.inf, -1e4, -1.0, 0.0, 1e4, np.inf, np.nan], np.float32), 1000)

    def run(_: int) -> list[float]:
        with np.errstate(all="raise"):
            before = np.geterr()
            for _ in range(200):
                y = PRIMITIVES["sigmoid"].forward(xs)
            assert np.geterr() == before
            with pytest.raises(FloatingPointError):
                np.exp(-xs)
        return y[:7].tolist()

    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(run, range(4)):
            np.testing.assert_allclose(y, [0, 0, 0.26894143, 0.5, 1, 1, np.nan], rtol=1e-6)


@pytest.mark.parametrize(
    "view", [lambda x: x, lambda x: x.T, lambda x: x[:, 1:3], lambda x: x[::-2], lambda x: x[1, 1]]
)
def test_sigmoid_of_any_layout(view: Callable[[Any], Any]):
    x = view(np.linspace(-3, 3, 16).reshape(4, 4))
    y = PRIMITIVES["sigmoid"].forward(x)
    np.testing.assert_allclose(y, exact(sigmoid, np.asarray(x)), rtol=1e-15)
    kept = np.array(x)
    assert PRIMITIVES["sigmoid"].forward(kept, out=kept) is kept  # as a replay does
    np.testing.assert_array_equal(kept, y)
