"""One step of each recurrent cell, defined once: cells take one step of it and layers unroll it.

A step is `step(x, state, weights) -> state`, where the first part of the state is also the output; `weights` are
prepared once per call, so that what does not change with time is computed once. One product per operand serves all
gates.

    tanh, relu   h' = f(W_ih x + b_ih + W_hh h + b_hh)
    LSTM         i, f, g, o = W_ih x + b_ih + W_hh h + b_hh
                 c' = sigmoid(f) c + sigmoid(i) tanh(g)     h' = sigmoid(o) tanh(c'),   projected: W_hr h'
    GRU          r, z = sigmoid of their rows of W_ih x + b_ih + W_hh h + b_hh
                 n = tanh(W_in x + b_in + r (W_hn h + b_hn))     h' = (1 - z) n + z h

Sources: Elman 1990; Hochreiter and Schmidhuber 1997 with the forget gate of Gers et al. 2000; Cho et al. 2014 in the
form of PyTorch and cuDNN (the reset gate after the product).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...ops.contract import matmul
from ...ops.elementwise import add, multiply, subtract, tanh
from ...ops.index import getitem
from ...ops.shape import transpose
from ...ops.special import relu, sigmoid
from ...tensor import Tensor, apply

State = tuple[Tensor, ...]
_SWAPPED = {"axes": (1, 0)}


class Weights(NamedTuple):
    """Weights as the steps want them: w_ih (D, G) and w_hh (H, G) for G = gates x H; biases and projection may be None.

    b_ih: (G,), the sum of both biases except for the GRU. b_hh: (G,), of the GRU. w_hr: (H, P), the projection of the
    LSTM. parts: where the gates stand in (B, G), as params of `getitem`.
    """

    w_ih: Tensor
    w_hh: Tensor
    b_ih: Tensor | None
    b_hh: Tensor | None
    w_hr: Tensor | None
    parts: tuple[dict[str, Any], ...]


Step = Callable[[Tensor, State, Weights], State]
Prepare = Callable[..., Weights]


def _parts(w_ih: Tensor, *cuts: tuple[int, int]) -> tuple[dict[str, Any], ...]:
    """Columns start to stop of (B, G), for each (start, stop) in units of H = G / the last stop."""
    size = w_ih.shape[0] // cuts[-1][1]
    return tuple({"index": (slice(None), slice(start * size, stop * size))} for start, stop in cuts)


def _turned(w: Tensor | None) -> Any:
    return None if w is None else apply(transpose, (w,), _SWAPPED)


def prepare(
    w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None, w_hr: Tensor | None = None
) -> Weights:
    """Weights (G, D), (G, H), biases (G,) or None, projection (P, H) or None -> as the steps want them."""
    bias = None if b_ih is None or b_hh is None else apply(add, (b_ih, b_hh))
    return Weights(
        _turned(w_ih), _turned(w_hh), bias, None, _turned(w_hr), _parts(w_ih, (0, 1), (1, 2), (2, 3), (3, 4))
    )


def prepare_gru(w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None) -> Weights:
    """As `prepare`; the biases stay apart, for the reset gate multiplies one of them and not the other."""
    cuts = _parts(w_ih, (0, 1), (1, 2), (0, 2), (2, 3))
    return Weights(_turned(w_ih), _turned(w_hh), b_ih, b_hh, None, cuts)


def _preactivation(x: Tensor, h: Tensor, w: Weights) -> Tensor:
    total = apply(add, (apply(matmul, (x, w.w_ih)), apply(matmul, (h, w.w_hh))))
    return total if w.b_ih is None else apply(add, (total, w.b_ih))


def tanh_step(x: Tensor, state: State, w: Weights) -> State:
    """x (B, D), state (h (B, H),) -> (h' (B, H),)."""
    return (apply(tanh, (_preactivation(x, state[0], w),)),)


def relu_step(x: Tensor, state: State, w: Weights) -> State:
    """x (B, D), state (h (B, H),) -> (h' (B, H),)."""
    return (apply(relu, (_preactivation(x, state[0], w),)),)


STEPS: dict[str, Step] = {"tanh": tanh_step, "relu": relu_step}
"""The steps of the plain RNN by the name of the nonlinearity."""


def lstm_step(x: Tensor, state: State, w: Weights) -> State:
    """x (B, D), state (h (B, P or H), c (B, H)) -> (h', c')."""
    h, c = state
    gates = (_preactivation(x, h, w),)
    of_i, of_f, of_g, of_o = w.parts
    i = apply(sigmoid, (apply(getitem, gates, of_i),))
    f = apply(sigmoid, (apply(getitem, gates, of_f),))
    g = apply(tanh, (apply(getitem, gates, of_g),))
    o = apply(sigmoid, (apply(getitem, gates, of_o),))
    c = apply(add, (apply(multiply, (f, c)), apply(multiply, (i, g))))
    h = apply(multiply, (o, apply(tanh, (c,))))
    return (h if w.w_hr is None else apply(matmul, (h, w.w_hr))), c


def gru_step(x: Tensor, state: State, w: Weights) -> State:
    """x (B, D), state (h (B, H),) -> (h' (B, H),)."""
    (h,) = state
    of_x, of_h = apply(matmul, (x, w.w_ih)), apply(matmul, (h, w.w_hh))
    if w.b_ih is not None:
        of_x, of_h = apply(add, (of_x, w.b_ih)), apply(add, (of_h, w.b_hh))
    of_r, of_z, of_rz, of_n = w.parts
    # both gates at once: one sum and one sigmoid
    gates = (apply(sigmoid, (apply(add, (apply(getitem, (of_x,), of_rz), apply(getitem, (of_h,), of_rz))),)),)
    r, z = apply(getitem, gates, of_r), apply(getitem, gates, of_z)
    gated = apply(multiply, (r, apply(getitem, (of_h,), of_n)))
    new = apply(tanh, (apply(add, (apply(getitem, (of_x,), of_n), gated)),))
    # (1 - z) new + z h, with one product less
    return (apply(add, (new, apply(multiply, (z, apply(subtract, (h, new)))))),)
