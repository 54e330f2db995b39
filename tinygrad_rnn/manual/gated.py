"""LSTM and GRU by hand: the gates, and every way by which an error travels back through them.

NumPy only. Shapes and names are PyTorch's `LSTMCell`, `GRUCell` and `Linear`, the gates stacked in rows in its
order, i f g o and r z n: `weight_ih: (4H, D)` or `(3H, D)`, `weight_hh: (4H, H)` or `(3H, H)`, `bias_ih`, `bias_hh`,
`head.weight: (C, H)`, `head.bias: (C,)`; inputs are (T, B, D). Head and loss are those of `rnn`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinygrad_rnn.manual.rnn import Gradients, Parameters, head_backward, start, zero_gradients

__all__ = [
    "GRUStep",
    "LSTMStep",
    "gru_backward",
    "gru_forward",
    "gru_loss_and_gradients",
    "lstm_backward",
    "lstm_forward",
    "lstm_loss_and_gradients",
    "sigmoid",
]


class LSTMStep(NamedTuple):
    """What one step's backward pass needs: the state before, the four gates, and the cell state's tanh; each (B, H)."""

    h_prev: np.ndarray
    c_prev: np.ndarray
    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray
    tanh_c: np.ndarray


class GRUStep(NamedTuple):
    """What one step's backward pass needs: the state before, the gates, and W_hn h_{t-1} + b_hn; each (B, H)."""

    h_prev: np.ndarray
    r: np.ndarray
    z: np.ndarray
    n: np.ndarray
    from_state: np.ndarray


def sigmoid(a: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-a)), written with tanh so that nothing overflows."""
    return 0.5 * (1 + np.tanh(0.5 * a))


def lstm_forward(
    parameters: Parameters, x: np.ndarray, h0: np.ndarray | None = None, c0: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, list[LSTMStep]]:
    """Step through time; return the outputs h: (T, B, H), the last cell state: (B, H), and one record per step.

    x: (T, B, D).  h0, c0: (B, H) or None for zeros.

        i, f, o = sigmoid(a_i, a_f, a_o),   g = tanh(a_g),   a = x_t W_ih^T + b_ih + h_{t-1} W_hh^T + b_hh
        c_t = f * c_{t-1} + i * g,   h_t = o * tanh(c_t)
    """
    h, c = start(parameters, x, h0, gates=4), start(parameters, x, c0, gates=4)
    outputs, steps = [], []
    for x_t in x:
        from_input = x_t @ parameters["weight_ih"].T + parameters["bias_ih"]
        from_state = h @ parameters["weight_hh"].T + parameters["bias_hh"]
        a_i, a_f, a_g, a_o = np.split(from_input + from_state, 4, axis=1)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c_next = f * c + i * g
        tanh_c = np.tanh(c_next)
        steps.append(LSTMStep(h, c, i, f, g, o, tanh_c))
        h, c = o * tanh_c, c_next
        outputs.append(h)
    return np.stack(outputs), c, steps


def lstm_backward(
    parameters: Parameters,
    x: np.ndarray,
    steps: Sequence[LSTMStep],
    d_outputs: np.ndarray,
    dc_last: np.ndarray | None = None,
) -> tuple[Gradients, np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of the cell by name, dL/dx: (T, B, D), dL/dh_0 and dL/dc_0: (B, H).

    x: (T, B, D).  steps: from `lstm_forward`.  d_outputs: (T, B, H), what h_t receives from outside.
    dc_last: (B, H), what the last cell state receives from outside, nothing unless given.

    Two carries come back from step t+1: dh through W_hh, and dc through the forget gate. From h_t = o tanh(c_t):

        do = dh * tanh(c_t),   dc_t = dc_carry + dh * o * (1 - tanh(c_t)^2)

    and from c_t = f c_{t-1} + i g:

        di = dc_t * g,   df = dc_t * c_{t-1},   dg = dc_t * i,   dc_carry = dc_t * f

    Through the activations, sigmoid' = s (1 - s) and tanh' = 1 - g^2, to the arguments:

        da = [di i (1-i),  df f (1-f),  dg (1-g^2),  do o (1-o)]

    a is linear in x_t, h_{t-1} and the shared parameters, so

        dW_ih = sum_t da^T x_t   dW_hh = sum_t da^T h_{t-1}   db_ih = db_hh = sum_t sum_b da
        dx_t = da W_ih   dh_carry = da W_hh
    """
    gradients = zero_gradients(parameters)
    dx = np.empty_like(x)
    dh = np.zeros_like(steps[0].h_prev)
    dc = np.zeros_like(dh) if dc_last is None else dc_last
    for t in reversed(range(len(x))):
        h_prev, c_prev, i, f, g, o, tanh_c = steps[t]
        dh = d_outputs[t] + dh
        dc = dc + dh * o * (1 - tanh_c**2)
        da = np.hstack(
            [
                dc * g * i * (1 - i),
                dc * c_prev * f * (1 - f),
                dc * i * (1 - g**2),
                dh * tanh_c * o * (1 - o),
            ]
        )
        _accumulate(gradients, da, da, x[t], h_prev)
        dx[t] = da @ parameters["weight_ih"]
        dh = da @ parameters["weight_hh"]
        dc = dc * f
    return gradients, dx, dh, dc


