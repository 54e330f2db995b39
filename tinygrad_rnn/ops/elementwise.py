"""Elementwise primitives. Rules never un-broadcast: the sweep does that, once, for every op.

Conventions where a derivative does not exist are PyTorch's: 0 for abs and relu at 0, half to each side where maximum
and minimum tie, 1 for clip on its bounds, 0 for the rounding functions and sign.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..primitive import implements, primitive


def _zeros(g: Any, *_: Any, **__: Any) -> Any:
    return np.zeros_like(g)


def _flat(function: np.ufunc) -> None:
    """A function that is constant almost everywhere: its gradient is zero."""
    primitive(function, kind="elementwise", vjp=_zeros)


def _opaque(function: np.ufunc) -> None:
    """A function without derivative, such as a comparison."""
    primitive(function, kind="elementwise", vjp=(None,) * function.nin)


# zeros_like is part of the vocabulary of rules; it depends on no value, so it is a constant of the right shape.
zeros_like = primitive(
    np.zeros_like, kind="elementwise", vjp=(None,), stands_for=[np.zeros_like], name="zeros_like"
)  # fmt: skip
ones_like = primitive(np.ones_like, kind="elementwise", vjp=(None,), stands_for=[np.ones_like], name="ones_like")

# arithmetic
add = primitive(np.add, kind="elementwise", vjp=(lambda g, y, a, b: g, lambda g, y, a, b: g))
subtract = primitive(np.subtract, kind="elementwise", vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g))
multiply = primitive(
    np.multiply, kind="elementwise", saves="01", vjp=(lambda g, y, a, b: g * b, lambda g, y, a, b: g * a)
)
divide = primitive(
    np.divide, kind="elementwise", saves="y1", vjp=(lambda g, y, a, b: g / b, lambda g, y, a, b: -g * y / b)
)
negative = primitive(np.negative, kind="elementwise", vjp=lambda g, y, x: -g)
positive = primitive(np.positive, kind="elementwise", vjp=lambda g, y, x: g)
remainder = primitive(
    np.remainder,
    kind="elementwise",
    saves="01",
    vjp=(lambda g, y, a, b: g, lambda g, y, a, b: -g * np.floor_divide(a, b)),
)


def _power_base(g: Any, y: Any, a: Any, b: Any) -> Any:
    if isinstance(b, (int, float)):
        return g * (b * np.power(a, b - 1)) if b else np.zeros_like(g)
    # b * a**(b - 1), with the factor 0 of b = 0 winning over the infinity of 0**-1
    return g * b * np.power(a, np.where(np.equal(b, 0), np.ones_like(b), b - 1))


def _power_exponent(g: Any, y: Any, a: Any, b: Any) -> Any:
    # y * log(a), whose limit at a = 0, b >= 0 is 0
    known = np.logical_and(np.equal(a, 0), np.greater_equal(b, 0))
    return g * np.where(known, np.zeros_like(y), y * np.log(np.where(known, np.ones_like(a), a)))


power = primitive(np.power, kind="elementwise", saves="y01", vjp=(_power_base, _power_exponent))
square = primitive(np.square, kind="elementwise", saves="0", vjp=lambda g, y, x: g * (x + x))
reciprocal = primitive(np.reciprocal, kind="elementwise", saves="y", vjp=lambda g, y, x: -g * y * y)
sqrt = primitive(np.sqrt, kind="elementwise", saves="y", vjp=lambda g, y, x: g / (y + y))
absolute = primitive(np.absolute, kind="elementwise", saves="0", vjp=lambda g, y, x: g * np.sign(x))

# exponentials
exp = primitive(np.exp, kind="elementwise", saves="y", vjp=lambda g, y, x: g * y)
expm1 = primitive(np.expm1, kind="elementwise", saves="y", vjp=lambda g, y, x: g * (y + 1))
log = primitive(np.log, kind="elementwise", saves="0", vjp=lambda g, y, x: g / x)
log1p = primitive(np.log1p, kind="elementwise", saves="0", vjp=lambda g, y, x: g / (1 + x))
log2 = primitive(np.log2, kind="elementwise", saves="0", vjp=lambda g, y, x: g / (x * 0.6931471805599453))
log10 = primitive(np.log10, kind="elementwise", saves="0", vjp=lambda g, y, x: g / (x * 2.302585092994046))

# trigonometry
sin = primitive(np.sin, kind="elementwise", saves="0", vjp=lambda g, y, x: g * np.cos(x))
cos = primitive(np.cos, kind="elementwise", saves="0", vjp=lambda g, y, x: -g * np.sin(x))
tan = primitive(np.tan, kind="elementwise", saves="y", vjp=lambda g, y, x: g * (1 + y * y))
arctan = primitive(np.arctan, kind="elementwise", saves="0", vjp=lambda g, y, x: g / (1 + x * x))
sinh = primitive(np.sinh, kind="elementwise", saves="0", vjp=lambda g, y, x: g * np.cosh(x))
cosh = primitive(np.cosh, kind="elementwise", saves="0", vjp=lambda g, y, x: g * np.sinh(x))
tanh = primitive(np.tanh, kind="elementwise", saves="y", vjp=lambda g, y, x: g * (1.0 - y * y))


# choice
def _larger(g: Any, a: Any, b: Any) -> Any:
    """The share of `g` that belongs to `a` in maximum(a, b): all, half on a tie, or nothing; all to both beside NaN."""
    return np.where(np.equal(a, b), g * 0.5, np.where(np.less(a, b), np.zeros_like(g), g))


def _smaller(g: Any, a: Any, b: Any) -> Any:
    """The same for minimum(a, b)."""
    return np.where(np.equal(a, b), g * 0.5, np.where(np.greater(a, b), np.zeros_like(g), g))


maximum = primitive(
    np.maximum,
    kind="elementwise",
    saves="01",
    vjp=(lambda g, y, a, b: _larger(g, a, b), lambda g, y, a, b: _larger(g, b, a)),
)
minimum = primitive(
    np.minimum,
    kind="elementwise",
    saves="01",
    vjp=(lambda g, y, a, b: _smaller(g, a, b), lambda g, y, a, b: _smaller(g, b, a)),
)
where = primitive(
    np.where,
    kind="elementwise",
    saves="0",
    vjp=(
        None,
        lambda g, y, c, a, b: np.where(c, g, np.zeros_like(g)),
        lambda g, y, c, a, b: np.where(c, np.zeros_like(g), g),
    ),
)


@implements(np.where)
def _numpy_where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    if x is None or y is None:
        raise TypeError("one argument: np.where(c) has no rule; say np.nonzero(c), whose indices carry no gradient")
    return where(condition, x, y)


def _clip(x: Any, low: Any = None, high: Any = None) -> Any:
    return np.clip(x, low, high)


def _clip_vjp(g: Any, y: Any, x: Any, low: Any, high: Any) -> Any:
    inside = np.greater_equal(x, low) if low is not None else np.less_equal(x, high)
    if low is not None and high is not None:
        inside = np.logical_and(inside, np.less_equal(x, high))
    return np.where(inside, g, np.zeros_like(g))


clip = primitive(_clip, kind="elementwise", saves="0", vjp=_clip_vjp, name="clip")


@implements(np.clip)
def _numpy_clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:
    low = a_min if a_min is not None else min
    high = a_max if a_max is not None else max
    if isinstance(low, (int, float, type(None))) and isinstance(high, (int, float, type(None))):
        return clip(a, low=low, high=high)
    bounded = a if low is None else np.maximum(a, low)
    return bounded if high is None else np.minimum(bounded, high)


# casts and copies
def _astype(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


def _astype_vjp(g: Any, y: Any, x: Any, dtype: Any) -> Any:
    return astype(g, dtype=x.dtype)


astype = primitive(_astype, kind="elementwise", vjp=_astype_vjp, name="astype")
# the values alone: what was recorded before it gets no gradient through it
stop_gradient = primitive(lambda x: x, kind="elementwise", vjp=lambda g, y, x: None, name="stop_gradient")
copy = primitive(np.copy, kind="elementwise", vjp=lambda g, y, x: g, stands_for=[np.copy])


@implements(np.astype)
def _numpy_astype(x: Any, dtype: Any, /) -> Any:
    return astype(x, dtype=np.dtype(dtype))


for _function in (np.floor, np.ceil, np.trunc, np.rint, np.sign):
    _flat(_function)
for _function in (
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.logical_and, np.logical_or,
    np.logical_xor, np.logical_not, np.isnan, np.isinf, np.isfinite, np.signbit, np.bitwise_and, np.bitwise_or,
    np.bitwise_xor, np.invert,
):  # fmt: skip
    _opaque(_function)
floor_divide = primitive(np.floor_divide, kind="elementwise", vjp=(_zeros, _zeros))
