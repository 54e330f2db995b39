"""How a tensor prints: as PyTorch's do, so that expected output in docs and tests carries over. Arrays only."""

from __future__ import annotations

import numpy as np

_EDGE, _THRESHOLD, _DIGITS = 3, 1000, 4


def _formatter(array: np.ndarray) -> dict[str, object]:
    """One format for all entries: integers as `1.`, else four digits, in scientific notation if the range is wide."""
    finite = np.abs(array[np.isfinite(array) & (array != 0)])
    if not finite.size or bool(np.all(finite == np.rint(finite))):
        wide = bool(finite.size) and (float(finite.max()) > 1e8 or float(finite.max() / finite.min()) > 1000)
        pattern = f"{{:.{_DIGITS}e}}" if wide else "{:.0f}."
    else:
        top, low = float(finite.max()), float(finite.min())
        pattern = f"{{:.{_DIGITS}{'e' if top / low > 1000 or top > 1e8 or low < 1e-4 else 'f'}}}"
    shown = _shown(array)
    texts = [pattern.format(x) for x in shown if np.isfinite(x) and (x or not finite.size)] or [str(x) for x in shown]
    width = max((len(t) for t in texts), default=0)
    return {"float_kind": lambda x: (pattern.format(x) if np.isfinite(x) else str(x)).rjust(width)}


def _shown(array: np.ndarray) -> list[float]:
    """The entries that will be printed, at least."""
    if array.size <= _THRESHOLD:
        return array.ravel().tolist()
    corner = array[tuple(np.r_[0 : min(_EDGE, n), max(n - _EDGE, 0) : n] for n in array.shape[:1])]
    return corner.ravel()[:_THRESHOLD].tolist()


def describe(array: np.ndarray, suffix: str = "", name: str = "tensor") -> str:
    """`tensor([1., 2.], dtype=float64, requires_grad=True)`; suffix comes last, with its own leading comma."""
    formatter = _formatter(array) if array.dtype.kind == "f" else None
    if array.dtype.kind == "b":
        width = 5 if array.size and not array.all() and array.ndim else 0
        formatter = {"bool": lambda x: ("True" if x else "False").rjust(width)}
    body = np.array2string(
        array,
        separator=", ",
        threshold=_THRESHOLD,
        edgeitems=_EDGE,
        max_line_width=80,
        prefix=f"{name}(",
        formatter=formatter,  # type: ignore[arg-type]
    )
    if not array.size:
        body = "[]" + (f", size={tuple(array.shape)}" if array.ndim > 1 else "")
    usual = array.dtype in (np.float32, np.int64, np.bool_) if array.size else array.dtype == np.float32
    dtype = "" if usual else f", dtype={array.dtype}"
    return f"{name}({body}{dtype}{suffix})"
