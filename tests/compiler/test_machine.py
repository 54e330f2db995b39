"""Random programs: recorded, every pass, the interpreter and the replay agree with eager, values and gradients.

In float64 they agree to 1e-12 of the largest entry of each array, or to what becomes of that array if every value in
the program, input or intermediate, is changed by 1e-12 of itself: a difference of large numbers is known no better.
"""

import copy
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tests.compiler.machines import MACHINES, on_machine
from tests.compiler.same import BOUND, Subject, assert_same
from tests.samples import TABLE
from tinygrad_rnn.compiler.passes import PASSES
from tinygrad_rnn.compiler.planning import Plan
from tinygrad_rnn.compiler.program import Instruction, Program, check, interpret
from tinygrad_rnn.compiler.signature import flatten
from tinygrad_rnn.compiler.trace import record
from tinygrad_rnn.ops.loss import cross_entropy
from tinygrad_rnn.ops.special import gelu, relu, sigmoid, softplus
from tinygrad_rnn.primitive import PRIMITIVES

B, H, T = 2, 4, 4

# Each takes values (B, H) and gives one; all keep magnitudes near one.
UNARY = [
    np.tanh, sigmoid, relu, softplus, gelu, lambda a: -a, lambda a: a * 0.5, lambda a: 1 - a, lambda a: np.exp(-a * a),
    lambda a: a.softmax(1), lambda a: a.log_softmax(1) * 0.3, lambda a: a - a.mean(1, keepdim=True),
    lambda a: np.flip(a, 1), lambda a: np.roll(a, 1, 1), lambda a: a.reshape(H, B).T, lambda a: a.clip(-0.6, 0.7),
    lambda a: np.concatenate([a[:, 1:], a[:, :1]], 1), lambda a: a[[1, 0]], lambda a: a.cumsum(1) * 0.4,
    lambda a: np.sqrt(a * a + 1) - 1, lambda a: a.max(1, keepdim=True)[0] + a * 0.1, lambda a: a[:1] + a * 0.3,
    lambda a: np.stack([a, a * 2], 1).sum(1) * 0.3, lambda a: a.logsumexp(1, keepdim=True) * 0.2 + a * 0.1,
    lambda a: np.where(a > 0.1, a, a * 0.2), lambda a: a.detach() * 0.3 + a * 0.4, lambda a: a.std(1, keepdim=True) * a,
    lambda a: np.pad(a, ((0, 0), (1, 0)))[:, :H], lambda a: np.tril(a), lambda a: np.einsum("bh,bk->bh", a, a) * 0.2,
    lambda a: abs(a) * 0.6, lambda a: (a**3) * 0.2, lambda a: a / (1 + a * a),
]  # fmt: skip
BINARY = [
    lambda a, b: a + b * 0.5, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a * 0.5 + a * b,
    lambda a, b: np.maximum(a, b), lambda a, b: np.minimum(a, b), lambda a, b: a @ b.T @ a * 0.1,
    lambda a, b: a + b.sum(0) * 0.2, lambda a, b: np.where(b > 0, a, b), lambda a, b: a / (1 + b * b),
    lambda a, b: np.concatenate([a, b], 1)[:, 1::2], lambda a, b: np.stack([a, b]).mean(0), lambda a, b: a,
    lambda a, b: sigmoid(b) * a + (1 - sigmoid(b)) * b, lambda a, b: np.logaddexp(a, b) * 0.4,
]  # fmt: skip
WEIGHTED = [
    lambda a, w, v: np.tanh(a @ w.T + v), lambda a, w, v: a @ w, lambda a, w, v: np.tanh(a @ w + v) + a * 0.5,
    lambda a, w, v: sigmoid(np.concatenate([a, a], 1)[:, :H] @ w.T + v) * a, lambda a, w, v: a * v,
]  # fmt: skip

# Every primitive of the table of samples, which lie away from kinks; a program scales them only a little.
SAMPLED = [
    (PRIMITIVES[name], sample)
    for name, found in TABLE.items()
    for sample in found.samples
    if all(a.dtype != bool for a in sample.args[1:] if isinstance(a, np.ndarray))  # masks are refused
]


