"""Rows S1.1 to S1.7: the simple RNN, its backward pass, the trainer and its printed losses."""

import inspect

import numpy as np
import pytest

from tests.manual.oracles import assert_is_gradient, random_shapes, relative
from tinygrad_rnn.manual import classifier
from tinygrad_rnn.manual.classifier import ScratchSimpleRNNClassifier, SimpleRNN, SimpleRNN_BPTT, loss_and_gradients

W_X = np.array([[1, 3, 5, 7], [3, 5, 7, 8]]) / 100
W_H = np.array([[1, 3, 5, 7], [2, 4, 6, 8], [3, 5, 7, 8], [4, 6, 8, 10]]) / 100
X = np.array([[[1, 2], [2, 3], [3, 4]]]) / 100
PRINTED = {10: "0.068712", 20: "0.024700", 30: "0.021294", 40: "0.020934", 50: "0.020771"}


def random_problem(rng: np.random.Generator, B: int, T: int, D: int, H: int, C: int):
    shapes = {"Wx": (D, H), "Wh": (H, H), "Wy": (H, C), "Bh": (H,), "By": (C,)}
    parameters = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
    return parameters, rng.standard_normal((B, T, D)), rng.standard_normal((B, C))


def demo() -> tuple[np.ndarray, np.ndarray, ScratchSimpleRNNClassifier]:
    """S1.5: data are drawn first, then the weights."""
    np.random.seed(0)  # noqa: NPY002
    x = np.random.rand(2, 3, 2)  # noqa: NPY002
    model = ScratchSimpleRNNClassifier(n_features=2, n_nodes=4, n_output=1, learning_rate=0.1)
    return x, np.array([[0.5], [0.8]]), model


def test_s1_1_forward_is_the_recurrence_and_starts_from_h0():
    rng = np.random.default_rng(0)
    p, x, _ = random_problem(rng, B=3, T=4, D=2, H=5, C=1)
    h0 = rng.standard_normal((3, 5))
    h_T, hs = SimpleRNN(p["Wx"], p["Wh"], p["Bh"]).forward(x, h0)
    assert hs.shape == (3, 4, 5)
    h = h0
    for t in range(4):
        h = np.tanh(x[:, t] @ p["Wx"] + h @ p["Wh"] + p["Bh"])
        np.testing.assert_array_equal(hs[:, t], h)
    np.testing.assert_array_equal(h_T, h)


def test_s1_2_the_validated_array():
    h_T, hs = SimpleRNN(W_X, W_H, np.array([1, 1, 1, 1])).forward(X)
    np.testing.assert_allclose(h_T, [[0.79494228, 0.81839002, 0.83939649, 0.85584174]], atol=1e-8)
    np.testing.assert_allclose(hs[0, 0], [0.7618879813, 0.7621395823, 0.7623909533, 0.7625584062], atol=1e-10)
    np.testing.assert_allclose(hs[0, 1], [0.7922090043, 0.8141833978, 0.8340491249, 0.8497771905], atol=1e-10)


@pytest.mark.parametrize("every_step", [False, True])
def test_s1_3_backward_is_the_gradient_of_what_it_says(every_step):
    """Default: mean_b <dh_last, h_T>. Published, on request: mean_b sum_t <dh_last, h_t>."""
    for rng, (B, T, D, H) in random_shapes("BTDH", seed=13):
        p, x, _ = random_problem(rng, B, T, D, H, C=1)
        seed = rng.standard_normal((B, H))

        def loss(q, x=x, seed=seed):
            hs = SimpleRNN_BPTT(q["dw_x"], q["dw_h"], q["db"]).forward(x)
            return float(np.sum((hs if every_step else hs[:, -1:]) * seed[:, None])) / len(x)

        weights = {"dw_x": p["Wx"], "dw_h": p["Wh"], "db": p["Bh"]}
        model = SimpleRNN_BPTT(*weights.values())
        hs = model.forward(x)
        gradients = model.backward(x, hs, seed, every_step) if every_step else model.backward(x, hs, seed)
        assert_is_gradient(loss, weights, gradients, rng)


def test_s1_3_the_published_sum_over_all_steps_is_another_gradient():
    p, x, _ = random_problem(np.random.default_rng(1), B=2, T=5, D=2, H=3, C=1)
    model = SimpleRNN_BPTT(p["Wx"], p["Wh"], p["Bh"])
    hs, seed = model.forward(x), np.ones((2, 3))
    right, published = model.backward(x, hs, seed), model.backward(x, hs, seed, every_step=True)
    assert min(relative(published[name], right[name]) for name in right) > 0.1


