"""Ties, kinks and edges of domains, with the gradients that PyTorch's convention gives there.

At `EDGES` no floating-point flag may rise; at `POLES` an infinity or NaN is the answer, and NumPy says so.
"""

from typing import Any

import numpy as np

from .base import Edge

INF, NAN = np.inf, np.nan
_ALONG = {"axis": (0,), "keepdims": False}


def array(*entries: float) -> np.ndarray:
    """A float64 vector."""
    return np.array(entries, dtype=np.float64)


def _torch(name: str) -> Any:
    return lambda t, *args, **params: getattr(t, name)(*args, **params)


def _along(name: str) -> Any:
    return lambda t, x, axis, keepdims, **more: getattr(t, name)(x, dim=axis, **more)


def _std(name: str) -> Any:
    return lambda t, x, axis, keepdims, ddof: getattr(t, name)(x, dim=axis, correction=ddof)


def _clamp(t: Any, x: Any, low: Any, high: Any) -> Any:
    return t.clamp(x, low, high)


def _classes(t: Any, z: Any, target: Any) -> Any:
    return t.nn.functional.cross_entropy(z, target, reduction="none")


def _activation(name: str) -> Any:
    return lambda t, x: getattr(t.nn.functional, name)(x)


_BIG = array(-1e4, 1e4, 0.0)

EDGES = [
    Edge("absolute", (array(0.0, -0.0, -2.0),), {}, ([0, 0, -1],), _torch("abs")),
    Edge("sign", (array(0.0, -0.0),), {}, ([0, 0],), _torch("sign")),
    Edge("floor", (array(0.0, 1.0),), {}, ([0, 0],), _torch("floor")),
    Edge("rint", (array(0.5, 1.5),), {}, ([0, 0],), _torch("round")),
    Edge("relu", (array(0.0, -0.0, NAN, INF),), {}, ([0, 0, 1, 1],), _torch("relu")),
    Edge("clip", (array(-1, 0, 1, 2, NAN),), {"low": 0.0, "high": 1.0}, ([0, 1, 1, 0, 0],), _clamp),
    Edge("clip", (array(0, 1, NAN),), {"low": 0.0, "high": None}, ([1, 1, 0],), _clamp),
    Edge("clip", (array(0, 1, 2),), {"low": 2.0, "high": 1.0}, ([0, 0, 0],), _clamp),
    Edge(
        "maximum", (array(1, 2, NAN, 1), array(1, 1, 1, NAN)), {}, ([0.5, 1, 1, 1], [0.5, 0, 1, 1]), _torch("maximum")
    ),
    Edge(
        "minimum", (array(1, 2, NAN, 1), array(1, 1, 1, NAN)), {}, ([0.5, 0, 1, 1], [0.5, 1, 1, 1]), _torch("minimum")
    ),
    Edge("max", (array(1, 3, 3),), _ALONG, ([0, 0.5, 0.5],), _along("amax")),
    Edge("min", (array(3, 1, 1, 1),), _ALONG, ([0, 1 / 3, 1 / 3, 1 / 3],), _along("amin")),
    Edge("max", (array(-INF, -INF),), _ALONG, ([0.5, 0.5],), _along("amax")),
    Edge("max", (array(1, NAN, 3, NAN),), _ALONG, ([0, 0.5, 0, 0.5],), lambda t, x, axis, keepdims: t.max(x)),
    Edge("prod", (array(2, 0, 3),), _ALONG, ([0, 6, 0],), lambda t, x, axis, keepdims: t.prod(x)),
    Edge("prod", (array(2, 0, 0),), _ALONG, ([0, 0, 0],), lambda t, x, axis, keepdims: t.prod(x)),
    Edge("std", (array(2, 2, 2),), {**_ALONG, "ddof": 1}, ([0, 0, 0],), _std("std")),
    Edge("mean", (array(),), _ALONG, ([],), _along("mean")),
    Edge("logsumexp", (array(-INF, 1.0),), _ALONG, ([0, 1],), _along("logsumexp")),
    Edge("logsumexp", (array(),), _ALONG, ([],), _along("logsumexp")),
    Edge("logsumexp", (array(1e4, -1e4),), _ALONG, ([1, 0],), _along("logsumexp")),
    Edge("logsumexp", (array(-INF, -INF),), _ALONG, ([0, 0],), "its gradient there is NaN; ours is 0"),
    Edge("softmax", (array(-INF, 1, 1e4),), {"axis": (0,)}, ([0, 0, 0],), lambda t, x, axis: t.softmax(x, 0)),
    Edge("log_softmax", (array(-INF, 1, 1e4),), {"axis": (0,)}, ([1, 1, -2],), lambda t, x, axis: t.log_softmax(x, 0)),
    Edge(
        "logaddexp", (array(1e4, -1e4, 1), array(-1e4, -1e4, 1)), {}, ([1, 0.5, 0.5], [0, 0.5, 0.5]),
        _torch("logaddexp"),
    ),
    Edge("power", (array(0, 0, 0), array(0, 1, 2)), {}, ([0, 1, 0], [0, 0, 0]), _torch("pow")),
    Edge("power", (array(0, 1, -1), 0), {}, ([0, 0, 0],), _torch("pow")),
    Edge("power", (array(0, 1, -1), 1), {}, ([1, 1, 1],), _torch("pow")),
    Edge("power", (array(0, 1, -1), 2), {}, ([0, 2, -2],), _torch("pow")),
    Edge("power", (0.0, array(0, 1, 2)), {}, ([0, 0, 0],), _torch("pow")),
    Edge("sigmoid", (array(-1e4, 1e4, 0, INF, -INF),), {}, ([0, 0, 0.25, 0, 0],), _torch("sigmoid")),
    Edge("tanh", (array(-1e4, 1e4, 0, INF, -INF),), {}, ([0, 0, 1, 0, 0],), _torch("tanh")),
    Edge("softplus", (array(-1e4, 1e4, 0, INF, -INF),), {}, ([0, 1, 0.5, 1, 0],), _activation("softplus")),
    Edge("gelu", (_BIG,), {}, ([0, 1, 0.5],), _activation("gelu")),
    Edge("erf", (array(-1e4, 1e4, INF),), {}, ([0, 0, 0],), _torch("erf")),
    Edge(
        "where", (np.array([True, False]), array(1, NAN), array(INF, 2)), {}, ([1, 0], [0, 1]), _torch("where")
    ),
    Edge(
        "cross_entropy", (np.array([[1e4, 0, -1e4], [-INF, 0, 0]]), np.array([1, 2])), {},
        ([[1, -1, 0], [0, 0.5, -0.5]],), _classes,
    ),
    Edge("remainder", (array(0, 3, -3), array(1.5, 1.5, 1.5)), {}, ([1, 1, 1], [0, -2, 2]), _torch("remainder")),
]  # fmt: skip

