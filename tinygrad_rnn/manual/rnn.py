"""The textbook tanh RNN, step by step, with a linear head: the model whose gradients are compared first.

NumPy only. Shapes and names are PyTorch's `RNNCell` and `Linear`, so its arrays fit unchanged: `weight_ih: (H, D)`,
`weight_hh: (H, H)`, `bias_ih: (H,)`, `bias_hh: (H,)`, `head.weight: (C, H)`, `head.bias: (C,)`; inputs are (T, B, D).

    h_t = tanh(x_t W_ih^T + b_ih + h_{t-1} W_hh^T + b_hh),   y_t = h_t W^T + b
"""

from collections.abc import Mapping

import numpy as np

__all__ = [
    "backward",
    "cross_entropy",
    "forward",
    "head_backward",
    "initialize_parameters",
    "loss_and_gradients",
    "squared_error",
]

Parameters = Mapping[str, np.ndarray]
Gradients = dict[str, np.ndarray]


def initialize_parameters(
    input_size: int,
    hidden_size: int,
    output_size: int,
    rng: np.random.Generator,
    *,
    gates: int = 1,
    dtype: type = np.float64,
) -> Gradients:
    """Draw all parameters of a cell and its head from U(-1/sqrt(H), 1/sqrt(H)), as PyTorch does.

    gates: how many blocks of H rows a weight has: 1 for the tanh RNN, 4 for the LSTM, 3 for the GRU.
    """
    if min(input_size, hidden_size, output_size) < 1:
        raise ValueError(
            f"initialize_parameters: expected sizes of at least 1, got input {input_size}, hidden {hidden_size}, "
            f"output {output_size}."
        )
    D, H, C, bound = input_size, hidden_size, output_size, hidden_size**-0.5
    shapes = {
        "weight_ih": (gates * H, D),
        "weight_hh": (gates * H, H),
        "bias_ih": (gates * H,),
        "bias_hh": (gates * H,),
        "head.weight": (C, H),
        "head.bias": (C,),
    }
    return {name: rng.uniform(-bound, bound, shape).astype(dtype) for name, shape in shapes.items()}


def start(parameters: Parameters, x: np.ndarray, h0: np.ndarray | None, gates: int) -> np.ndarray:
    """Check x: (T, B, D) against the weights and return the first state: h0: (B, H), or zeros."""
    rows, D = parameters["weight_ih"].shape
    H = parameters["weight_hh"].shape[1]
    if rows != gates * H:
        raise ValueError(f"manual cell: expected weight_ih of {gates} * H = {gates * H} rows, got {rows}.")
    if x.ndim != 3 or x.shape[2] != D or not x.size:
        raise ValueError(f"manual cell: expected x of shape (steps, batch, features={D}), got {x.shape}.")
    if h0 is None:
        return np.zeros((x.shape[1], H), parameters["weight_hh"].dtype)
    if h0.shape != (x.shape[1], H):
        raise ValueError(f"manual cell: expected a state of shape (batch={x.shape[1]}, H={H}), got {h0.shape}.")
    return h0


def zero_gradients(parameters: Parameters) -> Gradients:
    """Return zeros shaped like the cell's parameters, without the head's."""
    return {name: np.zeros_like(value) for name, value in parameters.items() if not name.startswith("head.")}


def forward(parameters: Parameters, x: np.ndarray, h0: np.ndarray | None = None) -> np.ndarray:
    """Step through time.  x: (T, B, D).  h0: (B, H) or None.  Returns the states: (T + 1, B, H), the first h0."""
    states = [start(parameters, x, h0, gates=1)]
    for x_t in x:
        from_input = x_t @ parameters["weight_ih"].T + parameters["bias_ih"]
        from_state = states[-1] @ parameters["weight_hh"].T + parameters["bias_hh"]
        states.append(np.tanh(from_input + from_state))
    return np.stack(states)


