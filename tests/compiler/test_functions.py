"""Ops of the user's own in a compiled function: `autograd.Function`, recorded with its own backward, and primitives of
which the compiler knows nothing.
"""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.same import Subject, assert_same, tensor
from tests.test_function import Cube, ExpOfOutput, ScaledPair
from tinygrad_rnn.errors import GraphError
from tinygrad_rnn.primitive import Primitive


class Binary(tg.Function):
    """A step, whose gradient passes straight through where the input is small."""

    @staticmethod
    def forward(ctx, x):
        ctx.inside = abs(x) < 1
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, g):
        return g * ctx.inside


class Hidden(tg.Function):
    """Keeps what is neither input nor output."""

    @staticmethod
    def forward(ctx, x, power):
        ctx.inner, ctx.power = np.tanh(x), power
        return ctx.inner**power

    @staticmethod
    def backward(ctx, g):
        return g * ctx.power * ctx.inner ** (ctx.power - 1) * (1 - ctx.inner * ctx.inner), None


def pair(x):
    product, total, mask = ScaledPair.apply(x, 3.0, x * x)
    return product, total, np.where(mask, product, 0)


def loop(xs):
    h, states = xs[0] * 0, []
    for t, x in enumerate(xs):
        with tg.scope("cell", t=t):
            h = Hidden.apply(Cube.apply(x * 0.5) + h, 2)
        states.append(h + Binary.apply(x))
    return np.stack(states)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "function",
    [Cube.apply, ExpOfOutput.apply, Binary.apply, pair, loop, lambda x: Cube.apply(Hidden.apply(x, 3)) * x],
    ids=["input saved", "output saved", "straight through", "several outputs", "in a loop", "nested"],
)
def test_functions_equal_eager(function, order):
    assert_same(lambda: Subject(function, (tensor(4, 3),)), order=order)


def test_what_a_function_does_is_batched_across_time():
    compiled = tg.compile(lambda xs: sum(Cube.apply(x).sum() for x in xs))
    powers = [i for i in compiled.program(tensor(6, 3)).instructions if i.op == "multiply" and i.size == 18]
    assert 2 <= len(powers) <= 6, "of all steps together, forward and backward"
    assert all(i.size == 18 for i in compiled.program(tensor(6, 3)).instructions if i.op == "multiply" and i.size > 1)


def test_functions_that_read_values_are_refused_by_name():
    class Reading(Cube):
        @staticmethod
        def forward(ctx, x):
            return tg.from_numpy(x.detach().numpy() ** 3)

    class ReadingBack(Cube):
        @staticmethod
        def backward(ctx, g):
            return tg.from_numpy(g.detach().numpy() ** 3)

    for op in (Reading, ReadingBack):
        with pytest.raises(GraphError, match=r"numpy\(\).* at test_functions.py:\d+: compile is recording"):
            tg.compile(op.apply)(tensor(3))


def test_a_wrong_number_of_gradients_is_refused():
    class TooMany(Cube):
        @staticmethod
        def backward(ctx, g):
            return g, g

    with pytest.raises(GraphError, match=r"TooMany.backward: expected 1 gradients, .* got 2"):
        tg.compile(TooMany.apply)(tensor(3))


def test_primitives_of_the_custom_kind_run_as_they_are():
    """Sorted rows, whose cotangent goes back to where the entries were: made of array functions, opaque."""
    unsort = Primitive("unsort", lambda g, x: np.take_along_axis(g, np.argsort(np.argsort(x)), -1), "custom")
    rows = Primitive("sort_rows", np.sort, "custom", vjps=(lambda g, y, x: unsort(g, x),), saves="0")

    def function(xs):
        total = xs[0] * 0
        for x in xs:
            total = np.tanh(total + rows(x * x[0]))
        return total

    compiled = tg.compile(function)
    for seed in (0, 1):
        compiled.check(tensor(5, 2, 4, seed=seed), rtol=1e-12, atol=1e-12)
    assert sum(i.op == "sort_rows" for i in compiled.program(tensor(5, 2, 4)).instructions) == 5


