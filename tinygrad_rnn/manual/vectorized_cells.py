"""Tanh RNN, LSTM and GRU as an expert writes them for speed: the layers of `vectorized`.

NumPy only. The mathematics is that of `rnn` and `gated`, derived there; this is about its order of work:

- What does not wait for the state is taken for all T steps at once: the product with the inputs going forward, every
  weight gradient coming back. Left in the loop are the product with the state and the activations.
- A bias is the weight of a constant input: inputs are kept with a column of ones, so the input product adds it, and the
  product that makes the weight gradient sums it.
- Each gate is a block of its own, (gates, ..., B, H), so that passes over a gate are contiguous. One batched product
  serves all gates, and its small blocks suit the small-matrix kernels of BLAS better than one wide product.
- sigmoid(a) = 1/2 + 1/2 tanh(a/2): with the half put into a copy of the weights, one tanh serves all gates.
- The recurrent weight is copied transposed once per pass, for its T products read it row by row.
- Buffers start on a cache line: a 64-byte vector register is then loaded from one line and not from two.
- Nothing is allocated after the constructor: all views of all steps are made there, every call writes into a buffer.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

__all__ = ["GRU", "LSTM", "Layer", "TanhRNN", "aligned"]

Arrays = Sequence[np.ndarray]

# The loops below call these thousands of times a second; a module attribute spares the lookup in NumPy.
add, matmul, multiply, subtract, tanh = np.add, np.matmul, np.multiply, np.subtract, np.tanh
add_reduce: Any = np.add.reduce  # NumPy's stubs refuse `out`


CACHE_LINE = 64  # bytes


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return a zeroed array whose first byte starts a cache line; NumPy's own large arrays begin 16 bytes after one."""
    size = math.prod(shape) * dtype.itemsize
    raw = np.zeros(size + CACHE_LINE, np.uint8)
    start = -raw.ctypes.data % CACHE_LINE
    return raw[start : start + size].view(dtype).reshape(shape)


