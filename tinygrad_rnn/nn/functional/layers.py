"""What layers with weights compute: affine maps, lookup, normalisation, dropout."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ...complaints import caster, no_tensor
from ...errors import DTypeError, GraphError, ShapeError
from ...ops.contract import matmul
from ...ops.elementwise import stop_gradient, where
from ...ops.index import Slot, take
from ...ops.loss import one_hot as _one_hot
from ...ops.random import bernoulli
from ...ops.shape import transpose
from ...protection import lift
from ...state import current, no_grad
from ...tensor import Tensor, apply, make
from ...writes import mutated, overwrite


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b.

    input: (..., D) float. weight: (H, D). bias: (H,) or None. Returns (..., H).
    Raises ShapeError if the last axis of the input is not D, DTypeError if input and weight are not of one dtype.
    """
    if not isinstance(input, (Tensor, np.ndarray)):
        raise no_tensor("linear", "input", input)
    if input.dtype != weight.dtype:
        raise DTypeError(
            f"linear{current().scope.where()}: mat1 and mat2 must have the same dtype: expected an input of "
            f"{weight.dtype} as the weight is, got {input.dtype}. Convert it: input.{caster(weight.dtype)}."
        )
    if input.shape[-1:] != weight.shape[-1:]:
        raise ShapeError(
            f"linear{current().scope.where()}: expected an input with a last axis of size {weight.shape[-1]} "
            f"(in_features), got shape {list(input.shape)}; mat1 and mat2 shapes cannot be multiplied "
            f"({math.prod(input.shape[:-1])}x{input.shape[-1] if input.ndim else 1} and "
            f"{weight.shape[-1]}x{weight.shape[0]})."
        )
    product = matmul(input, transpose(weight, axes=(1, 0)) if weight.ndim == 2 else weight)
    return product if bias is None else product + bias


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x1^T W_k x2 + b_k for every output k.

    input1: (..., D1). input2: (..., D2). weight: (H, D1, D2). bias: (H,) or None. Returns (..., H).
    """
    product = np.einsum("...i,kij,...j->...k", input1, weight, input2)
    return product if bias is None else product + bias


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of a table.

    input: (...) int, row numbers. weight: (V, D) float. Returns (..., D).
    padding_idx: a row that gets no gradient. max_norm: rows looked up are first shrunk, in place, to this norm.
    Raises IndexError for a row outside 0 to V - 1, DTypeError for an input that is not of integers.
    scale_grad_by_freq and sparse are refused: NotImplementedError.
    """
    if scale_grad_by_freq or sparse:
        raise NotImplementedError(
            "embedding: scale_grad_by_freq=True and sparse=True are not supported; leave them out."
        )
    rows = input.array
    if rows.dtype.kind not in "iu":
        raise DTypeError(
            f"embedding: expected an input of integers (row numbers), got {rows.dtype}. Convert with .long()."
        )
    if rows.size and (rows.min() < 0 or rows.max() >= weight.shape[0]):
        wrong = int(rows.min() if rows.min() < 0 else rows.max())
        raise IndexError(
            f"index out of range in self: embedding{current().scope.where()} expected row numbers from 0 to "
            f"{weight.shape[0] - 1}, got {wrong}."
        )
    if max_norm is not None:
        _shrink(weight, np.unique(rows), max_norm, norm_type)
    found = apply(take, (weight, input), {"pattern": (Slot(0, natural=True),)})
    if padding_idx is None or not weight.requires_grad:
        return found
    hidden = np.expand_dims(np.equal(input, padding_idx % weight.shape[0]), -1)
    return where(hidden, stop_gradient(found), found)


def _shrink(weight: Tensor, rows: np.ndarray, max_norm: float, norm_type: float) -> None:
    if current().tracing:
        raise GraphError(
            f"embedding{current().scope.where()}: max_norm shrinks rows of the table in place, those that are looked "
            f"up, which a compiled program cannot repeat. Look up outside of the compiled function."
        )
    norms = np.linalg.norm(weight.array[rows], ord=norm_type, axis=1)
    large = norms > max_norm
    if large.any():
        lift(weight.array)
        weight.array[rows[large]] *= (max_norm / (norms[large] + 1e-7))[:, None].astype(weight.dtype)
        mutated(weight.array)


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """(...) int -> (..., C) int64, 1 at the class and 0 elsewhere; C is the largest class + 1 unless given."""
    labels = tensor._known("one_hot() without num_classes") if num_classes == -1 else tensor.array
    largest = int(labels.max()) if labels.size else -1
    if tensor.array.size and tensor.array.min() < 0:
        raise RuntimeError("one_hot: Class values must be non-negative.")
    if num_classes != -1 and largest >= num_classes:
        raise RuntimeError(f"one_hot: Class values must be smaller than num_classes={num_classes}, got {largest}.")
    return _one_hot(tensor, classes=largest + 1 if num_classes == -1 else num_classes, dtype=np.dtype(np.int64))


