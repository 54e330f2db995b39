"""Brackets on both sides of `=`: every index that NumPy understands means the same on Tensors, gradients included."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import tinygrad_rnn as tg

SHAPES = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@st.composite
def indexed(draw: Any) -> tuple[tuple[int, ...], Any]:
    """A shape and an index into it: numbers, slices, None, ..., integer arrays, masks, in any mixture."""
    shape = draw(SHAPES)
    parts: list[Any] = []
    axis, length = 0, draw(st.integers(0, 4))
    while axis < len(shape):
        kind = draw(st.sampled_from(["slice", "int", "array", "mask", "none", "stop"]))
        n = shape[axis]
        if kind == "none":
            parts.append(None)
            continue
        if kind == "stop":
            break
        if kind == "int" and n:
            parts.append(draw(st.integers(-n, n - 1)))
        elif kind == "array" and n:
            parts.append(
                np.array(draw(st.lists(st.integers(-n, n - 1), min_size=length, max_size=length)), dtype=np.int64)
            )
        elif kind == "mask":
            mask = np.zeros(n, bool)
            mask[: min(length, n)] = True
            parts.append(np.random.default_rng(axis).permutation(mask))
        else:
            parts.append(draw(st.slices(n)))
        axis += 1
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))) if axis == len(shape) else len(parts), ...)
    return shape, tuple(parts)


def fits(shape: tuple[int, ...], key: Any) -> bool:
    """Whether NumPy takes the index: index arrays must broadcast."""
    try:
        np.zeros(shape)[key]
    except IndexError:
        return False
    return True


def spelled(key: Any) -> Any:
    """Index arrays as Tensors, lists and arrays in turn."""
    spellings = [tg.Tensor, lambda a: a, lambda a: a.tolist() if a.ndim == 1 and a.size else a]
    return tuple(spellings[i % 3](part) if isinstance(part, np.ndarray) else part for i, part in enumerate(key))


@given(indexed())
def test_reading_equals_numpy_and_its_gradient_counts_the_reads(case: tuple[tuple[int, ...], Any]):
    shape, key = case
    x = np.random.default_rng(0).standard_normal(shape)
    t = tg.Tensor(x.copy(), requires_grad=True)
    if not fits(shape, key):
        with pytest.raises((IndexError, ValueError)):
            t[spelled(key)]
        return
    y = t[spelled(key)]
    np.testing.assert_array_equal(y.detach().numpy(), x[key])
    weights = np.random.default_rng(1).standard_normal(y.shape)
    (g,) = tg.autograd.grad(y, [t], tg.Tensor(weights), create_graph=True)
    expected = np.zeros(x.size)
    np.add.at(expected, np.arange(x.size).reshape(shape)[key].ravel(), weights.ravel())
    np.testing.assert_allclose(g.detach().numpy(), expected.reshape(shape), atol=1e-14)
    y.backward(weights)
    assert t.grad is not None
    np.testing.assert_allclose(t.grad.numpy(), expected.reshape(shape), atol=1e-14)


@given(indexed(), st.booleans())
def test_writing_equals_numpy_and_cuts_the_gradient_there(case: tuple[tuple[int, ...], Any], scalar: bool):
    shape, key = case
    if not fits(shape, key):
        return
    x = np.random.default_rng(0).standard_normal(shape)
    places = np.arange(x.size).reshape(shape)[key]
    if np.unique(places).size != np.size(places):
        return  # which of two values stays is not defined
    v = np.random.default_rng(1).standard_normal(() if scalar else places.shape)
    leaf, value = tg.Tensor(x.copy(), requires_grad=True), tg.Tensor(v.copy(), requires_grad=True)
    t = leaf * 1.0
    t[spelled(key)] = value
    expected = x.copy()
    expected[key] = v
    np.testing.assert_array_equal(t.detach().numpy(), expected)
    weights = np.random.default_rng(2).standard_normal(shape)
    t.backward(weights)
    kept = np.ones(x.size)
    kept[places.ravel()] = 0
    assert leaf.grad is not None
    assert value.grad is not None
    np.testing.assert_array_equal(leaf.grad.numpy(), weights * kept.reshape(shape))
    read = weights[key]
    np.testing.assert_allclose(value.grad.numpy(), read.sum() if scalar else read, atol=1e-13)


@pytest.mark.parametrize("key", [1.0, "a", [0.5], np.array([1.0]), (0, 0, 0), 7, slice("a", "b"), {1}])
def test_what_numpy_refuses_is_refused(key: Any):
    t = tg.zeros(2, 3)
    with pytest.raises((IndexError, TypeError, ValueError)):
        t[key]


def test_a_float_tensor_as_index_is_told_what_to_do():
    with pytest.raises(IndexError, match=r"arrays of integers or booleans; got Tensor .* Did you mean .*\.long\(\)\?"):
        tg.zeros(3)[tg.tensor([0.0, 1.0])]


def test_an_index_may_be_a_tensor_of_one_entry():
    x = tg.tensor([1.0, 2.0, 3.0])
    assert x[tg.tensor(1)].item() == 2
    assert x[: tg.tensor(2)].tolist() == [1, 2]
    assert x[tg.tensor([True, False, True])].tolist() == [1, 3]


@pytest.mark.parametrize(
    "rows",
    [
        [0] * 40,
        [3, 1, 3, -1, 0, -5, 3],
        [*range(5), *[2] * 30, *range(5)],
        [*[1] * 16, *[2] * 17, *[-3] * 18, 4],
        [*[0] * 15, *[1] * 16],
    ],
)
def test_rows_that_are_read_often_sum_up(rows):
    """The gradient of an embedding beside NumPy's unbuffered sum; rows may come more often than there are rounds."""
    table = tg.tensor(np.random.default_rng(0).normal(size=(5, 3)), requires_grad=True)
    weight = np.random.default_rng(1).normal(size=(len(rows), 3))
    (table[np.array(rows)] * tg.tensor(weight)).sum().backward()
    expected = np.zeros((5, 3))
    np.add.at(expected, np.array(rows), weight)
    np.testing.assert_allclose(table.grad, expected, rtol=1e-14, atol=1e-14)