@pytest.mark.parametrize("shape", [(3, 4), (3, 1), (1, 4), (4,), ()])
@pytest.mark.parametrize("chosen", [(), (4,), (3, 4)])
def test_where_with_conditions_and_values_that_broadcast(shape: tuple[int, ...], chosen: tuple[int, ...]):
    rng = np.random.default_rng(0)
    condition = tg.from_numpy(np.asarray(rng.random(shape) < 0.5))
    a, x = (tg.from_numpy(np.asarray(rng.normal(size=s))) for s in (chosen, (3, 4)))

    def function(condition: tg.Tensor, a: tg.Tensor, x: tg.Tensor) -> tg.Tensor:
        return tg.where(condition, a, x * 2)

    compiled = tg.compile(function)
    for given in (condition, ~condition):
        np.testing.assert_array_equal(compiled(given, a, x).numpy(), function(given, a, x).numpy())


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16])
@pytest.mark.parametrize("wrong", [-1, 5])
def test_an_index_out_of_range_is_told_wherever_it_stands(dtype: type, wrong: int):
    scores, table = tg.ones(2, 3, 5), tg.ones(5, 2)
    functions = {
        "cross entropy": lambda t: tg.nn.functional.cross_entropy(scores.reshape(-1, 5), t.reshape(-1)),
        "embedding": lambda t: tg.nn.functional.embedding(t, table),
    }
    for name, function in functions.items():
        compiled = tg.compile(function)
        good = np.arange(6).reshape(3, 2).T % 5
        np.testing.assert_allclose(
            compiled(tg.tensor(good.astype(dtype))).numpy(), 1.0 if name[0] == "e" else np.log(5)
        )
        for place in np.ndindex(2, 3):
            bad = good.astype(dtype)
            bad[place] = wrong
            with pytest.raises(IndexError, match=f"{wrong} is out of bounds"):
                compiled(tg.from_numpy(bad))


BOUNDED = {
    "relu": lambda x: tg.relu(x),
    "clip": lambda x: x.clip(-0.0, 2.0),
    "maximum": lambda x: np.maximum(x, -0.0),
    "minimum": lambda x: np.minimum(2.0, x),
}


@pytest.mark.parametrize("entries", [(3,), (4, 5), (400, 80)], ids=str)
@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_are_those_of_eager_to_the_last_bit(name, dtype, entries):
    """Small results are compared with an array of the number, large ones with the number."""
    x = np.random.default_rng(0).normal(size=entries).astype(dtype)
    x.reshape(-1)[:3] = np.nan, -0.0, np.inf
    x = tg.tensor(x)
    compiled = tg.compile(BOUNDED[name])
    for _ in range(2):
        expected, found = BOUNDED[name](x).numpy(), compiled(x).numpy()
        assert found.dtype == expected.dtype
        assert found.tobytes() == expected.tobytes()


JOINED = {
    "concatenated with itself turned": lambda a: np.concatenate([a, a.T]),
    "concatenated with its rows": lambda a: np.concatenate([a, a[1:], a[:2]]),
    "stacked with itself turned": lambda a: np.stack([a, a.T, a]),
    "stacked along the last axis": lambda a: np.stack([a, a.T], axis=2),
    "turned first": lambda a: np.concatenate([a.T, a], axis=1),
    "its rows in another order": lambda a: np.stack([a[2], a[0], a[1]]),
}


@pytest.mark.parametrize("name", JOINED)
def test_a_value_joined_with_views_of_itself(name):
    """It may be computed right where one operand is wanted; the others are still copied."""
    x = tg.tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True)
    weight = tg.tensor(np.random.default_rng(1).normal(size=JOINED[name](x).shape))
    compiled = tg.compile(lambda x: (JOINED[name](np.tanh(x)) * weight).sum())
    compiled.check(x, rtol=1e-12, atol=1e-12)
    in_backward = tg.compile(lambda x: (x * np.tanh(JOINED[name](np.exp(x))).sum()).sum())
    in_backward.check(x, rtol=1e-12, atol=1e-12)