def gru_forward(
    parameters: Parameters, x: np.ndarray, h0: np.ndarray | None = None
) -> tuple[np.ndarray, list[GRUStep]]:
    """Step through time; return the outputs h: (T, B, H) and one record per step.

    x: (T, B, D).  h0: (B, H) or None for zeros.

    The reset gate acts on the product, not on the state before it, and the new state is n where z is 0:

        r, z = sigmoid(a_r, a_z),   n = tanh(x_t W_in^T + b_in + r * (h_{t-1} W_hn^T + b_hn))
        h_t = (1 - z) * n + z * h_{t-1}
    """
    h = start(parameters, x, h0, gates=3)
    outputs, steps = [], []
    for x_t in x:
        x_r, x_z, x_n = np.split(x_t @ parameters["weight_ih"].T + parameters["bias_ih"], 3, axis=1)
        h_r, h_z, h_n = np.split(h @ parameters["weight_hh"].T + parameters["bias_hh"], 3, axis=1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        steps.append(GRUStep(h, r, z, n, h_n))
        h = (1 - z) * n + z * h
        outputs.append(h)
    return np.stack(outputs), steps


def gru_backward(
    parameters: Parameters, x: np.ndarray, steps: Sequence[GRUStep], d_outputs: np.ndarray
) -> tuple[Gradients, np.ndarray, np.ndarray]:
    """Return the gradients of the cell by name, dL/dx: (T, B, D), and dL/dh_0: (B, H).

    x: (T, B, D).  steps: from `gru_forward`.  d_outputs: (T, B, H), what h_t receives from outside.

    From h_t = (1 - z) n + z h_{t-1}, with dh what h_t receives from outside and from step t+1:

        dn = dh * (1 - z),   dz = dh * (h_{t-1} - n),   and h_{t-1} receives dh * z directly

    To the arguments of the activations, where n = tanh(x_n + r * m), m = h_{t-1} W_hn^T + b_hn:

        da_n = dn (1 - n^2),   dr = da_n * m,   dm = da_n * r,   da_r = dr r (1 - r),   da_z = dz z (1 - z)

    The two sides differ in the third block only: the input's product receives dx_side = [da_r, da_z, da_n], the state's
    dh_side = [da_r, da_z, dm]. Then

        dW_ih = sum_t dx_side^T x_t   db_ih = sum dx_side   dx_t = dx_side W_ih
        dW_hh = sum_t dh_side^T h_{t-1}   db_hh = sum dh_side   dh_{t-1} = dh * z + dh_side W_hh
    """
    gradients = zero_gradients(parameters)
    dx = np.empty_like(x)
    dh = np.zeros_like(steps[0].h_prev)
    for t in reversed(range(len(x))):
        h_prev, r, z, n, from_state = steps[t]
        dh = d_outputs[t] + dh
        da_n = dh * (1 - z) * (1 - n**2)
        da_r = da_n * from_state * r * (1 - r)
        da_z = dh * (h_prev - n) * z * (1 - z)
        input_side, state_side = np.hstack([da_r, da_z, da_n]), np.hstack([da_r, da_z, da_n * r])
        _accumulate(gradients, input_side, state_side, x[t], h_prev)
        dx[t] = input_side @ parameters["weight_ih"]
        dh = dh * z + state_side @ parameters["weight_hh"]
    return gradients, dx, dh


def _accumulate(
    gradients: Gradients, input_side: np.ndarray, state_side: np.ndarray, x_t: np.ndarray, h_prev: np.ndarray
) -> None:
    """Add one step's share: each side's argument is (what it reads) W^T + b."""
    gradients["weight_ih"] += input_side.T @ x_t
    gradients["weight_hh"] += state_side.T @ h_prev
    gradients["bias_ih"] += input_side.sum(axis=0)
    gradients["bias_hh"] += state_side.sum(axis=0)


def lstm_loss_and_gradients(
    parameters: Parameters,
    x: np.ndarray,
    targets: np.ndarray,
    h0: np.ndarray | None = None,
    c0: np.ndarray | None = None,
) -> tuple[float, Gradients]:
    """Return the mean loss of LSTM and head over all steps, and its gradients by the names of the parameters.

    x: (T, B, D).  targets: (T, B) integers for cross entropy, or (T, B, C) floats for the squared error.
    """
    outputs, _, steps = lstm_forward(parameters, x, h0, c0)
    loss, of_head, d_outputs = head_backward(parameters, outputs, targets)
    of_cell, *_ = lstm_backward(parameters, x, steps, d_outputs)
    return loss, of_cell | of_head


def gru_loss_and_gradients(
    parameters: Parameters, x: np.ndarray, targets: np.ndarray, h0: np.ndarray | None = None
) -> tuple[float, Gradients]:
    """Return the mean loss of GRU and head over all steps, and its gradients by the names of the parameters.

    x: (T, B, D).  targets: (T, B) integers for cross entropy, or (T, B, C) floats for the squared error.
    """
    outputs, steps = gru_forward(parameters, x, h0)
    loss, of_head, d_outputs = head_backward(parameters, outputs, targets)
    of_cell, *_ = gru_backward(parameters, x, steps, d_outputs)
    return loss, of_cell | of_head
