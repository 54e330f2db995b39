"""The steps that random programs are made of: for each kind of primitive, how to choose arguments that fit.

Every function takes the sketch of a program and appends one op, or a few where the domain asks for it.
"""

from typing import Any

import numpy as np

from tinygrad_rnn.ops.index import Slot

SMOOTH = (
    "negative", "positive", "square", "reciprocal", "sqrt", "exp", "expm1", "log", "log1p", "log2", "log10", "sin",
    "cos",
    "tan", "arctan", "sinh", "cosh", "tanh", "sigmoid", "softplus", "erf", "gelu", "copy",
)  # fmt: skip
KINKED_UNARY = ("absolute", "relu", "sign", "floor", "ceil", "trunc", "rint", "zeros_like", "ones_like")
BINARY = (
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "logaddexp", "power", "remainder", "floor_divide",
)  # fmt: skip


def _positive(s: Any, v: Any) -> Any:
    return s.do("add", s.do("square", s.tamed(v)), 0.4)


def _small(s: Any, v: Any) -> Any:
    return s.do("tanh", v)


GUARDED = {
    "reciprocal": _positive, "sqrt": _positive, "log": _positive, "log1p": _positive, "log2": _positive,
    "log10": _positive,
    "tan": _small,
}  # fmt: skip


def _axes(s: Any, ndim: int) -> tuple[int, ...]:
    chosen = tuple(i for i in range(ndim) if s.choose(2))
    return chosen or ((s.choose(ndim),) if ndim else ())


def _with_axes(s: Any) -> Any:
    """A value with at least one axis and one entry."""
    v = s.value()
    return s.do("reshape", v, shape=(1,)) if not s.of(v).ndim else v


def reduction(s: Any) -> None:
    """A reduction over random axes."""
    name = s.pick(("sum", "mean", "max", "min", "prod", "logsumexp", "var", "std"))
    v = s.tamed(s.value())
    if not s.of(v).size:
        name = "sum"  # of nothing there is no largest
    axes = _axes(s, s.of(v).ndim)
    if name == "std" and np.min(np.std(s.of(v), axis=axes), initial=1.0) < 0.01:
        name = "var"  # where all entries are equal but for rounding, the slope of a deviation is rounding too
    params: dict[str, Any] = {"axis": axes, "keepdims": bool(s.choose(2))}
    if name in ("var", "std"):
        params["ddof"] = 0
    s.do(name, v, **params)


def normalised(s: Any) -> None:
    """Softmax and its kin."""
    v = s.tamed(_with_axes(s))
    s.do(s.pick(("softmax", "log_softmax")), v, axis=_axes(s, s.of(v).ndim))


def running_sum(s: Any) -> None:
    """A cumulative sum."""
    v = _with_axes(s)
    s.do("cumsum", v, axis=s.choose(s.of(v).ndim))


def product(s: Any) -> None:
    """A matmul of a value with itself, turned so that it fits, or with a constant."""
    v = s.tamed(_with_axes(s))
    n = s.of(v).shape[-1]
    kind = s.choose(3)
    if kind == 0:
        s.do("matmul", v, s.array((n, 1 + s.choose(3))))
    elif kind == 1:
        s.do("matmul", v, s.array((n,)))
    else:
        ndim = s.of(v).ndim
        axes = (*range(ndim - 2), ndim - 1, ndim - 2) if ndim > 1 else (0,)
        s.do("matmul", v, s.do("transpose", v, axes=axes))


def einsum(s: Any) -> None:
    """One of several einsums, by the number of axes."""
    v = s.tamed(_with_axes(s))
    ndim, shape = s.of(v).ndim, s.of(v).shape
    options = {
        1: ["i->", "i,i->", "i,j->ij"],
        2: ["ij->ji", "ij,ij->i", "ij->", "ij,ik->jk"],
        3: ["ijk->ik", "ijk,ijk->j", "ijk->kji"],
    }
    choices = [*options.get(ndim, ()), "...i->...", "...i,...i->..."]
    if ndim == 2 and shape[0] == shape[1]:
        choices += ["ii->i", "ii", "ij,jj->i"]
    subscripts = s.pick(choices)
    s.do("einsum", *[v] * (subscripts.count(",") + 1), subscripts=subscripts)