def sampled(which: int, a: Any) -> Any:
    """A primitive on arrays of its own, scaled by a factor that depends on `a`; what it gives goes back into `a`."""
    primitive, sample = SAMPLED[which % len(SAMPLED)]
    factor = 1 + 0.01 * np.tanh(a.mean())
    args = [x * factor if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x for x in sample.args]
    result = primitive(*args, **sample.params)
    if not isinstance(result, tg.Tensor) or result.dtype.kind != "f":
        return a * 0.5
    return a * 0.5 + np.tanh(result.sum() * 0.1)


op = st.tuples(st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999), st.integers(0, 9999))
plans = st.fixed_dictionaries(
    {
        "before": st.lists(op, max_size=2),
        "loop": st.lists(op, min_size=1, max_size=4),
        "second": st.lists(op, max_size=2),
        "after": st.lists(op, max_size=3),
        "lengths": st.lists(st.integers(1, T), min_size=1, max_size=2),
        "collect": st.integers(0, 4),
        "scoped": st.booleans(),
        "backwards": st.booleans(),
        "machine": st.sampled_from(MACHINES),
    }
)


def apply(code: tuple[int, ...], pool: list[Any], shared: list[Any]) -> Any:
    """One operation on values of the pool, chosen by numbers."""
    kind, which, first, second = code
    a, b = pool[-1 - first % len(pool)], pool[-1 - second % len(pool)]
    if kind % 6 < 2:
        return UNARY[which % len(UNARY)](a)
    if kind % 6 == 5:
        return sampled(which, a)
    if kind % 6 < 4:
        return BINARY[which % len(BINARY)](a, b)
    w, v = shared[second % 2], shared[2 + second % 2]
    return WEIGHTED[which % len(WEIGHTED)](a, w, v)


def build(plan: dict[str, Any]) -> Any:
    """The function that a plan describes: loops over sequences of several lengths, with what comes before, between and
    after.
    """

    def function(xs: Any, weights: list[Any], targets: Any) -> Any:
        results = []
        for example, length in enumerate(plan["lengths"]):
            state = [xs[0, 0] * 0.1 + example * 0.1]
            for code in plan["before"]:
                state.append(apply(code, state, weights))
            h, states = state[-1], []
            times = reversed(range(length)) if plan["backwards"] else range(length)
            for t in times:
                with tg.scope("cell", t=t) if plan["scoped"] else tg.scope("cell"):
                    pool = [xs[t, example], h]
                    for code in plan["loop"]:
                        pool.append(apply(code, pool, weights))
                    h = pool[-1]
                states.append(h)
            for t, x in enumerate(states if plan["second"] else ()):
                with tg.scope("second", t=t):
                    pool = [x, h]
                    for code in plan["second"]:
                        pool.append(apply(code, pool, weights))
                    h = pool[-1]
                states[t] = h
            results.append(collected(plan["collect"], states, weights, targets))
            state = [h, states[0]]
            for code in plan["after"]:
                state.append(apply(code, state, weights))
            results.append(state[-1])
        return results

    return function


def collected(how: int, states: list[Any], weights: list[Any], targets: Any) -> Any:
    """What is made of all states: the last, a stack, a sum, an average with attention, or a loss at every step."""
    if how == 0:
        return states[-1]
    if how == 1:
        return np.stack(states, 1) @ weights[0]
    if how == 2:
        return sum((h @ weights[1]).pow(2).sum() for h in states)
    if how == 3:
        keys = np.stack(states)
        return ((keys * states[-1]).sum(-1).softmax(0)[..., None] * keys).sum(0)
    return sum(cross_entropy(h @ weights[0].T, targets).mean() for h in states)


def inputs() -> tuple[Any, list[Any], Any]:
    rng = np.random.default_rng(0)
    xs = tg.tensor(rng.normal(size=(T, 2, B, H)) * 0.7, requires_grad=True)
    shapes = [(H, H), (H, H), (H,), (H,)]
    weights = [tg.tensor(rng.normal(size=shape) * 0.5, requires_grad=True) for shape in shapes]
    return xs, weights, np.array([1, 3])


