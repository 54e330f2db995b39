"""A whole training step as an expert writes it for speed: layers, linear head, loss, clipping, gradient descent.

NumPy only. It computes what `rnn` and `gated` compute, to rounding, and is what the compiler is measured against. How
the layers are made fast is told in `vectorized_cells`. Here: all parameters lie in one vector and all gradients in
another, so that norm and update are one pass each; scores lie (C, T B), classes first, so that the softmax runs along
contiguous vectors; and passes over large buffers go block by block, each block small enough to stay in the cache.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_rnn.manual.vectorized_cells import CACHE_LINE, GRU, LSTM, Layer, TanhRNN, aligned

__all__ = ["GRU", "LSTM", "Layer", "Network", "TanhRNN"]

BLOCK_BYTES = 1 << 18  # a few such blocks fit into the second-level cache of every machine in use
SAFE_EXPONENT = 40.0  # exp of the highest score neither overflows nor vanishes: the softmax need not be shifted
maximum_reduce: Any = np.maximum.reduce  # NumPy's stubs refuse `out`
add_reduce: Any = np.add.reduce
LAYER_PARAMETERS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class Network:
    """Recurrent layers and a linear head on every step, for a fixed number of steps and batch, from zero states.

    cell: TanhRNN, LSTM or GRU.  T, B: steps and batch.
    parameters: copied. Per layer `weight_ih`, `weight_hh`, `bias_ih`, `bias_hh`, with suffix `_l0`, `_l1`, ... or none,
        and any prefix; `head.weight: (C, H)`, `head.bias: (C,)`; with `embedding.weight: (V, D)` inputs are words.
    `parameters` and `gradients` are dicts of views, by the given names, and stay valid. Raises ValueError for missing
    names and shapes that do not fit.
    """

    def __init__(self, cell: type[Layer], parameters: Mapping[str, np.ndarray], T: int, B: int) -> None:
        if T < 1 or B < 1:
            raise ValueError(f"Network: expected T and B of at least 1, got T={T}, B={B}.")
        names = _layer_names(parameters)
        _check(cell, parameters, names)
        self.T, self.B = T, B
        self.words = "embedding.weight" in parameters
        dense = [name for name in parameters if name != "embedding.weight"]
        self._theta, self.parameters = _pack({name: parameters[name] for name in dense})
        self._slope, self.gradients = _pack({name: np.zeros_like(parameters[name]) for name in dense})
        self._blocks = _blocks(self._theta, self._slope)
        self.layers = [
            cell([self.parameters[n] for n in four], [self.gradients[n] for n in four], T, B, bool(k) or self.words)
            for k, four in enumerate(names)
        ]
        self.embedding = _Embedding(parameters["embedding.weight"]) if self.words else None
        if self.embedding:
            self.parameters["embedding.weight"] = self.embedding.weight
            self.gradients["embedding.weight"] = np.zeros_like(self.embedding.weight)
        self.head = _Head(self.parameters, self.gradients, T * B)

    def loss_and_gradients(self, x: np.ndarray, targets: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
        """Return the mean loss over all steps, and `gradients`, whose arrays the next call overwrites.

        x: (T, B, D) float, or (T, B) words.  targets: (T, B) integers: cross entropy, (T, B, C) floats: squared error.
        """
        loss = self._pass(x, targets)
        if self.embedding:
            self.embedding.scatter(self.gradients["embedding.weight"])
        return loss, self.gradients

    def step(self, x: np.ndarray, targets: np.ndarray, lr: float, clip: float | None = None) -> float:
        """Take a step of gradient descent, the gradient cut to a norm of at most `clip`; return the loss before it."""
        loss = self._pass(x, targets)
        rate = lr
        if clip is not None:
            square = float(np.dot(self._slope, self._slope))
            if self.embedding:
                square += float(np.vdot(self.embedding.rows, self.embedding.rows))
            rate *= min(1.0, clip / (square**0.5 + 1e-6))
        for theta, slope in self._blocks:
            np.multiply(slope, rate, slope)
            np.subtract(theta, slope, theta)
        if self.embedding:
            self.embedding.weight[self.embedding.ids] -= rate * self.embedding.rows
        return loss

    def _pass(self, x: np.ndarray, targets: np.ndarray) -> float:
        """Forward and backward: fill the gradients, of the embedding only the rows in use; return the loss."""
        expected = (self.T, self.B) if self.words else (self.T, self.B, self.layers[0].D)
        if x.shape != expected:
            raise ValueError(f"Network: expected inputs of shape {expected}, got {x.shape}.")
        h = self.embedding.forward(x) if self.embedding else x
        for layer in self.layers:
            h = layer.forward(h)
        loss, d = self.head.loss_and_backward(h, targets)
        for layer in reversed(self.layers):
            d = layer.backward(d.reshape(self.T, self.B, -1))
        if self.embedding:
            self.embedding.backward(d)
        return loss


class _Head:
    """Scores W h_t + b, the loss, and the way back, for a block of steps at a time.

    A block's scores stay in the cache from their product to the last use of their gradient. Each block adds its share
    to the gradient of the weight, which must not cost more than it saves: so a block is never narrower than a few H.
    """

    def __init__(self, parameters: Mapping[str, np.ndarray], gradients: Mapping[str, np.ndarray], N: int) -> None:
        self.weight, self.bias = parameters["head.weight"], parameters["head.bias"]
        self.d_weight, self.d_bias = gradients["head.weight"], gradients["head.bias"]
        (self.C, H), dtype = self.weight.shape, self.weight.dtype
        self.N, self.column = N, self.bias[:, None]
        self.dh, self.share = aligned((N, H), dtype), aligned((self.C, H), dtype)
        width = min(N, max(4 * H, BLOCK_BYTES // (self.C * dtype.itemsize)))
        buffers = aligned((self.C * width,), dtype), aligned((width,), dtype), aligned((width,), dtype)
        self.places = np.arange(width)
        self.blocks = []
        for start in range(0, N, width):
            n = min(width, N - start)
            scores, highest, total = buffers[0][: self.C * n].reshape(self.C, n), buffers[1][:n], buffers[2][:n]
            self.blocks.append((slice(start, start + n), scores, highest, total, np.ones(n, dtype)))

    def loss_and_backward(self, h: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
        """h: (T, B, H).  Returns the mean loss and dL/dh: (T B, H); the head's gradients are filled."""
        flat, y, loss_of = self._check(h, targets)
        loss = 0.0
        for block, scores, highest, total, ones in self.blocks:
            states = flat[block]
            np.dot(self.weight, states.T, scores)
            np.add(scores, self.column, scores)
            loss += loss_of(scores, y[block], highest, total)
            np.dot(scores.T, self.weight, self.dh[block])
            if not block.start:
                np.dot(scores, states, self.d_weight)
                np.dot(scores, ones, self.d_bias)
            else:
                np.add(self.d_weight, np.dot(scores, states, self.share), self.d_weight)
                np.add(self.d_bias, np.dot(scores, ones), self.d_bias)
        return loss / self.N, self.dh

    def _check(self, h: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray, Callable[..., float]]:
        """Return states (T B, H) and targets (T B, ...), one row per step and example, and the loss that fits them."""
        by_class = targets.dtype.kind in "iu"
        expected = h.shape[:2] if by_class else (*h.shape[:2], self.C)
        if targets.shape != expected:
            raise ValueError(f"Network: expected targets of shape {expected}, got {targets.shape}.")
        if by_class and not 0 <= targets.min() <= targets.max() < self.C:
            raise ValueError(
                f"Network: expected targets from 0 to {self.C - 1}, got {targets.min()} to {targets.max()}."
            )
        loss_of = self._cross_entropy if by_class else self._squared_error
        return h.reshape(self.N, -1), targets.reshape(self.N, *targets.shape[2:]), loss_of

    def _cross_entropy(self, scores: np.ndarray, y: np.ndarray, highest: np.ndarray, total: np.ndarray) -> float:
        """Turn scores: (C, n) into (softmax - onehot) / N in place; return the sum of log sum exp(score) - score_y."""
        places, flat = np.multiply(y, len(y), dtype=np.intp) + self.places[: len(y)], scores.reshape(-1)
        loss = -float(flat.take(places).sum())
        maximum_reduce(scores, 0, None, highest)
        if max(highest.max(), -highest.min()) > SAFE_EXPONENT:
            np.subtract(scores, highest, scores)
            loss += float(highest.sum())
        np.exp(scores, scores)
        add_reduce(scores, 0, None, total)
        loss += float(np.log(total).sum())
        np.multiply(total, self.N, total)
        np.reciprocal(total, total)
        np.multiply(scores, total, scores)
        flat[places] -= 1 / self.N
        return loss

    def _squared_error(self, scores: np.ndarray, y: np.ndarray, *_: np.ndarray) -> float:
        """Turn scores: (C, n) into 2 (score - y) / (N C) in place; return the sum of squares over C."""
        np.subtract(scores, y.T, scores)
        loss = float(np.vdot(scores, scores)) / self.C
        np.multiply(scores, 2 / (self.N * self.C), scores)
        return loss


