"""np.* functions on Tensors give NumPy 2's dtype and numbers, for all pairs of dtypes and for Python numbers."""

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.primitive import REGISTRY

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
BINARY = sorted((f for f in REGISTRY if isinstance(f, np.ufunc) and f.nin == 2), key=lambda f: f.__name__)
UNARY = sorted((f for f in REGISTRY if isinstance(f, np.ufunc) and f.nin == 1), key=lambda f: f.__name__)
REDUCTIONS = [np.sum, np.prod, np.mean, np.max, np.min, np.any, np.all, np.argmax, np.argmin, np.var, np.std, np.cumsum]


def outcome(function: Any, *args: Any) -> Any:
    """(dtype, numbers) of a result, or None where it is refused."""
    try:
        with np.errstate(all="ignore"):
            y = function(*args)
    except (TypeError, ValueError, OverflowError):
        return None
    y = y.detach().numpy() if isinstance(y, tg.Tensor) else np.asarray(y)
    # The one deviation: half precision, NumPy's answer to 8 bits, is no dtype here; float32 stands in its place.
    return (np.dtype(np.float32), None) if y.dtype == np.float16 else (y.dtype, y.tolist())


def agree(found: Any, expected: Any, what: Any) -> None:
    if expected is None:
        assert found is None, f"{what}: NumPy refuses it, we give {found}"
        return
    assert found is not None, f"{what}: refused, NumPy gives {expected}"
    assert found[0] == expected[0], what
    if expected[1] is not None:
        np.testing.assert_array_equal(found[1], expected[1], err_msg=str(what))


def test_the_tables_hold_what_is_meant():
    assert {np.add, np.power, np.logaddexp, np.floor_divide, np.less} <= set(BINARY)
    assert {np.exp, np.sqrt, np.negative, np.isfinite} <= set(UNARY)
    assert set(REDUCTIONS) <= set(REGISTRY)


@pytest.mark.parametrize("function", [f for f in BINARY if f is not np.matmul], ids=lambda f: f.__name__)
def test_pairs(function: Any):
    for a, b, left, right in itertools.product(DTYPES, DTYPES, [(), (2,)], [(), (2,)]):
        x, y = np.full(left, 3).astype(a), np.full(right, 2).astype(b)
        expected = outcome(function, x, y)
        agree(outcome(function, tg.Tensor(x), tg.Tensor(y)), expected, (a, left, b, right))
        if left or right:
            agree(outcome(function, tg.Tensor(x), y), expected, (a, left, b, right, "array on the right"))
            agree(outcome(function, x, tg.Tensor(y)), expected, (a, left, b, right, "array on the left"))


@pytest.mark.parametrize("function", [f for f in BINARY if f is not np.matmul], ids=lambda f: f.__name__)
def test_python_numbers_are_weak(function: Any):
    for dtype, number, shape in itertools.product(DTYPES, [True, 2, 2.0, 300, -1], [(), (2,)]):
        x = np.full(shape, 3).astype(dtype)
        agree(outcome(function, tg.Tensor(x), number), outcome(function, x, number), (dtype, number))
        agree(outcome(function, number, tg.Tensor(x)), outcome(function, number, x), (number, dtype))


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
def test_one_argument(function: Any):
    for dtype, shape in itertools.product(DTYPES, [(), (2,), (0,)]):
        x = np.full(shape, 1).astype(dtype)
        agree(outcome(function, tg.Tensor(x)), outcome(function, x), dtype)


@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
def test_reductions(function: Any):
    for dtype, axis in itertools.product(DTYPES, [None, 0, -1]):
        x = np.arange(6).reshape(2, 3).astype(dtype)
        agree(
            outcome(lambda a, axis=axis: function(a, axis=axis), tg.Tensor(x)),
            outcome(function, x, axis),
            (dtype, axis),
        )
