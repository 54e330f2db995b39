"""Time series: cut into windows, or paired with themselves dt steps later.

Floor 0: imports `errors` and `streams.positive`.
"""

from typing import SupportsIndex

import numpy as np

from tinygrad_rnn.data.streams import positive
from tinygrad_rnn.errors import DataError, explain

__all__ = ["lagged", "windows"]


def lagged(series: np.ndarray, dt: int) -> tuple[np.ndarray, np.ndarray]:
    """Pair a series with itself dt steps later: what a model that forecasts dt steps ahead sees and should say.

    series: (N, ...). dt: the lag in steps, 0 to N - 1.
    Returns inputs and targets, views of shape (N - dt, ...): targets[i] is series[i + dt].
    Raises DataError if dt is negative or not smaller than N.
    """
    if dt < 0:
        raise DataError(explain("time lag", expected="dt of at least 0", got=str(dt)))
    if dt >= len(series):
        raise DataError(f"Time lag dt={dt} must be smaller than the data size T={len(series)}.")
    return series[: len(series) - dt], series[dt:]


def windows(
    series: np.ndarray, *, time: SupportsIndex, dt: int = 1, stride: SupportsIndex = 1
) -> tuple[np.ndarray, np.ndarray]:
    """All stretches of T steps of a series, each with the same stretch dt steps later.

    series: (N,) or (N, D), finite. time: T. dt: the lag, 0 or more. stride: steps from one window to the next.
    Returns inputs and targets, (W, T, 1) or (W, T, D) in the dtype of the series, W = (N - dt - T) // stride + 1;
    both are read-only views that cost no memory, so index or copy them before writing.
    Raises DataError if the series is too short, has more axes, or holds NaN or infinity, naming where.
    """
    length, step = positive("time", time), positive("stride", stride)
    values = np.asarray(series)
    if values.ndim not in (1, 2) or values.dtype.kind not in "fiu":
        got = f"{values.dtype} of shape {values.shape}"
        raise DataError(explain("series", expected="numbers of shape (N,) or (N, D)", got=got))
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        place = ", ".join(map(str, wrong[0]))
        do = "Fill or cut such gaps first."
        raise DataError(
            explain(f"series[{place}]", expected="a finite number", got=str(values[tuple(wrong[0])]), do=do)
        )
    inputs, targets = lagged(values, dt)
    if len(inputs) < length:
        expected = f"at least {length + dt} steps for windows of {length} at lag {dt}"
        raise DataError(explain("series", expected=expected, got=str(len(values)), do="Use shorter windows."))
    return _cut(inputs, length, step), _cut(targets, length, step)


def _cut(values: np.ndarray, length: int, stride: int) -> np.ndarray:
    columns = values if values.ndim == 2 else values[:, None]
    return np.lib.stride_tricks.sliding_window_view(columns, length, axis=0)[::stride].swapaxes(1, 2)
