"""Making tensors from data, from constants and from draws, in PyTorch's words.

Floor 5. Python floats become the default dtype (float32), NumPy arrays keep theirs. Everything that draws takes
`generator=`, a `numpy.random.Generator`, and draws from the default one (`manual_seed`) without it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import as_dtype, get_default_dtype, int64
from .errors import GraphError
from .ops.random import bernoulli, manual_seed, resolve
from .state import call_site, current
from .tensor import Tensor, apply, array_of, as_array, make


def _finish(array: np.ndarray, requires_grad: bool) -> Tensor:
    tensor = make(array)
    if requires_grad:
        tensor.requires_grad = True
    return tensor


def _check_device(device: Any) -> None:
    if device is not None and str(device) != "cpu":
        raise GraphError(f"device: expected 'cpu', got {str(device)!r}. There is no other device here; leave it out.")


def tensor(data: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A new tensor with a copy of `data` (array-like). Raises DTypeError for complex, object, string or half-precision
    data."""
    _check_device(device)
    array = as_array(data, None if dtype is None else as_dtype(dtype))
    return _finish(array.copy() if isinstance(data, (np.ndarray, Tensor)) else array, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing memory with it where possible; a tensor of the right dtype is returned as it is."""
    _check_device(device)
    if isinstance(data, Tensor) and (dtype is None or data.dtype == as_dtype(dtype)):
        return data
    return make(as_array(data, None if dtype is None else as_dtype(dtype)))


def from_numpy(array: np.ndarray) -> Tensor:
    """A tensor on the memory of `array`."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected np.ndarray (got {type(array).__name__})")
    return make(as_array(array))


def _shape(size: tuple[Any, ...]) -> tuple[int, ...]:
    """zeros(2, 3), zeros((2, 3)) and zeros([2, 3]) alike."""
    if len(size) == 1 and not isinstance(size[0], (int, np.integer, Tensor)):
        size = tuple(size[0])
    return tuple(int(n) for n in size)


def _float(dtype: Any) -> np.dtype:
    return get_default_dtype() if dtype is None else as_dtype(dtype)


