"""The mood of a sentence: a tanh RNN reads it word by word and judges it from the last state.

NumPy only; matplotlib is asked for when the curves are drawn. The task and the five names are those of V. Zhou's
introduction (github: vzhou842/rnn-from-scratch), the sentences are our own (`sentiment_data`). For x_t: (V, 1), the
one-hot word at t:

    h_t = tanh(Wxh x_t + Whh h_{t-1} + bh),   y = Why h_T + by,   p = softmax(y),   L = -log p_label
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from tinygrad_rnn.manual import figures
from tinygrad_rnn.manual.sentiment_data import test_data, train_data

__all__ = [
    "Trained",
    "backward",
    "build_vocabulary",
    "clip_gradients",
    "encode",
    "evaluate",
    "forward",
    "initialize_parameters",
    "loss_and_gradients",
    "main",
    "predict",
    "train",
]

Parameters = Mapping[str, np.ndarray]


class Trained(NamedTuple):
    """What `train` returns: the parameters, the index of each word, and the four curves, one float per epoch."""

    parameters: dict[str, np.ndarray]
    word_to_ix: dict[str, int]
    history: dict[str, list[float]]


def build_vocabulary(sentences: Iterable[str]) -> dict[str, int]:
    """Return the index of each word, in sorted order, so that it is the same in every run (a set's order is not)."""
    words = sorted({word for sentence in sentences for word in sentence.split()})
    if not words:
        raise ValueError("build_vocabulary: expected at least one word, got none.")
    return {word: i for i, word in enumerate(words)}


def encode(sentence: str, word_to_ix: Mapping[str, int]) -> np.ndarray:
    """Return the words as one-hot rows, (T, V) float64.  Raises ValueError for an unknown word or none at all."""
    words = sentence.split()
    if not words:
        raise ValueError("encode: expected a sentence with at least one word, got an empty one.")
    for word in words:
        if word not in word_to_ix:
            raise ValueError(f"encode: expected words of the vocabulary, got {word!r}. Known: {', '.join(word_to_ix)}.")
    return np.eye(len(word_to_ix))[[word_to_ix[word] for word in words]]


def initialize_parameters(
    vocab_size: int, hidden_size: int = 64, n_classes: int = 2, rng: np.random.Generator | None = None
) -> dict[str, np.ndarray]:
    """Draw `Wxh: (H, V)`, `Whh: (H, H)`, `Why: (C, H)` as N(0, 1) / 1000; set `bh: (H, 1)`, `by: (C, 1)` to zero."""
    rng = np.random.default_rng() if rng is None else rng
    H, V, C = hidden_size, vocab_size, n_classes
    weights = {name: rng.standard_normal(shape) / 1000 for name, shape in _shapes(H, V, C).items()}
    return weights | {"bh": np.zeros((H, 1)), "by": np.zeros((C, 1))}


def _shapes(H: int, V: int, C: int) -> dict[str, tuple[int, int]]:
    if min(H, V, C) < 1:
        raise ValueError(f"sentiment: expected sizes of at least 1, got hidden {H}, vocabulary {V}, classes {C}.")
    return {"Wxh": (H, V), "Whh": (H, H), "Why": (C, H)}


def forward(parameters: Parameters, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read a sentence.  inputs: (T, V).  Returns the scores y: (C,) and the states: (T + 1, H), the first zero."""
    Whh = parameters["Whh"]
    if inputs.ndim != 2 or inputs.shape[1] != parameters["Wxh"].shape[1] or not len(inputs):
        V = parameters["Wxh"].shape[1]
        raise ValueError(f"sentiment: expected inputs of shape (words, vocabulary={V}), got {inputs.shape}.")
    from_words = inputs @ parameters["Wxh"].T + parameters["bh"].T
    states = np.zeros((len(inputs) + 1, len(Whh)), Whh.dtype)
    for t, from_word in enumerate(from_words):
        np.tanh(from_word + Whh @ states[t], out=states[t + 1])
    return parameters["Why"] @ states[-1] + parameters["by"][:, 0], states


def backward(parameters: Parameters, inputs: np.ndarray, states: np.ndarray, dy: np.ndarray) -> dict[str, np.ndarray]:
    """Return the gradients by the names of the parameters.

    inputs: (T, V).  states: (T + 1, H), from `forward`.  dy: (C,), dL/dy.

    Only the last state is judged, y = Why h_T + by, so dWhy = dy h_T^T, dby = dy and dL/dh_T = Why^T dy. Earlier states
    act through the next one only. With delta_t the gradient at the argument of tanh:

        delta_t = (1 - h_t^2) * dL/dh_t,   dL/dh_{t-1} = Whh^T delta_t     (transposed, which is forgotten as published)

    and the argument Wxh x_t + Whh h_{t-1} + bh shares its parameters over time:

        dWxh = sum_t delta_t x_t^T,   dWhh = sum_t delta_t h_{t-1}^T,   dbh = sum_t delta_t
    """
    T, Whh_T = len(inputs), parameters["Whh"].T
    deltas = 1 - states[1:] ** 2
    dh = parameters["Why"].T @ dy
    for t in reversed(range(T)):
        deltas[t] *= dh
        dh = Whh_T @ deltas[t]
    return {
        "Wxh": deltas.T @ inputs,
        "Whh": deltas.T @ states[:-1],
        "Why": np.outer(dy, states[-1]),
        "bh": deltas.sum(axis=0)[:, None],
        "by": dy[:, None].copy(),
    }


def _judge(y: np.ndarray, label: int) -> tuple[float, np.ndarray]:
    """Return -log softmax(y)[label] and its gradient p - onehot(label): from L = log sum exp(y) - y_label."""
    if not 0 <= label < len(y):
        raise ValueError(f"sentiment: expected a label from 0 to {len(y) - 1}, got {label}.")
    shifted = y - y.max()
    e = np.exp(shifted)
    total = e.sum()
    dy = e / total
    dy[label] -= 1
    return float(np.log(total) - shifted[label]), dy


def loss_and_gradients(parameters: Parameters, inputs: np.ndarray, label: int) -> tuple[float, dict[str, np.ndarray]]:
    """Return the cross entropy of one sentence, and its gradients (not clipped) by the names of the parameters.

    inputs: (T, V), from `encode`.  label: class index; False and True are 0 and 1.
    """
    y, states = forward(parameters, inputs)
    loss, dy = _judge(y, int(label))
    return loss, backward(parameters, inputs, states, dy)


def clip_gradients(gradients: Mapping[str, np.ndarray], limit: float = 1.0) -> dict[str, np.ndarray]:
    """Return every entry cut to [-limit, limit], each by itself: against explosions, though it bends the direction."""
    return {name: np.clip(gradient, -limit, limit) for name, gradient in gradients.items()}


def evaluate(parameters: Parameters, examples: Iterable[tuple[np.ndarray, int]]) -> tuple[float, float]:
    """Return mean loss and accuracy over (inputs, label) pairs."""
    losses, hits = [], []
    for inputs, label in examples:
        y, _ = forward(parameters, inputs)
        losses.append(_judge(y, int(label))[0])
        hits.append(int(np.argmax(y)) == label)
    return float(np.mean(losses)), float(np.mean(hits))


def predict(trained: Trained, sentence: str) -> bool:
    """Return whether the model takes the mood of a sentence, made of words it knows, for good."""
    y, _ = forward(trained.parameters, encode(sentence, trained.word_to_ix))
    return bool(np.argmax(y))


def train(
    train_set: Mapping[str, bool] = train_data,
    test_set: Mapping[str, bool] = test_data,
    epochs: int = 500,
    lr: float = 2e-2,
    hidden_size: int = 64,
    rng: np.random.Generator | None = None,
    report_each: int = 100,
) -> Trained:
    """Train sentence by sentence, in a new order each epoch, with clipped gradients.

    train_set, test_set: sentence -> label.  rng: draws weights and orders; seed 0 unless given.
    report_each: print loss and accuracy after every so many epochs; 0 prints nothing.
    The training curves are what is met on the way, before each update; the test curves are taken after the epoch.
    """
    if epochs < 0 or report_each < 0:
        raise ValueError(f"train: expected epochs and report_each of at least 0, got {epochs} and {report_each}.")
    if not train_set or not test_set:
        raise ValueError(f"train: expected sentences in both sets, got {len(train_set)} and {len(test_set)}.")
    rng = np.random.default_rng(0) if rng is None else rng
    word_to_ix = build_vocabulary([*train_set, *test_set])
    examples = [(encode(sentence, word_to_ix), int(label)) for sentence, label in train_set.items()]
    held_out = [(encode(sentence, word_to_ix), int(label)) for sentence, label in test_set.items()]
    parameters = initialize_parameters(len(word_to_ix), hidden_size, rng=rng)
    history: dict[str, list[float]] = {
        f"{split}_{what}": [] for split in ("train", "test") for what in ("loss", "accuracy")
    }
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(examples))
        measured = _epoch(parameters, [examples[i] for i in order], lr) + evaluate(parameters, held_out)
        for curve, value in zip(history.values(), measured, strict=True):
            curve.append(value)
        if report_each and epoch % report_each == 0:
            print(
                f"Epoch {epoch}: train loss {measured[0]:.3f}, accuracy {measured[1]:.3f}; "
                f"test loss {measured[2]:.3f}, accuracy {measured[3]:.3f}"
            )
    return Trained(parameters, word_to_ix, history)


def _epoch(parameters: dict[str, np.ndarray], examples: list[tuple[np.ndarray, int]], lr: float) -> tuple[float, float]:
    """Update the parameters in place once per sentence; return mean loss and accuracy met on the way."""
    losses, hits = 0.0, 0
    for inputs, label in examples:
        y, states = forward(parameters, inputs)
        loss, dy = _judge(y, label)
        losses += loss
        hits += int(np.argmax(y)) == label
        for name, gradient in clip_gradients(backward(parameters, inputs, states, dy)).items():
            parameters[name] -= lr * gradient
    return losses / len(examples), hits / len(examples)


def main(plot: str | None = None) -> Trained:
    """Train with the defaults, print the course of it, and save the curves to `plot` if a path is given."""
    trained = train()
    if plot is not None:
        figures.train_test_curves(trained.history, plot)
    return trained


if __name__ == "__main__":
    main("train_test_accuracy_loss.png")
