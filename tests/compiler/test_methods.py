"""Methods that nobody names, and attributes that somebody writes: what they read and hold is seen all the same."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tinygrad_rnn as tg


class Operators:
    def __init__(self) -> None:
        self.scale, self.count = 1.0, 2

    def __mul__(self, x: Any) -> Any:
        return x * self.scale

    __rmul__ = __mul__

    def __getitem__(self, i: int) -> float:
        return self.scale * i

    def __iter__(self) -> Iterator[float]:
        yield self.scale

    def __len__(self) -> int:
        return int(self.scale)

    def __contains__(self, x: float) -> bool:
        return x == self.scale

    def __enter__(self) -> float:
        return self.scale

    def __exit__(self, *_: object) -> None:
        self.count += 1

    def __getattr__(self, name: str) -> float:
        if name != "other":
            raise AttributeError(name)
        return self.scale


class Further(Operators):
    pass


def within(held: Operators, x: tg.Tensor) -> tg.Tensor:
    with held as factor:
        return x * factor


USES: dict[str, Callable[[Any, tg.Tensor], Any]] = {
    "mul": lambda held, x: held * x,
    "getitem": lambda held, x: x * held[1],
    "iter": lambda held, x: x * next(iter(held)),
    "unpacking": lambda held, x: x * max(*held, 0),
    "len": lambda held, x: x * len(held),
    "contains": lambda held, x: x * (1 if 1.0 in held else 3),
    "with": within,
    "getattr": lambda held, x: x * held.other,
}


@pytest.mark.parametrize("kind", [Operators, Further])
@pytest.mark.parametrize("name", USES)
def test_what_operators_and_statements_of_a_class_read_is_seen(name: str, kind: type[Operators]):
    held, use = kind(), USES[name]
    compiled, x = tg.compile(lambda x: use(held, x)), tg.ones(1)
    assert compiled(x).tolist() == [1]
    held.scale = 3.0
    assert compiled(x).tolist() == [3]


class Scheduled:
    """Writes its own `scale` at each call, and there are others whose `scale` is a setting."""

    def __init__(self) -> None:
        self.scale, self.calls = 0.0, 0

    def step(self) -> None:
        self.scale += 1.0
        self.calls += 1


class Held:
    scale = 1.0


def test_a_name_that_is_written_on_one_object_is_a_setting_of_others():
    counter, held = Scheduled(), Held()

    def function(x: tg.Tensor) -> tg.Tensor:
        counter.step()
        return x * held.scale * Held.scale

    compiled, x = tg.compile(function), tg.ones(1)
    for expected, change in (
        (1, lambda: setattr(held, "scale", 2.0)),
        (2, lambda: setattr(counter, "scale", 100.0)),
        (2, lambda: setattr(held, "scale", 3.0)),
    ):
        for _ in range(2):
            assert compiled(x).tolist() == [expected]
        change()
    assert compiled(x).tolist() == [3]
    assert counter.calls == 3, "recorded once for each setting"


def test_a_setting_that_some_method_could_write_is_seen():
    class Task:
        def __init__(self) -> None:
            self.scale = 1.0

        def forward(self, x: tg.Tensor) -> tg.Tensor:
            if self.scale < 0:
                self.scale = -self.scale
            return x * self.scale

    task = Task()
    compiled, x = tg.compile(task.forward), tg.ones(1)
    assert compiled(x).tolist() == [1]
    task.scale = 2.0
    assert compiled(x).tolist() == [2]
