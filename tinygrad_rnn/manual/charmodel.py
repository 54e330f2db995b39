"""A character model that learns one text by heart: softmax RNN, backpropagation through time, sampling.

NumPy only. Arrays are laid out (features, batch, time). Parameters live in a dict: `Waa: (A, A)`, `Wax: (A, X)`,
`Wya: (Y, A)`, `ba: (A, 1)`, `by: (Y, 1)`.

    a_t = tanh(Wax x_t + Waa a_{t-1} + ba),   z_t = Wya a_t + by,   y_hat_t = softmax(z_t)
"""

from collections.abc import Mapping, Sequence

import numpy as np

__all__ = [
    "build_vocab",
    "compute_loss",
    "initialize_parameters",
    "loss_and_gradients",
    "main",
    "one_hot_encode",
    "rnn_backward",
    "rnn_forward",
    "rnn_step_backward",
    "rnn_step_forward",
    "sample",
    "softmax",
    "train_rnn",
    "update_parameters",
]

Parameters = Mapping[str, np.ndarray]
Cache = tuple[np.ndarray, np.ndarray, np.ndarray]  # a_t, a_{t-1}, x_t

EPSILON = 1e-8  # the printed loss is -log(y_hat + 1e-8), finite even where y_hat underflows; training does without


def build_vocab(text: str) -> tuple[list[str], dict[str, int], dict[int, str]]:
    """Return the sorted characters of a text, the index of each, and the character of each index."""
    if not text:
        raise ValueError("build_vocab: expected a text with at least one character, got an empty one.")
    chars = sorted(set(text))
    return chars, {char: i for i, char in enumerate(chars)}, dict(enumerate(chars))


