"""RNNCell, LSTMCell, GRUCell: one step, state in and state out; the loop is the caller's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...ops.shape import reshape
from ...tensor import Tensor, make
from .. import init
from ..layers.linear import new
from ..module import Module
from .checks import check_cell, parts_of
from .steps import STEPS, Prepare, Step, gru_step, lstm_step, prepare, prepare_gru


class RNNCellBase(Module):
    """What the cells share; use those."""

    gates = 1
    states = 1
    prepare: Prepare = staticmethod(prepare)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = self.gates * hidden_size
        self.weight_ih = new(rows, input_size, dtype=dtype)
        self.weight_hh = new(rows, hidden_size, dtype=dtype)
        self.register_parameter("bias_ih", new(rows, dtype=dtype) if bias else None)
        self.register_parameter("bias_hh", new(rows, dtype=dtype) if bias else None)
        self.reset_parameters(generator)

    def reset_parameters(self, generator: np.random.Generator | None = None) -> None:
        """Draw all weights and biases anew, evenly from -1/sqrt(H) to 1/sqrt(H)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound, generator)

    def _step(self) -> Step:
        raise NotImplementedError

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """One step.

        input: (B, D) or (D,). hx: the state (B, H) or (H,), for the LSTM a pair (h, c); zeros if not given.
        Returns the new state, shaped like hx. Raises ShapeError for sizes that do not fit, DTypeError for another dtype
        than the weights'.
        """
        state = None if hx is None else parts_of(self, hx)
        check_cell(self, input, state)
        single = input.ndim == 1
        if single:
            input = reshape(input, shape=(1, input.shape[0]))
            state = None if state is None else tuple(reshape(part, shape=(1, part.shape[0])) for part in state)
        if state is None:
            zeros = make(np.zeros((input.shape[0], self.hidden_size), input.dtype))
            state = (zeros,) * self.states
        weights = self.prepare(self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        state = self._step()(input, state, weights)
        if single:
            state = tuple(reshape(part, shape=(part.shape[1],)) for part in state)
        return state if self.states > 1 else state[0]

    def extra_repr(self) -> str:
        """The sizes, and what differs from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        text += "" if self.bias is True else f", bias={self.bias}"
        return text + ("" if nonlinearity == "tanh" else f", nonlinearity={nonlinearity}")


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu instead of tanh. Source: Elman 1990.

    input_size, hidden_size: sizes D and H. nonlinearity: "tanh" or "relu".
    Parameters: weight_ih (H, D), weight_hh (H, H), bias_ih (H,), bias_hh (H,). Call: see `forward`.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", **more: Any
    ) -> None:
        super().__init__(input_size, hidden_size, bias, **more)
        if nonlinearity not in STEPS:
            raise ValueError(f"Unknown nonlinearity: {nonlinearity}; expected 'tanh' or 'relu'.")
        self.nonlinearity = nonlinearity

    def _step(self) -> Step:
        return STEPS[self.nonlinearity]


class LSTMCell(RNNCellBase):
    """One step of the LSTM, gates i, f, g, o; parameters as `RNNCell` with 4H rows. The state is a pair (h, c)."""

    gates = 4
    states = 2

    def _step(self) -> Step:
        return lstm_step


class GRUCell(RNNCellBase):
    """One step of the GRU, gates r, z, n; parameters as `RNNCell` with 3H rows."""

    gates = 3
    prepare = staticmethod(prepare_gru)

    def _step(self) -> Step:
        return gru_step
