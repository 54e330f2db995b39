"""Compiled functions that call themselves or each other, and containers that hold themselves: each is walked once."""

import pytest

import tinygrad_rnn as tg

FACTOR = 1.0


@tg.compile
def halves(x: tg.Tensor, n: int) -> tg.Tensor:
    return x if n == 0 else halves(x * 0.5 * FACTOR, n - 1)


class Recursive:
    factor = 1.0

    @tg.compile
    def method(self, x: tg.Tensor, n: int) -> tg.Tensor:
        return x if n == 0 else self.method(x * 0.5 * self.factor, n - 1)


def test_recursive_functions_and_methods_compile(monkeypatch: pytest.MonkeyPatch):
    held = Recursive()
    for function, change in (
        (halves, lambda: monkeypatch.setitem(globals(), "FACTOR", 2.0)),
        (held.method, lambda: setattr(held, "factor", 2.0)),
    ):
        for _ in range(3):
            assert function(tg.ones(2), 3).tolist() == [0.125, 0.125]
        change()
        assert function(tg.ones(2), 3).tolist() == [1, 1]


def test_what_a_compiled_function_inside_sees_is_seen():
    held = Recursive()
    compiled, x = tg.compile(lambda x: held.method(x, 1)), tg.ones(1)
    assert compiled(x).tolist() == [0.5]
    held.factor = 4.0
    assert compiled(x).tolist() == [2]


def test_containers_that_hold_themselves_and_each_other_are_walked_once():
    inside, doubled = [2.0], [2.0]
    inside.append(inside)
    for _ in range(60):
        doubled = [doubled, doubled]
    compiled = tg.compile(lambda x: x * inside[1][1][0] * len(doubled))
    assert compiled(tg.ones(1)).tolist() == [4]
    inside[0] = 3.0
    assert compiled(tg.ones(1)).tolist() == [6]