class Layer:
    """One recurrent layer for a fixed T and B, from a zero state; its subclasses add the loop over time.

    parameters, gradients: `weight_ih: (gates H, D)`, `weight_hh: (gates H, H)`, `bias_ih`, `bias_hh: (gates H,)`,
        PyTorch's layout. The first are read at each pass, the second overwritten by each backward pass.
    input_gradient: whether `backward` returns dL/dx, or nothing, (0, D): the lowest layer is spared that product.
    """

    gates: ClassVar[int]
    scale: ClassVar[tuple[float, ...]]  # of each gate's argument: 1/2 where a sigmoid is made of a tanh

    def __init__(self, parameters: Arrays, gradients: Arrays, T: int, B: int, input_gradient: bool) -> None:
        self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh = parameters
        self.gradients = gradients
        G, H, D, dtype = self.gates, self.weight_hh.shape[1], self.weight_ih.shape[1], self.weight_hh.dtype
        self.T, self.B, self.H, self.D, self.dtype = T, B, H, D, dtype
        self.x = self.zeros(T * B, D + 1)
        self.x[:, D] = 1
        self.h = self.zeros(T + 1, B, H)
        self.projected = self.zeros(G, T, B, H)
        self.input_weight, self.state_weight = self.zeros(G, D + 1, H), self.zeros(G, H, H)
        self.input_weight_gradient = self.zeros(H, D + 1)
        self.spread = np.array(self.scale, dtype).reshape(G, 1, 1)
        rows = T * B if input_gradient else 0
        self.dx, self.dx_share = self.zeros(rows, D), self.zeros(rows, D)
        self.state_weight_blocks = self.weight_hh.reshape(G, H, H)  # row blocks: a view

    def zeros(self, *shape: int) -> np.ndarray:
        """Return a buffer of this layer's dtype."""
        return aligned(shape, self.dtype)

    def blocks(self, array: np.ndarray) -> np.ndarray:
        """View a parameter or gradient as (gates, H, ...)."""
        return array.reshape(self.gates, self.H, *array.shape[1:])

    def flat(self, array: np.ndarray) -> np.ndarray:
        """View (T, B, H) as (T B, H)."""
        return array.reshape(self.T * self.B, self.H)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Run over x: (T, B, D) or (T B, D); return the states (T, B, H), a buffer that the next call overwrites."""
        self.x[:, : self.D] = x.reshape(self.T * self.B, self.D)
        self.load_weights()
        matmul(self.x, self.input_weight, self.projected.reshape(self.gates, -1, self.H))
        self.run()
        return self.h[1:]

    def load_weights(self) -> None:
        """Copy the weights transposed, scaled, and with the biases as one more row."""
        multiply(self.blocks(self.weight_ih).transpose(0, 2, 1), self.spread, self.input_weight[:, :-1])
        multiply(self.blocks(self.weight_hh).transpose(0, 2, 1), self.spread, self.state_weight)
        multiply(self.blocks(self.bias_ih) + self.input_bias(), self.spread[:, 0], self.input_weight[:, -1])

    def input_bias(self) -> np.ndarray:
        """Return the part of bias_hh, (gates, H), that is added with bias_ih: all of it where no gate is between."""
        return self.blocks(self.bias_hh)

    def run(self) -> None:
        """Step through time: fill `h[1:]` from `projected`."""
        raise NotImplementedError

    def backward(self, d_states: np.ndarray) -> np.ndarray:
        """Backpropagate d_states: (T, B, H); fill the gradients; return dL/dx: (T B, D) if asked for."""
        raise NotImplementedError

    def collect(self, of_input: Arrays | np.ndarray, of_state: Arrays | np.ndarray) -> np.ndarray:
        """Turn the gradients at the gates' arguments, (T, B, H) each, into those of the parameters; return dL/dx.

        of_input: at the product with the input.  of_state: at the product with the state; they differ in the GRU only.
        """
        d_ih, d_hh, db_ih, db_hh = (self.blocks(gradient) for gradient in self.gradients)
        h_prev = self.flat(self.h[:-1])
        for k in range(self.gates):
            d_input = self.flat(of_input[k])
            np.dot(d_input.T, self.x, self.input_weight_gradient)
            d_ih[k], db_ih[k] = self.input_weight_gradient[:, : self.D], self.input_weight_gradient[:, self.D]
            db_hh[k] = db_ih[k]
            np.dot(self.flat(of_state[k]).T, h_prev, d_hh[k])
            if len(self.dx):
                np.dot(d_input, self.blocks(self.weight_ih)[k], self.dx_share if k else self.dx)
                if k:
                    add(self.dx, self.dx_share, self.dx)
        return self.dx


class TanhRNN(Layer):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh): three calls per step each way."""

    gates, scale = 1, (1.0,)

    def __init__(self, parameters: Arrays, gradients: Arrays, T: int, B: int, input_gradient: bool) -> None:
        super().__init__(parameters, gradients, T, B, input_gradient)
        self.product, self.d_argument = self.zeros(B, self.H), self.zeros(T, B, self.H)
        projected = self.projected[0]
        self.slope = projected  # 1 - h^2 may overwrite the projected inputs, which are used up by then
        self.forward_steps = [(self.h[t].dot, projected[t], self.h[t + 1]) for t in range(T)]
        self.backward_steps = [
            (self.d_argument[t + 1].dot, t, self.slope[t], self.d_argument[t]) for t in reversed(range(T - 1))
        ]

    def run(self) -> None:
        """Per step: product, sum, tanh."""
        weight, product = self.state_weight[0], self.product
        for h_dot, projected, h_next in self.forward_steps:
            h_dot(weight, product)
            add(product, projected, h_next)
            tanh(h_next, h_next)

    def backward(self, d_states: np.ndarray) -> np.ndarray:
        """Per step: product, sum, slope.  d_states: (T, B, H).  Returns dL/dx: (T B, D) if asked for."""
        weight, product = self.weight_hh, self.product
        multiply(self.h[1:], self.h[1:], self.slope)
        subtract(1, self.slope, self.slope)
        multiply(d_states[-1], self.slope[-1], self.d_argument[-1])
        for d_next_dot, t, slope, d_argument in self.backward_steps:
            d_next_dot(weight, product)
            add(product, d_states[t], product)
            multiply(product, slope, d_argument)
        return self.collect([self.d_argument], [self.d_argument])


class LSTM(Layer):
    """Gates i, f, g, o; the arithmetic of `gated.lstm_forward` and `gated.lstm_backward`."""

    gates, scale = 4, (0.5, 0.5, 1.0, 0.5)

    def __init__(self, parameters: Arrays, gradients: Arrays, T: int, B: int, input_gradient: bool) -> None:
        super().__init__(parameters, gradients, T, B, input_gradient)
        H = self.H
        self.gate, self.tanh_c = self.zeros(T, 4, B, H), self.zeros(T, B, H)
        self.c = self.zeros(T + 1, B, H)
        self.d_argument = self.projected  # used up by the time gradients are made
        self.product, self.slope, self.partner = self.zeros(4, B, H), self.zeros(4, B, H), self.zeros(4, B, H)
        self.dh, self.dc, self.part = self.zeros(B, H), self.zeros(B, H), self.zeros(B, H)
        self.shift = np.array([0.5, 0.5, 0.0, 0.5], self.dtype).reshape(4, 1, 1)
        self.steps: list[Any] = [
            (t, self.h[t], self.c[t], self.projected[:, t], gate, *gate, self.c[t + 1], self.tanh_c[t], self.h[t + 1])
            for t, gate in enumerate(self.gate)
        ]

    def run(self) -> None:
        """Per step: one batched product, one tanh over all gates, and the cell."""
        weight, product, part, spread, shift = self.state_weight, self.product, self.part, self.spread, self.shift
        for _, h, c, projected, gate, i, f, g, o, c_next, tanh_c, h_next in self.steps:
            matmul(h, weight, product)
            add(product, projected, gate)
            tanh(gate, gate)
            multiply(gate, spread, gate)
            add(gate, shift, gate)
            multiply(f, c, c_next)
            multiply(i, g, part)
            add(c_next, part, c_next)
            tanh(c_next, tanh_c)
            multiply(o, tanh_c, h_next)

    def backward(self, d_states: np.ndarray) -> np.ndarray:
        """Carry dh and dc back through time.  d_states: (T, B, H).  Returns dL/dx: (T B, D) if asked for."""
        product, slope, partner, dh, dc, part = self.product, self.slope, self.partner, self.dh, self.dc, self.part
        slope_g, (by_i, by_f, by_g, by_o) = slope[2], partner
        dh.fill(0)
        dc.fill(0)
        for t, _, c_prev, d_argument, gate, i, f, g, o, _, tanh_c, _ in reversed(self.steps):
            add(dh, d_states[t], dh)
            multiply(tanh_c, tanh_c, part)  # dc += dh o (1 - tanh(c)^2)
            subtract(1, part, part)
            multiply(part, o, part)
            multiply(part, dh, part)
            add(dc, part, dc)
            multiply(gate, gate, slope)  # s - s^2 for the sigmoids, 1 - g^2 for the candidate
            subtract(1, slope_g, part)
            subtract(gate, slope, slope)
            slope_g[...] = part
            multiply(dc, g, by_i)
            multiply(dc, c_prev, by_f)
            multiply(dc, i, by_g)
            multiply(dh, tanh_c, by_o)
            multiply(partner, slope, d_argument)
            multiply(dc, f, dc)
            matmul(d_argument, self.state_weight_blocks, product)
            add_reduce(product, 0, None, dh)
        return self.collect(self.d_argument, self.d_argument)