class _Embedding:
    """A row per word; its gradient is kept for the words in use only."""

    def __init__(self, weight: np.ndarray) -> None:
        self.weight = np.array(weight)

    def forward(self, words: np.ndarray) -> np.ndarray:
        """words: (T, B) integers.  Returns (T, B, D)."""
        if words.dtype.kind not in "iu" or words.min() < 0 or words.max() >= len(self.weight):
            raise ValueError(f"Network: expected words from 0 to {len(self.weight) - 1}, got {words.dtype} {words}.")
        self.words = words.ravel()
        return self.weight[words]

    def backward(self, dx: np.ndarray) -> None:
        """Sum the gradients of equal words: sorted, each word is one run.  dx: (T B, D).  Sets `ids` and `rows`."""
        order = np.argsort(self.words, kind="stable")
        self.ids, starts = np.unique(self.words[order], return_index=True)
        self.rows = np.add.reduceat(dx[order], starts, axis=0)

    def scatter(self, gradient: np.ndarray) -> None:
        """Write the gradient out in full, (V, D)."""
        gradient.fill(0)
        gradient[self.ids] = self.rows


def _layer_names(parameters: Mapping[str, np.ndarray]) -> list[list[str]]:
    """Return the four names of every layer, in order."""
    found = sorted(
        (int(match[2] or 0), name, match[1], match[3] or "")
        for name in parameters
        if (match := re.fullmatch(r"(.*?)weight_ih(?:_l(?=\d))?(\d*)()", name))
    )
    if not found:
        raise ValueError(f"Network: expected a parameter weight_ih or weight_ih_l0, got {', '.join(parameters)}.")
    return [[name.replace("weight_ih", kind) for kind in LAYER_PARAMETERS] for _, name, _, _ in found]


