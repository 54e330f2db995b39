"""Tensors that a compiled function closes over: frozen and thawed they select another program, new values do not."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


def double(*values: float) -> tg.Tensor:
    return tg.tensor(np.array(values, dtype=float), requires_grad=True)


@pytest.mark.parametrize("held", ["a cell", "a list", "a dict", "an object"])
def test_freezing_and_thawing_is_seen(held: str):
    w, v = double(1, 2), double(1, 1)
    listed, named, task = [w, v], {"w": w, "v": v}, SimpleNamespace(w=w, v=v)
    function = {
        "a cell": lambda: (w * v).sum(), "a list": lambda: (listed[0] * listed[1]).sum(),
        "a dict": lambda: (named["w"] * named["v"]).sum(), "an object": lambda: (task.w * task.v).sum(),
    }[held]  # fmt: skip
    w.requires_grad_(False)
    compiled = tg.compile(function)
    compiled()
    w.requires_grad_(True)
    compiled().backward()
    assert w.grad.tolist() == [1, 1]
    w.requires_grad_(False)
    w.data = tg.tensor(np.array([5.0, 6.0]))
    assert compiled().item() == 11
    v.grad = None
    compiled().backward()
    assert w.grad is None
    assert v.grad.tolist() == [5, 6]
    v.requires_grad_(False)
    assert not compiled().requires_grad
    w.requires_grad_(True)
    compiled().backward()
    assert w.grad.tolist() == [1, 1]


def test_a_frozen_layer_is_left_alone_by_a_compiled_step():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    step = tg.compile_step(lambda x: net(x).sum(), tg.optim.SGD(net.parameters(), lr=0.1))
    x = tg.ones(2, 3)
    for frozen in (None, 0, 2, None):
        for i in (0, 2):
            net[i].requires_grad_(i != frozen)
        before = [net[i].weight.detach().numpy().copy() for i in (0, 2)]
        step(x)
        same = [np.array_equal(net[i].weight.detach().numpy(), b) for i, b in zip((0, 2), before, strict=True)]
        assert same == [frozen == 0, frozen == 2]


def test_new_values_of_tensors_make_no_new_recording():
    w, constant, calls = double(1, 2), tg.tensor(np.array([3.0, 4.0])), [0]

    def function() -> tg.Tensor:
        calls[0] += 1
        return (w * constant).sum()

    compiled = tg.compile(function)
    for k in range(4):
        compiled().backward()
        with tg.no_grad():
            w.sub_(w.grad * 0.1)
        w.data = tg.tensor(np.array([1.0, k]))
        constant.data = tg.tensor(np.array([1.0, k]))
    assert compiled().item() == 10
    assert calls == [1]


def test_a_tensor_that_is_returned_as_it_is_shows_new_values():
    w = tg.ones(2)
    compiled = tg.compile(lambda: w)
    compiled()
    w.data = tg.zeros(2)
    assert compiled().tolist() == [0, 0]
