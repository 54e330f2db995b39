"""The expert form computes what the textbook form computes, to 1e-10, and nothing it was not asked for."""

import tracemalloc

import numpy as np
import pytest

from tests.manual.oracles import assert_is_gradient, random_shapes, relative
from tinygrad_rnn.manual import gated, rnn, vectorized
from tinygrad_rnn.manual.vectorized import GRU, LSTM, Network, TanhRNN

CELLS = [
    pytest.param(TanhRNN, rnn.loss_and_gradients, 1, id="rnn"),
    pytest.param(LSTM, gated.lstm_loss_and_gradients, 4, id="lstm"),
    pytest.param(GRU, gated.gru_loss_and_gradients, 3, id="gru"),
]


def stacked_parameters(rng, V: int, E: int, H: int, C: int, gates: int, layers: int = 2) -> dict[str, np.ndarray]:
    """Names as in a PyTorch module with an embedding, a recurrent stack called `rnn`, and a head."""
    parameters = {"embedding.weight": rng.standard_normal((V, E))}
    for layer in range(layers):
        cell = rnn.initialize_parameters(H if layer else E, H, C, rng, gates=gates)
        head = {name: cell.pop(name) for name in ("head.weight", "head.bias")}
        parameters |= {f"rnn.{name}_l{layer}": value for name, value in cell.items()}
    return parameters | head


@pytest.mark.parametrize(("cell", "textbook", "gates"), CELLS)
def test_equals_the_textbook_at_50_shapes(cell, textbook, gates):
    for rng, (T, B, D, H, C) in random_shapes("TBDHC", seed=60 + gates, high=9):
        p = rnn.initialize_parameters(D, H, C, rng, gates=gates)
        x, classes, values = (
            rng.standard_normal((T, B, D)),
            rng.integers(C, size=(T, B)),
            rng.standard_normal((T, B, C)),
        )
        network = Network(cell, p, T, B)
        for targets in (classes, values, classes):
            expected_loss, expected = textbook(p, x, targets)
            loss, gradients = network.loss_and_gradients(x, targets)
            assert loss == pytest.approx(expected_loss, rel=1e-10, abs=1e-14)
            assert set(gradients) == set(expected)
            for name, gradient in gradients.items():
                np.testing.assert_allclose(gradient, expected[name], rtol=1e-10, atol=1e-13, err_msg=name)


@pytest.mark.parametrize(("cell", "textbook", "gates"), CELLS)
def test_layers_and_embedding_against_differences(cell, textbook, gates):
    rng = np.random.default_rng(gates)
    p = stacked_parameters(rng, V=5, E=3, H=4, C=5, gates=gates)
    words, targets = rng.integers(4, size=(6, 2)), rng.integers(5, size=(6, 2))
    words[0] = words[1]  # a word twice: its rows are summed
    network = Network(cell, p, T=6, B=2)
    network.loss_and_gradients(np.full((6, 2), 4), targets)  # leaves nothing behind
    _, gradients = network.loss_and_gradients(words, targets)
    assert_is_gradient(lambda q: Network(cell, q, 6, 2).loss_and_gradients(words, targets)[0], p, gradients, rng)
    assert not gradients["embedding.weight"][np.setdiff1d(np.arange(5), words)].any()


@pytest.mark.parametrize(("cell", "textbook", "gates"), CELLS)
@pytest.mark.parametrize("clip", [None, 0.05, 1e9])
def test_a_hundred_steps_stay_with_the_textbook(cell, textbook, gates, clip, monkeypatch):
    monkeypatch.setattr(vectorized, "BLOCK_BYTES", 128)  # parameters are updated in several blocks
    rng = np.random.default_rng(3)
    p = rnn.initialize_parameters(3, 4, 5, rng, gates=gates)
    x, targets = rng.standard_normal((6, 2, 3)), rng.integers(5, size=(6, 2))
    network = Network(cell, p, T=6, B=2)
    for _ in range(100):
        loss, gradients = textbook(p, x, targets)
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
        rate = 0.1 * (1 if clip is None else min(1, clip / (norm + 1e-6)))
        p = {name: value - rate * gradients[name] for name, value in p.items()}
        assert network.step(x, targets, lr=0.1, clip=clip) == pytest.approx(loss, rel=1e-8)
    assert max(relative(network.parameters[name], value) for name, value in p.items()) < 1e-8


def test_a_step_with_an_embedding_clips_by_the_norm_of_all_gradients():
    rng = np.random.default_rng(4)
    p = stacked_parameters(rng, V=7, E=3, H=4, C=7, gates=4)
    words, targets = rng.integers(7, size=(5, 2)), rng.integers(7, size=(5, 2))
    _, gradients = Network(LSTM, p, 5, 2).loss_and_gradients(words, targets)
    norm = np.sqrt(sum(np.sum(g**2) for g in gradients.values()))
    network = Network(LSTM, p, 5, 2)
    network.step(words, targets, lr=0.5, clip=norm / 3)
    rate = 0.5 * (norm / 3) / (norm + 1e-6)  # PyTorch's guard against a norm of zero
    for name, value in p.items():
        np.testing.assert_allclose(network.parameters[name], value - rate * gradients[name], rtol=1e-9, atol=1e-14)


def test_scores_beyond_the_range_of_exp():
    """A head so large that exp overflows unless the softmax is shifted, upward and downward."""
    for shift in (1e4, -1e4):
        rng = np.random.default_rng(5)
        p = rnn.initialize_parameters(3, 4, 5, rng)
        p["head.bias"] += shift + 100 * np.arange(5)
        x, targets = rng.standard_normal((6, 2, 3)), rng.integers(5, size=(6, 2))
        expected_loss, expected = rnn.loss_and_gradients(p, x, targets)
        loss, gradients = Network(TanhRNN, p, 6, 2).loss_and_gradients(x, targets)
        assert loss == pytest.approx(expected_loss, rel=1e-10)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, expected[name], rtol=1e-8, atol=1e-11)