def _check(cell: type[Layer], parameters: Mapping[str, np.ndarray], names: list[list[str]]) -> None:
    """Raise ValueError unless all names are there, of one float dtype, and of shapes that fit."""
    needed = [name for four in names for name in four] + ["head.weight", "head.bias"]
    missing = [name for name in needed if name not in parameters]
    if missing:
        raise ValueError(f"Network: parameters lack {', '.join(missing)}; got {', '.join(parameters)}.")
    dtypes = {str(array.dtype) for array in parameters.values()}
    if len(dtypes) != 1 or not dtypes <= {"float32", "float64"}:
        raise ValueError(f"Network: expected parameters all float32 or all float64, got {', '.join(sorted(dtypes))}.")
    D = parameters["embedding.weight" if "embedding.weight" in parameters else names[0][0]].shape[1]
    for four in names:
        H = parameters[four[1]].shape[1]
        rows = cell.gates * H
        _expect(parameters, dict(zip(four, [(rows, D), (rows, H), (rows,), (rows,)], strict=True)))
        D = H
    C = len(parameters["head.bias"])
    _expect(parameters, {"head.weight": (C, D), "head.bias": (C,)})


def _expect(parameters: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if parameters[name].shape != shape:
            raise ValueError(f"Network: expected {name} of shape {shape}, got {parameters[name].shape}.")


def _pack(arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Copy all arrays into one vector, each from the start of a cache line; return it, and views of it by name."""
    dtype = next(iter(arrays.values())).dtype
    line = CACHE_LINE // dtype.itemsize
    ends = np.cumsum([-(-array.size // line) * line for array in arrays.values()])
    vector = aligned((int(ends[-1]),), dtype)
    views = {
        name: piece[: array.size].reshape(array.shape)
        for piece, (name, array) in zip(np.split(vector, ends[:-1]), arrays.items(), strict=True)
    }
    for name, view in views.items():
        view[...] = arrays[name]
    return vector, views


def _blocks(*vectors: np.ndarray) -> list[tuple[np.ndarray, ...]]:
    """Cut vectors of one length alike into pieces of at most BLOCK_BYTES."""
    length = BLOCK_BYTES // vectors[0].itemsize
    return [tuple(v[a : a + length] for v in vectors) for a in range(0, vectors[0].size, length)]
