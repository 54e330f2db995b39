"""The next word, in lists and `math` alone: a third witness beside the NumPy models and the recorded graph.

Imports no NumPy. Vectors are lists of floats, matrices lists of rows; parameters are a dict `Wx: (H, V)`, `Wh: (H, H)`,
`Wy: (V, H)`, `bh: (H,)`, `by: (V,)`. For the one-hot word x_t:

    h_t = tanh(Wx x_t + Wh h_{t-1} + bh),   y_t = Wy h_t + by,   p_t = softmax(y_t),   L = sum_t -log p_t[next word]
"""

import itertools
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = [
    "SENTENCES",
    "build_vocabulary",
    "forward",
    "initialize_parameters",
    "loss_and_gradients",
    "main",
    "pairs",
    "predict",
    "train",
]

Vector = list[float]
Matrix = list[list[float]]
Parameters = dict[str, Any]

SENTENCES = ("hello how are you", "how are you doing", "are you doing well")


def build_vocabulary(sentences: Iterable[str]) -> dict[str, int]:
    """Return the index of each word, in sorted order."""
    words = sorted({word for sentence in sentences for word in sentence.split()})
    if not words:
        raise ValueError("build_vocabulary: expected at least one word, got none.")
    return {word: i for i, word in enumerate(words)}


def pairs(sentences: Iterable[str]) -> list[tuple[str, str]]:
    """Return every (word, next word), sentence by sentence."""
    split = [sentence.split() for sentence in sentences]
    return [pair for words in split for pair in itertools.pairwise(words)]


def initialize_parameters(vocab_size: int, hidden_size: int = 8, rng: random.Random | None = None) -> Parameters:
    """Draw the three weights uniformly from -0.5 to 0.5 and set the two biases to zero.  rng: seed 0 unless given."""
    if min(vocab_size, hidden_size) < 1:
        raise ValueError(f"nextword: expected sizes of at least 1, got vocabulary {vocab_size}, hidden {hidden_size}.")
    rng = random.Random(0) if rng is None else rng

    def draw(rows: int, columns: int) -> Matrix:
        return [[rng.uniform(-0.5, 0.5) for _ in range(columns)] for _ in range(rows)]

    return {
        "Wx": draw(hidden_size, vocab_size),
        "Wh": draw(hidden_size, hidden_size),
        "Wy": draw(vocab_size, hidden_size),
        "bh": [0.0] * hidden_size,
        "by": [0.0] * vocab_size,
    }


def matvec(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> Vector:
    """Return matrix times vector."""
    return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]


