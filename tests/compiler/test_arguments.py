"""Static arguments and results: objects are watched as what is closed over is, and nothing comes back as it was."""

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn import nn
from tinygrad_rnn.errors import GraphError


class Scaling:
    def __init__(self) -> None:
        self.scale, self.layer, self.listed, self.calls = 1.0, nn.Dropout(1.0), [1.0], 0

    def method(self, x: tg.Tensor) -> tg.Tensor:
        self.calls += 1
        return self.layer(x) * self.scale * self.listed[0]


@dataclass(frozen=True)
class Frozen:
    held: Any
    factor: float = 2.0


class Pair(NamedTuple):
    held: Any
    other: int = 0


WAYS = {
    "an object": (lambda x, s: s.method(x), lambda s: s),
    "a method": (lambda x, f: f(x), lambda s: s.method),
    "a function": (lambda x, f: f(x), lambda s: lambda x: s.method(x)),
    "in a list": (lambda x, held: held[0].method(x), lambda s: [s]),
    "in a dict": (lambda x, held: held["s"].method(x), lambda s: {"s": s}),
    "in a named tuple": (lambda x, pair: pair.held.method(x), Pair),
    "in a frozen dataclass": (lambda x, frozen: frozen.held.method(x), Frozen),
}


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("way", WAYS)
def test_objects_among_the_arguments_are_watched(way: str, by_name: bool):
    take, wrap = WAYS[way]
    scaling, x = Scaling(), tg.ones(2)
    compiled, held = tg.compile(lambda x, held: take(x, held)), wrap(scaling)
    changes: dict[str, Callable[[], Any]] = {
        "the training flag": scaling.layer.eval,
        "a number": lambda: setattr(scaling, "scale", 3.0),
        "an entry of a list": lambda: scaling.listed.__setitem__(0, 5.0),
        "a layer": lambda: setattr(scaling, "layer", nn.Softplus()),
    }
    for what, change in changes.items():
        for _ in range(2):
            found = compiled(x, held=held) if by_name else compiled(x, held)
            np.testing.assert_allclose(found.numpy(), take(x, held).numpy(), rtol=1e-6, err_msg=f"before {what}")
        change()
    runs = scaling.calls
    compiled(x, held=held) if by_name else compiled(x, held)
    for _ in range(3):
        compiled(x, held=held) if by_name else compiled(x, held)
    assert scaling.calls == runs + 1, "recorded once"


def test_parameters_of_a_module_that_is_passed_may_be_replaced_and_frozen():
    layer, x = nn.Linear(2, 1, bias=False), tg.ones(2)
    compiled = tg.compile(lambda x, m: m(x).sum())
    compiled(x, layer)
    layer.weight = nn.Parameter(tg.tensor([[3.0, 4.0]]))
    compiled(x, layer).backward()
    assert layer.weight.grad.tolist() == [[1, 1]]
    layer.requires_grad_(False)
    assert not compiled(x, layer).requires_grad
    layer.requires_grad_(True)
    compiled(x, layer).backward()
    assert layer.weight.grad.tolist() == [[2, 2]]


def test_arguments_that_are_equal_share_a_program():
    seen = SimpleNamespace(calls=0)

    def function(x: tg.Tensor, frozen: Frozen) -> tg.Tensor:
        seen.calls += 1
        return x * frozen.factor

    compiled = tg.compile(function)
    for factor in (2.0, 3.0, 2.0, 3.0):
        assert compiled(tg.ones(1), Frozen((1, "a"), factor)).tolist() == [factor]
    assert seen.calls == 2


def test_draws_of_a_module_that_is_passed_are_those_of_eager():
    eager, passed = (nn.Dropout(0.5, generator=np.random.default_rng(3)) for _ in range(2))
    compiled, x = tg.compile(lambda x, held: held.m(x)), tg.ones(50)
    held = SimpleNamespace(m=passed)
    with pytest.raises(GraphError, match="argument of type SimpleNamespace"):
        compiled(x, held)
    compiled = tg.compile(lambda x, held: held(x))
    for _ in range(3):
        np.testing.assert_array_equal(compiled(x, passed).numpy(), eager(x).numpy())


@pytest.mark.parametrize("kind", [OrderedDict, lambda d: defaultdict(list, d), Counter], ids=["o", "d", "c"])
def test_dicts_keep_their_kind_on_the_way_in_and_out(kind: Callable[[Any], Any]):
    def function(x: tg.Tensor, given: Any) -> Any:
        result = type(given)(given) if type(given) is not defaultdict else given.copy()
        result["x"] = x * given["a"]
        return result, type(given).__name__, getattr(given, "default_factory", None) is list

    compiled, given = tg.compile(function), kind({"a": 2})
    for k in (1.0, 2.0):
        result, name, factory = compiled(tg.ones(1) * k, given)
        assert type(result) is type(given)
        assert name == type(given).__name__
        assert factory == hasattr(given, "default_factory")
        assert (result["a"], result["x"].tolist()) == (2, [2 * k])
    if factory:
        assert result["new"] == []


def test_equal_plain_values_that_are_not_the_same_are_told_apart():
    compiled, x = tg.compile(lambda x, v: x * v), tg.ones(1)
    for value in (0.0, -0.0, np.float32(0), np.float32(-0.0), 0.0):
        assert np.signbit(compiled(x, value).numpy()).tolist() == [np.signbit(value)]
    compiled = tg.compile(
        lambda x, named: x * [2, 3, 5][[type(n) for n in (1, True, 1.0)].index(type(next(iter(named))))]
    )
    for name, factor in ((1, 2), (True, 3), (1.0, 5), (1, 2)):
        assert compiled(x, {name: 0}).tolist() == [factor]


def test_what_holds_itself_is_refused():
    listed, named = [1], {}
    listed.append(listed)
    named["self"] = [named]
    for given in (listed, named):
        with pytest.raises(GraphError, match=rf"a {type(given).__name__} that holds itself .*Pass and return the ten"):
            tg.compile(lambda x, given: x)(tg.ones(1), given)
        with pytest.raises(GraphError, match="that holds itself"):
            tg.compile(lambda x: given)(tg.ones(1))  # noqa: B023 - called at once


class Plain:
    def __init__(self, x: tg.Tensor) -> None:
        self.x = x


RESULTS = {
    "Frozen": Frozen,
    "Plain": Plain,
    "frozenset": lambda x: frozenset([x]),
    "dict_values": lambda x: {"x": x}.values(),
    "generator": lambda x: (y for y in [x]),
    "map": lambda x: map(abs, [x]),
    "function": lambda x: lambda: x,
    "set": lambda x: {1},
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_that_would_come_back_as_they_were_are_refused(name: str):
    for wrap in (lambda r: r, lambda r: [r], lambda r: {"a": (r, 1)}):
        with pytest.raises(GraphError, match=rf"a result of type {name} would be the same.*in a tuple or dict"):
            tg.compile(lambda x: wrap(RESULTS[name](x * 2)))(tg.ones(2))  # noqa: B023 - called at once


def test_async_functions_are_refused():
    async def function(x: tg.Tensor) -> tg.Tensor:
        return x

    with pytest.raises(GraphError, match="the function is async"):
        tg.compile(function)(tg.ones(2))


class Colour(Enum):
    RED = 1


def test_plain_results_come_back():
    values = (1, 2.5, "a", b"b", None, True, 1j, tg.float32, np.float32, np.float32(2), Colour.RED)
    compiled = tg.compile(lambda x: (x, *values))
    for _ in range(2):
        assert compiled(tg.ones(1))[1:] == values
