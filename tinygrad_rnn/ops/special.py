"""Elementwise primitives that NumPy has no function for: the gates and activations of networks, and erf.

All are stable over the whole range of the dtype: no overflow at large arguments, no cancellation at small ones.
"""

from __future__ import annotations

from contextvars import Context
from typing import Any

import numpy as np

from ..primitive import primitive

_SQRT_HALF = 0.7071067811865476
_TWO_OVER_SQRT_PI = 1.1283791670955126
_ONE_OVER_SQRT_TWO_PI = 0.3989422804014327


# NumPy keeps its error state in a context variable. To enter np.errstate takes longer than exp of a small array, to run
# in a context where it is set takes next to nothing; in a copy of it, since a context has room for one thread only.
_QUIET = Context()
_QUIET.run(np.seterr, over="ignore")


def _sigmoid(x: Any, out: Any = None) -> Any:
    y = np.negative(x, out=... if out is None else out)
    _QUIET.copy().run(np.exp, y, y)  # exp(-x) = inf far to the left, and 1 / inf is the 0 that we want
    np.add(y, 1, out=y)
    return np.reciprocal(y, out=y)


sigmoid = primitive(_sigmoid, kind="elementwise", saves="y", vjp=lambda g, y, x: g * (y * (1 - y)), name="sigmoid")


def _relu(x: Any, out: Any = None) -> Any:
    return np.maximum(x, 0, out=out)


relu = primitive(
    _relu,
    kind="elementwise",
    saves="y",
    vjp=lambda g, y, x: np.where(np.less_equal(y, 0), np.zeros_like(g), g),
    name="relu",
)


def _softplus(x: Any) -> Any:
    return np.logaddexp(x, 0).astype(x.dtype, copy=False)


softplus = primitive(_softplus, kind="elementwise", saves="0", vjp=lambda g, y, x: g * sigmoid(x), name="softplus")
logaddexp = primitive(
    np.logaddexp,
    kind="elementwise",
    saves="01",
    vjp=(lambda g, y, a, b: g * sigmoid(a - b), lambda g, y, a, b: g * sigmoid(b - a)),
)


# W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969), in three ranges of |x|.
_ERF_SMALL = (
    (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3),
)
_ERFC_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1, 2.98635138197400131e2,
     8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
     3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3),
)  # fmt: skip
_ERFC_LARGE = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242, 1.87295284992346725, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3),
)  # fmt: skip


def _erf(x: Any) -> Any:
    size = np.abs(np.asarray(x, dtype=np.float64))
    small = np.minimum(size, 0.5)
    middle = np.clip(size, 0.46875, 4.0)
    large = np.clip(size, 4.0, 27.0)
    squared = small * small
    inverse = 1 / (large * large)
    near = small * np.polyval(_ERF_SMALL[0], squared) / np.polyval(_ERF_SMALL[1], squared)
    between = 1 - np.exp(-middle * middle) * np.polyval(_ERFC_MIDDLE[0], middle) / np.polyval(_ERFC_MIDDLE[1], middle)
    rest = inverse * np.polyval(_ERFC_LARGE[0], inverse) / np.polyval(_ERFC_LARGE[1], inverse)
    far = 1 - np.exp(-large * large) * (0.5641895835477563 - rest) / large
    y = np.where(size <= 0.46875, near, np.where(size <= 4.0, between, far))
    return np.copysign(np.where(np.isnan(size), size, y), x).astype(x.dtype, copy=False)


erf = primitive(
    _erf, kind="elementwise", saves="0", vjp=lambda g, y, x: g * (np.exp(-x * x) * _TWO_OVER_SQRT_PI), name="erf"
)


def _gelu_vjp(g: Any, y: Any, x: Any) -> Any:
    return g * ((erf(x * _SQRT_HALF) + 1) * 0.5 + x * (np.exp(x * x * -0.5) * _ONE_OVER_SQRT_TWO_PI))


def _gelu(x: Any) -> Any:
    return x * ((_erf(x * _SQRT_HALF) + 1) * 0.5)


gelu = primitive(_gelu, kind="elementwise", saves="0", vjp=_gelu_vjp, name="gelu")