def zeros(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros of shape `size`."""
    _check_device(device)
    return _finish(np.zeros(_shape(size), _float(dtype)), requires_grad)


def ones(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Ones of shape `size`."""
    _check_device(device)
    return _finish(np.ones(_shape(size), _float(dtype)), requires_grad)


def empty(*size: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor whose entries are to be filled; zeros here, for memory that nobody wrote must not reach a result."""
    return zeros(*size, dtype=dtype, requires_grad=requires_grad, device=device)


def full(size: Any, fill_value: Any, dtype: Any = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """`fill_value` in every entry; its type decides the dtype unless one is given."""
    _check_device(device)
    value = as_array(fill_value, None if dtype is None else as_dtype(dtype))
    return _finish(np.full(_shape((size,)), value, value.dtype), requires_grad)


def zeros_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and dtype of x."""
    return _finish(np.zeros(x.shape, x.dtype if dtype is None else as_dtype(dtype)), requires_grad)


def ones_like(x: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape and dtype of x."""
    return _finish(np.ones(x.shape, x.dtype if dtype is None else as_dtype(dtype)), requires_grad)


def full_like(x: Any, fill_value: Any, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`fill_value` in the shape and dtype of x."""
    value = as_array(fill_value, x.dtype if dtype is None else as_dtype(dtype))
    return _finish(np.full(x.shape, value, value.dtype), requires_grad)


def arange(start: float, end: float | None = None, step: float = 1, dtype: Any = None) -> Tensor:
    """start, start + step, ... below end; int64 if all three are ints."""
    start, end = (0, start) if end is None else (start, end)
    ints = all(isinstance(n, (int, np.integer)) for n in (start, end, step))
    return make(
        np.arange(
            start, end, step, dtype=as_dtype(dtype) if dtype is not None else int64 if ints else get_default_dtype()
        )
    )


def linspace(start: float, end: float, steps: int, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """`steps` values from start to end, both included."""
    return _finish(np.linspace(start, end, steps, dtype=_float(dtype)), requires_grad)


def eye(n: int, m: int | None = None, dtype: Any = None) -> Tensor:
    """The identity, (n, m)."""
    return make(np.eye(n, m, dtype=_float(dtype)))


def drawing_from(generator: np.random.Generator | None) -> np.random.Generator:
    """The generator to draw from: the one given, or the default one.

    Raises GraphError while `compile` is recording: what is drawn then would be the same at every call.
    """
    if current().tracing:
        raise GraphError(
            f"a random draw{current().scope.where()} at {call_site()} while compile is recording would be baked in, "
            f"the same at every call. Draw outside and pass the tensor in, or use dropout, which draws afresh."
        )
    return resolve(generator)


def rand(
    *size: Any, generator: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Uniform draws from [0, 1)."""
    _check_device(device)
    return _finish(drawing_from(generator).random(_shape(size), _float(dtype)), requires_grad)  # type: ignore[arg-type]


def randn(
    *size: Any, generator: Any = None, dtype: Any = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Standard normal draws."""
    _check_device(device)
    return _finish(np.asarray(drawing_from(generator).standard_normal(_shape(size), _float(dtype))), requires_grad)  # type: ignore[call-overload]


def rand_like(x: Any, generator: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Uniform draws in the shape and dtype of x."""
    return rand(x.shape, generator=generator, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


def randn_like(x: Any, generator: Any = None, dtype: Any = None, requires_grad: bool = False) -> Tensor:
    """Standard normal draws in the shape and dtype of x."""
    return randn(x.shape, generator=generator, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


def randint(
    low: int, high: Any = None, size: Any = None, generator: Any = None, dtype: Any = int64, device: Any = None
) -> Tensor:
    """Integers from [low, high), or [0, low) as `randint(high, size)`."""
    _check_device(device)
    if size is None:
        low, high, size = 0, low, high
    return make(drawing_from(generator).integers(low, high, _shape((size,)), dtype=as_dtype(dtype)))


def randperm(n: int, generator: Any = None) -> Tensor:
    """0 ... n - 1 in random order, int64."""
    return make(drawing_from(generator).permutation(n))


def multinomial(weights: Tensor, num_samples: int, replacement: bool = False, generator: Any = None) -> Tensor:
    """Draw class indices with probabilities proportional to `weights`, (C,) or (B, C) float; -> (num_samples,) or (B,
    num_samples).

    Raises ValueError for negative, NaN or infinite weights, all zeros, or more samples than classes without
    replacement.
    """
    p = np.asarray(array_of(weights), dtype=np.float64)
    rows = np.atleast_2d(p)
    totals = rows.sum(axis=1)
    if not np.isfinite(rows).all() or (rows < 0).any() or (totals <= 0).any():
        raise ValueError("multinomial: weights must be finite, not negative, and not all zero in a row.")
    available = (rows > 0).sum(axis=1).min()
    if not replacement and num_samples > available:
        raise ValueError(f"multinomial: cannot draw {num_samples} of {available} classes without replacement.")
    rng = drawing_from(generator)
    if replacement or num_samples == 1:
        cumulated = np.cumsum(rows, axis=1)
        draws = rng.random((len(rows), num_samples)) * cumulated[:, -1:]
        picked = np.stack([np.searchsorted(c, d, side="right") for c, d in zip(cumulated, draws, strict=True)])
    else:  # the num_samples smallest of exponential waiting times with these rates
        with np.errstate(divide="ignore"):
            waiting = rng.standard_exponential(rows.shape) / rows
        picked = np.argsort(waiting, axis=1, kind="stable")[:, :num_samples]
    return make(picked.astype(np.int64).reshape((*p.shape[:-1], num_samples)))


def bernoulli_mask(
    p: float, shape: tuple[int, ...], dtype: np.dtype, scale: float = 1.0, generator: Any = None
) -> Tensor:
    """`scale` with probability p, else 0: a draw that recorded programs repeat afresh."""
    return apply(bernoulli, (), {"p": p, "shape": shape, "dtype": dtype, "scale": scale, "generator": generator})


def seed() -> int:
    """Seed the default generator from the operating system and return the seed."""
    value = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    manual_seed(value)
    return value
