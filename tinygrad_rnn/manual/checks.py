"""What `regression` asks of its arguments: each function returns a usable value, or says what is wrong. NumPy only."""

import operator
from typing import Any

import numpy as np

__all__ = ["count", "lag", "period", "sequence"]


def sequence(values: Any, name: str, length: int | None = None, features: int | None = None) -> np.ndarray:
    """Return a sequence as (T, D) floats, or say what is wrong with it."""
    array = np.asarray(values)
    array = array if array.dtype.kind == "f" else array.astype(float)
    array = array.reshape(-1, 1) if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name}: expected shape (T, features) or (T,), not empty, got {np.shape(values)}.")
    if length not in (None, len(array)) or features not in (None, array.shape[1]):
        expected = f"({'T' if length is None else length}, {'features' if features is None else features})"
        raise ValueError(f"{name}: expected shape {expected}, got {np.shape(values)}. Time is the first axis.")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity. Clean the data, or lower the rate.")
    return array


def lag(dt: int, x: np.ndarray, y: np.ndarray) -> int:
    """Return the time lag if it fits x: (T, D) and y: (T, 1), the sequences of one run."""
    dt, T = operator.index(dt), len(x)
    if len(y) != T:
        raise ValueError(f"Run_RNN: expected X_t and Y_t of one length, got {T} and {len(y)} steps.")
    if dt < 0:
        raise ValueError(f"Run_RNN: expected a time lag dt of at least 0, got {dt}: the past cannot be forecast.")
    if dt >= T:
        raise ValueError(f"Time lag dt={dt} must be smaller than the data size T={T}. Pass more data or reduce dt.")
    if dt and x.shape[1] != 1:
        raise ValueError(f"Run_RNN: with dt={dt} the model reads Y_t, so X_t needs 1 feature, not {x.shape[1]}.")
    return dt


def count(value: int, name: str) -> int:
    """Return a whole number of at least 0."""
    if operator.index(value) < 0:
        raise ValueError(f"Run_RNN: expected {name} of at least 0, got {value}.")
    return operator.index(value)


def period(plot_each: float | None) -> int:
    """Return after how many epochs to report; 0 means never."""
    if plot_each is None or plot_each == 0:
        return 0
    if plot_each < 0 or (plot_each > 1 and not float(plot_each).is_integer()):
        raise ValueError(f"Run_RNN: expected plot_each as 0, at most 1, or a whole number, got {plot_each}.")
    return max(1, int(plot_each))
