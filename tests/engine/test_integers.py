"""Integer overflow is refused where a number is given that a dtype cannot hold, and defined where a result leaves it:
tensors wrap around modulo 2^bits, as NumPy's arrays and PyTorch's tensors do, and sums and products are int64."""

import operator
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import DTypeError

WIDTHS = ["int8", "int16", "int32", "int64", "uint8"]


def tensor(values: Any, dtype: str) -> Any:
    return tg.Tensor(np.array(values, dtype))


def ends(dtype: str) -> tuple[int, int]:
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


@pytest.mark.parametrize("dtype", WIDTHS)
def test_results_wrap_around(dtype: str):
    low, high = ends(dtype)
    one = tensor([1], dtype)
    assert (tensor([high], dtype) + one).tolist() == [low]
    assert (tensor([low], dtype) - one).tolist() == [high]
    assert (tensor([high], dtype) + 1).tolist() == [low]
    assert (tensor([high], dtype) * 2).tolist() == [(2 * high - low) % (high - low + 1) + low]
    if low:
        assert (-tensor([low], dtype)).tolist() == [low]
        assert abs(tensor([low], dtype)).tolist() == [low]
        with np.errstate(over="ignore"):
            assert (tensor([low], dtype) // -1).tolist() == [low]
    x = tensor([high], dtype)
    x += one
    assert (x.tolist(), x.dtype) == ([low], np.dtype(dtype))


@pytest.mark.parametrize("dtype", [*WIDTHS, "bool"])
def test_sums_and_products_are_wide(dtype: str):
    high = 1 if dtype == "bool" else min(ends(dtype)[1], 2**20)
    x = tensor([high, high], dtype)
    for y, expected in ((x.sum(), 2 * high), (x.prod(), high * high), (x.cumsum(0)[-1], 2 * high)):
        assert y.dtype == np.int64
        assert y.item() == expected
    assert tensor([2**62, 2**62], "int64").sum().item() == -(2**63)


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("beyond", ["above", "below", "far"])
def test_numbers_that_do_not_fit_are_refused(dtype: str, beyond: str):
    low, high = ends(dtype)
    number = {"above": high + 1, "below": low - 1, "far": 10**30}[beyond]
    x = tensor([1], dtype)
    for make in (
        lambda: tg.tensor([number], dtype=dtype),
        lambda: tg.tensor(number, dtype=dtype),
        lambda: tg.as_tensor([[number]], dtype=dtype),
        lambda: tg.full((2,), number, dtype=dtype),
        lambda: tg.full_like(x, number),
        lambda: x.new_tensor([number]),
        lambda: x.new_full((1,), number),
    ):
        with pytest.raises((DTypeError, OverflowError)):
            make()
    for change in (
        lambda: x.fill_(number),
        lambda: operator.setitem(x, 0, number),
        lambda: x.add_(number),
        lambda: x + number,
        lambda: x * number,
    ):
        with pytest.raises(OverflowError):
            change()
    assert x.tolist() == [1]
    assert (x < number).tolist() == [number > 1]  # a comparison needs no conversion


def test_the_refusal_says_what_to_do():
    with pytest.raises(DTypeError, match=r"expected numbers that int8 can hold, got .* 300 .*Choose a wider dtype, or"):
        tg.tensor([300], dtype="int8")
    with pytest.raises(DTypeError, match="expected numbers that int64 can hold"):
        tg.tensor([2**63])
    with pytest.raises(DTypeError, match="expected numbers that int64 can hold, got cannot convert float NaN"):
        tg.tensor([float("nan")], dtype="int64")
    assert tg.tensor([300]).to(tg.int8).tolist() == [44], "a conversion wraps around, as in NumPy and PyTorch"
    assert tg.tensor([2.7], dtype="int64").tolist() == [2]


def test_what_has_no_integer_is_told():
    two = tensor([2], "int64")
    for exponent in (-1, tensor([-1], "int64")):
        with pytest.raises(ValueError, match="Integers to negative integer powers are not allowed"):
            two**exponent
    for apply in (operator.floordiv, operator.mod):
        for zero in (0, tensor([0], "int64")):
            with pytest.raises(FloatingPointError, match="divide by zero"):  # outside of the tests NumPy's warning
                apply(two, zero)
    for value in (np.nan, np.inf, 1e30):
        with pytest.raises(FloatingPointError, match="invalid value encountered in cast"):
            tensor([value], "float32").long()
    with pytest.raises(FloatingPointError, match="overflow encountered in cast"):
        tensor([1e300], "float64").float()


@pytest.mark.parametrize("index", [2**31, 2**62, -(2**62)])
def test_indices_do_not_wrap_around(index: int):
    x = tg.zeros(3)
    with pytest.raises(IndexError):
        x[index]
    with pytest.raises(IndexError):
        x[tensor([index], "int64")]
    with pytest.raises(IndexError):
        tg.nn.functional.embedding(tensor([index], "int64"), tg.zeros(3, 2))
    with pytest.raises((IndexError, ValueError)):
        tg.nn.functional.cross_entropy(tg.zeros(1, 3), tensor([index], "int64"))


@pytest.mark.parametrize("shape", [(2**40, 2**40), (2**62, 8), (-1,), (2**70,)])
def test_sizes_do_not_wrap_around(shape: tuple[int, ...]):
    with pytest.raises((ValueError, OverflowError, MemoryError)):
        tg.zeros(*shape)
    if shape != (-1,):  # to expand, that means: as it is
        with pytest.raises((ValueError, OverflowError, MemoryError, RuntimeError)):
            tg.zeros(1).expand(*shape).clone()


def test_a_count_of_many_stays_exact():
    # In float32 the integers end at 2^24: counts and positions are int64 and do not.
    x = tg.ones(2**24 + 3, dtype="int8")
    assert x.sum().item() == 2**24 + 3
    assert tg.arange(2**24, 2**24 + 3).tolist() == [2**24, 2**24 + 1, 2**24 + 2]
    assert (x == 1).sum().item() == 2**24 + 3
