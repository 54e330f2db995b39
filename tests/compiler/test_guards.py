"""What a compiled function sees besides its arguments, however it is reached: a change selects another program."""

import functools
from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

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


FACTOR, SETTINGS, LAYERS, TASK, DEFAULTS = 1.0, {"factor": 1.0}, [nn.Identity()], Task(), [1.0]


def helped(x: tg.Tensor, defaults: list[float] = DEFAULTS) -> tg.Tensor:
    return deeper(LAYERS[0](x)) * FACTOR * defaults[0]


def deeper(x: tg.Tensor) -> tg.Tensor:
    return x * SETTINGS["factor"] * TASK.factor


class Calling(nn.Module):
    scale = 1.0

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return helped(x) * self.scale


@pytest.fixture
def lists_are_kept():
    kept = [(entries, entries[0]) for entries in (LAYERS, DEFAULTS)]
    yield
    for entries, entry in kept:
        entries[0] = entry


@pytest.mark.parametrize("way", ["a function", "a module", "a method", "a closure"])
def test_what_helper_functions_and_classes_hold_is_seen(way: str, monkeypatch: pytest.MonkeyPatch, lists_are_kept):
    module, held = Calling(), helped
    function = {
        "a function": lambda x: helped(x) * module.scale, "a module": module, "a method": module.forward,
        "a closure": lambda x: held(x) * module.scale,
    }[way]  # fmt: skip
    compiled, x = tg.compile(function), tg.ones(3)
    here = globals()
    changes = {
        "a global": lambda: monkeypatch.setitem(here, "FACTOR", 2.0),
        "an entry of a global dict": lambda: monkeypatch.setitem(SETTINGS, "factor", 3.0),
        "an entry of a global list": lambda: LAYERS.__setitem__(0, nn.Softplus()),
        "an attribute of a global object": lambda: monkeypatch.setattr(TASK, "factor", 5.0),
        "a default": lambda: DEFAULTS.__setitem__(0, 7.0),
        "an attribute of a class": lambda: monkeypatch.setattr(Calling, "scale", 11.0),
        "an attribute in front of the class's": lambda: setattr(module, "scale", 13.0),
        "a helper": lambda: monkeypatch.setitem(here, "deeper", lambda x: x * 17.0),
    }
    np.testing.assert_array_equal(compiled(x).numpy(), function(x).numpy())
    for what, change in changes.items():
        before = function(x).numpy()
        change()
        assert not np.array_equal(function(x).numpy(), before)
        np.testing.assert_allclose(compiled(x).numpy(), function(x).numpy(), rtol=1e-5, err_msg=what)


CALLS = 0


def test_a_global_that_the_function_counts_in_makes_no_new_recording():
    def function(x: tg.Tensor) -> tg.Tensor:
        global CALLS  # noqa: PLW0603 - that is what is tried
        CALLS += 1
        return x * 2

    compiled = tg.compile(function)
    for _ in range(4):
        compiled(tg.ones(3))
    assert CALLS == 1


class Settings:
    factor = 1.0
    named: ClassVar = {"factor": 1.0}

    def method(self, x: tg.Tensor) -> tg.Tensor:
        return x * self.factor

    @classmethod
    def of_class(cls, x: tg.Tensor) -> tg.Tensor:
        return x * cls.factor


class Further(Settings):
    def method(self, x: tg.Tensor) -> tg.Tensor:
        return super().method(x) * MODULE.factor


MODULE = ModuleType("settings_of_a_user")
MODULE.factor = 1.0
HELD, FURTHER = Settings(), Further()
BOUND, PARTIAL = HELD.method, functools.partial(lambda held, x: x * held.factor, HELD)
LAYER = nn.Identity()
CALLS_OF = {
    "a bound method": (lambda x: BOUND(x), HELD),
    "a partial": (lambda x: PARTIAL(x), HELD),
    "a table of methods": (lambda x: {"f": BOUND}["f"](x), HELD),
    "a class": (lambda x: x * Settings.factor, Settings),
    "a class method": (lambda x: Settings.of_class(x), Settings),
    "a method of the class above": (lambda x: FURTHER.method(x), FURTHER),
    "a Python module": (lambda x: x * MODULE.factor, MODULE),
}


@pytest.mark.parametrize("name", CALLS_OF)
def test_settings_are_seen_behind_methods_partials_classes_and_modules(name: str, monkeypatch: pytest.MonkeyPatch):
    function, holder = CALLS_OF[name]
    compiled, x = tg.compile(function), tg.ones(3)
    assert compiled(x).tolist() == [1, 1, 1]
    monkeypatch.setattr(holder, "factor", 2.0)
    assert compiled(x).tolist() == [2, 2, 2]


def test_dicts_of_classes_and_hooks_of_layers_are_seen(monkeypatch: pytest.MonkeyPatch):
    compiled, x = tg.compile(lambda x: LAYER(x) * HELD.named["factor"]), tg.ones(3)
    assert compiled(x).tolist() == [1, 1, 1]
    monkeypatch.setitem(Settings.named, "factor", 2.0)
    assert compiled(x).tolist() == [2, 2, 2]
    handles = [LAYER.register_forward_hook(lambda module, args, output: output * 5)]
    assert compiled(x).tolist() == [10, 10, 10]
    handles.append(LAYER.register_forward_hook(lambda module, args, output: output + 1))
    assert compiled(x).tolist() == [12, 12, 12]
    for handle in handles:
        handle.remove()
    assert compiled(x).tolist() == [2, 2, 2]


def test_equal_numbers_of_other_types_are_told_apart():
    task = Task()
    compiled, x = tg.compile(lambda x: x * task.factor), tg.tensor([1, 2])
    for factor in (1, 1.0, True, 1):
        task.factor = factor
        assert compiled(x).dtype == (x * factor).dtype


def test_containers_are_seen_to_fill_and_to_empty():
    layers, named, module = [], {}, nn.Identity()

    def function(x: tg.Tensor) -> tg.Tensor:
        for layer in layers:
            x = layer(x)
        return module(x) * sum(named.values(), 1.0) * (3.0 if len(module._buffers) else 1.0)

    compiled, x = tg.compile(function), tg.ones(2)
    changes = {
        "an empty list": lambda: layers.append(nn.Softplus()),
        "a longer list": lambda: layers.append(nn.Tanh()),
        "an empty dict": lambda: named.update(a=1.0),
        "an empty table of a module": lambda: module.register_buffer("scale", tg.ones(1)),
        "a shorter list": lambda: layers.pop(),
        "a dict emptied": named.clear,
        "a list emptied": layers.clear,
    }
    for what, change in changes.items():
        compiled(x)
        before = function(x).tolist()
        change()
        assert compiled(x).tolist() == function(x).tolist() != before, what


def test_a_list_that_is_all_there_is_to_watch_is_seen_to_grow_and_to_shrink():
    factors = [2.0]

    def function(x: tg.Tensor) -> tg.Tensor:
        for factor in factors:
            x = x * factor
        return x

    compiled, x = tg.compile(function), tg.ones(1)
    assert compiled(x).tolist() == [2]
    factors.append(3.0)
    assert compiled(x).tolist() == [6]
    factors.pop()
    assert compiled(x).tolist() == [2]


def test_a_global_that_is_set_after_compiling_is_seen(monkeypatch: pytest.MonkeyPatch):
    compiled = tg.compile(lambda x: x * LATE)  # noqa: F821 - that is what is tried
    for value in (2.0, 3.0):
        monkeypatch.setitem(globals(), "LATE", value)
        assert compiled(tg.ones(1)).tolist() == [value]