def matvec_transposed(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> Vector:
    """Return the transposed matrix times vector."""
    return [sum(row[j] * v for row, v in zip(matrix, vector, strict=True)) for j in range(len(matrix[0]))]


def add_outer(total: Matrix, left: Sequence[float], right: Sequence[float]) -> None:
    """Add left right^T to `total`, in place."""
    for row, factor in zip(total, left, strict=True):
        for j, value in enumerate(right):
            row[j] += factor * value


def softmax(scores: Sequence[float]) -> Vector:
    """Return exp(y) / sum(exp(y)), shifted by the maximum so that nothing overflows."""
    highest = max(scores)
    powers = [math.exp(score - highest) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def step(parameters: Mapping[str, Any], word: int, h: Sequence[float]) -> tuple[Vector, Vector]:
    """Read one word; return the new state (H,) and the probabilities of the next word (V,).

    word: its index; Wx times its one-hot vector is the column of that index.
    """
    recurrent = matvec(parameters["Wh"], h)
    h = [math.tanh(row[word] + r + b) for row, r, b in zip(parameters["Wx"], recurrent, parameters["bh"], strict=True)]
    scores = [y + b for y, b in zip(matvec(parameters["Wy"], h), parameters["by"], strict=True)]
    return h, softmax(scores)


def forward(parameters: Mapping[str, Any], words: Sequence[int]) -> tuple[list[Vector], list[Vector]]:
    """Read T words from a zero state; return T + 1 states, the first zero, and T vectors of probabilities."""
    V = len(parameters["by"])
    if not words or not all(0 <= word < V for word in words):
        raise ValueError(f"nextword: expected word indices from 0 to {V - 1}, at least one, got {list(words)}.")
    states, outputs = [[0.0] * len(parameters["bh"])], []
    for word in words:
        h, p = step(parameters, word, states[-1])
        states.append(h)
        outputs.append(p)
    return states, outputs


def loss_and_gradients(
    parameters: Mapping[str, Any], words: Sequence[int], targets: Sequence[int], truncate: int | None = None
) -> tuple[float, Parameters]:
    """Return L = sum_t -log p_t[target_t] and its gradients, lists shaped and named like the parameters.

    words, targets: T indices each.
    truncate: let an error reach back over so many steps only, its own included; None is the whole gradient, 1 is what
        the published description writes, without the term from the step after.

    At the softmax dL_t/dy_t = p_t - onehot(target_t) =: e_t. The state h_t acts on its own output and, through
    h_{t+1} = tanh(... Wh h_t ...), on all later ones. With delta_t the gradient at the argument of tanh:

        dL/dh_t = Wy^T e_t + Wh^T delta_{t+1},   delta_t = (1 - h_t^2) * dL/dh_t
        dL/dWy = sum_t e_t h_t^T     dL/dby = sum_t e_t
        dL/dWx = sum_t delta_t x_t^T     dL/dWh = sum_t delta_t h_{t-1}^T     dL/dbh = sum_t delta_t

    A cut after k steps follows every e_s by itself to the steps s, s-1, ..., s-k+1 and adds up what it leaves there.
    """
    states, outputs = forward(parameters, words)
    V = len(parameters["by"])
    if len(targets) != len(words) or not all(0 <= target < V for target in targets):
        raise ValueError(f"nextword: expected {len(words)} targets from 0 to {V - 1}, got {list(targets)}.")
    if truncate is not None and truncate < 1:
        raise ValueError(f"nextword: expected truncate of at least 1 step, got {truncate}.")
    gradients = _zeros_like(parameters)
    loss, errors = 0.0, []
    for t, (p, target) in enumerate(zip(outputs, targets, strict=True)):
        loss -= math.log(p[target])
        errors.append([value - (k == target) for k, value in enumerate(p)])
        add_outer(gradients["Wy"], errors[t], states[t + 1])
        gradients["by"] = [total + e for total, e in zip(gradients["by"], errors[t], strict=True)]
    if truncate is None:
        _through_time(parameters, words, states, dict(enumerate(errors)), len(words), gradients)
    else:
        for t, error in enumerate(errors):
            _through_time(parameters, words[: t + 1], states, {t: error}, truncate, gradients)
    return loss, gradients


def _through_time(
    parameters: Mapping[str, Any],
    words: Sequence[int],
    states: Sequence[Vector],
    errors: Mapping[int, Vector],
    steps: int,
    gradients: Parameters,
) -> None:
    """Sweep the given errors back over the last `steps` of `words`, adding to `Wx, Wh, bh` of the gradients."""
    from_next = [0.0] * len(parameters["bh"])
    for t in reversed(range(max(0, len(words) - steps), len(words))):
        dh = from_next
        if t in errors:
            dh = [a + b for a, b in zip(matvec_transposed(parameters["Wy"], errors[t]), from_next, strict=True)]
        delta = [(1 - h * h) * d for h, d in zip(states[t + 1], dh, strict=True)]
        for row, d in zip(gradients["Wx"], delta, strict=True):
            row[words[t]] += d
        add_outer(gradients["Wh"], delta, states[t])
        gradients["bh"] = [total + d for total, d in zip(gradients["bh"], delta, strict=True)]
        from_next = matvec_transposed(parameters["Wh"], delta)


def _zeros_like(parameters: Mapping[str, Any]) -> Parameters:
    return {
        name: [[0.0] * len(row) for row in value] if isinstance(value[0], list) else [0.0] * len(value)
        for name, value in parameters.items()
    }


def _descend(parameters: Parameters, gradients: Parameters, lr: float) -> None:
    for name, value in parameters.items():
        rows = zip(value, gradients[name], strict=True) if isinstance(value[0], list) else [(value, gradients[name])]
        for row, slopes in rows:
            for j, slope in enumerate(slopes):
                row[j] -= lr * slope


def train(
    sentences: Sequence[str] = SENTENCES,
    epochs: int = 300,
    lr: float = 0.1,
    hidden_size: int = 8,
    rng: random.Random | None = None,
    truncate: int | None = None,
) -> tuple[Parameters, dict[str, int], list[float]]:
    """Train sentence by sentence; return parameters, the index of each word, and each epoch's mean loss per word.

    sentences: each of at least two words, otherwise ValueError.  rng, truncate: see above.
    """
    if epochs < 0:
        raise ValueError(f"train: expected epochs of at least 0, got {epochs}.")
    word_to_ix = build_vocabulary(sentences)
    encoded = [[word_to_ix[word] for word in sentence.split()] for sentence in sentences]
    if min(len(words) for words in encoded) < 2:
        raise ValueError(f"train: expected at least two words in every sentence, got {list(sentences)}.")
    parameters = initialize_parameters(len(word_to_ix), hidden_size, rng)
    losses = []
    for _ in range(epochs):
        total = 0.0
        for words in encoded:
            loss, gradients = loss_and_gradients(parameters, words[:-1], words[1:], truncate)
            _descend(parameters, gradients, lr)
            total += loss
        losses.append(total / sum(len(words) - 1 for words in encoded))
    return parameters, word_to_ix, losses


def predict(parameters: Mapping[str, Any], word_to_ix: Mapping[str, int], text: str) -> list[str]:
    """Return the likeliest next word after every word of a text.  Raises ValueError for an unknown word or none."""
    unknown = [word for word in text.split() if word not in word_to_ix]
    if unknown:
        raise ValueError(f"predict: expected words of the vocabulary, got {unknown}. Known: {', '.join(word_to_ix)}.")
    ix_to_word = list(word_to_ix)
    _, outputs = forward(parameters, [word_to_ix[word] for word in text.split()])
    return [ix_to_word[p.index(max(p))] for p in outputs]


def main() -> int:
    """Train on the three published sentences, print one line per pair, and return how many are right (of 9)."""
    parameters, word_to_ix, _ = train()
    right = 0
    for sentence in SENTENCES:
        predicted = predict(parameters, word_to_ix, sentence.rsplit(" ", 1)[0])
        for (word, target), guess in zip(pairs([sentence]), predicted, strict=True):
            print(f"Input: '{word}' → Predicted: '{guess}' (Target: '{target}')")
            right += guess == target
    return right


if __name__ == "__main__":
    main()
