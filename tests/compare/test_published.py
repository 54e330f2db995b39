"""Every mistake that the five published systems contain is named, with all its parts."""

import numpy as np
import pytest

from tests.compare import published
from tinygrad_rnn import models
from tinygrad_rnn.compare import compare_gradients, diagnose
from tinygrad_rnn.ops.reduce import sum_
from tinygrad_rnn.state import scope
from tinygrad_rnn.tensor import Tensor


def draw(rng, scale=0.6, **shapes):
    return {name: scale * rng.standard_normal(shape) for name, shape in shapes.items()}


def series_case(rng, H=6, T=9, **mistakes):
    params = draw(rng, Wh=(H, H), Wi=(H, 1), Wo=(1, H), bias=(H, 1))
    x, y = rng.standard_normal((T, 1)), rng.standard_normal((T, 1))
    return models.Regression.from_manual(params).loss_fn(x, y), params, published.series(params, x, y, **mistakes)


@pytest.mark.parametrize("seed", range(3))
def test_s0_11_the_recurrent_gradient_is_transposed(seed):
    loss_fn, params, manual = series_case(np.random.default_rng(seed), transposed_result=True)
    assert compare_gradients(loss_fn, params, manual)["Wh"].verdict.kind == "transposed"
    found = diagnose(loss_fn, params, manual)
    assert found.kinds == ("transposed",)
    assert found.findings[0].where == "Wh"
    assert found.right == ("Wi", "Wo", "bias")


@pytest.mark.parametrize("seed", range(3))
def test_s0_12_four_mistakes_at_once(seed):
    loss_fn, params, manual = series_case(
        np.random.default_rng(seed), shared=True, untransposed=True, shifted=True, transposed_result=True
    )
    found = diagnose(loss_fn, params, manual)
    assert sorted(found.kinds) == [
        "activation shared by all steps", "outputs shifted by one step", "transposed", "weight not transposed",
    ]  # fmt: skip
    assert found.right == ("Wo",)
    assert found.misfit < 1e-12


def test_s0_the_same_code_without_its_mistakes_is_right():
    assert diagnose(*series_case(np.random.default_rng(5))).ok


@pytest.mark.parametrize("seed", range(3))
def test_s1_3_the_last_gradient_enters_at_every_step(seed):
    rng = np.random.default_rng(seed)
    B, T, D, H = 3, 5, 2, 4
    params = draw(rng, Wx=(D, H), Wh=(H, H), Bh=(H,))
    x, dh_last = rng.standard_normal((B, T, D)), rng.standard_normal((B, H))

    def loss_fn(p):
        h = Tensor(np.zeros((B, H)))
        for t in range(T):
            with scope(t=t):
                h = np.tanh(x[:, t] @ p["Wx"] + h @ p["Wh"] + p["Bh"])
        return sum_(h * dh_last, axis=(0, 1), keepdims=False) * (1 / B)

    found = diagnose(loss_fn, params, published.last_state_everywhere(params, x, dh_last))
    assert found.kinds == ("last output's error at every step",)


@pytest.mark.parametrize("seed", range(3))
def test_s1_4_half_of_the_gradient_of_the_printed_loss(seed):
    rng = np.random.default_rng(seed)
    params = draw(rng, Wx=(2, 4), Wh=(4, 4), Wy=(4, 1), Bh=(4,), By=(1,))
    x, y = rng.random((5, 3, 2)), rng.random((5, 1))
    loss_fn = models.SequenceClassifier.from_manual(params).loss_fn(x, y)
    found = diagnose(loss_fn, params, published.half_the_gradient(params, x, y))
    assert found.kinds == ("constant factor",)
    assert found.findings[0].where == "all gradients"
    assert "0.5 times what they should be: half (a forgotten factor 2, as of a square)" in found.findings[0].says


@pytest.mark.parametrize("seed", range(3))
def test_s2_6_the_batch_is_not_divided_by(seed):
    rng = np.random.default_rng(seed)
    A, X, m, T = 5, 4, 3, 6
    params = draw(rng, Waa=(A, A), Wax=(A, X), Wya=(X, A), ba=(A, 1), by=(X, 1))
    one_hot = np.eye(X)[rng.integers(0, X, (2, m, T))].transpose(0, 3, 1, 2)
    loss_fn = models.CharModel.from_manual(params).loss_fn(*one_hot)
    found = diagnose(loss_fn, params, published.not_divided_by_the_batch(params, *one_hot))
    assert found.kinds == ("constant factor",)
    assert "3 times what they should be: multiplied by the number of examples, 3" in found.findings[0].says


@pytest.mark.parametrize(
    ("scale", "kinds"), [(0.5, ["weight not transposed"]), (3.0, ["clipped by value", "weight not transposed"])]
)
def test_s3_5_the_recurrent_weight_is_not_transposed_and_gradients_are_clipped(scale, kinds):
    rng = np.random.default_rng(2)
    V, H, T = 5, 6, 6
    params = draw(rng, 0.4, Wxh=(H, V), Whh=(H, H), bh=(H, 1), by=(2, 1)) | draw(rng, scale, Why=(2, H))
    inputs = np.eye(V)[rng.integers(0, V, T)]
    loss_fn = models.Sentiment.from_manual(params).loss_fn(inputs, 0)
    wrong = published.sentence(params, inputs, 0, clip=1.0 if scale > 1 else 100.0)
    found = diagnose(loss_fn, params, wrong)
    assert sorted(found.kinds) == kinds
    assert any("Whh" in finding.where for finding in found.findings)


@pytest.mark.parametrize("seed", range(3))
def test_s4_4_the_term_of_the_next_step_is_left_out(seed):
    rng = np.random.default_rng(seed)
    V, H, T = 6, 5, 5
    params = draw(rng, Wx=(H, V), Wh=(H, H), Wy=(V, H), bh=(H,), by=(V,))
    words, targets = rng.integers(0, V, (2, T)).tolist()
    loss_fn = models.NextWord.from_manual(params).loss_fn(words, targets)
    found = diagnose(loss_fn, params, published.next_word(params, words, targets))
    assert found.kinds == ("BPTT cut after k steps",)
    assert "k=1" in found.findings[0].where
