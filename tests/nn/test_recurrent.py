"""Recurrent layers by themselves: errors, dropout, scopes, dtypes, truncated backpropagation, long sequences."""

import warnings
from itertools import chain

import numpy as np
import pytest

import tinygrad_rnn as tg
import tinygrad_rnn.nn as nn
from tinygrad_rnn.errors import DTypeError, ShapeError
from tinygrad_rnn.graph import ancestors
from tinygrad_rnn.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

RNG = np.random.default_rng


def _lstm(**options):
    return nn.LSTM(3, 4, generator=RNG(0), **options)


MADE = [
    (lambda: nn.RNN(3, 4, nonlinearity="tan"), ValueError, r"Unknown nonlinearity 'tan'. Select from 'tanh' or 'relu'"),
    (lambda: nn.RNNCell(3, 4, nonlinearity="tan"), ValueError, "Unknown nonlinearity"),
    (lambda: nn.GRU(3, 4, dropout=1.5), ValueError, "dropout should be a number in range"),
    (lambda: nn.GRU(3, 4, dropout=True), ValueError, "dropout should be a number in range"),
    (lambda: nn.GRU(3, 4.0), TypeError, "hidden_size should be of type int, got: float"),
    (lambda: nn.GRU(3, 0), ValueError, "hidden_size must be greater than zero"),
    (lambda: nn.GRU(3, 4, 0), ValueError, "num_layers must be greater than zero"),
    (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size has to be smaller than hidden_size"),
    (lambda: nn.LSTM(3, 4, proj_size=-1), ValueError, "proj_size should be a positive integer or zero"),
    (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "only supported for LSTM"),
    (lambda: nn.RNN(3, 4, proj_size=2), ValueError, "only supported for LSTM"),
]


@pytest.mark.parametrize(("make", "error", "text"), MADE, ids=[text[:30] for _, _, text in MADE])
def test_bad_options_are_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


CALLED = [
    (
        lambda: _lstm()(tg.zeros(5, 2, 5)),
        ShapeError,
        r"input.size\(-1\) must be equal to input_size. Expected 3, got 5",
    ),
    (lambda: _lstm()(tg.zeros(5)), ShapeError, "LSTM: Expected input to be 2D or 3D, got 1D instead"),
    (lambda: _lstm()(tg.zeros(0, 2, 3)), ShapeError, "Expected sequence length to be larger than 0"),
    (lambda: _lstm(batch_first=True)(tg.zeros(2, 0, 3)), ShapeError, "Expected sequence length to be larger than 0"),
    (
        lambda: _lstm()(tg.zeros(5, 2, 3, dtype=tg.float64)),
        DTypeError,
        "expected input of the dtype of the weights, float32, got float64",
    ),
    (lambda: _lstm()(np.zeros((5, 2, 3))), TypeError, "expected a Tensor or a PackedSequence, got ndarray"),
    (lambda: _lstm()(tg.zeros(5, 2, 3), tg.zeros(1, 2, 4)), TypeError, r"as a pair \(h0, c0\), got Tensor"),
    (
        lambda: _lstm()(tg.zeros(5, 2, 3), (tg.zeros(1, 3, 4), tg.zeros(1, 2, 4))),
        ShapeError,
        r"Expected hidden\[0\] size \(1, 2, 4\), got \[1, 3, 4\]",
    ),
    (
        lambda: _lstm()(tg.zeros(5, 2, 3), (tg.zeros(1, 2, 4), tg.zeros(2, 2, 4))),
        ShapeError,
        r"Expected hidden\[1\] size \(1, 2, 4\), got \[2, 2, 4\]",
    ),
    (
        lambda: nn.GRU(3, 4)(tg.zeros(5, 2, 3), tg.zeros(1, 3, 4)),
        ShapeError,
        r"Expected hidden size \(1, 2, 4\), got \[1, 3, 4\]",
    ),
    (
        lambda: nn.GRU(3, 4)(tg.zeros(5, 3), tg.zeros(1, 1, 4)),
        ShapeError,
        "For unbatched 2-D input, hx should also be 2-D but got 3-D tensor",
    ),
    (
        lambda: nn.GRU(3, 4)(tg.zeros(5, 2, 3), tg.zeros(1, 4)),
        ShapeError,
        "For batched 3-D input, hx should also be 3-D but got 2-D tensor",
    ),
    (
        lambda: _lstm()(tg.zeros(5, 2, 3), (tg.zeros(1, 4), tg.zeros(1, 4))),
        ShapeError,
        r"hx and cx should also be 3-D but got \(2-D, 2-D\) tensors",
    ),
    (
        lambda: nn.GRU(3, 4)(tg.zeros(5, 2, 3), tg.zeros(1, 2, 4, dtype=tg.float64)),
        DTypeError,
        "expected hx of the dtype",
    ),
    (lambda: nn.GRUCell(3, 4)(tg.zeros(5, 2, 3)), ShapeError, "GRUCell: Expected input to be 1D or 2D, got 3D instead"),
    (lambda: nn.GRUCell(3, 4)(tg.zeros(2, 5)), ShapeError, "input has inconsistent input_size: got 5 expected 3"),
    (
        lambda: nn.GRUCell(3, 4)(tg.zeros(2, 3), tg.zeros(3, 4)),
        ShapeError,
        "Input batch size 2 doesn't match hidden0 batch size 3",
    ),
    (
        lambda: nn.LSTMCell(3, 4)(tg.zeros(2, 3), (tg.zeros(2, 4), tg.zeros(2, 5))),
        ShapeError,
        "hidden1 has inconsistent hidden_size: got 5",
    ),
    (
        lambda: nn.GRUCell(3, 4)(tg.zeros(2, 3), tg.zeros(4)),
        ShapeError,
        "Expected hidden to be 2D as the input is, got 1D",
    ),
    (lambda: pack_padded_sequence(tg.zeros(5, 2, 3), [2, 5]), RuntimeError, "must be sorted in decreasing order"),
    (lambda: pack_padded_sequence(tg.zeros(5, 2, 3), [2, 0]), RuntimeError, "has to be greater than 0"),
    (
        lambda: pack_padded_sequence(tg.zeros(5, 2, 3), [6, 2]),
        ShapeError,
        "expected lengths up to 5, the padded length, got 6",
    ),
    (
        lambda: pack_padded_sequence(tg.zeros(5, 2, 3), [2]),
        ShapeError,
        r"equal to batch_size, but got 1 \(batch_size=2\)",
    ),
    (
        lambda: pad_packed_sequence(pack_padded_sequence(tg.zeros(5, 2, 3), [4, 2]), total_length=3),
        ValueError,
        "Expected total_length",
    ),
    (lambda: pad_sequence([]), ValueError, "at least one sequence"),
    (lambda: pad_sequence([tg.zeros(2, 3), tg.zeros(2, 4)]), ShapeError, "differ in their first axis only"),
    (lambda: pad_sequence([tg.zeros(2)], padding_side="top"), ValueError, "'left' or 'right', got 'top'"),
]


@pytest.mark.parametrize(("call", "error", "text"), CALLED, ids=[text[:40] for _, _, text in CALLED])
def test_bad_inputs_are_refused_in_pytorchs_words(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_the_place_in_the_model_is_named():
    net = nn.Sequential(nn.Identity(), _lstm())
    with pytest.raises(ShapeError, match="LSTM in 1 got an input of shape"):
        net(tg.zeros(5, 2, 7))


def test_dropout_without_layers_to_drop_between_warns():
    with pytest.warns(UserWarning, match="non-zero dropout expects num_layers greater than 1"):
        nn.LSTM(3, 4, dropout=0.5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        nn.LSTM(3, 4, 2, dropout=0.5)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_dropout_acts_between_layers_while_training_and_by_the_generator(kind):
    x = tg.tensor(RNG(1).normal(size=(6, 2, 3)).astype(np.float32))

    def run(dropout, training, seed=2):
        rng = RNG(seed)
        layer = getattr(nn, kind)(3, 4, 3, dropout=dropout, generator=rng)
        layer.load_state_dict(getattr(nn, kind)(3, 4, 3, generator=RNG(0)).state_dict())
        return layer.train(training)(x)[0].array

    plain = run(0.0, True)
    np.testing.assert_array_equal(run(0.5, False), plain)
    dropped = run(0.5, True)
    assert not np.allclose(dropped, plain)
    np.testing.assert_array_equal(run(0.5, True), dropped)
    assert not np.array_equal(run(0.5, True, seed=3), dropped)
    # with everything dropped the last layer sees zeros, and what it gives depends on time alone
    blind = run(1.0, True)
    np.testing.assert_array_equal(blind[:, 0], blind[:, 1])


def test_dropped_entries_are_scaled_so_that_the_mean_stays():
    x = tg.ones(200, 300)
    for p in (0.1, 0.5, 0.9):
        y = nn.Dropout(p, generator=RNG(4))(x).array
        np.testing.assert_allclose(np.unique(y), [0, 1 / (1 - p)], rtol=1e-6)
        assert (y == 0).mean() == pytest.approx(p, abs=0.01)
    channels = nn.Dropout1d(0.5, generator=RNG(4))(tg.ones(40, 30, 5)).array
    assert set(map(len, map(np.unique, channels.reshape(-1, 5)))) == {1}
    assert not nn.Dropout(1.0)(x).array.any()


def test_every_step_and_direction_has_its_scope():
    layer = nn.GRU(3, 4, 2, bidirectional=True)
    net = nn.Sequential(layer)
    nodes = ancestors([net(tg.zeros(3, 2, 3, requires_grad=True))[0].node])
    places = {(n.scope.path, n.scope.t) for n in nodes if n.op == "tanh"}
    assert places == {(f"0.l{k}{side}", t) for k in (0, 1) for side in ("", "_reverse") for t in range(3)}
    assert {n.scope.t for n in nodes if n.op == "getitem" and n.parents[0].op == "leaf"} == {0, 1, 2}
    assert {p.name for n in nodes for p in n.parents if p.name} == {n for n, _ in layer.named_parameters()}


def test_one_step_is_recorded_like_the_next():
    nodes = ancestors([nn.LSTM(3, 4)(tg.zeros(6, 2, 3))[0].node])
    steps = [[n.op for n in nodes if n.scope.t == t] for t in range(1, 6)]
    assert all(ops == steps[0] for ops in steps)
    assert len(steps[0]) == 18


def test_float32_stays_float32():
    for kind in ("RNN", "LSTM", "GRU"):
        layer = getattr(nn, kind)(3, 4, 2, bidirectional=True)
        output, _ = layer(tg.ones(3, 2, 3))
        output.sum().backward()
        assert output.dtype == np.float32
        assert {p.grad.dtype for p in layer.parameters()} == {np.dtype(np.float32)}


def test_truncated_backpropagation_stops_at_detached_states():
    layer = nn.LSTM(1, 2, generator=RNG(5))
    x = tg.tensor(RNG(6).normal(size=(6, 1, 1)).astype(np.float32), requires_grad=True)
    _, state = layer(x[:3])
    output, _ = layer(x[3:], tuple(part.detach() for part in state))
    output.sum().backward()
    assert not x.grad.array[:3].any()
    assert x.grad.array[3:].all()
    whole, _ = layer(x)
    np.testing.assert_allclose(whole.array[3:], output.array, rtol=1e-6)


def test_unused_steps_get_no_gradient():
    layer = nn.GRU(2, 3)
    x = tg.ones(5, 1, 2, requires_grad=True)
    layer(x)[0][1].sum().backward()
    assert x.grad.array[:2].all()
    assert not x.grad.array[2:].any()


def test_ten_thousand_steps_run_forward_and_backward():
    layer = nn.RNN(1, 2, generator=RNG(7))
    x = tg.tensor(RNG(8).normal(size=(10_000, 1, 1)).astype(np.float32))
    layer(x)[0].sum().backward()
    assert np.isfinite(layer.weight_hh_l0.grad.array).all()


def test_parameters_come_out_by_layer_and_flattening_does_nothing():
    layer = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    layer.flatten_parameters()
    assert [[w.shape for w in weights] for weights in layer.all_weights] == [
        [(16, 3), (16, 2), (16,), (16,), (2, 4)],
        [(16, 3), (16, 2), (16,), (16,), (2, 4)],
        [(16, 4), (16, 2), (16,), (16,), (2, 4)],
        [(16, 4), (16, 2), (16,), (16,), (2, 4)],
    ]
    assert [w is p for w, p in zip(chain(*layer.all_weights), layer.parameters(), strict=True)] == [True] * 20


def test_packed_sequences_change_their_dtype():
    packed = pack_padded_sequence(tg.zeros(3, 2, 1), [3, 1])
    assert packed.double().data.dtype == np.float64
    assert packed.cpu().to("cpu") is packed
    assert packed.double().float().data.dtype == np.float32