def one_hot_encode(text: str, char_to_ix: Mapping[str, int], vocab_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs and targets, each (V, 1, T-1): the text, and the text one character later.

    text: T >= 2 characters; the first is input only, the last target only.  Raises ValueError for a shorter text, for a
    character that `char_to_ix` lacks, and for an index outside `vocab_size`.
    """
    if len(text) < 2:
        raise ValueError(f"one_hot_encode: expected at least 2 characters, to read and to predict, got {text!r}.")
    indices = [_index(char, char_to_ix, "one_hot_encode") for char in text]
    if max(indices) >= vocab_size:
        raise ValueError(f"one_hot_encode: expected indices below vocab_size={vocab_size}, got {max(indices)}.")
    columns = np.eye(vocab_size)[:, indices]
    return columns[:, None, :-1].copy(), columns[:, None, 1:].copy()


def initialize_parameters(n_a: int, n_x: int, n_y: int) -> dict[str, np.ndarray]:
    """Draw `Waa, Wax, Wya` in this order as 0.01 N(0, 1), and set `ba, by` to zero.

    n_a, n_x, n_y: sizes of state, input and output.  Seeds NumPy's *global* generator with 1, as documented: every run
    starts from the same weights, and `sample` goes on drawing from there.
    """
    if min(n_a, n_x, n_y) < 1:
        raise ValueError(f"initialize_parameters: expected sizes of at least 1, got n_a={n_a}, n_x={n_x}, n_y={n_y}.")
    np.random.seed(1)  # noqa: NPY002 - documented
    shapes = {"Waa": (n_a, n_a), "Wax": (n_a, n_x), "Wya": (n_y, n_a)}
    parameters = {name: 0.01 * np.random.randn(*shape) for name, shape in shapes.items()}  # noqa: NPY002
    return parameters | {"ba": np.zeros((n_a, 1)), "by": np.zeros((n_y, 1))}


def softmax(z: np.ndarray) -> np.ndarray:
    """Return exp(z) / sum(exp(z)) over the first axis, shifted by the maximum so that nothing overflows."""
    e = np.exp(z - z.max(axis=0, keepdims=True))
    return e / e.sum(axis=0, keepdims=True)


def rnn_step_forward(
    parameters: Parameters, x_t: np.ndarray, a_prev: np.ndarray
) -> tuple[np.ndarray, np.ndarray, Cache]:
    """Take one step.  x_t: (X, m).  a_prev: (A, m).  Returns a_t: (A, m), y_hat_t: (Y, m), and what backward needs."""
    a_t = np.tanh(parameters["Wax"] @ x_t + parameters["Waa"] @ a_prev + parameters["ba"])
    y_hat_t = softmax(parameters["Wya"] @ a_t + parameters["by"])
    return a_t, y_hat_t, (a_t, a_prev, x_t)


def rnn_forward(x: np.ndarray, a0: np.ndarray, parameters: Parameters) -> tuple[np.ndarray, np.ndarray, list[Cache]]:
    """Step through time.  x: (X, m, T).  a0: (A, m).  Returns a: (A, m, T), y_hat: (Y, m, T), one cache per step."""
    n_a, n_x = parameters["Wax"].shape
    if x.ndim != 3 or x.shape[0] != n_x or not x.size:
        raise ValueError(f"rnn_forward: expected x of shape (features={n_x}, batch, steps), got {x.shape}.")
    if a0.shape != (n_a, x.shape[1]):
        raise ValueError(f"rnn_forward: expected a0 of shape {(n_a, x.shape[1])}, got {a0.shape}.")
    states, outputs, caches = [], [], []
    a_t = a0
    for t in range(x.shape[2]):
        a_t, y_hat_t, cache = rnn_step_forward(parameters, x[:, :, t], a_t)
        states.append(a_t)
        outputs.append(y_hat_t)
        caches.append(cache)
    return np.stack(states, axis=2), np.stack(outputs, axis=2), caches


def compute_loss(y_hat: np.ndarray, y: np.ndarray, epsilon: float = EPSILON) -> float:
    """Return L = -1/m sum_i sum_t y log(y_hat + epsilon): summed over time, mean over the batch.

    y_hat, y: (Y, m, T), probabilities and targets, one-hot.
    """
    if y_hat.shape != y.shape:
        raise ValueError(f"compute_loss: expected y_hat and y of one shape, got {y_hat.shape} and {y.shape}.")
    logs = np.log(y_hat + epsilon, out=np.zeros_like(y_hat), where=y != 0)
    return -float(np.sum(y * logs)) / y.shape[1]


def output_error(y_hat: np.ndarray, y: np.ndarray, epsilon: float = 0.0) -> np.ndarray:
    """Return dL/dz: (Y, m, T), the gradient of `compute_loss` at the argument of the softmax.

    For epsilon = 0, plain cross entropy, it is the textbook's (y_hat - y) / m; without the 1/m it would be m times the
    gradient. In general, with r_k = y_k y_hat_k / (y_hat_k + epsilon) and dy_hat_k/dz_j = y_hat_k ([j = k] - y_hat_j):

        dL/dz_j = -1/m sum_k y_k / (y_hat_k + epsilon) dy_hat_k/dz_j = 1/m (y_hat_j sum_k r_k - r_j)
    """
    r = y * (y_hat / (y_hat + epsilon)) if epsilon else y
    return (y_hat * r.sum(axis=0) - r) / y.shape[1]


def rnn_step_backward(
    dz: np.ndarray, da_next: np.ndarray, cache: Cache, parameters: Parameters
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Go one step back; return this step's share of each gradient and dL/da_{t-1}: (A, m).

    dz: (Y, m), dL/dz_t.  da_next: (A, m), what reaches a_t from step t+1.

    a_t acts on its own output and on the next step, so dL/da_t = Wya^T dz + da_next. Through tanh, with u_t its
    argument: du = (1 - a_t^2) * dL/da_t. Then u_t = Wax x_t + Waa a_{t-1} + ba and z_t = Wya a_t + by are linear:

        dWya = dz a_t^T   dby = sum dz   dWax = du x_t^T   dWaa = du a_{t-1}^T   dba = sum du   dL/da_{t-1} = Waa^T du
    """
    a_t, a_prev, x_t = cache
    du = (1 - a_t**2) * (parameters["Wya"].T @ dz + da_next)
    step = {
        "Waa": du @ a_prev.T,
        "Wax": du @ x_t.T,
        "Wya": dz @ a_t.T,
        "ba": du.sum(axis=1, keepdims=True),
        "by": dz.sum(axis=1, keepdims=True),
    }
    return step, parameters["Waa"].T @ du


def rnn_backward(
    y: np.ndarray, y_hat: np.ndarray, caches: Sequence[Cache], parameters: Parameters, epsilon: float = 0.0
) -> dict[str, np.ndarray]:
    """Return the gradients of `compute_loss` by the names of the parameters: the steps' shares, from the last one.

    y, y_hat: (Y, m, T).  caches: T of them, from `rnn_forward`.
    """
    gradients = {name: np.zeros_like(value) for name, value in parameters.items()}
    dz = output_error(y_hat, y, epsilon)
    da_next = np.zeros_like(caches[-1][0])
    for t in reversed(range(len(caches))):
        step, da_next = rnn_step_backward(dz[:, :, t], da_next, caches[t], parameters)
        for name, share in step.items():
            gradients[name] += share
    return gradients


def loss_and_gradients(
    parameters: Parameters, x: np.ndarray, y: np.ndarray, epsilon: float = 0.0
) -> tuple[float, dict[str, np.ndarray]]:
    """Return the loss from a zero first state, and its gradients by the names of the parameters.

    x: (X, m, T).  y: (Y, m, T), one-hot.
    epsilon: see `compute_loss`; 0, plain cross entropy, is what training descends.
    """
    y_hat, caches = _run(parameters, x)
    return compute_loss(y_hat, y, epsilon), rnn_backward(y, y_hat, caches, parameters, epsilon)


def _run(parameters: Parameters, x: np.ndarray) -> tuple[np.ndarray, list[Cache]]:
    a0 = np.zeros((len(parameters["Waa"]), x.shape[1]), parameters["Waa"].dtype)
    return rnn_forward(x, a0, parameters)[1:]


def update_parameters(parameters: Parameters, gradients: Parameters, lr: float = 0.01) -> dict[str, np.ndarray]:
    """Return new parameters, each one step of `lr` down its gradient."""
    return {name: value - lr * gradients[name] for name, value in parameters.items()}


def train_rnn(
    x: np.ndarray, y: np.ndarray, n_a: int, num_epoches: int = 100, lr: float = 0.01, *, num_epochs: int | None = None
) -> dict[str, np.ndarray]:
    """Train on the whole text at once, printing every tenth loss; return the parameters.

    x, y: (V, m, T) one-hot, from `one_hot_encode`.  n_a: size of the state.  num_epoches: at least 0.
    num_epochs: the same under its dictionary spelling; the documented keyword really is `num_epoches`.
    """
    epochs = num_epoches if num_epochs is None else num_epochs
    if epochs < 0:
        raise ValueError(f"train_rnn: expected num_epoches of at least 0, got {epochs}.")
    parameters = initialize_parameters(n_a, len(x), len(y))
    for epoch in range(epochs):
        y_hat, caches = _run(parameters, x)
        parameters = update_parameters(parameters, rnn_backward(y, y_hat, caches, parameters), lr)
        if epoch % 10 == 0:
            print(f"Epoch {epoch}: loss = {compute_loss(y_hat, y):.4f}")
    return parameters


def sample(
    parameters: Parameters,
    char_to_ix: Mapping[str, int],
    ix_to_char: Mapping[int, str],
    seed_char: str,
    length: int = 20,
    *,
    greedy: bool = False,
) -> str:
    """Return `seed_char` and `length` characters after it, each drawn from y_hat and fed back.

    greedy: take the likeliest instead of drawing.  Draws from NumPy's global generator, as documented.
    Raises ValueError for a seed that is not one known character, and for a negative length.
    """
    if length < 0:
        raise ValueError(f"sample: expected a length of at least 0, got {length}.")
    index = _index(seed_char, char_to_ix, "sample")
    V = len(char_to_ix)
    a = np.zeros((len(parameters["Waa"]), 1))
    text = seed_char
    for _ in range(length):
        a, y_hat, _ = rnn_step_forward(parameters, np.eye(V)[:, [index]], a)
        index = int(np.argmax(y_hat)) if greedy else int(np.random.choice(V, p=y_hat[:, 0]))  # noqa: NPY002
        text += ix_to_char[index]
    return text


def _index(char: str, char_to_ix: Mapping[str, int], where: str) -> int:
    if char not in char_to_ix:
        known = "".join(char_to_ix)
        raise ValueError(f"{where}: expected one character of the vocabulary {known!r}, got {char!r}.")
    return char_to_ix[char]


def main(text: str = "hello world", epochs: int = 2000) -> str:
    """Learn a text by heart and print what the model then writes; return it."""
    chars, char_to_ix, ix_to_char = build_vocab(text)
    x, y = one_hot_encode(text, char_to_ix, len(chars))
    parameters = train_rnn(x, y, n_a=32, num_epoches=epochs, lr=0.05)
    written = sample(parameters, char_to_ix, ix_to_char, text[0])
    print(written)
    return written


if __name__ == "__main__":
    main()
