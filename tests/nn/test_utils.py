"""Clipping of gradients, and parameters as a vector."""

import math

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
from tinygrad_rnn.errors import ShapeError
from tinygrad_rnn.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    get_total_norm,
    parameters_to_vector,
    vector_to_parameters,
)


def _parameters():
    first, second, third = nn.Parameter(np.zeros(2)), nn.Parameter(np.zeros((2, 2))), nn.Parameter(np.zeros(1))
    first.grad, second.grad = tg.tensor(np.array([3.0, 0.0])), tg.tensor(np.array([[0.0, -4.0], [0.0, 12.0]]))
    return [first, second, third]


@pytest.mark.parametrize(
    ("kind", "norm"), [(2.0, 13.0), (1.0, 19.0), (math.inf, 12.0), (3, (27 + 64 + 1728) ** (1 / 3))]
)
def test_the_norm_before_clipping_is_returned_and_the_one_after_is_the_limit(kind, norm):
    parameters = _parameters()
    total = clip_grad_norm_(parameters, 2.0, kind)
    assert total.item() == pytest.approx(norm)
    assert get_total_norm([p.grad for p in parameters[:2]], kind).item() == pytest.approx(2.0, rel=1e-6)
    assert parameters[2].grad is None
    assert clip_grad_norm_(parameters, 50.0, kind).item() == pytest.approx(2.0, rel=1e-6)
    assert clip_grad_norm_(parameters[2], 1.0).item() == 0


def test_values_are_clipped_to_a_range():
    parameters = _parameters()
    clip_grad_value_(parameters, 3.5)
    np.testing.assert_array_equal(parameters[1].grad.array, [[0, -3.5], [0, 3.5]])
    np.testing.assert_array_equal(parameters[0].grad.array, [3, 0])


def test_a_norm_that_is_no_number_is_an_error_if_asked():
    (p,) = parameters = [nn.Parameter(np.zeros(2))]
    p.grad = tg.tensor(np.array([np.inf, 1.0]))
    with pytest.raises(RuntimeError, match="is non-finite, so it cannot be clipped"):
        clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
    with np.errstate(invalid="ignore"):
        assert clip_grad_norm_(parameters, 1.0).item() == math.inf


@pytest.mark.peers
@pytest.mark.parametrize("limit", [0.1, 100.0])
def test_clipping_is_that_of_pytorch(limit):
    torch = pytest.importorskip("torch")
    gradients = [np.random.default_rng(1).normal(size=s) for s in ((3, 4), (5,), ())]
    ours = [nn.Parameter(np.zeros(g.shape)) for g in gradients]
    theirs = [torch.nn.Parameter(torch.zeros(g.shape, dtype=torch.float64)) for g in gradients]
    for p, q, g in zip(ours, theirs, gradients, strict=True):
        p.grad, q.grad = tg.tensor(g), torch.tensor(g)
    total = clip_grad_norm_(ours, limit)
    assert total.item() == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, limit).item(), rel=1e-12)
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.grad.array, q.grad.numpy(), rtol=1e-12)


def test_parameters_become_a_vector_and_come_back():
    layer = nn.Linear(3, 2)
    vector = parameters_to_vector(layer.parameters())
    assert vector.shape == (8,)
    vector.sum().backward()
    assert layer.weight.grad.array.all()
    vector_to_parameters(tg.arange(8, dtype=tg.float32), layer.parameters())
    np.testing.assert_array_equal(layer.weight.array, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(layer.bias.array, [6, 7])
    with pytest.raises(ShapeError, match=r"expected shape \[8\], got \[7\]"):
        vector_to_parameters(tg.zeros(7), layer.parameters())
