"""Each pass by itself: it keeps values and types, and does what it is there for."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.loops import B, D, H, T, V, batch, loss_of, weights
from tinygrad_rnn.compiler.batching import batch as batch_pass
from tinygrad_rnn.compiler.builder import remove_dead_code, share_common_subexpressions
from tinygrad_rnn.compiler.cleaning import clean
from tinygrad_rnn.compiler.columns import lay_in_columns
from tinygrad_rnn.compiler.cutting import cut_products
from tinygrad_rnn.compiler.gates import open_sigmoids
from tinygrad_rnn.compiler.passes import PASSES
from tinygrad_rnn.compiler.planning import Plan
from tinygrad_rnn.compiler.program import check, interpret
from tinygrad_rnn.compiler.signature import flatten
from tinygrad_rnn.compiler.softmax import open_softmax
from tinygrad_rnn.compiler.splitting import split_columns
from tinygrad_rnn.compiler.sums import collect_sums, factor, order_terms
from tinygrad_rnn.compiler.trace import record
from tinygrad_rnn.compiler.weights import straighten_weights
from tinygrad_rnn.ops.special import sigmoid


def recorded(function, *args):
    leaves = []
    template = flatten((args, {}), leaves, [])
    return record(function, template, leaves).program, [getattr(x, "array", x) for x in leaves]


def leaf(*shape, seed=0):
    return tg.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


def values(program, arrays):
    seeds = [np.cos(np.arange(c.size) + 1.0).reshape(c.shape) for c in program.cotangents if c is not None]
    outputs, gradients = interpret(program, arrays, seeds)
    return [*outputs, *(g for g in gradients if g is not None)]


def through(function, *args, passes):
    """The program after some passes, which must keep its values and types."""
    program, arrays = recorded(function, *args)
    expected = values(program, arrays)
    for one in passes:
        program = check(one(program))
        for a, b in zip(expected, values(program, arrays), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-12)
    return program


def ops(program, backward=None):
    return [i.op for i in program.instructions if i.primitive and backward in (None, i.backward)]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "highway"])
def test_every_pass_keeps_values_and_types(cell):
    through(loss_of(cell, weights(cell)), *batch(), passes=[one for _, one in PASSES])


def test_dead_code_goes():
    program = through(lambda x: (np.tanh(x), np.exp(x))[0], leaf(3), passes=[remove_dead_code])
    assert "exp" not in ops(program)


def test_common_subexpressions_are_one_value_and_draws_are_not():
    program = through(lambda x: np.tanh(x) * np.tanh(x), leaf(3), passes=[share_common_subexpressions])
    assert ops(program, backward=False).count("tanh") == 1
    dropout = tg.nn.Dropout(0.5)
    program, _ = recorded(lambda x: dropout(x) + dropout(x), leaf(3))
    assert ops(share_common_subexpressions(program)).count("bernoulli") == 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.reshape(6).reshape(3, 2).reshape(x.shape), lambda x: x.T.T, lambda x: x + 0, lambda x: x * 1,
        lambda x: np.negative(np.negative(x)), lambda x: np.stack([x[0], x[1]]), lambda x: x / 1,
        lambda x: np.stack([x, x * 2])[0],
    ],
)  # fmt: skip
def test_what_does_nothing_goes(function):
    program = through(function, leaf(2, 3), passes=[clean, remove_dead_code])
    assert not set(ops(program, backward=False)) - {"getitem", "reshape"}


def test_cotangents_of_slices_that_tile_an_axis_are_joined():
    program = through(lambda x: x[:, :2] * 2 + x[:, 2:], leaf(3, 4), passes=[clean, remove_dead_code])
    assert "place" not in ops(program)
    program = through(lambda x: sum(np.tanh(x[t]) for t in range(4)), leaf(4, 2), passes=[clean, remove_dead_code])
    assert "place" not in ops(program)
    assert "stack" in ops(program, backward=True)


def test_softmax_and_cross_entropy_share_one_exponential():
    def function(z):
        return z.softmax(1).sum() + tg.nn.functional.cross_entropy(z, tg.tensor([1, 0, 2]))

    program = through(function, leaf(3, 4), passes=[open_softmax, clean, open_softmax])
    assert ops(program).count("exp") == 1
    assert "take_off" in ops(program, backward=True)


def test_scores_lie_class_by_class():
    w = leaf(5, 7, seed=1)
    program = through(
        lambda x: (x @ w).softmax(1).pow(2).sum(), leaf(14, 5), passes=[open_softmax, clean, lay_in_columns]
    )
    (product,) = [i for i in program.instructions if i.op == "matmul" and not i.backward]
    assert product.shape == (7, 14)


def test_a_sum_of_products_is_one_product():
    w = leaf(3, 4, seed=1)
    steps = [clean, collect_sums]
    program = through(lambda x: sum(np.tanh(x[t] @ w).sum() for t in range(6)), leaf(6, 2, 3), passes=steps)
    (gradient,) = [g for leaf_, g in zip(program.wanted, program.gradients, strict=True) if leaf_.shape == (3, 4)]
    while gradient.op != "matmul":
        gradient = gradient.args[0]
    assert 12 in gradient.args[0].shape


def test_sums_of_reductions_and_of_scatters_are_one_each():
    b, table = leaf(4, seed=1), leaf(9, 4, seed=2)
    index = np.array([[1, 2], [2, 0], [8, 8]])

    def function(x):
        return sum(np.tanh(x[t] + b + table[index[t]]).sum() for t in range(3))

    program = through(function, leaf(3, 2, 4), passes=[clean, collect_sums])
    assert ops(program).count("put") == 1
    assert all(g.op != "add" for g in program.gradients if g is not None)


def test_common_factors_are_taken_out():
    program = through(lambda x: x * x[::-1] - x * x.exp(), leaf(4), passes=[clean, factor, remove_dead_code])
    assert ops(program, backward=False).count("multiply") == 1


def test_terms_known_early_are_added_first():
    w, b, c = leaf(3, 3, seed=1), leaf(3, seed=2), leaf(3, seed=3)

    def function(x):
        h = x[0]
        for t in range(4):
            h = np.tanh(x[t] + b + h @ w + c)
        return h

    program = through(function, leaf(4, 2, 3), passes=[clean, order_terms])
    last = [i for i in program.instructions if i.op == "add" and not i.backward][-1]
    assert last.args[1].op == "matmul"


def test_sigmoids_are_opened_and_their_factor_goes_to_the_weights(machine):
    w = leaf(8, 3, seed=1)

    def function(x):
        z = x @ w.T
        return sigmoid(z[:, :4]) * np.tanh(z[:, 4:])

    program = through(function, leaf(2, 3), passes=[clean, open_sigmoids, remove_dead_code])
    assert "sigmoid" not in ops(program)
    assert ops(program, backward=False).count("exp") == (not machine.by_tanh)
    (product,) = [i for i in program.instructions if i.op == "matmul" and not i.backward]
    scaled = product.args[1].args[0]
    assert (scaled.op, scaled.shape) == ("multiply", (8, 3)), "the weights are scaled as they lie, not what they make"


def test_products_read_as_slices_are_cut():
    w = leaf(3, 8, seed=1)
    program = through(
        lambda x: np.tanh((x @ w)[:, :4]) * (x @ w)[:, 4:],
        leaf(2, 3),
        passes=[share_common_subexpressions, clean, cut_products],
    )
    assert [i.shape for i in program.instructions if i.op == "matmul" and not i.backward] == [(2, 4), (2, 4)]


def test_slices_of_one_purpose_are_computed_side_by_side():
    w, bias = leaf(3, 12, seed=1), leaf(12, seed=2)

    def function(x):
        z = x @ w + bias
        return np.exp(z[:, :4]) * np.tanh(z[:, 4:8]) + np.exp(z[:, 8:])

    passes = [share_common_subexpressions, clean, cut_products, batch_pass, remove_dead_code]
    program = through(function, leaf(2, 3), passes=passes)
    assert [i.shape for i in program.instructions if i.op == "exp"] == [(2, 2, 4)]
    assert [i.shape for i in program.instructions if i.op == "matmul" and not i.backward] == [(3, 2, 4)]


def test_the_way_to_the_inputs_is_no_step_of_the_loop():
    """The gradient of the inputs has the shapes of that of the states here, and its sum over gates as well."""
    w, u = leaf(8, 4, seed=1), leaf(8, 4, seed=2)

    def function(x):
        h = x[0]
        for t in range(1, 9):
            with tg.scope(t=t):
                z = x[t] @ w.T + h @ u.T
                h = sigmoid(z[:, :4]) * np.tanh(z[:, 4:])
        return h

    program = tg.compile(function).program(leaf(9, 2, 4))
    products = [i.shape for i in program.instructions if i.op == "matmul" and i.backward]
    assert (16, 4) in products, "to the inputs of all eight steps at once"
    assert products.count((2, 4)) == 8, "to the states step by step"


def test_large_weights_are_multiplied_with_the_inputs_of_many_steps():
    w, u = leaf(512, 128, seed=1), leaf(512, 128, seed=2)  # slices of 128 KiB each

    def function(x):
        h = x[0]
        for t in range(8):
            with tg.scope(t=t):
                z = x[t] @ w.T + h @ u.T
                h = sigmoid(z[:, :128]) * z[:, 128:256] + sigmoid(z[:, 256:384]) * np.tanh(z[:, 384:])
        return h

    program = tg.compile(function).program(leaf(8, 2, 128))
    shapes = [i.shape for i in program.instructions if i.op == "matmul" and not i.backward]
    assert (4, 16, 128) in shapes
    assert shapes.count((4, 2, 128)) == 8


def test_batching_leaves_one_instruction_for_all_steps():
    w = leaf(3, 4, seed=1)
    program = through(lambda x: [np.tanh(x[t] @ w) for t in range(5)], leaf(5, 2, 3), passes=[clean, batch_pass])
    assert ops(program, backward=False).count("tanh") == 1
    (product,) = [i for i in program.instructions if i.op == "matmul" and not i.backward]
    assert product.shape == (10, 4)


def test_weights_that_many_products_read_are_straightened():
    w = leaf(3, 3, seed=1)

    def function(x):
        for _ in range(5):
            x = np.tanh(x @ w.T)
        return x

    program = through(function, leaf(2, 3), passes=[share_common_subexpressions, clean, straighten_weights])
    assert ops(program).count("contiguous") == 1


def test_states_lie_in_one_buffer_and_nothing_is_copied():
    def copies(cell, steps):
        return tg.compile(loss_of(cell, weights(cell))).plan(*batch(steps=steps)).layout.count_copies()

    assert copies("tanh", 20) == copies("tanh", 10) == 2, "the weight of the inputs and its bias, to lie together"
    assert copies("lstm", 20) == copies("lstm", 10) <= 12, "those of four gates, and the first step"


def test_memory_is_reused():
    def chain(x):
        for _ in range(50):
            x = np.sin(np.tanh(x) + 1)
        return x

    with tg.no_grad():
        compiled = tg.compile(chain)
        x = tg.ones(1000)
        compiled(x)
        assert compiled.plan(x).bytes <= 4 * x.array.nbytes


def test_a_plan_notices_parameters_with_another_array():
    w = leaf(3)
    program, _ = recorded(lambda x: x * w, leaf(3, seed=1))
    plan = Plan(program)
    assert not plan.stale()
    w.data = tg.tensor(np.ones(3))
    assert plan.stale()


def test_the_expert_would_find_these_sizes():
    program = tg.compile(loss_of("tanh", weights("tanh"))).program(*batch())
    shapes = {i.shape for i in program.instructions if i.op == "matmul"}
    assert {(T * B, H), (T * B, V), (H, H), (H, D), (V, H)} <= shapes


def test_gates_taken_together_are_computed_one_by_one():
    w = leaf(3, 8, seed=1)

    def function(x):
        both = sigmoid((x @ w)[:, :8] * 2)
        return both[:, :4] * np.tanh(both[:, 4:])

    program = through(function, leaf(2, 3), passes=[clean, split_columns, remove_dead_code])
    assert [i.shape for i in program.instructions if i.op == "sigmoid"] == [(2, 4), (2, 4)]
    (gradient,) = [g for g in program.gradients if g is not None and g.shape == (3, 8)]
    assert gradient.op == "matmul"
