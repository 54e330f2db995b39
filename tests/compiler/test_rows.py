"""Wide rows: with one example, input and state of a step go through one product, and nothing is copied step by step."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler import loops
from tests.compiler.test_biases import before, ops
from tests.compiler.test_passes import values
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import rows
from tinygrad_rnn.compiler.program import check
from tinygrad_rnn.compiler.rows import widen_rows

D, H = 3, 8
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def series(steps=7, features=D, seed=0, dtype=np.float64):
    return tg.from_numpy(np.random.default_rng(seed).normal(size=(steps, 1, features)).astype(dtype))


def regression(layer):
    """A loss of all outputs, with a head."""
    head = nn.Linear(layer(series().float())[0].shape[-1], 1).double()
    layer.double()
    return lambda x: (head(layer(x)[0]) ** 2).mean()


def calls(loss, steps):
    compiled = tg.compile(loss)
    compiled(series(steps)).backward()
    plan = compiled.plan(series(steps))
    return np.array([len(plan.forward), len(plan.backward)])


def both(function, *args):
    """Programs before and after the pass, both checked, and that they compute the same."""
    program, arrays = before(function, *args, name="wide rows")
    widened = check(widen_rows(check(program)))
    for a, b in zip(values(program, arrays), values(widened, arrays), strict=True):
        np.testing.assert_allclose(b, a, **EXACT)
    return program, widened


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_a_step_of_each_layer_is_two_calls_each_way(layers, bias):
    loss = regression(nn.RNN(D, H, layers, bias=bias))
    per_step = (calls(loss, 40) - calls(loss, 20)) / 20
    np.testing.assert_allclose(per_step, 2 * layers, atol=0.1)  # the ends of the loop may be copied differently


LAYERS = {
    "two layers": lambda: nn.RNN(D, H, 2),
    "both directions": lambda: nn.RNN(D, H, bidirectional=True),
    "no biases": lambda: nn.RNN(D, H, bias=False),
    "relu": lambda: nn.RNN(D, H, nonlinearity="relu"),
    "LSTM": lambda: nn.LSTM(D, H),
    "GRU": lambda: nn.GRU(D, H, 2),
}


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("steps", [1, 3, 4, 5, 23])
def test_layers_equal_eager(name, steps):
    compiled = tg.compile(regression(LAYERS[name]()))
    for seed in range(2):
        compiled.check(series(steps, seed=seed), **EXACT)


def test_batch_first_and_the_state_handed_in_and_out():
    layer = nn.RNN(D, H, batch_first=True).double()
    h0 = tg.tensor(np.random.default_rng(3).normal(size=(1, 1, H)), requires_grad=True)

    def loss(x, h):
        y, last = layer(x, h)
        return (y**2).mean() + last.sum()

    compiled = tg.compile(loss)
    compiled.check(tg.from_numpy(series(9).numpy().swapaxes(0, 1).copy()), h0, **EXACT)


def test_steps_in_several_windows(monkeypatch):
    from tinygrad_rnn.compiler import windows

    monkeypatch.setattr(windows, "WINDOW_BYTES", 6 * H * 8)
    tg.compile(regression(nn.RNN(D, H, 2))).check(series(20), **EXACT)


@pytest.mark.parametrize("head", ["each", "all"])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "highway"])
def test_loops_over_cells_equal_eager(cell, head):
    compiled = tg.compile(loops.loss_of(cell, loops.weights(cell), head=head))
    compiled.check(*loops.batch(rows=1, steps=6), **EXACT)


def test_rows_are_stacked_and_their_left_part_is_the_states():
    program, widened = both(regression(nn.RNN(D, H)), series(6))
    assert (
        ops(program).count("add") - ops(widened).count("add") == 6 + 5 + 1
    )  # each step's, but not the last one's backward, and the bias's
    wide = [ins for ins in widened.instructions if ins.op == "stack" and ins.shape[-1] > H]
    assert {ins.shape for ins in wide} >= {(6, 1, H + D + 1)}


def test_inputs_and_ones_are_copied_beside_the_states_at_once():
    loss = regression(nn.RNN(D, H, bias=True))

    def copies(steps):
        return tg.compile(loss).plan(series(steps)).layout.count_copies()

    assert abs(copies(30) - copies(10)) <= 2


def test_ones_beside_the_states_stay_there_when_memory_is_used_again():
    layer = nn.RNN(D, H).double()

    @tg.compile
    def forward(x, k):  # each value of k's size could take the place of the rows, which nobody reads any more
        k = k * layer(x)[0].sum()
        return (np.tanh(k) * np.exp(np.sin(k))).sum()

    k = tg.from_numpy(np.random.default_rng(1).normal(size=(6, 1, H + D + 1)))
    with tg.no_grad():
        (wide,) = {i.shape for i in forward.program(series(6), k).instructions if i.op == "stack" and i.shape[-1] > H}
        assert wide == k.shape
        for seed in range(3):
            forward.check(series(6, seed=seed), k, **EXACT)


def test_inputs_that_lie_spread_out_are_copied_right():
    """They are computed right where they are joined with others, so that their rows have gaps between them."""
    first = tg.tensor(np.random.default_rng(2).normal(size=(5, D)), requires_grad=True)

    @tg.compile
    def loss(x):
        inputs = np.tanh(x @ first)
        projected = inputs @ w
        h, states = tg.zeros(1, H, dtype=x.dtype), []
        for t in range(len(x)):
            h = np.tanh(projected[t : t + 1] + h @ u)
            states.append(h)
        return (np.stack(states) ** 2).sum() + (np.concatenate([inputs, np.exp(x)], axis=1) ** 2).sum()

    for seed in range(2):
        loss.check(tg.from_numpy(np.random.default_rng(seed).normal(size=(6, 5))), **EXACT)


w = tg.tensor(np.random.default_rng(0).normal(size=(D, H)) * 0.3, requires_grad=True)
u = tg.tensor(np.random.default_rng(1).normal(size=(H, H)) * 0.3, requires_grad=True)


def attention(x):
    """Each step attends to all states so far."""
    h, states = tg.zeros(1, H, dtype=x.dtype), []
    for t in range(len(x)):
        h = np.tanh(x[t] @ w + h @ u)
        states.append(h)
        past = np.stack(states)
        h = h + (past * (past * h).sum(axis=-1, keepdims=True)).mean(axis=0)
    return np.stack(states).sum()


def beside_others(x):
    """Each state is also put beside another value."""
    h, pairs = tg.zeros(1, H, dtype=x.dtype), []
    for t in range(len(x)):
        h = np.tanh(x[t] @ w + h @ u)
        pairs.append(np.concatenate([h, x[t]], axis=1))
    return (np.stack(pairs) ** 2).sum()


def last_only(x):
    h = tg.zeros(1, H, dtype=x.dtype)
    for t in range(len(x)):
        h = np.tanh(x[t] @ w + h @ u)
    return h.sum()


@pytest.mark.parametrize("function", [attention, beside_others, last_only], ids=lambda f: f.__name__)
def test_other_readers_of_the_states(function):
    both(function, series(7))
    tg.compile(function).check(series(7), **EXACT)


def test_a_stack_of_rows_needs_all_of_them_in_one_order():
    """States stacked in two orders that contradict each other cannot both be parts of one stack of rows."""

    def both_ways(x):
        h, states = tg.zeros(1, H, dtype=x.dtype), []
        for t in range(len(x)):
            h = np.tanh(x[t] @ w + h @ u)
            states.append(h)
        return (np.stack(states) * np.stack(states[::-1])).sum()

    program, widened = both(both_ways, series(6))
    assert ops(widened, backward=False).count("add") == ops(program, backward=False).count("add")
    tg.compile(both_ways).check(series(6), **EXACT)


def test_batches_and_heavy_inputs_are_left_alone(monkeypatch):
    layer = nn.RNN(D, H).double()
    x = tg.from_numpy(np.random.default_rng(0).normal(size=(6, 2, D)))
    program, widened = both(lambda x: layer(x)[0], x)
    assert widened is program
    monkeypatch.setattr(rows, "LIGHT", D * H * 8 - 1)
    program, widened = both(regression(nn.RNN(D, H)), series(6))
    assert ops(program).count("add") - ops(widened).count("add") == 5, "only the head's weight is light enough"


def test_one_row_and_a_number_without_axes():
    shift = tg.tensor(0.3, requires_grad=True, dtype=tg.float64)
    tg.compile(lambda x: np.tanh(x[0] @ w + shift).sum()).check(series(2), **EXACT)