# here the true derivative is infinite or does not exist, and NumPy is right to raise its flags
POLES = [
    Edge("sqrt", (array(0, INF),), {}, ([INF, 0],), _torch("sqrt")),
    Edge("log", (array(0, INF),), {}, ([INF, 0],), _torch("log")),
    Edge("log1p", (array(-1),), {}, ([INF],), _torch("log1p")),
    Edge("reciprocal", (array(0),), {}, ([-INF],), _torch("reciprocal")),
    Edge("divide", (array(1, 0), array(0, 0)), {}, ([INF, INF], [-INF, NAN]), _torch("divide")),
    Edge("power", (array(0, 0), array(0.5, -1)), {}, ([INF, -INF], [0, -INF]), _torch("pow")),
    Edge("power", (array(-1, -2), array(2, 3)), {}, ([-2, 12], [NAN, NAN]), _torch("pow")),
    Edge("exp", (array(1e4),), {}, ([INF],), _torch("exp")),
    Edge("logsumexp", (array(INF, 1),), _ALONG, ([NAN, 0],), _along("logsumexp")),
    Edge("softmax", (array(-INF, -INF),), {"axis": (0,)}, ([NAN, NAN],), lambda t, x, axis: t.softmax(x, 0)),
    Edge("logaddexp", (array(-INF), array(-INF)), {}, ([NAN], [NAN]), _torch("logaddexp")),
    Edge("var", (array(2),), {**_ALONG, "ddof": 1}, ([NAN],), _std("var")),
    Edge("std", (array(2),), {**_ALONG, "ddof": 1}, ([NAN],), _std("std")),
]