def reshaped(s: Any) -> None:
    """Another shape, an order of axes, or a broadcast."""
    v = s.value()
    a = s.of(v)
    kind = s.choose(4)
    if kind == 0:
        divisors = [d for d in range(1, a.size + 1) if a.size % d == 0] or [0]
        d = s.pick(divisors)
        s.do("reshape", v, shape=s.pick([(a.size,), (d, a.size // max(d, 1)), (1, *a.shape)]))
    elif kind == 1:
        s.do("transpose", v, axes=tuple(np.random.default_rng(s.choose(1000)).permutation(a.ndim).tolist()))
    elif kind == 2 and a.size <= 12:
        s.do("broadcast_to", v, shape=(2, *(3 if n == 1 else n for n in a.shape)))
    else:
        s.do("flip", v, axis=_axes(s, a.ndim))


def joined(s: Any) -> None:
    """A value beside itself, or beside a scaled one."""
    v = _with_axes(s)
    other = s.do("multiply", v, s.number())
    if s.of(v).size > 24:
        return
    parts = s.pick([(v, other), (other, v, v)])
    ndim = s.of(v).ndim
    if s.choose(2):
        s.do("concatenate", *parts, axis=s.choose(ndim))
    else:
        s.do("stack", *parts, axis=s.choose(ndim + 1))


def shifted(s: Any) -> None:
    """Rolled, padded, repeated, or one triangle of it."""
    v = _with_axes(s)
    a = s.of(v)
    kind = s.choose(4)
    if kind == 0:
        axes = _axes(s, a.ndim)
        s.do("roll", v, shift=tuple(1 + s.choose(2) for _ in axes), axis=axes)
    elif kind == 1 and a.size <= 24:
        s.do("pad", v, width=tuple((s.choose(2), s.choose(2)) for _ in a.shape), value=0.25)
    elif kind == 2 and a.size <= 24:
        s.do("repeat", v, repeats=2, axis=s.choose(a.ndim))
    elif a.ndim > 1:
        s.do(s.pick(("tril", "triu")), v, k=s.choose(3) - 1)


def sliced(s: Any) -> None:
    """A basic index: numbers, slices, None."""
    v = _with_axes(s)
    index: list[Any] = []
    for n in s.of(v).shape:
        options: list[Any] = [slice(None), slice(0, max(1, n - 1)), slice(None, None, 2)] + (
            [s.choose(n), -1] if n else []
        )
        index.append(s.pick(options))
    if s.choose(4) == 0:
        index.append(None)
    s.do("getitem", v, index=tuple(index))


def taken(s: Any) -> None:
    """An index array, with repeated entries, or a mask."""
    v = _with_axes(s)
    shape = s.of(v).shape
    if not shape[0]:
        return
    rng = np.random.default_rng(s.choose(2**20))
    kind = s.choose(3)
    if kind == 0:
        s.do("take", v, rng.integers(-shape[0], shape[0], 3), pattern=(Slot(0),))
    elif kind == 1:
        s.do("take", v, rng.random(shape) < 0.6, pattern=(Slot(0),))
    else:
        axis = len(shape) - 1
        if shape[axis]:
            index = rng.integers(0, shape[axis], (*shape[:-1], 2))
            s.do("take_along_axis", v, index, axis=axis)


def placed(s: Any) -> None:
    """One value written into another, out of place."""
    v = _with_axes(s)
    a = s.of(v)
    if not a.shape[0]:
        return
    row = s.do("getitem", v, index=(s.choose(a.shape[0]),))
    changed = s.do("multiply", row, s.number())
    if s.choose(2):
        s.do("put_value", v, changed, pattern=(s.choose(a.shape[0]),))
    else:
        s.do("put_value", v, changed, np.array([s.choose(a.shape[0])]), pattern=(Slot(0),))


def chosen(s: Any) -> None:
    """where, by comparing two values, or by a mask."""
    v = s.value()
    other = s.do("multiply", v, s.number())
    drawn = np.asarray(np.random.default_rng(s.choose(99)).random(s.of(v).shape) < 0.5)
    condition = s.do("greater", v, other) if s.choose(2) else drawn
    s.do("where", condition, v, other)


def clipped(s: Any) -> None:
    """Values cut off on both sides."""
    s.do("clip", s.value(), low=-0.513, high=0.771)


def classified(s: Any) -> None:
    """Cross entropy of scores against random classes."""
    v = s.tamed(_with_axes(s))
    shape = s.of(v).shape
    if shape[-1]:
        s.do("cross_entropy", v, np.random.default_rng(s.choose(999)).integers(0, shape[-1], shape[:-1]))


KINKED = (chosen, clipped)
MOVES = (
    reduction, reduction, normalised, running_sum, product, product, einsum, reshaped, reshaped, joined, shifted,
    sliced,
    sliced, taken, placed, classified, chosen, clipped,
)  # fmt: skip
