"""Biases folded into products: done where every reader of the input allows it, and equal to eager in any case."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.test_passes import recorded, values
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.biases import fold_biases
from tinygrad_rnn.compiler.passes import PASSES
from tinygrad_rnn.compiler.program import check

T, B, D, H = 7, 5, 3, 4


def before(function, *args, name="biases in products"):
    """The program as a pass finds it, and its inputs."""
    program, arrays = recorded(function, *args)
    for other, one in PASSES:
        if other == name:
            return program, arrays
        program = one(program)
    raise AssertionError("the pass is not in the list")


def inputs(steps=T):
    return tg.from_numpy(np.random.default_rng(0).normal(size=(steps, B, D)))


def ops(program, **where):
    return [i.op for i in program.instructions if all(getattr(i, k) == v for k, v in where.items())]


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_projection_and_both_bias_gradients_are_free(kind):
    layer = getattr(nn, kind)(D, H).double()
    program, arrays = before(lambda x: layer(x)[0], inputs())
    folded = check(fold_biases(program))
    gates = {"RNN": 1, "LSTM": 4, "GRU": 3}[kind]
    assert ops(folded).count("with_ones") == 1
    assert ops(program).count("add") - ops(folded).count("add") == gates * T
    assert ops(program, backward=True).count("sum") - ops(folded, backward=True).count("sum") == gates
    for a, b in zip(values(program, arrays), values(folded, arrays), strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-14)


def test_the_input_is_copied_straight_into_the_wide_buffer():
    layer = nn.RNN(D, H).double()
    compiled = tg.compile(lambda x: layer(x)[0])
    plan = compiled.plan(inputs())
    (wide,) = [plan.arrays[i] for i in plan.program.instructions if i.op == "with_ones"]
    assert wide.shape == (T, B, D + 1)
    assert np.shares_memory(plan.inputs[0], wide)
    for seed in range(2):
        x = tg.from_numpy(np.random.default_rng(seed).normal(size=(T, B, D)))
        compiled.check(x, rtol=1e-12, atol=1e-13)
        assert np.all(wide[..., -1] == 1)


LEFT_ALONE = {
    "no bias": lambda: (nn.RNN(D, H, bias=False).double(), lambda layer, x: layer(x)[0]),
    "read by others": lambda: (nn.RNN(D, D).double(), lambda layer, x: layer(x)[0] + x),
    "summed": lambda: (nn.RNN(D, H).double(), lambda layer, x: layer(x)[0].sum() * x.sum()),
    "two uses of a product": lambda: (
        nn.Linear(D, H).double(),
        lambda layer, x: (lambda y: (y + layer.bias) * y)(x.reshape(-1, D) @ layer.weight.T),
    ),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_left_alone(name):
    layer, function = LEFT_ALONE[name]()
    compiled = tg.compile(lambda x: function(layer, x))
    assert "with_ones" not in ops(compiled.program(inputs()))
    compiled.check(inputs())


def test_few_rows_are_not_worth_it():
    layer = nn.RNN(D, H).double()
    assert "with_ones" not in ops(tg.compile(lambda x: layer(x)[0]).program(inputs(steps=2)))


def test_an_input_that_wants_a_gradient_gets_it():
    layer = nn.LSTM(D, H).double()
    x = inputs()
    x.requires_grad = True
    compiled = tg.compile(lambda x: layer(x)[0])
    assert "with_ones" in ops(compiled.program(x))
    compiled.check(x, rtol=1e-12, atol=1e-13)


def test_two_inputs_each():
    first, second = nn.Linear(D, H).double(), nn.Linear(D, H).double()
    compiled = tg.compile(lambda x, y: np.tanh(first(x)) * np.tanh(second(y)))
    x, y = inputs(), inputs()
    assert ops(compiled.program(x, y)).count("with_ones") == 2
    compiled.check(x, y, rtol=1e-12, atol=1e-13)
