"""The dtypes that Tensors have, and PyTorch's rules for mixing them. NumPy only.

Operators between Tensors follow PyTorch: a Python number never widens a tensor, nor does a 0-d tensor of the same
category, and float32 with int64 is float32. (`np.*` functions on Tensors follow NumPy, where float32 with int64 is
float64.)
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import DTypeError, explain

float32 = np.dtype(np.float32)
float64 = np.dtype(np.float64)
int64 = np.dtype(np.int64)
int32 = np.dtype(np.int32)
int16 = np.dtype(np.int16)
int8 = np.dtype(np.int8)
uint8 = np.dtype(np.uint8)
bool_ = np.dtype(np.bool_)
double, long, short = float64, int64, int16

_FLOATS = (float32, float64)
_default = [float32]
_RANK = {"b": 0, "u": 1, "i": 1, "f": 2}


def get_default_dtype() -> np.dtype:
    """The dtype that Python floats become, float32 unless changed."""
    return _default[0]


def set_default_dtype(dtype: Any) -> None:
    """Make Python floats become `dtype`, float32 or float64, from now on in this process."""
    dtype = np.dtype(dtype)
    if dtype not in _FLOATS:
        raise DTypeError(explain("set_default_dtype", expected="float32 or float64", got=str(dtype)))
    _default[0] = dtype


def as_dtype(dtype: Any) -> np.dtype:
    """A supported dtype from what the user wrote: a NumPy dtype, its name, or the Python types float
    (float64, as in PyTorch), int and bool.

    Raises DTypeError for complex, object, string and half-precision dtypes.
    """
    return check(np.dtype(dtype))


def check(dtype: np.dtype, where: str = "Tensor") -> np.dtype:
    """`dtype` itself, in native byte order. Raises DTypeError unless it is float32, float64, an integer or bool."""
    if dtype.kind not in _RANK or (dtype.kind == "f" and dtype.itemsize not in (4, 8)):
        raise DTypeError(
            explain(where, expected="float32, float64, integers or bool", got=f"dtype {dtype}", do="Convert it first.")
        )
    return dtype if dtype.isnative else dtype.newbyteorder("=")


def is_float(dtype: np.dtype) -> bool:
    """Whether gradients of this dtype exist."""
    return dtype.kind == "f"


def mixed(a: np.dtype, a_ndim: int, b: np.dtype, b_ndim: int) -> np.dtype:
    """The dtype of an operator on two tensors, by PyTorch's rules."""
    rank_a, rank_b = _RANK[a.kind], _RANK[b.kind]
    if (a_ndim == 0) != (b_ndim == 0):
        if a_ndim and rank_a >= rank_b:
            return a
        if b_ndim and rank_b >= rank_a:
            return b
    if rank_a != rank_b:
        return a if rank_a > rank_b else b
    return np.promote_types(a, b)


def with_number(dtype: np.dtype, number: complex) -> np.dtype:
    """The dtype of an operator on a tensor and a Python number: the tensor's, unless the number is of a higher
    category."""
    if isinstance(number, bool) or dtype.kind == "f":
        return dtype
    if isinstance(number, int):
        return int64 if dtype.kind == "b" else dtype
    return _default[0]


def check_assignable(source: np.dtype, target: np.dtype) -> None:
    """Raise DTypeError if an in-place op would write a higher category (float over integer over bool) into `target`."""
    if _RANK[source.kind] > _RANK[target.kind]:
        raise DTypeError(
            f"result type {source} can't be cast to the desired output type {target}: write out of place, as in "
            f"x = x + 1.5, or convert the tensor first."
        )


def of_numbers(data: Any, dtype: Any) -> np.ndarray:
    """An array of Python numbers, as they stand in a list or alone, in an integer dtype or bool.

    Raises DTypeError for a number that the dtype cannot hold, where a cast would wrap it around.
    """
    try:
        return np.asarray(data, dtype=dtype)
    except (OverflowError, ValueError) as error:
        expected = f"numbers that {np.dtype(dtype)} can hold"
        do = "Choose a wider dtype, or wrap around on purpose: make an int64 tensor and convert it."
        raise DTypeError(explain("Tensor", expected=expected, got=str(error), do=do)) from error


def plain_number(number: Any) -> Any:
    """An int or float in place of an instance of a subclass of these, such as a member of an IntEnum."""
    return int(number) if isinstance(number, int) else float(number)
