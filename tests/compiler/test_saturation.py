"""Sigmoids are opened where that is a gate, and stay exact where something would magnify the difference."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.test_passes import recorded
from tinygrad_rnn.compiler.saturation import rough

SATURATED = np.array([[-60.0, -30.0, -5.0], [0.0, 4.0, 60.0]])
OTHER = np.array([[1.0, -2.0, 0.5], [0.3, 2.0, 1.0]])


def leaf(values=SATURATED):
    return tg.tensor(values, requires_grad=True)


DELICATE = {
    "returned": lambda x, y: x.sigmoid(),
    "returned in a stack": lambda x, y: np.stack([x.sigmoid(), y]),
    "logarithm": lambda x, y: np.log(x.sigmoid()),
    "logarithm of a product": lambda x, y: np.log(x.sigmoid() * 0.5 * y.sigmoid()),
    "logarithm of a sum of gates": lambda x, y: np.log(x.sigmoid() + (x - 1).sigmoid()),
    "divisor": lambda x, y: y / x.sigmoid(),
    "root": lambda x, y: np.sqrt(x.sigmoid() * x.sigmoid()),
    "power": lambda x, y: (x.sigmoid() ** -1).sum(),
    "norm of gates": lambda x, y: y / (x.sigmoid() * x.sigmoid()).sum(1, keepdim=True),
}
GATES = {
    "mixture": lambda x, y: x.sigmoid() * y + (1 - x.sigmoid()) * np.tanh(y),
    "product": lambda x, y: x.sigmoid() * np.tanh(y),
    "loss": lambda x, y: np.log(np.exp(x.sigmoid() * y).sum()),
}


@pytest.mark.parametrize("name", DELICATE)
def test_what_would_be_spoiled_is_exact(name):
    compiled = tg.compile(DELICATE[name])
    args = leaf(), leaf(OTHER)
    assert not rough(recorded(DELICATE[name], *args)[0])
    np.testing.assert_allclose(compiled(*args).detach(), DELICATE[name](*args).detach(), rtol=1e-14)
    compiled.check(*args, rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", GATES)
def test_gates_are_opened(name, machine):
    compiled = tg.compile(GATES[name])
    args = leaf(), leaf(OTHER)
    ops = [ins.op for ins in compiled.program(*args).instructions if not ins.backward]
    assert "sigmoid" not in ops
    assert ("tanh" if machine.by_tanh else "reciprocal") in ops
    compiled.check(*args, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_gates_of_layers_are_opened(cell, machine):
    layer = getattr(tg.nn, cell)(3, 4).double()
    compiled = tg.compile(lambda x: layer(x)[0])
    x = tg.randn(5, 2, 3, dtype=tg.float64)
    assert "sigmoid" not in [ins.op for ins in compiled.program(x).instructions]
    compiled.check(x)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_saturated_gates_neither_overflow_nor_warn(dtype):
    far = leaf(np.array([[-1e30, -800.0, -89.0, -80.0], [80.0, 89.0, 800.0, 1e30]], dtype))
    compiled = tg.compile(lambda x: x.sigmoid() * np.tanh(x * 0.5))
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        compiled.check(far, rtol=1e-6, atol=1e-30)
