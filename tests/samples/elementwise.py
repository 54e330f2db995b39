"""Samples of the elementwise primitives: one line each, with its domain."""

import math
from typing import Any

import numpy as np

from .base import Op, Sample, call, draw, mask, spread, whole

_SHAPES = [(3, 4), (), (2, 0, 3), (5,), (2, 1, 3)]
_PAIRS = [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 3)), ((0, 3), (3,)), ((2, 1, 3), (1, 4, 1)), ((), ())]


def _torch(name: str) -> Any:
    return lambda t, *args, **params: getattr(t, name)(*args, **params)


def unary(name: str, low: float = -2.0, high: float = 2.0, *, numpy: Any = None, torch: Any = None) -> Op:
    """A function of one argument on [low, high)."""
    samples = [call(draw(*shape, low=low, high=high, key=name)) for shape in _SHAPES]
    return Op(samples, numpy or getattr(np, name), torch or _torch(name))


def binary(
    name: str, low: float = -2.0, high: float = 2.0, *, right: tuple[float, float] | None = None, torch: Any = None
) -> Op:
    """A function of two arguments, the second in `right`: all ways of broadcasting, and a number on either side."""
    a, b = (low, high), right or (low, high)
    samples = [
        call(
            spread(*left, low=a[0], high=a[1], key=(name, 0)),
            spread(*other, low=b[0], high=b[1] + 0.017, key=(name, 1)),
        )
        for left, other in _PAIRS
    ]
    samples.append(call(draw(2, 3, low=a[0], high=a[1], key=(name, 2)), (b[0] + 2 * b[1]) / 3))
    samples.append(call((a[0] + 2 * a[1]) / 3, draw(2, 3, low=b[0], high=b[1], key=(name, 3))))
    return Op(samples, getattr(np, name), torch or _torch(name))


def _integers(name: str, *, torch: Any = None, nonzero: bool = False) -> list[Sample]:
    low = 1 if nonzero else -4
    return [call(whole(2, 3, key=name), whole(3, low=low, key=(name, 1))), call(whole(4, key=name), 3)]


def truth(name: str, *, torch: Any = None, integers: bool = True) -> Op:
    """A comparison: no gradient, values only; entries that are equal are among the samples."""
    samples = list(binary(name).samples) + _integers(name)
    samples.append(call(whole(3, 4, low=0, high=2).astype(float), whole(3, 4, low=0, high=2, key=1).astype(float)))
    return Op(samples, getattr(np, name), torch or _torch(name))


def bits(name: str, operands: int = 2, *, torch: Any = None) -> Op:
    """Logic and bits: integers and booleans."""
    pairs = [((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2, 3)), ((0, 3), (3,))]
    samples = [call(*(whole(*s, key=(name, i)) for i, s in enumerate(pair[:operands]))) for pair in pairs]
    samples += [call(*(mask(*s, key=(name, i)) for i, s in enumerate(pair[:operands]))) for pair in pairs]
    return Op(samples, getattr(np, name), torch or _torch(name))


def _number(t: Any, x: Any) -> Any:
    return x if t.is_tensor(x) else t.tensor(x, dtype=t.float64)


def tensors(name: str) -> Any:
    """A function of PyTorch's that takes no plain numbers."""
    return lambda t, *args: getattr(t, name)(*(_number(t, x) for x in args))


_WIDE = [call(draw(3, 4)), call(draw()), call(draw(0, 3)), call(draw(2, 1, 3))]
_BROKEN = [
    np.array([1.0, np.nan, np.inf, -np.inf, 0.0, -0.0]),
    np.array(np.nan),
    np.zeros((0, 2)),
    np.array([[np.inf, 2]]),
]
_SPECIAL = [call(x) for x in _BROKEN]


def _where() -> Op:
    samples = [call(mask(*c), draw(*a, key=1), draw(*b, key=2)) for c, (a, b) in zip(
        [(3, 4), (4,), (), (0, 3), (2, 4, 3), ()], _PAIRS, strict=True)]  # fmt: skip
    samples.append(call(mask(2, 3), draw(2, 3), 0.5))
    return Op(samples, np.where, lambda t, c, a, b: t.where(c, a, b))


def _clip() -> Op:
    x = spread(3, 4, key="clip")
    samples = [
        call(x, low=-1.0, high=1.3), call(x, low=None, high=0.7), call(x, low=-0.3, high=None),
        call(draw(), low=-0.5, high=0.5), call(draw(0, 2), low=0.0, high=1.0), call(whole(5), low=-1, high=2),
    ]  # fmt: skip
    return Op(
        samples,
        lambda x, low, high: np.minimum(
            np.maximum(x, -np.inf if low is None else low), np.inf if high is None else high
        ),
        lambda t, x, low, high: t.clamp(x, low, high),
    )


def _power() -> Op:
    table = binary("power", 0.3, 2.0, right=(-1.5, 2.5), torch=lambda t, a, b: t.pow(a, b))
    integral = [call(draw(3, 4, key="pow"), n) for n in (2, 3, -1, 0, 1)]
    more = [call(draw(3, low=-2, high=-1), np.array([2, 3, -1], np.int8)[:, None]), call(whole(4), 2)]
    samples = [*table.samples, *integral, *more]
    return Op(samples, lambda a, b: np.float64(a) ** b if np.ndim(a) == 0 else a**b, table.torch)


