"""The models that exist twice, by hand and as twins, each with a way to draw random shapes, parameters and data."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rnn import models
from tinygrad_rnn.manual import charmodel, classifier, gated, nextword, regression, rnn, sentiment


class Pair(NamedTuple):
    """twin: the class in models.py. by_hand: `loss_and_gradients`. draw: rng -> (parameters, data)."""

    twin: type
    by_hand: Callable[..., Any]
    draw: Callable[[np.random.Generator], tuple[dict[str, np.ndarray], tuple[Any, ...]]]


def drawn(rng, **shapes):
    return {name: rng.standard_normal(shape) * 0.5 for name, shape in shapes.items()}


def sizes(rng, low=1, high=7, count=4):
    return (int(n) for n in rng.integers(low, high, count))


def a_regression(rng):
    H, D, T, _ = sizes(rng)
    return drawn(rng, Wh=(H, H), Wi=(H, D), Wo=(1, H), bias=(H, 1)), (
        rng.standard_normal((T, D)),
        rng.standard_normal((T, 1)),
    )


def a_classifier(rng):
    H, D, T, B = sizes(rng)
    C = int(rng.integers(1, 5))
    params = drawn(rng, Wx=(D, H), Wh=(H, H), Wy=(H, C), Bh=(H,), By=(C,))
    return params, (rng.standard_normal((B, T, D)), rng.standard_normal((B, C)))


def a_charmodel(rng):
    A, X, T, m = sizes(rng)
    Y = int(rng.integers(2, 6))
    params = drawn(rng, Waa=(A, A), Wax=(A, X), Wya=(Y, A), ba=(A, 1), by=(Y, 1))
    y = np.eye(Y)[rng.integers(0, Y, (m, T))].transpose(2, 0, 1)
    return params, (rng.standard_normal((X, m, T)), y)


def a_sentiment(rng):
    H, V, T, C = sizes(rng, 2)
    params = drawn(rng, Wxh=(H, V), Whh=(H, H), Why=(C, H), bh=(H, 1), by=(C, 1))
    return params, (np.eye(V)[rng.integers(0, V, T)], int(rng.integers(C)))


def a_nextword(rng):
    H, V, T, _ = sizes(rng, 2)
    params = drawn(rng, Wx=(H, V), Wh=(H, H), Wy=(V, H), bh=(H,), by=(V,))
    return params, (rng.integers(0, V, T).tolist(), rng.integers(0, V, T).tolist())


def nextword_by_hand(params, words, targets):
    loss, gradients = nextword.loss_and_gradients(
        {n: np.asarray(p).tolist() for n, p in params.items()}, words, targets
    )
    return loss, {name: np.array(g) for name, g in gradients.items()}


def a_cell(gates):
    def draw(rng):
        H, D, T, B = sizes(rng)
        C = int(rng.integers(2, 5))
        params = rnn.initialize_parameters(D, H, C, rng, gates=gates)
        targets = rng.integers(0, C, (T, B)) if rng.integers(2) else rng.standard_normal((T, B, C))
        return params, (rng.standard_normal((T, B, D)), targets)

    return draw


PAIRS = {
    "regression": Pair(models.Regression, regression.loss_and_gradients, a_regression),
    "classifier": Pair(models.SequenceClassifier, classifier.loss_and_gradients, a_classifier),
    "charmodel": Pair(models.CharModel, charmodel.loss_and_gradients, a_charmodel),
    "sentiment": Pair(models.Sentiment, sentiment.loss_and_gradients, a_sentiment),
    "nextword": Pair(models.NextWord, nextword_by_hand, a_nextword),
    "rnn": Pair(models.TanhModel, rnn.loss_and_gradients, a_cell(1)),
    "lstm": Pair(models.LSTMModel, gated.lstm_loss_and_gradients, a_cell(4)),
    "gru": Pair(models.GRUModel, gated.gru_loss_and_gradients, a_cell(3)),
}
