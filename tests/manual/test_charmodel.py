"""Rows S2.1 to S2.9: the character model that learns "hello world"."""

import inspect

import numpy as np
import pytest

from tests.manual.oracles import assert_is_gradient, random_shapes, relative
from tinygrad_rnn.manual import charmodel
from tinygrad_rnn.manual.charmodel import build_vocab, loss_and_gradients, one_hot_encode, sample, train_rnn

TEXT = "hello world"


def random_problem(rng: np.random.Generator, A: int, X: int, Y: int, m: int, T: int):
    shapes = {"Waa": (A, A), "Wax": (A, X), "Wya": (Y, A), "ba": (A, 1), "by": (Y, 1)}
    parameters = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
    y = np.eye(Y)[rng.integers(Y, size=(m, T))].transpose(2, 0, 1)
    return parameters, rng.standard_normal((X, m, T)), y


@pytest.fixture(scope="module")
def trained():
    chars, char_to_ix, ix_to_char = build_vocab(TEXT)
    x, y = one_hot_encode(TEXT, char_to_ix, len(chars))
    parameters = train_rnn(x, y, n_a=32, num_epoches=2000, lr=0.05)
    stream = np.random.get_state()  # noqa: NPY002 - what the documented seed leaves behind
    return parameters, char_to_ix, ix_to_char, stream


def test_s2_1_vocabulary():
    chars, char_to_ix, ix_to_char = build_vocab(TEXT)
    assert chars == [" ", "d", "e", "h", "l", "o", "r", "w"]
    assert [char_to_ix[char] for char in chars] == list(range(8)) == list(ix_to_char)
    assert "".join(ix_to_char[i] for i in range(8)) == " dehlorw"


def test_s2_2_targets_are_the_inputs_one_later():
    chars, char_to_ix, _ = build_vocab(TEXT)
    x, y = one_hot_encode(TEXT, char_to_ix, len(chars))
    assert x.shape == y.shape == (8, 1, 10)
    assert "".join(chars[i] for i in x[:, 0].argmax(axis=0)) == "hello worl"
    assert "".join(chars[i] for i in y[:, 0].argmax(axis=0)) == "ello world"
    assert np.all(x.sum(axis=0) == 1)


def test_s2_3_initialisation_reseeds_with_1():
    np.random.seed(7)  # noqa: NPY002
    parameters = charmodel.initialize_parameters(4, 3, 2)
    np.random.seed(1)  # noqa: NPY002
    for name, shape in (("Waa", (4, 4)), ("Wax", (4, 3)), ("Wya", (2, 4))):
        np.testing.assert_array_equal(parameters[name], 0.01 * np.random.randn(*shape))  # noqa: NPY002
    np.testing.assert_array_equal(parameters["ba"], np.zeros((4, 1)))
    np.testing.assert_array_equal(parameters["by"], np.zeros((2, 1)))


def test_s2_4_forward_values_and_layout():
    p, x, _ = random_problem(np.random.default_rng(0), A=4, X=3, Y=5, m=2, T=6)
    a, y_hat, caches = charmodel.rnn_forward(x, np.zeros((4, 2)), p)
    assert (a.shape, y_hat.shape, len(caches)) == ((4, 2, 6), (5, 2, 6), 6)
    a1 = np.tanh(p["Wax"] @ x[:, :, 0] + p["ba"])
    a2 = np.tanh(p["Wax"] @ x[:, :, 1] + p["Waa"] @ a1 + p["ba"])
    np.testing.assert_allclose(a[:, :, 1], a2, rtol=1e-14)
    e = np.exp(p["Wya"] @ a2 + p["by"])
    np.testing.assert_allclose(y_hat[:, :, 1], e / e.sum(axis=0), rtol=1e-13)


def test_s2_4_softmax_survives_large_scores():
    np.testing.assert_array_equal(charmodel.softmax(np.array([[1e4], [-1e4]])), [[1.0], [0.0]])


def test_s2_5_loss_is_summed_over_time_and_averaged_over_the_batch():
    rng = np.random.default_rng(0)
    _, _, y = random_problem(rng, A=1, X=1, Y=5, m=3, T=4)
    y_hat = charmodel.softmax(rng.standard_normal((5, 3, 4)))
    total = sum(-np.log(y_hat[y[:, i, t].argmax(), i, t] + 1e-8) for i in range(3) for t in range(4))
    assert charmodel.compute_loss(y_hat, y) == pytest.approx(total / 3, rel=1e-14)
    impossible = np.where(y > 0, 0.0, 0.25)
    assert charmodel.compute_loss(impossible, y) == pytest.approx(4 * -np.log(1e-8), rel=1e-12)


@pytest.mark.parametrize("epsilon", [0.0, charmodel.EPSILON, 0.3])
def test_s2_6_every_gradient_is_the_derivative_of_its_loss_at_50_shapes(epsilon):
    for rng, (A, X, Y, m, T) in random_shapes("AXYmT", seed=26):
        p, x, y = random_problem(rng, A, X, Y, m, T)
        _, gradients = loss_and_gradients(p, x, y, epsilon)
        assert_is_gradient(lambda q: loss_and_gradients(q, x, y, epsilon)[0], p, gradients, rng)  # noqa: B023