def test_s1_4_signature_attributes_and_order_of_draws():
    signature = inspect.signature(ScratchSimpleRNNClassifier)
    assert list(signature.parameters) == ["n_features", "n_nodes", "n_output", "learning_rate"]
    assert signature.parameters["learning_rate"].default == 0.01
    assert inspect.signature(ScratchSimpleRNNClassifier.train).parameters["epochs"].default == 50
    np.random.seed(5)  # noqa: NPY002
    model = ScratchSimpleRNNClassifier(2, 3, 4)
    np.random.seed(5)  # noqa: NPY002
    for name, shape in (("Wx", (2, 3)), ("Wh", (3, 3)), ("Wy", (3, 4))):
        np.testing.assert_array_equal(getattr(model, name), 0.1 * np.random.randn(*shape))  # noqa: NPY002
    np.testing.assert_array_equal(model.Bh, np.zeros(3))
    np.testing.assert_array_equal(model.By, np.zeros(4))


def test_s1_4_gradients_are_those_of_the_printed_loss_at_50_shapes():
    for rng, (B, T, D, H, C) in random_shapes("BTDHC", seed=14):
        p, x, y = random_problem(rng, B, T, D, H, C)
        assert_is_gradient(lambda q: loss_and_gradients(q, x, y)[0], p, loss_and_gradients(p, x, y)[1], rng)  # noqa: B023


@pytest.mark.parametrize("C", [1, 3])
def test_s1_4_the_step_is_the_documented_one(C):
    """theta <- theta - learning_rate d/dtheta of 1/(2B) sum (y_hat - y)^2: half the loss, for one output."""
    p, x, y = random_problem(np.random.default_rng(2), B=3, T=4, D=2, H=5, C=C)
    model = ScratchSimpleRNNClassifier(2, 5, C, learning_rate=0.1)
    for name, value in p.items():
        setattr(model, name, value)
    y_pred = model.forward(x)
    gradients = model.backward(x, y, y_pred)
    np.testing.assert_allclose(model.By, p["By"] - 0.1 * (y_pred - y).sum(axis=0) / 3, rtol=1e-13)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(p[name] - getattr(model, name), 0.1 * C / 2 * gradient, rtol=1e-9, atol=1e-15)


def test_s1_5_s1_6_the_demonstration_prints_the_published_losses(capsys):
    x, y, model = demo()
    history = model.train(x, y, epochs=50)
    assert capsys.readouterr().out.splitlines() == [f"Epoch {k}, Loss: {loss}" for k, loss in PRINTED.items()]
    assert history is model.loss_history
    assert len(history) == 50
    assert [history[k] for k in (0, 9, 49)] == pytest.approx([0.4243973, 0.0687115085, 0.0207713869], abs=5e-8)


def test_s1_7_main_prints_the_published_text(capsys):
    classifier.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["Problem 1: SimpleRNN Forward Propagation Test", "=" * 70, "Final hidden state (h_T):"]
    assert "Matches expected: True" in lines
    assert "Problem 3: Training the RNN Classifier" in lines
    assert [line for line in lines if line.startswith("Epoch")] == [f"Epoch {k}, Loss: {v}" for k, v in PRINTED.items()]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m: m.forward(np.zeros((2, 3, 5))), r"x of shape \(batch, steps, features=2\), got \(2, 3, 5\)"),
        (lambda m: m.forward(np.zeros((2, 0, 2))), "x of shape"),
        (lambda m: m.train(np.zeros((2, 3, 2)), np.zeros((2, 2))), r"y of shape \(batch, outputs\) = \(2, 1\)"),
        (lambda m: m.train(np.zeros((2, 3, 2)), np.zeros((2, 1)), epochs=-1), "epochs of at least 0, got -1"),
        (lambda m: m.backward(np.zeros((2, 3, 2)), np.zeros((2, 1)), np.zeros(2)), "y_pred of shape"),
        (lambda _: ScratchSimpleRNNClassifier(2, 0, 1), "at least 1, got 2, 0, 1"),
        (lambda _: SimpleRNN(W_X, W_H[:3], np.ones(4)), r"w_h \(H, H\)"),
        (lambda _: SimpleRNN(W_X, W_H, np.ones(4)).forward(X, np.zeros((2, 4))), r"h0 of shape \(batch=1, nodes=4\)"),
        (lambda _: SimpleRNN_BPTT(W_X, W_H, np.ones(4)).backward(X, np.zeros((1, 3, 4)), np.zeros(4)), "dh_last"),
    ],
)
def test_bad_input_is_told_so(call, message):
    with pytest.raises(ValueError, match=message):
        call(demo()[2])