def _astype() -> Op:
    dtypes = [np.float32, np.float64, np.int64, np.float32]
    samples = [call(draw(*shape, low=0, high=5), dtype=np.dtype(d)) for shape, d in zip(_SHAPES, dtypes, strict=False)]
    samples.append(call(whole(3), dtype=np.dtype(np.float64)))
    samples.append(call(draw(3, 2), dtype=np.dtype(np.float64)))
    return Op(
        samples, lambda x, dtype: np.array(x, dtype=dtype), lambda t, x, dtype: x.to(getattr(t, np.dtype(dtype).name))
    )


def _erf(x: Any) -> Any:
    return np.vectorize(math.erf, otypes=[float])(x)


def _like(name: str) -> Op:
    return Op(_WIDE, lambda x: np.full(x.shape, float(name == "ones_like")), _torch(name))


def _bce_reference(x: Any, t: Any) -> Any:
    return -np.where(t > 0, t * np.log(x), 0) - (1 - t) * np.log(1 - x)


def _bce(t: Any, x: Any, y: Any) -> Any:
    return t.nn.functional.binary_cross_entropy(*t.broadcast_tensors(x, _number(t, y)), reduction="none")


ELEMENTWISE: dict[str, Op] = {
    "zeros_like": _like("zeros_like"),
    "ones_like": _like("ones_like"),
    "add": binary("add"),
    "subtract": binary("subtract"),
    "multiply": binary("multiply"),
    "divide": binary("divide", right=(0.5, 2.0)),
    "negative": unary("negative"),
    "positive": unary("positive", torch=lambda t, x: x.clone()),
    "remainder": binary("remainder", -4.0, 4.0, right=(0.7, 1.9), torch=tensors("remainder")),
    "floor_divide": binary(
        "floor_divide", -4.0, 4.0, right=(0.7, 1.9), torch=lambda t, a, b: t.div(a, b, rounding_mode="floor")
    ),
    "power": _power(),
    "square": unary("square"),
    "reciprocal": unary("reciprocal", 0.4, 2.0),
    "sqrt": unary("sqrt", 0.3, 3.0),
    "absolute": unary("absolute"),
    "exp": unary("exp"),
    "expm1": unary("expm1"),
    "log": unary("log", 0.3, 3.0),
    "log1p": unary("log1p", -0.6, 3.0),
    "log2": unary("log2", 0.3, 3.0),
    "log10": unary("log10", 0.3, 3.0),
    "sin": unary("sin"),
    "cos": unary("cos"),
    "tan": unary("tan", -1.2, 1.2),
    "arctan": unary("arctan"),
    "sinh": unary("sinh"),
    "cosh": unary("cosh"),
    "tanh": unary("tanh"),
    "maximum": binary("maximum", torch=tensors("maximum")),
    "minimum": binary("minimum", torch=tensors("minimum")),
    "where": _where(),
    "clip": _clip(),
    "astype": _astype(),
    "copy": unary("copy", torch=lambda t, x: x.clone()),
    "stop_gradient": unary("stop_gradient", numpy=np.array, torch=lambda t, x: x.detach()),
    "floor": unary("floor"),
    "ceil": unary("ceil"),
    "trunc": unary("trunc"),
    "rint": unary("rint", torch=_torch("round")),
    "sign": unary("sign"),
    "equal": truth("equal", torch=tensors("eq")),
    "not_equal": truth("not_equal", torch=tensors("ne")),
    "less": truth("less", torch=tensors("lt")),
    "less_equal": truth("less_equal", torch=tensors("le")),
    "greater": truth("greater", torch=tensors("gt")),
    "greater_equal": truth("greater_equal", torch=tensors("ge")),
    "logical_and": bits("logical_and"),
    "logical_or": bits("logical_or"),
    "logical_xor": bits("logical_xor"),
    "logical_not": bits("logical_not", 1),
    "isnan": Op(_SPECIAL, np.isnan, _torch("isnan")),
    "isinf": Op(_SPECIAL, np.isinf, _torch("isinf")),
    "isfinite": Op(_SPECIAL, np.isfinite, _torch("isfinite")),
    "signbit": Op(_SPECIAL, np.signbit, _torch("signbit")),
    "bitwise_and": bits("bitwise_and"),
    "bitwise_or": bits("bitwise_or"),
    "bitwise_xor": bits("bitwise_xor"),
    "invert": bits("invert", 1, torch=_torch("bitwise_not")),
    "sigmoid": unary("sigmoid", -5, 5, numpy=lambda x: 1 / (1 + np.exp(-x))),
    "relu": unary("relu", numpy=lambda x: np.where(x > 0, x, 0.0)),
    "softplus": unary(
        "softplus", -5, 5,
        numpy=lambda x: np.log1p(np.exp(x)), torch=lambda t, x: t.nn.functional.softplus(x, threshold=700),
    ),
    "logaddexp": binary("logaddexp", torch=tensors("logaddexp")),
    "erf": unary("erf", -6, 6, numpy=_erf),
    "gelu": unary(
        "gelu", -4, 4, numpy=lambda x: x / 2 * (1 + _erf(x / math.sqrt(2))), torch=lambda t, x: t.nn.functional.gelu(x)
    ),
    "binary_cross_entropy": Op(
        [
            call(draw(*a, low=0.05, high=0.95, key="p"), draw(*b, low=0.05, high=0.95, key="t"))
            for a, b in [((3, 4), (3, 4)), ((2, 3), (3,)), ((), ()), ((0, 2), (0, 2))]
        ],
        _bce_reference,
        _bce,
    ),
}  # fmt: skip
