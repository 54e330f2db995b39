"""Dtypes: operators mix them as PyTorch does, all pairs; np.* functions as NumPy does; numbers never widen a tensor."""

import enum
import itertools
import operator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import DTypeError

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64"]
OPERATORS = {
    name: getattr(operator, name)
    for name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "lt", "eq", "and_", "or_", "xor"]
}


def outcome(function: Any) -> Any:
    """(dtype, shape) of a result, or None where it is refused."""
    try:
        y = function()
    except (TypeError, RuntimeError, ValueError, OverflowError):
        return None
    return str(y.dtype).removeprefix("torch."), tuple(y.shape)


@pytest.mark.peers
@pytest.mark.parametrize("name", OPERATORS)
def test_all_pairs_of_tensors_mix_as_in_pytorch(name: str):
    torch = pytest.importorskip("torch")
    apply = OPERATORS[name]
    for a, b, left, right in itertools.product(DTYPES, DTYPES, [(), (2,)], [(), (2,)]):
        x, y = np.ones(left, a), np.ones(right, b)
        expected = outcome(lambda x=x, y=y: apply(torch.from_numpy(x), torch.from_numpy(y)))
        if expected is not None:  # PyTorch refuses to subtract booleans, and more; NumPy's meaning of them is ours
            assert outcome(lambda x=x, y=y: apply(tg.Tensor(x), tg.Tensor(y))) == expected, (a, left, b, right)


@pytest.mark.peers
@pytest.mark.parametrize("name", OPERATORS)
def test_python_numbers_mix_as_in_pytorch(name: str):
    torch = pytest.importorskip("torch")
    apply = OPERATORS[name]
    for dtype, number, shape in itertools.product(DTYPES, [True, 2, 2.0], [(), (2,)]):
        x = np.ones(shape, dtype)
        for swap in (False, True):
            pair = (lambda t, n: (n, t)) if swap else (lambda t, n: (t, n))
            expected = outcome(lambda x=x, n=number, pair=pair: apply(*pair(torch.from_numpy(x), n)))
            if expected is not None and not (name == "pow" and dtype == "bool"):
                assert outcome(lambda x=x, n=number, pair=pair: apply(*pair(tg.Tensor(x), n))) == expected, (
                    dtype,
                    number,
                )


@pytest.mark.parametrize("scalar", [np.float64(2), np.float32(2), np.int64(2), np.int8(2), np.bool_(True)])
def test_numpy_scalars_are_numbers_on_either_side(scalar: Any):
    for apply in (operator.add, operator.mul, operator.truediv, operator.pow, np.maximum):
        for x in (tg.ones(2), tg.tensor(1.0), tg.Tensor(np.ones(2))):
            assert apply(x, scalar).dtype == x.dtype
            assert apply(scalar, x).dtype == x.dtype


def test_members_of_an_int_enum_are_numbers():
    class Size(enum.IntEnum):
        TWO = 2

    assert (tg.ones(2) * Size.TWO).tolist() == [2, 2]
    assert (Size.TWO * tg.ones(2)).dtype == np.float32


def test_numpy_functions_promote_as_numpy():
    f, i = np.ones(2, np.float32), np.ones(2, np.int64)
    assert (tg.Tensor(f) + tg.Tensor(i)).dtype == np.float32
    assert np.add(tg.Tensor(f), tg.Tensor(i)).dtype == np.add(f, i).dtype == np.float64


def test_gradients_come_back_in_the_dtype_of_their_tensor():
    x = tg.Tensor(np.array([1.0, 2.0], np.float32), requires_grad=True)
    w = tg.Tensor(np.array([3.0, 4.0]), requires_grad=True)
    y = x * w
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad is not None
    assert w.grad is not None
    assert (x.grad.dtype, w.grad.dtype) == (np.float32, np.float64)
    assert x.grad.tolist() == [3, 4]


def test_python_floats_become_the_default_dtype_and_arrays_keep_theirs():
    assert tg.tensor([1.0]).dtype == np.float32
    assert tg.tensor([1]).dtype == np.int64
    assert tg.tensor([True]).dtype == np.bool_
    assert tg.Tensor(np.array([1.0])).dtype == np.float64
    tg.set_default_dtype(np.float64)
    try:
        assert tg.tensor([1.0]).dtype == np.float64
    finally:
        tg.set_default_dtype(np.float32)


@pytest.mark.parametrize("dtype", ["complex128", "float16", "O", "U3", "datetime64[s]", "longdouble"])
def test_other_dtypes_are_refused(dtype: str):
    with pytest.raises(DTypeError, match="expected float32, float64, integers or bool, got dtype"):
        tg.Tensor(np.zeros(2, dtype))


def test_integers_cannot_require_a_gradient():
    with pytest.raises(DTypeError, match="Only Tensors of floating point"):
        tg.tensor([1, 2], requires_grad=True)


def test_foreign_byte_orders_are_made_native():
    x = tg.Tensor(np.array([1.0, 2.0], ">f8"))
    assert x.dtype == np.float64
    assert x.dtype.isnative
    assert x.tolist() == [1, 2]
