"""Calls: what a plan is a list of, and the one that everything makes: a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Call = tuple[Callable[..., Any], tuple[Any, ...]]
Scratch = Callable[[tuple[int, ...], Any], np.ndarray]
Array = Any


def copy_to(out: np.ndarray, x: Array) -> Call:
    """The call that copies x, in any dtype and of a shape that broadcasts, into `out`.

    Where nothing has to be asked of the arrays first, writing an item takes half of the time of `np.copyto`, which lets
    any argument take over the call.
    """
    return (out.__setitem__, (..., x))


def same_place(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays of one shape are the same memory, so that nothing is left to copy."""
    return a.ctypes.data == b.ctypes.data and a.strides == b.strides
