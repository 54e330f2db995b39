"""What the comparer and the doctor read off a graph: rules for many cotangents, steps, states, gates, operands."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compare import models, wrong
from tests.ops.running import CASES, IDS, run, sources, with_gradient
from tests.samples import rng_of
from tinygrad_rnn import nn
from tinygrad_rnn.compare.anatomy.pull import pull
from tinygrad_rnn.compare.anatomy.recording import record
from tinygrad_rnn.compare.anatomy.shares import Shares
from tinygrad_rnn.compare.anatomy.steps import cotangents
from tinygrad_rnn.compare.anatomy.structure import Structure
from tinygrad_rnn.nn.utils.stateless import functional_call

SMOOTH = [i for i, case in enumerate(CASES) if with_gradient(*case)]


@pytest.mark.parametrize(("name", "sample"), [CASES[i] for i in SMOOTH], ids=[IDS[i] for i in SMOOTH])
def test_many_cotangents_at_once_are_pulled_like_each_alone(name, sample):
    args, y = run(name, sample)
    node, ours = y.node, sources(name, sample, args)
    G = rng_of(name, str(sample)).standard_normal((3, *y.shape))
    values = [a.array if isinstance(a, tg.Tensor) else a for a in args]
    totals = {id(t.node): np.zeros((3, *t.shape)) for t in ours}
    for i, parent in enumerate(node.parents):
        if id(parent) in totals:
            totals[id(parent)] = totals[id(parent)] + pull(node, i, G.astype(y.dtype), y.array, values)
    for k, g in enumerate(G.astype(y.dtype)):
        alone = tg.autograd.grad(y, ours, grad_outputs=tg.tensor(g), retain_graph=True, allow_unused=True)
        for t, expected in zip(ours, alone, strict=True):
            expected = np.zeros(t.shape) if expected is None else expected.array
            np.testing.assert_allclose(totals[id(t.node)][k], expected, rtol=1e-12, atol=1e-14)


def structure_of(cell, style, **sizes):
    made = wrong.problem(cell, np.random.default_rng(1), **sizes)
    return made, Structure(record(models.loss_function(made, style), made.params))


@pytest.mark.parametrize("style", ["scoped", "bare", "layers"])
@pytest.mark.parametrize(("cell", "states"), [("rnn", 1), ("lstm", 2), ("gru", 1)])
def test_steps_and_states_are_found(cell, states, style):
    _, structure = structure_of(cell, style, T=6)
    (loop,) = structure.loops
    assert structure.inferred == (style == "bare")
    assert loop.times == list(range(6))
    assert len(loop.states) == states
    for state in loop.states:
        assert sorted(state.nodes) == list(range(6))
    # the output state is read from outside at every step; the running total of losses is no state
    assert sorted(len(state.entries) for state in loop.states) == ([0, 6] if states == 2 else [6])


@pytest.mark.parametrize("style", ["scoped", "layers"])
@pytest.mark.parametrize(("cell", "count"), [("lstm", 4), ("gru", 3)])
def test_gates_are_the_blocks_of_what_is_cut_up(cell, count, style):
    made, structure = structure_of(cell, style, T=4, H=5)
    gates = structure.gates(structure.loops[0])
    assert {(gate.blocks, gate.size) for gate in gates} == {(count, 5)}
    assert made.hidden == 5


def test_both_directions_are_two_loops_of_which_one_runs_backwards():
    layer = nn.RNN(2, 3, bidirectional=True).double()
    params = {name: np.array(p.array) for name, p in layer.named_parameters()}
    x = tg.tensor(np.random.default_rng(2).standard_normal((4, 1, 2)))
    structure = Structure(record(lambda p: functional_call(layer, p, (x,))[0].sum(), params))
    assert sorted(loop.times for loop in structure.loops) == [[0, 1, 2, 3], [3, 2, 1, 0]]


def test_a_graph_without_repetition_has_no_loops():
    params = {"W": np.ones((2, 2))}
    structure = Structure(record(lambda p: np.tanh(tg.tensor(np.ones((3, 2))) @ p["W"]).sum(), params))
    assert structure.loops == []


@pytest.mark.parametrize("style", ["scoped", "bare", "layers"])
@pytest.mark.parametrize("cell", wrong.GATES)
def test_gradients_put_together_from_rows_are_those_of_autograd(cell, style):
    made, structure = structure_of(cell, style, T=5)
    shares = Shares(structure.recording, structure)
    arrived = cotangents(shares)
    for name, expected in structure.recording.gradients.items():
        np.testing.assert_allclose(shares.gradient(name, arrived, 1)[0], expected, rtol=1e-12, atol=1e-15)
        (group,) = shares.groups[name]
        assert sorted(set(group.steps.tolist())) == list(range(5))
        assert group.examples.max() + 1 == made.x.shape[1]


def test_uses_without_rows_are_counted_too():
    """A gain, a convolution by einsum, an embedding by index: parameters that no product of rows meets."""
    params = {"gain": np.array([2.0, -1.0]), "E": np.arange(6.0).reshape(3, 2), "M": np.eye(2) * 0.3}

    def loss_fn(p):
        h = p["gain"] * p["E"][[0, 2, 2]]
        return (np.einsum("bi,ij->bj", h, p["M"]) * h).sum()

    structure = Structure(record(loss_fn, params))
    shares = Shares(structure.recording, structure)
    for name, expected in structure.recording.gradients.items():
        np.testing.assert_allclose(shares.gradient(name, cotangents(shares), 1)[0], expected, rtol=1e-12)


def test_a_recording_is_evaluated_in_float64():
    made = wrong.problem("rnn", np.random.default_rng(3), dtype=np.float32)
    recording = record(models.loss_function(made), made.params)
    assert recording.gradients["weight_hh"].dtype == np.float32
    assert np.asarray(recording.values[recording.loss]).dtype == np.float64