def backward(
    parameters: Parameters, x: np.ndarray, states: np.ndarray, d_states: np.ndarray
) -> tuple[Gradients, np.ndarray, np.ndarray]:
    """Backpropagate through time; return the gradients of the cell by name, dL/dx: (T, B, D) and dL/dh_0: (B, H).

    x: (T, B, D).  states: (T + 1, B, H), from `forward`.
    d_states: (T, B, H), what each h_t, t = 1 ... T, receives from outside, such as the head.

    h_t acts outside and on the next step, so with delta_t the gradient at the argument of tanh and rows as examples:

        dL/dh_t = d_states_t + delta_{t+1} W_hh,   delta_t = (1 - h_t^2) * dL/dh_t

    That argument is x_t W_ih^T + b_ih + h_{t-1} W_hh^T + b_hh with the same parameters at every step, so

        dL/dW_ih = sum_t delta_t^T x_t   dL/dW_hh = sum_t delta_t^T h_{t-1}   dL/db_ih = dL/db_hh = sum_t sum_b delta_t
        dL/dx_t = delta_t W_ih
    """
    gradients = zero_gradients(parameters)
    dx = np.empty_like(x)
    dh = np.zeros_like(states[0])
    for t in reversed(range(len(x))):
        delta = (1 - states[t + 1] ** 2) * (d_states[t] + dh)
        gradients["weight_ih"] += delta.T @ x[t]
        gradients["weight_hh"] += delta.T @ states[t]
        gradients["bias_ih"] += delta.sum(axis=0)
        gradients["bias_hh"] += delta.sum(axis=0)
        dx[t] = delta @ parameters["weight_ih"]
        dh = delta @ parameters["weight_hh"]
    return gradients, dx, dh


def cross_entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean over steps and batch of -log softmax(y)[target], and its gradient.

    logits: (T, B, C).  targets: (T, B) integers.

    With L = log sum_j exp(y_j) - y_target: dL/dy = softmax(y) - onehot(target).
    """
    if targets.shape != logits.shape[:2] or targets.dtype.kind not in "iu":
        raise ValueError(
            f"cross_entropy: expected integer targets of shape {logits.shape[:2]}, got {targets.dtype} {targets.shape}."
        )
    if targets.min() < 0 or targets.max() >= logits.shape[2]:
        raise ValueError(
            f"cross_entropy: expected targets from 0 to {logits.shape[2] - 1}, got {targets.min()} to {targets.max()}."
        )
    shifted = logits - logits.max(axis=2, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=2, keepdims=True))
    d_logits = np.exp(log_p)
    right = (*np.indices(targets.shape), targets)
    d_logits[right] -= 1
    return -float(log_p[right].mean()), d_logits / targets.size


def squared_error(outputs: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean of (y - target)^2, both (T, B, C), and its gradient 2 (y - target) / (T B C)."""
    if targets.shape != outputs.shape:
        raise ValueError(f"squared_error: expected targets of shape {outputs.shape}, got {targets.shape}.")
    error = outputs - targets
    return float(np.mean(error**2)), 2 * error / error.size


def head_backward(
    parameters: Parameters, states: np.ndarray, targets: np.ndarray
) -> tuple[float, Gradients, np.ndarray]:
    """Apply head and loss to every step; return the loss, the head's gradients, and dL/dh_t: (T, B, H).

    states: (T, B, H).  targets: (T, B) integers for cross entropy, or (T, B, C) floats for the squared error.

    From y_t = h_t W^T + b:  dL/dW = sum_t dy_t^T h_t,   dL/db = sum_t sum_b dy_t,   dL/dh_t = dy_t W.
    """
    weight = parameters["head.weight"]
    outputs = states @ weight.T + parameters["head.bias"]
    loss, d_outputs = (cross_entropy if targets.dtype.kind in "iu" else squared_error)(outputs, targets)
    gradients = {"head.weight": np.zeros_like(weight), "head.bias": d_outputs.sum(axis=(0, 1))}
    for dy_t, h_t in zip(d_outputs, states, strict=True):
        gradients["head.weight"] += dy_t.T @ h_t
    return loss, gradients, d_outputs @ weight


def loss_and_gradients(
    parameters: Parameters, x: np.ndarray, targets: np.ndarray, h0: np.ndarray | None = None
) -> tuple[float, Gradients]:
    """Return the mean loss over all steps, and its gradients by the names of the parameters.

    x: (T, B, D).  targets: (T, B) integers for cross entropy, or (T, B, C) floats for the squared error.
    h0: (B, H), zeros unless given.
    """
    states = forward(parameters, x, h0)
    loss, of_head, d_states = head_backward(parameters, states[1:], targets)
    of_cell, _, _ = backward(parameters, x, states, d_states)
    return loss, of_cell | of_head