def test_s2_6_a_probability_that_underflows_spoils_nothing():
    y_hat, y = np.array([1.0, 0.0]).reshape(2, 1, 1), np.array([1.0, 0.0]).reshape(2, 1, 1)
    assert charmodel.compute_loss(y_hat, y, epsilon=0.0) == 0
    np.testing.assert_array_equal(charmodel.output_error(y_hat, y), np.zeros((2, 1, 1)))


def test_s2_6_the_published_form_is_m_times_the_gradient():
    p, x, y = random_problem(np.random.default_rng(3), A=4, X=3, Y=5, m=3, T=4)
    _, y_hat, caches = charmodel.rnn_forward(x, np.zeros((4, 3)), p)
    published = np.zeros_like(p["by"]) + (y_hat - y).sum(axis=(1, 2))[:, None]
    assert relative(published, 3 * charmodel.rnn_backward(y, y_hat, caches, p)["by"]) < 1e-14


def test_s2_6_update_leaves_its_arguments_alone():
    p = {"w": np.ones(2)}
    np.testing.assert_allclose(charmodel.update_parameters(p, {"w": np.full(2, 3.0)})["w"], 0.97)
    np.testing.assert_array_equal(p["w"], 1)
    assert inspect.signature(charmodel.update_parameters).parameters["lr"].default == 0.01


def test_s2_7_signature_and_both_spellings(capsys):
    signature = inspect.signature(train_rnn)
    assert list(signature.parameters)[:5] == ["x", "y", "n_a", "num_epoches", "lr"]
    assert (signature.parameters["num_epoches"].default, signature.parameters["lr"].default) == (100, 0.01)
    x, y = one_hot_encode(TEXT, build_vocab(TEXT)[1], 8)
    first, second = train_rnn(x, y, 4, num_epoches=11), train_rnn(x, y, 4, num_epochs=11)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Epoch 0", "Epoch 10"] * 2
    assert lines[0].startswith("Epoch 0: loss = 20.79")
    np.testing.assert_array_equal(first["Waa"], second["Waa"])


def test_s2_8_reference_losses():
    x, y = one_hot_encode(TEXT, build_vocab(TEXT)[1], 8)
    golden = {0: 20.797645, 10: 19.232697, 100: 0.502914, 200: 0.085794, 300: 0.045403, 500: 0.022855, 1000: 0.009903}
    golden |= {1990: 0.004548, 1999: 0.004525}
    parameters = charmodel.initialize_parameters(32, 8, 8)
    for epoch in range(2000):
        _, y_hat, caches = charmodel.rnn_forward(x, np.zeros((32, 1)), parameters)
        gradients, loss = charmodel.rnn_backward(y, y_hat, caches, parameters), charmodel.compute_loss(y_hat, y)
        parameters = charmodel.update_parameters(parameters, gradients, lr=0.05)
        if epoch in golden:
            assert loss == pytest.approx(golden[epoch], abs=1e-5), epoch


def test_s2_9_samples_are_the_documented_ones(trained):
    parameters, char_to_ix, ix_to_char, stream = trained
    np.random.set_state(stream)  # noqa: NPY002
    assert sample(parameters, char_to_ix, ix_to_char, "h") == "hello worldo worldolw"
    assert sample(parameters, char_to_ix, ix_to_char, "h", greedy=True) == "hello worldo worldo w"
    assert sample(parameters, char_to_ix, ix_to_char, "w", length=0) == "w"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_vocab(""), "at least one character"),
        (lambda: one_hot_encode("h", {"h": 0}, 1), "at least 2 characters"),
        (lambda: one_hot_encode("hx", {"h": 0}, 1), "vocabulary 'h', got 'x'"),
        (lambda: one_hot_encode("hh", {"h": 3}, 2), "below vocab_size=2, got 3"),
        (lambda: charmodel.initialize_parameters(0, 1, 1), "n_a=0"),
        (lambda: train_rnn(*one_hot_encode("ab", {"a": 0, "b": 1}, 2), 3, num_epoches=-1), "at least 0, got -1"),
        (lambda: charmodel.compute_loss(np.zeros((2, 1, 3)), np.zeros((2, 1, 2))), "one shape"),
    ],
)
def test_bad_input_is_told_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_arguments_of_forward_and_sample_are_told_so():
    p, x, y = random_problem(np.random.default_rng(0), A=4, X=3, Y=3, m=2, T=6)
    with pytest.raises(ValueError, match=r"features=3, batch, steps\), got \(2, 2, 6\)"):
        loss_and_gradients(p, x[:2], y)
    with pytest.raises(ValueError, match=r"a0 of shape \(4, 2\), got \(4, 1\)"):
        charmodel.rnn_forward(x, np.zeros((4, 1)), p)
    with pytest.raises(ValueError, match="vocabulary 'abc', got 'z'"):
        sample(p, {"a": 0, "b": 1, "c": 2}, dict(enumerate("abc")), "z")
    with pytest.raises(ValueError, match="length of at least 0"):
        sample(p, {"a": 0, "b": 1, "c": 2}, dict(enumerate("abc")), "a", length=-1)