def dropout(
    input: Tensor,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    generator: np.random.Generator | None = None,
) -> Tensor:
    """Set each entry to 0 with probability p and multiply the others by 1 / (1 - p); nothing happens unless training.

    generator: what draws; the default one if None. Raises ValueError unless 0 <= p <= 1. Source: Srivastava et al.
    2014.
    """
    return _dropped(input, input.shape, p, training, inplace, generator)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Any = None
) -> Tensor:
    """Drop whole channels of (B, C, T) or (C, T)."""
    if input.ndim not in (2, 3):
        raise RuntimeError(f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input.")
    return _dropped(input, (*input.shape[:-1], 1), p, training, inplace, generator)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False, generator: Any = None
) -> Tensor:
    """Drop whole channels of (B, C, ...); of a 3-d input, as PyTorch does, (B, C) and not (C, ...)."""
    return _dropped(input, (*input.shape[:2], *(1,) * (input.ndim - 2)), p, training, inplace, generator)


def _dropped(
    input: Tensor,
    shape: tuple[int, ...],
    p: float,
    training: bool,
    inplace: bool,
    generator: np.random.Generator | None,
) -> Tensor:
    if not 0 <= p <= 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0:
        return input
    scale = 0.0 if p == 1 else 1.0 / (1.0 - p)
    mask = apply(
        bernoulli, (), {"p": 1.0 - p, "shape": shape, "dtype": input.dtype, "scale": scale, "generator": generator}
    )
    dropped = input * mask
    return input.rewrite(dropped) if inplace else dropped


def layer_norm(
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    """Mean 0 and variance 1 over the last axes, then an affine map. Source: Ba et al. 2016.

    input: (..., *normalized_shape). weight, bias: normalized_shape, or None. Raises ShapeError if the last axes differ.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(input.shape[input.ndim - len(shape) :]) != shape:
        raise ShapeError(
            f"Given normalized_shape={list(shape)}, expected input with shape [*, {', '.join(map(str, shape))}], but "
            f"got input of size{list(input.shape)}"
        )
    return _affine(_normalised(input, tuple(range(-len(shape), 0)), eps), weight, bias)


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Mean 0 and variance 1 per channel over the batch, or with the running statistics. Source: Ioffe and Szegedy 2015.

    input: (B, C, ...). running_mean, running_var: (C,), updated in place when training. weight, bias: (C,) or None.
    Raises ValueError when training on one value per channel.
    """
    channels = (1, -1, *(1,) * (input.ndim - 2))
    if training or running_mean is None or running_var is None:
        axes = (0, *range(2, input.ndim))
        count = input.array.size // max(input.shape[1], 1)
        if training and count == 1:
            raise ValueError(
                f"Expected more than 1 value per channel when training, got input size {list(input.shape)}"
            )
        if training and running_mean is not None and running_var is not None and current().tracing:
            with no_grad():  # a program must see the update, so that replays repeat it
                running_mean.rewrite(running_mean * (1 - momentum) + np.mean(input, axis=axes) * momentum)
                running_var.rewrite(running_var * (1 - momentum) + np.var(input, axis=axes, ddof=1) * momentum)
        elif training and running_mean is not None and running_var is not None:
            for running, now in (
                (running_mean, np.mean(input.array, axis=axes)),
                (running_var, np.var(input.array, axis=axes, ddof=1)),
            ):
                overwrite(running.array, (1 - momentum) * running.array + momentum * now)
        normal = _normalised(input, axes, eps)
    else:
        centred = input - np.reshape(running_mean, channels)
        normal = centred / np.sqrt(np.reshape(running_var, channels) + eps)
    shaped = [None if p is None else np.reshape(p, channels) for p in (weight, bias)]
    return _affine(normal, shaped[0], shaped[1])


def _normalised(x: Tensor, axes: tuple[int, ...], eps: float) -> Any:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    variance = np.mean(centred * centred, axis=axes, keepdims=True)
    return centred / np.sqrt(variance + eps)


def _affine(x: Any, weight: Any, bias: Any) -> Any:
    x = x if weight is None else x * weight
    return x if bias is None else x + bias


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """x divided by its p-norm along an axis (or by eps, if that is larger)."""
    size = _norm(input, p, dim)
    return input / np.maximum(size, make(np.asarray(eps, input.dtype)))


def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The product of x1 and x2 along an axis over the product of their lengths, each at least eps."""
    floor = make(np.asarray(eps, x1.dtype))
    a, b = (x / np.maximum(_norm(x, 2.0, dim), floor) for x in (x1, x2))
    return np.sum(a * b, axis=dim)


def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last axis."""
    distance = _norm(x1 - x2 + eps, p, -1)
    return distance if keepdim else np.squeeze(distance, axis=-1)


def _norm(x: Tensor, p: float, dim: int) -> Any:
    """The p-norm along an axis, which stays with size 1; gradient 0 where the norm is 0."""
    if p == 1:
        return np.sum(abs(x), axis=dim, keepdims=True)
    total = np.sum(x * x if p == 2 else np.power(abs(x), p), axis=dim, keepdims=True)
    zero = np.equal(total, 0)
    safe = np.power(where(zero, np.ones_like(total), total), 1.0 / p)
    return where(zero, np.zeros_like(total), safe)
