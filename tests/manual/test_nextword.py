"""Rows S4.1 to S4.5: the next word in lists and `math`, checked against NumPy's arithmetic here only."""

import math
import random

import numpy as np
import pytest

from tests.manual.oracles import assert_is_gradient, random_shapes, relative
from tinygrad_rnn.manual import nextword
from tinygrad_rnn.manual.nextword import SENTENCES, loss_and_gradients, pairs, predict, train

NEXT = {"hello": "how", "how": "are", "are": "you", "you": "doing", "doing": "well"}


def random_problem(rng: np.random.Generator, T: int, V: int, H: int):
    shapes = {"Wx": (H, V), "Wh": (H, H), "Wy": (V, H), "bh": (H,), "by": (V,)}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return p, rng.integers(V, size=T).tolist(), rng.integers(V, size=T).tolist()


def by_lists(p, words, targets, truncate=None):
    """Call the list implementation with arrays, and return arrays."""
    loss, gradients = loss_and_gradients({k: v.tolist() for k, v in p.items()}, words, targets, truncate)
    return loss, {name: np.array(value) for name, value in gradients.items()}


def test_s4_1_data():
    assert SENTENCES == ("hello how are you", "how are you doing", "are you doing well")
    assert len(nextword.build_vocabulary(SENTENCES)) == 6
    assert len(pairs(SENTENCES)) == 9
    assert dict(pairs(SENTENCES)) == NEXT


@pytest.mark.parametrize("seed", range(5))
def test_s4_1_every_target_is_predicted(seed):
    parameters, word_to_ix, losses = train(rng=random.Random(seed))
    for sentence in SENTENCES:
        words = sentence.split()
        assert predict(parameters, word_to_ix, " ".join(words[:-1])) == words[1:]
    for word, target in NEXT.items():
        assert predict(parameters, word_to_ix, word)[0] in NEXT.values()
        assert target in NEXT.values()
    assert losses[0] == pytest.approx(math.log(6), rel=0.25)
    assert losses[-1] < 0.1


def test_s4_3_forward_values():
    rng = np.random.default_rng(0)
    p, (first, second), _ = random_problem(rng, T=2, V=4, H=3)
    h1 = np.tanh(p["Wx"][:, first] + p["bh"])
    h2 = np.tanh(p["Wx"][:, second] + p["Wh"] @ h1 + p["bh"])
    e = np.exp(p["Wy"] @ h2 + p["by"])
    states, outputs = nextword.forward({k: v.tolist() for k, v in p.items()}, [first, second])
    np.testing.assert_allclose(states, [np.zeros(3), h1, h2], rtol=1e-13)
    np.testing.assert_allclose(outputs[1], e / e.sum(), rtol=1e-13)
    loss, _ = by_lists(p, [first, second], [0, 1])
    assert loss == pytest.approx(-math.log(outputs[0][0]) - math.log(outputs[1][1]), rel=1e-14)


def test_s4_4_every_gradient_is_the_derivative_at_50_shapes():
    for rng, (T, V, H) in random_shapes("TVH", seed=44):
        p, words, targets = random_problem(rng, T, V, H)
        assert_is_gradient(lambda q: by_lists(q, words, targets)[0], p, by_lists(p, words, targets)[1], rng)  # noqa: B023


def test_s4_4_cut_after_one_step_is_the_description_as_published():
    """dL/dh_t = Wy^T e_t, with nothing from step t+1: restated here in NumPy."""
    p, words, targets = random_problem(np.random.default_rng(1), T=5, V=4, H=3)
    states, outputs = nextword.forward({k: v.tolist() for k, v in p.items()}, words)
    wh, bh = np.zeros((3, 3)), np.zeros(3)
    for t in range(5):
        error = np.array(outputs[t]) - np.eye(4)[targets[t]]
        delta = (1 - np.array(states[t + 1]) ** 2) * (p["Wy"].T @ error)
        wh += np.outer(delta, states[t])
        bh += delta
    _, cut = by_lists(p, words, targets, truncate=1)
    np.testing.assert_allclose(cut["Wh"], wh, rtol=1e-12)
    np.testing.assert_allclose(cut["bh"], bh, rtol=1e-12)
    _, whole = by_lists(p, words, targets)
    assert relative(cut["Wh"], whole["Wh"]) > 0.05
    np.testing.assert_array_equal(cut["Wy"], whole["Wy"])


def test_s4_4_a_cut_beyond_the_first_word_cuts_nothing():
    p, words, targets = random_problem(np.random.default_rng(2), T=5, V=4, H=3)
    _, whole = by_lists(p, words, targets)
    for truncate in (5, 9):
        _, cut = by_lists(p, words, targets, truncate)
        for name in p:
            np.testing.assert_allclose(cut[name], whole[name], rtol=1e-12, atol=1e-15)
    assert relative(by_lists(p, words, targets, 4)[1]["bh"], whole["bh"]) > 1e-6


def test_s4_5_one_line_per_pair(capsys):
    assert nextword.main() == 9
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Input: '{a}' → Predicted: '{b}' (Target: '{b}')" for a, b in pairs(SENTENCES)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nextword.build_vocabulary([]), "at least one word"),
        (lambda: train(["hello"]), "at least two words"),
        (lambda: train(epochs=-1), "at least 0, got -1"),
        (lambda: predict({"bh": [0.0]}, {"a": 0}, "a b"), r"got \['b'\]. Known: a"),
        (lambda: by_lists(*random_problem(np.random.default_rng(0), 2, 3, 2)[:2], [0]), "2 targets from 0 to 2"),
        (lambda: by_lists(*random_problem(np.random.default_rng(0), 2, 3, 2)[:2], [0, 3]), "2 targets from 0 to 2"),
        (lambda: by_lists(random_problem(np.random.default_rng(0), 2, 3, 2)[0], [5], [0]), "indices from 0 to 2"),
        (lambda: by_lists(*random_problem(np.random.default_rng(0), 2, 3, 2), truncate=0), "truncate of at least 1"),
        (lambda: nextword.initialize_parameters(0), "vocabulary 0"),
    ],
)
def test_bad_input_is_told_so(call, message):
    with pytest.raises(ValueError, match=message):
        call()