def compare(plan: dict[str, Any]) -> None:
    with on_machine(plan["machine"]):
        compare_here(plan)


def compare_here(plan: dict[str, Any]) -> None:
    function = build(plan)
    args = inputs()
    assert_same(lambda: Subject(function, inputs()), floor=1.0)
    leaves: list[Any] = []
    template = flatten((args, {}), leaves, [])
    program = record(function, template, leaves).program
    arrays = [getattr(x, "array", x) for x in leaves]
    seeds = [np.cos(np.arange(c.size) + 0.5).reshape(c.shape) for c in program.cotangents if c is not None]
    expected = [*itertools.chain(*interpret(program, arrays, seeds))]
    agree = Agreement(program, arrays, seeds, expected)
    for name, one in PASSES:
        program = check(one(program))
        agree([*itertools.chain(*interpret(program, arrays, seeds))], f"after {name}")
    plan_ = Plan(program)
    for _ in range(2):
        for buffer, array in zip(plan_.inputs, arrays, strict=True):
            np.copyto(buffer, array)
        for call, given_ in plan_.forward:
            call(*given_)
        for buffer, seed in zip([c for c in plan_.cotangents if c is not None], seeds, strict=True):
            np.copyto(buffer, seed)
        outputs = [o.copy() for o in plan_.outputs]
        for call, given_ in plan_.backward:
            call(*given_)
        agree([*outputs, *plan_.gradients], "in the replay")


class Agreement:
    """Whether results are those of the recorded program; how far rounding may take them is found out if need be."""

    def __init__(self, program: Program, arrays: list[Any], seeds: list[Any], expected: list[Any]) -> None:
        self.run, self.expected = (program, arrays, seeds), expected
        self.spread: list[Any] = []

    def __call__(self, got: list[Any], when: str) -> None:
        for i, (a, b) in enumerate(zip(self.expected, got, strict=True)):
            assert (a is None) == (b is None), f"result {i} {when}"
            if a is None:
                continue
            assert (a.shape, a.dtype) == (b.shape, b.dtype), f"result {i} {when}"
            apart = np.abs(b - a).max(initial=0)
            if apart > BOUND * np.abs(a).max(initial=0):
                self.spread = self.spread or self._spread()
                assert apart <= self.spread[i], (
                    f"result {i} {when} differs by {apart:.3g}, {self.spread[i]:.3g} allowed"
                )

    def _spread(self) -> list[Any]:
        """The largest changes of all results where every value is changed at random, by BOUND of itself."""
        rng = np.random.default_rng(0)

        def blurred(x: Any) -> Any:
            return x * (1 + BOUND * rng.choice([-1.0, 1.0], np.shape(x))) if np.asarray(x).dtype.kind == "f" else x

        def blurring(forward: Any) -> Any:
            return lambda *args, **params: blurred(forward(*args, **params))

        program, arrays, seeds = self.run
        new: dict[Instruction, Instruction] = {}
        for ins in program.instructions:
            made = copy.copy(ins)
            made.args = tuple(new[x] for x in ins.args)
            if ins.primitive is not None:
                made.primitive = copy.copy(ins.primitive)
                made.primitive.forward = blurring(ins.primitive.forward)
            new[ins] = made
        noisy = program.rebuilt(new, new.values())
        spread = [0.0] * len(self.expected)
        for _ in range(8):
            found = itertools.chain(*interpret(noisy, [blurred(x) for x in arrays], [blurred(x) for x in seeds]))
            for i, (a, b) in enumerate(zip(self.expected, found, strict=True)):
                if a is not None:
                    spread[i] = max(spread[i], float(np.abs(b - a).max(initial=0)))
        return spread


@settings(max_examples=200)
@given(plans)
def test_machine_random_programs_agree(plan):
    compare(plan)


@pytest.mark.slow
@settings(max_examples=2000)
@given(plans)
def test_machine_many_random_programs_agree(plan):
    compare(plan)
