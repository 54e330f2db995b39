"""What a compiled function sees besides its arguments, however it is reached: a change selects another program."""

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn


class Task:
    """Holds a module and a number in several ways, and counts its calls."""

    def __init__(self, generator: Any = None) -> None:
        self.drop = nn.Dropout(0.5, generator=generator)
        self.factor = 1.0
        self.layers = [self.drop]
        self.named = {"drop": self.drop}
        self.config = SimpleNamespace(factor=1.0)
        self.calls = 0

    def method(self, x: tg.Tensor) -> tg.Tensor:
        self.calls += 1
        return self.inner(x) * self.factor

    def inner(self, x: tg.Tensor) -> tg.Tensor:
        return self.drop(x).sum()

    def __call__(self, x: tg.Tensor) -> tg.Tensor:
        return self.layers[0](x).sum() * self.factor

    def by_name(self, x: tg.Tensor) -> tg.Tensor:
        return self.named["drop"](x).sum() * self.factor


class Scaled(nn.Module):
    def __init__(self, task: Task) -> None:
        super().__init__()
        self.drop, self.task = task.drop, task

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.drop(x).sum() * self.task.factor


def ways(task: Task) -> Iterator[tuple[str, Callable[..., Any]]]:
    layers, named = [task.drop], {"drop": task.drop}

    def helper(x: tg.Tensor) -> tg.Tensor:
        return task.drop(x).sum() * task.factor

    yield "a method", task.method
    yield "a callable object", task
    yield "a method with a dict", task.by_name
    yield "a closure over an object", lambda x: task.method(x)
    yield "a closure over its attributes", lambda x: task.drop(x).sum() * task.factor
    yield "a closure over a list", lambda x: layers[0](x).sum() * task.factor
    yield "a closure over a dict", lambda x: named["drop"](x).sum() * task.factor
    yield "a partial", functools.partial(lambda drop, x: drop(x).sum() * task.factor, task.drop)
    yield "a helper", lambda x: helper(x)
    yield "a module with an object", Scaled(task)


@pytest.mark.parametrize("number", range(10))
def test_a_change_is_seen_however_it_is_reached(number: int):
    task = Task()
    name, function = list(ways(task))[number]
    x = tg.ones(4, 50)
    compiled = tg.compile(function)
    compiled(x)
    task.drop.eval()
    assert compiled(x).item() == 200, f"{name}: the training flag"
    task.factor = 3.0
    assert compiled(x).item() == 600, f"{name}: a number"
    task.drop.train()
    task.drop.p = 0.0
    assert compiled(x).item() == 600, f"{name}: an option of a layer"


def test_replaced_entries_of_containers_are_seen():
    layers, named = [nn.Linear(2, 2)], {"factor": 1.0}
    compiled = tg.compile(lambda x: layers[0](x).sum() * named["factor"])
    x = tg.ones(3, 2)
    compiled(x)
    layers[0] = nn.Linear(2, 2)
    np.testing.assert_allclose(compiled(x).item(), layers[0](x).sum().item(), rtol=1e-6)
    named["factor"] = 2.0
    np.testing.assert_allclose(compiled(x).item(), 2 * layers[0](x).sum().item(), rtol=1e-6)


def test_nested_settings_are_seen():
    task = Task()
    compiled = tg.compile(lambda x: x.sum() * task.config.factor)
    x = tg.ones(3)
    assert compiled(x).item() == 3
    task.config.factor = 2.0
    assert compiled(x).item() == 6
    del task.config.factor
    with pytest.raises(AttributeError, match="factor"):
        compiled(x)


def test_what_is_not_read_or_is_counted_makes_no_new_recording():
    task = Task()
    compiled = tg.compile(task.method)
    x = tg.ones(3)
    for k in range(5):
        compiled(x)
        task.calls += 10
        task.unread = k
    assert task.calls == 51, "recorded once"


def test_draws_of_an_object_are_those_of_eager_from_the_first_call_on():
    x = tg.ones(4, 50)
    eager, compiled = (Task(np.random.default_rng(3)) for _ in range(2))
    function = tg.compile(compiled)
    for _ in range(3):
        assert function(x).item() == eager(x).item()