class GRU(Layer):
    """Gates r, z, n; the arithmetic of `gated.gru_forward` and `gated.gru_backward`."""

    gates, scale = 3, (0.5, 0.5, 1.0)

    def __init__(self, parameters: Arrays, gradients: Arrays, T: int, B: int, input_gradient: bool) -> None:
        super().__init__(parameters, gradients, T, B, input_gradient)
        H = self.H
        self.gate, self.from_state, self.h_minus_n = self.zeros(T, 3, B, H), self.zeros(T, B, H), self.zeros(T, B, H)
        self.d_argument = self.zeros(4, T, B, H)  # r, z, n as the state's product sees it, n as the input's does
        self.product, self.slope = self.zeros(3, B, H), self.zeros(2, B, H)
        self.dh, self.direct, self.part = self.zeros(B, H), self.zeros(B, H), self.zeros(B, H)
        self.steps: list[Any] = [
            (t, self.h[t], self.projected[:2, t], self.projected[2, t], gate[:2], *gate, self.from_state[t])
            + (self.h_minus_n[t], self.h[t + 1], self.d_argument[:3, t], *self.d_argument[:, t])
            for t, gate in enumerate(self.gate)
        ]

    def input_bias(self) -> np.ndarray:
        """Leave out the candidate's: the reset gate stands before it."""
        bias = self.blocks(self.bias_hh).copy()
        bias[2] = 0
        return bias

    def run(self) -> None:
        """Per step: one batched product, a tanh for the two gates, one for the candidate, and the mixture."""
        weight, product, bias_n = self.state_weight, self.product, self.blocks(self.bias_hh)[2]
        product_gates, product_n = product[:2], product[2]
        for _, h, projected, projected_n, gates, r, z, n, from_state, h_minus_n, h_next, *_ in self.steps:
            matmul(h, weight, product)
            add(product_gates, projected, gates)
            tanh(gates, gates)
            multiply(gates, 0.5, gates)
            add(gates, 0.5, gates)
            add(product_n, bias_n, from_state)
            multiply(r, from_state, n)
            add(n, projected_n, n)
            tanh(n, n)
            subtract(h, n, h_minus_n)  # h_next = n + z (h - n)
            multiply(z, h_minus_n, h_next)
            add(h_next, n, h_next)

    def backward(self, d_states: np.ndarray) -> np.ndarray:
        """Carry dh back through time.  d_states: (T, B, H).  Returns dL/dx: (T B, D) if asked for."""
        product, slope, dh, direct, part = self.product, self.slope, self.dh, self.direct, self.part
        slope_r, slope_z = slope
        dh.fill(0)
        for t, _, _, _, gates, r, z, n, from_state, h_minus_n, _, d_argument, d_r, d_z, d_hn, d_n in reversed(
            self.steps
        ):
            add(dh, d_states[t], dh)
            multiply(gates, gates, slope)
            subtract(gates, slope, slope)
            multiply(dh, h_minus_n, part)
            multiply(part, slope_z, d_z)
            multiply(dh, z, direct)
            subtract(dh, direct, dh)  # dh (1 - z)
            multiply(n, n, part)
            subtract(1, part, part)
            multiply(dh, part, d_n)
            multiply(d_n, from_state, part)
            multiply(part, slope_r, d_r)
            multiply(d_n, r, d_hn)
            matmul(d_argument, self.state_weight_blocks, product)
            add_reduce(product, 0, None, dh)
            add(dh, direct, dh)
        d_r, d_z, d_hn, d_n = self.d_argument
        dx = self.collect([d_r, d_z, d_n], [d_r, d_z, d_hn])
        np.sum(self.flat(d_hn), 0, out=self.blocks(self.gradients[3])[2])
        return dx
