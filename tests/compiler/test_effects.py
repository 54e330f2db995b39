"""What a compiled function does besides computing: draws that nobody would repeat, and tensors that it keeps."""

import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import GraphError

PYTHON, NUMPY = random.Random(0), np.random.RandomState(0)
STATES = (random.getstate, PYTHON.getstate, np.random.get_state, NUMPY.get_state)
DRAWS = {
    "Python's `random`": random.random,
    "`np.random`": np.random.rand,
    "a `Random`": lambda: PYTHON.random(),
    "a `RandomState`": lambda: NUMPY.normal(),
}


@pytest.mark.parametrize("name", DRAWS)
def test_draws_that_would_be_baked_in_are_refused_and_put_back(name: str):
    draw, before = DRAWS[name], [repr(state()) for state in STATES]
    with pytest.raises(GraphError, match=f"a random draw from {name} while compile is recording .*Draw outside"):
        tg.compile(lambda x: x * draw())(tg.ones(3))
    assert [repr(state()) for state in STATES] == before


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.RNNCell(3, 3)
        self.h, self.listed, self.held = tg.zeros(1, 3), [tg.zeros(1, 3)], SimpleNamespace(h=tg.zeros(1, 3))
        self.register_buffer("kept", tg.zeros(1, 3))
        self.mask: Any = None

    def assigned(self, x: tg.Tensor) -> tg.Tensor:
        self.h = self.cell(x, self.h).detach()
        return self.h

    def appended(self, x: tg.Tensor) -> tg.Tensor:
        self.listed.append(self.cell(x, self.listed[-1]))
        return self.listed[-1]

    def replaced(self, x: tg.Tensor) -> tg.Tensor:
        self.listed = [self.cell(x, self.listed[-1])]
        return self.listed[-1]

    def within(self, x: tg.Tensor) -> tg.Tensor:
        self.held.h = self.cell(x, self.held.h)
        return self.held.h

    def buffered(self, x: tg.Tensor) -> tg.Tensor:
        self.kept = self.cell(x, self.kept).detach()
        return self.kept

    def argument(self, x: tg.Tensor) -> tg.Tensor:
        self.h = x
        return x * 2

    def written(self, x: tg.Tensor) -> tg.Tensor:
        h = self.cell(x, self.h)
        with tg.no_grad():
            self.h.copy_(h)
        return h

    def prepared(self, x: tg.Tensor) -> tg.Tensor:
        if self.mask is None:
            self.mask = tg.ones(3)
        return x * self.mask


def in_a_cell() -> Callable[..., Any]:
    h = tg.zeros(1, 3)

    def function(x: tg.Tensor) -> tg.Tensor:
        nonlocal h
        h = h + x
        return h

    return function


def in_a_global(x: tg.Tensor) -> tg.Tensor:
    global STATE  # noqa: PLW0603 - that is what is tried
    STATE = STATE + x
    return STATE


STATE = tg.zeros(1, 3)
KEPT = {
    "`.h` of Stateful": lambda: Stateful().assigned,
    "`.listed` of Stateful": lambda: Stateful().appended,
    "`.listed`": lambda: Stateful().replaced,
    "`.held`": lambda: Stateful().within,
    "`.kept` of Stateful": lambda: Stateful().buffered,
    "`.h`": lambda: Stateful().argument,
    "`h` of function": in_a_cell,
    "the global `STATE`": lambda: in_a_global,
}


@pytest.mark.parametrize("place", KEPT)
def test_a_tensor_that_the_function_keeps_is_refused_with_the_place_and_a_way_out(place: str):
    compiled = tg.compile(KEPT[place]())
    with pytest.raises(GraphError, match=rf"keeps a tensor of this call in {place}.*self\.h\.copy_\(h\).*or return"):
        compiled(tg.ones(1, 3))


def test_state_written_in_place_is_carried_and_what_is_made_once_may_stay():
    module, other = Stateful(), Stateful()
    other.load_state_dict(module.state_dict())
    compiled, x = tg.compile(module.written), tg.ones(1, 3)
    for _ in range(3):
        np.testing.assert_allclose(compiled(x).detach().numpy(), other.written(x).detach().numpy(), rtol=1e-6)
    compiled = tg.compile(module.prepared)
    assert [compiled(x).tolist() for _ in range(2)] == [[[1, 1, 1]]] * 2