def test_the_head_goes_block_by_block_over_many_steps(monkeypatch):
    monkeypatch.setattr(vectorized, "BLOCK_BYTES", 64)
    rng = np.random.default_rng(6)
    p = rnn.initialize_parameters(3, 2, 5, rng)
    x, classes, values = rng.standard_normal((11, 3, 3)), rng.integers(5, size=(11, 3)), rng.standard_normal((11, 3, 5))
    network = Network(TanhRNN, p, 11, 3)
    assert [block.stop - block.start for block, *_ in network.head.blocks] == [8, 8, 8, 8, 1]
    for targets in (classes, values):
        expected_loss, expected = rnn.loss_and_gradients(p, x, targets)
        loss, gradients = network.loss_and_gradients(x, targets)
        assert loss == pytest.approx(expected_loss, rel=1e-12)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, expected[name], rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_classes_of_any_integer_type(dtype):
    rng = np.random.default_rng(12)
    p = rnn.initialize_parameters(3, 4, 200, rng)
    x, targets = rng.standard_normal((6, 2, 3)), rng.integers(200, size=(6, 2)).astype(dtype)
    loss, gradients = Network(TanhRNN, p, 6, 2).loss_and_gradients(x, targets)
    expected_loss, expected = rnn.loss_and_gradients(p, x, targets)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(gradients["head.weight"], expected["head.weight"], atol=1e-14)


def test_parameters_are_live_views_and_the_given_arrays_stay():
    rng = np.random.default_rng(7)
    p = rnn.initialize_parameters(3, 4, 5, rng)
    kept = {name: value.copy() for name, value in p.items()}
    x, targets = rng.standard_normal((6, 2, 3)), rng.integers(5, size=(6, 2))
    network = Network(TanhRNN, p, 6, 2)
    first = network.step(x, targets, lr=0.1)
    for name, value in kept.items():
        np.testing.assert_array_equal(p[name], value)
        network.parameters[name][...] = value
    assert network.step(x, targets, lr=0.1) == first


@pytest.mark.parametrize(("cell", "textbook", "gates"), CELLS)
def test_every_buffer_of_a_layer_starts_on_a_cache_line_and_keeps_float32(cell, textbook, gates):
    rng = np.random.default_rng(8)
    p = rnn.initialize_parameters(3, 16, 5, rng, gates=gates, dtype=np.float32)
    network = Network(cell, p, 6, 2)
    for array in [*vars(network.layers[0]).values(), *network.parameters.values(), *network.gradients.values()]:
        if isinstance(array, np.ndarray):
            assert array.dtype == np.float32
            assert array.ctypes.data % 64 == 0 or array.size < 16


def test_a_step_keeps_no_new_memory_and_makes_no_large_temporary():
    T, B, H = 40, 8, 64
    rng = np.random.default_rng(9)
    p = rnn.initialize_parameters(8, H, 8, rng, gates=4, dtype=np.float32)
    x, targets = rng.standard_normal((T, B, 8), dtype=np.float32), rng.integers(8, size=(T, B))
    network = Network(LSTM, p, T, B)
    tracemalloc.start()
    try:
        for _ in range(3):
            network.step(x, targets, lr=0.1, clip=5.0)
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        for _ in range(5):
            network.step(x, targets, lr=0.1, clip=5.0)
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 1024
    assert peak - before < T * B * H * 4, "a temporary as large as the states was made"


def test_bad_input_is_told_so():
    rng = np.random.default_rng(11)
    p = rnn.initialize_parameters(3, 4, 5, rng)
    network = Network(TanhRNN, p, 6, 2)
    words = Network(TanhRNN, stacked_parameters(rng, 7, 3, 4, 7, 1), 6, 2)
    x, targets = np.zeros((6, 2, 3)), np.zeros((6, 2), int)
    calls = [
        (lambda: network.step(np.zeros((6, 3, 3)), targets, 0.1), r"inputs of shape \(6, 2, 3\), got \(6, 3, 3\)"),
        (lambda: network.step(x, np.zeros((6, 3), int), 0.1), r"targets of shape \(6, 2\), got \(6, 3\)"),
        (lambda: network.step(x, np.zeros((6, 2, 4)), 0.1), r"targets of shape \(6, 2, 5\)"),
        (lambda: network.step(x, np.full((6, 2), 5), 0.1), "targets from 0 to 4, got 5 to 5"),
        (lambda: network.step(x, np.full((6, 2), -1), 0.1), "targets from 0 to 4, got -1 to -1"),
        (lambda: words.step(np.full((6, 2), 7), targets, 0.1), "words from 0 to 6"),
        (lambda: words.step(np.zeros((6, 2)), targets, 0.1), "words from 0 to 6, got float64"),
        (lambda: Network(TanhRNN, p, 0, 2), "T=0, B=2"),
        (lambda: Network(LSTM, p, 6, 2), r"weight_ih of shape \(16, 3\), got \(4, 3\)"),
        (lambda: Network(TanhRNN, {"head.bias": p["head.bias"]}, 6, 2), "weight_ih or weight_ih_l0"),
        (lambda: Network(TanhRNN, {k: v for k, v in p.items() if k != "bias_hh"}, 6, 2), "lack bias_hh"),
        (lambda: Network(TanhRNN, p | {"bias_hh": np.zeros(4, np.float32)}, 6, 2), "float32, float64"),
    ]
    for call, message in calls:
        with pytest.raises(ValueError, match=message):
            call()
