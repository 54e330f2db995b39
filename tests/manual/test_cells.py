"""The textbook tanh RNN, LSTM and GRU: every gradient is the derivative, at 50 random shapes each."""

import numpy as np
import pytest

from tests.manual.oracles import assert_is_gradient, random_shapes
from tinygrad_rnn.manual import gated, rnn

CELLS = [
    pytest.param(rnn.loss_and_gradients, 1, id="rnn"),
    pytest.param(gated.lstm_loss_and_gradients, 4, id="lstm"),
    pytest.param(gated.gru_loss_and_gradients, 3, id="gru"),
]


def random_parameters(rng: np.random.Generator, D: int, H: int, C: int, gates: int) -> dict[str, np.ndarray]:
    """Larger than at initialisation, so that no term is too small to be missed."""
    return {k: 1.5 * v for k, v in rnn.initialize_parameters(D, H, C, rng, gates=gates).items()}


@pytest.mark.parametrize(("loss_and_gradients", "gates"), CELLS)
def test_parameter_gradients_with_cross_entropy(loss_and_gradients, gates):
    for rng, (T, B, D, H, C) in random_shapes("TBDHC", seed=gates):
        p = random_parameters(rng, D, H, C, gates)
        x, targets, h0 = rng.standard_normal((T, B, D)), rng.integers(C, size=(T, B)), rng.standard_normal((B, H))
        _, gradients = loss_and_gradients(p, x, targets, h0)
        assert_is_gradient(lambda q: loss_and_gradients(q, x, targets, h0)[0], p, gradients, rng)  # noqa: B023


@pytest.mark.parametrize(("loss_and_gradients", "gates"), CELLS)
def test_parameter_gradients_with_squared_error(loss_and_gradients, gates):
    rng = np.random.default_rng(5)
    p = random_parameters(rng, 3, 4, 2, gates)
    x, targets = rng.standard_normal((5, 3, 3)), rng.standard_normal((5, 3, 2))
    _, gradients = loss_and_gradients(p, x, targets)
    assert_is_gradient(lambda q: loss_and_gradients(q, x, targets)[0], p, gradients, rng)


def test_rnn_gradients_of_inputs_and_first_state():
    rng = np.random.default_rng(6)
    p = random_parameters(rng, 3, 4, 1, 1)
    at = {"x": rng.standard_normal((5, 2, 3)), "h0": rng.standard_normal((2, 4))}
    w = rng.standard_normal((5, 2, 4))
    states = rnn.forward(p, at["x"], at["h0"])
    _, dx, dh0 = rnn.backward(p, at["x"], states, w)
    assert_is_gradient(lambda q: np.sum(w * rnn.forward(p, q["x"], q["h0"])[1:]), at, {"x": dx, "h0": dh0}, rng)


def test_lstm_gradients_of_inputs_first_states_and_last_cell_state():
    rng = np.random.default_rng(7)
    p = random_parameters(rng, 3, 4, 1, 4)
    at = {"x": rng.standard_normal((5, 2, 3)), "h0": rng.standard_normal((2, 4)), "c0": rng.standard_normal((2, 4))}
    w, wc = rng.standard_normal((5, 2, 4)), rng.standard_normal((2, 4))

    def loss(q):
        outputs, c_last, _ = gated.lstm_forward(p, q["x"], q["h0"], q["c0"])
        return np.sum(w * outputs) + np.sum(wc * c_last)

    _, _, steps = gated.lstm_forward(p, at["x"], at["h0"], at["c0"])
    _, *gradients = gated.lstm_backward(p, at["x"], steps, w, wc)
    assert_is_gradient(loss, at, dict(zip(at, gradients, strict=True)), rng)


def test_gru_gradients_of_inputs_and_first_state():
    rng = np.random.default_rng(8)
    p = random_parameters(rng, 3, 4, 1, 3)
    at = {"x": rng.standard_normal((5, 2, 3)), "h0": rng.standard_normal((2, 4))}
    w = rng.standard_normal((5, 2, 4))
    _, steps = gated.gru_forward(p, at["x"], at["h0"])
    _, *gradients = gated.gru_backward(p, at["x"], steps, w)
    assert_is_gradient(
        lambda q: np.sum(w * gated.gru_forward(p, q["x"], q["h0"])[0]), at, dict(zip(at, gradients, strict=True)), rng
    )


@pytest.mark.parametrize(("loss_and_gradients", "gates"), CELLS)
def test_float32_stays_float32_and_inputs_are_untouched(loss_and_gradients, gates):
    rng = np.random.default_rng(9)
    p = rnn.initialize_parameters(3, 4, 5, rng, gates=gates, dtype=np.float32)
    x, targets = rng.standard_normal((6, 2, 3), dtype=np.float32), rng.integers(5, size=(6, 2))
    for array in [*p.values(), x, targets]:
        array.flags.writeable = False
    _, gradients = loss_and_gradients(p, x, targets)
    assert {str(gradient.dtype) for gradient in gradients.values()} == {"float32"}
    _, exact = loss_and_gradients({k: v.astype(np.float64) for k, v in p.items()}, x.astype(np.float64), targets)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, exact[name], atol=1e-5)


@pytest.mark.parametrize("a", [-800.0, 0.0, 800.0])
def test_sigmoid_does_not_overflow(a):
    assert gated.sigmoid(np.array(a)) == pytest.approx({-800.0: 0.0, 0.0: 0.5, 800.0: 1.0}[a])


@pytest.mark.parametrize(("loss_and_gradients", "gates"), CELLS)
def test_bad_input_is_told_so(loss_and_gradients, gates):
    rng = np.random.default_rng(10)
    p = rnn.initialize_parameters(3, 4, 5, rng, gates=gates)
    x, targets = np.zeros((6, 2, 3)), np.zeros((6, 2), int)
    cases = [
        ((p, np.zeros((6, 2, 4)), targets), r"features=3\), got \(6, 2, 4\)"),
        ((p, np.zeros((0, 2, 3)), targets), "x of shape"),
        ((p, x, targets, np.zeros((3, 4))), r"state of shape \(batch=2, H=4\), got \(3, 4\)"),
        ((p, x, np.zeros((6, 3), int)), r"targets of shape \(6, 2\)"),
        ((p, x, np.full((6, 2), 5)), "targets from 0 to 4, got 5 to 5"),
        ((p, x, np.zeros((6, 2, 4))), r"targets of shape \(6, 2, 5\)"),
        ((p | {"weight_ih": np.zeros((5, 3))}, x, targets), "rows, got 5"),
    ]
    for arguments, message in cases:
        with pytest.raises(ValueError, match=message):
            loss_and_gradients(*arguments)
    with pytest.raises(ValueError, match="hidden 0"):
        rnn.initialize_parameters(3, 0, 5, rng)
