"""Small recurrent models written as plain loops, as a user would: what the tests of the compiler compile."""

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn.ops.loss import cross_entropy
from tinygrad_rnn.ops.special import sigmoid

T, B, D, H, V = 5, 3, 4, 6, 7
GATES = {"tanh": 1, "lstm": 4, "gru": 3, "highway": 2}


def weights(cell: str, dtype: Any = np.float64) -> list[Any]:
    """W_ih (G H, D), W_hh (G H, H), biases, W_out (V, H), b_out: leaves that require grad."""
    rng = np.random.default_rng(7)
    rows = GATES[cell] * H
    shapes = [(rows, D), (rows, H), (rows,), (rows,), (V, H), (V,)]
    return [tg.tensor(rng.normal(size=shape).astype(dtype) * 0.4, requires_grad=True) for shape in shapes]


def step(cell: str, x: Any, state: tuple[Any, Any], w: list[Any]) -> tuple[Any, Any]:
    """One step of a cell, nothing batched by hand."""
    h, c = state
    w_ih, w_hh, b_ih, b_hh = w[:4]
    if cell == "gru":
        a, b = x @ w_ih.T + b_ih, h @ w_hh.T + b_hh
        r, z = sigmoid(a[:, :H] + b[:, :H]), sigmoid(a[:, H : 2 * H] + b[:, H : 2 * H])
        n = np.tanh(a[:, 2 * H :] + r * b[:, 2 * H :])
        return (1 - z) * n + z * h, c
    a = x @ w_ih.T + b_ih + h @ w_hh.T + b_hh
    if cell == "tanh":
        return np.tanh(a), c
    if cell == "highway":
        gate = sigmoid(a[:, :H])
        return gate * np.tanh(a[:, H:]) + (1 - gate) * h, c
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H]), sigmoid(a[:, 3 * H :])
    c = f * c + i * np.tanh(a[:, 2 * H : 3 * H])
    return o * np.tanh(c), c


def run(cell: str, xs: Any, w: list[Any], scoped: bool = True) -> list[Any]:
    """The states after each step over xs: (T, B, D) or a list of (B, D)."""
    h = tg.zeros(xs[0].shape[0], H, dtype=xs[0].dtype)
    state, states = (h, h), []
    for t in range(len(xs)):
        if scoped:
            with tg.scope("cell", t=t):
                state = step(cell, xs[t], state, w)
        else:
            state = step(cell, xs[t], state, w)
        states.append(state[0])
    return states


def loss_of(cell: str, w: list[Any], scoped: bool = True, head: str = "each") -> Callable[[Any, Any], Any]:
    """A loss (inputs, targets) -> 0-d; the head and the cross entropy are taken at each step, or of all steps at
    once.
    """

    def loss(xs: Any, targets: Any) -> Any:
        states = run(cell, xs, w, scoped)
        if head == "all":
            scores = np.stack(states) @ w[4].T + w[5]
            return cross_entropy(scores.reshape(-1, V), targets.reshape(-1)).mean()
        total = 0
        for t, h in enumerate(states):
            total = total + cross_entropy(h @ w[4].T + w[5], targets[t]).mean()
        return total / len(states)

    return loss


def batch(dtype: Any = np.float64, steps: int = T, rows: int = B, seed: int = 0) -> tuple[Any, Any]:
    """Inputs (T, B, D) that require grad, and targets (T, B)."""
    rng = np.random.default_rng(seed)
    x = tg.tensor(rng.normal(size=(steps, rows, D)).astype(dtype), requires_grad=True)
    return x, tg.tensor(rng.integers(0, V, size=(steps, rows)))
