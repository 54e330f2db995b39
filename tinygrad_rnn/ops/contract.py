"""Products that sum over shared axes: matmul and einsum are primitives, dot, inner, outer, tensordot and vdot are
written in them."""

from __future__ import annotations

import math
import string
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..primitive import implements, primitive
from .reduce import normalise
from .shape import transpose


def _matmul(a: Any, b: Any, out: Any = None) -> Any:
    if b.ndim == 2:
        if a.ndim == 2:
            return np.dot(a, b, out=out)  # a microsecond less than np.matmul on small matrices
        if a.ndim > 2 and out is None and a.shape[-1] == b.shape[0]:
            # one product instead of a loop over the leading axes
            return np.dot(a.reshape(_rows(a), a.shape[-1]), b).reshape(*a.shape[:-1], b.shape[1])
    return np.matmul(a, b, out=out)


def _rows(a: Any) -> int:
    """How many rows a stack of matrices has, which -1 would not tell of rows without entries."""
    return math.prod(a.shape[:-1])


def _matmul_left(g: Any, y: Any, a: Any, b: Any) -> Any:
    if b.ndim == 1:  # y = sum(a * b, -1)
        return g * b if a.ndim == 1 else np.expand_dims(g, -1) * b
    if a.ndim == 1:  # a stands for a row
        return np.matmul(b, np.expand_dims(g, -1)).reshape(g.shape[:-1] + (b.shape[-2],))
    if b.ndim == 2:
        return _matmul(g, b.T) if g.__class__ is np.ndarray else matmul(g, transpose(b, axes=(1, 0)))
    return np.matmul(g, np.swapaxes(b, -1, -2))


def _matmul_right(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == 1:
        return g * a if b.ndim == 1 else np.expand_dims(a, -1) * np.expand_dims(g, -2)
    if b.ndim == 1:
        return np.matmul(np.swapaxes(a, -1, -2), np.expand_dims(g, -1)).reshape(a.shape[:-2] + (a.shape[-1],))
    if b.ndim == 2 and a.ndim == 2:
        return np.dot(a.T, g) if g.__class__ is np.ndarray else matmul(transpose(a, axes=(1, 0)), g)
    if b.ndim == 2 and a.ndim > 2:
        # one product over all leading axes at once instead of many that are summed afterwards
        return np.matmul(np.swapaxes(a.reshape(_rows(a), a.shape[-1]), 0, 1), g.reshape(_rows(g), g.shape[-1]))
    return np.matmul(np.swapaxes(a, -1, -2), g)


def _matmul_right_factors(g: Any, y: Any, a: Any, b: Any) -> Any:
    # of a residual that was spoilt there is only a stand-in, about which the rule will complain
    return (a, g) if a.ndim == b.ndim == 2 and a.__class__ is np.ndarray else None


matmul = primitive(
    _matmul,
    kind="contract",
    saves="01",
    vjp=(_matmul_left, _matmul_right),
    factors=(1, _matmul_right_factors),
    name="matmul",
    stands_for=[np.matmul],
)


def _einsum_terms(subscripts: str, shapes: list[tuple[int, ...]]) -> tuple[list[str], str]:
    """Explicit subscripts: one term per operand and the output, ellipses replaced by letters that are still free."""
    left, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ShapeError(f"einsum {subscripts!r}: expected {len(terms)} operands, got {len(shapes)}.")
    free = [c for c in string.ascii_letters if c not in subscripts]
    widest = max(
        (len(shape) - len(term) + 3 for term, shape in zip(terms, shapes, strict=True) if "..." in term), default=0
    )
    ellipsis = "".join(free[:widest])
    terms = [
        term.replace("...", ellipsis[widest - (len(shape) - len(term) + 3) :] if "..." in term else "")
        for term, shape in zip(terms, shapes, strict=True)
    ]
    if arrow:
        return terms, output.replace("...", ellipsis)
    letters = "".join(terms)
    once = sorted(c for c in set(letters) if letters.count(c) == 1 and c not in ellipsis)
    return terms, ellipsis + "".join(once)


def _einsum(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands)


def _einsum_vjp(i: int, g: Any, y: Any, *operands: Any, subscripts: str) -> Any:
    """The cotangent of operand i: contract g with all the others, back to its own letters."""
    terms, output = _einsum_terms(subscripts, [x.shape for x in operands])
    others = [(term, x) for j, (term, x) in enumerate(zip(terms, operands, strict=True)) if j != i]
    own = terms[i]
    kept = "".join(dict.fromkeys(own))  # repeated letters (a trace) come back as a diagonal
    size = dict(zip(own, operands[i].shape, strict=True))
    # a letter of size 1 was stretched to the others' size, so it is summed over; one that no other term has was summed
    # away on its own, so the cotangent is constant along it
    reachable = set(output).union(*(term for term, _ in others))
    present = "".join(c for c in kept if c in reachable and size[c] != 1)
    source = ",".join([output] + [term for term, _ in others])
    result = einsum(g, *(x for _, x in others), subscripts=f"{source}->{present}")
    found = dict(zip(present, result.shape, strict=True))
    result = np.broadcast_to(result.reshape(tuple(found.get(c, 1) for c in kept)), tuple(size[c] for c in kept))
    if kept != own:
        mask = np.ones(operands[i].shape, dtype=g.dtype)
        for axis, letter in enumerate(own):
            first = own.index(letter)
            if first != axis:
                index = np.indices(mask.shape, sparse=True)
                mask = mask * (index[first] == index[axis])
        where = tuple(slice(None) if own.index(c) == k else None for k, c in enumerate(own))
        result = result[where] * mask
    return result


einsum = primitive(_einsum, kind="contract", saves="*", every=_einsum_vjp, name="einsum")


@implements(np.einsum)
def _numpy_einsum(subscripts: str, *operands: Any, optimize: Any = False) -> Any:
    if not isinstance(subscripts, str):
        raise TypeError("the first argument must be the subscripts, a string; lists of axes have no rule")
    return einsum(*operands, subscripts=subscripts)


@implements(np.dot)
def dot(a: Any, b: Any) -> Any:
    """Product over the last axis of a and the second to last (or only) axis of b, as np.dot."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, (a.ndim - 1, b.ndim - 2))


@implements(np.inner)
def inner(a: Any, b: Any) -> Any:
    """Product over the last axes, as np.inner."""
    return a * b if a.ndim == 0 or b.ndim == 0 else tensordot(a, b, (-1, -1))


@implements(np.vdot)
def vdot(a: Any, b: Any) -> Any:
    """Product of the flattened arrays."""
    return matmul(np.reshape(a, -1), np.reshape(b, -1))


@implements(np.outer)
def outer(a: Any, b: Any) -> Any:
    """All products of the entries of the flattened arrays, (M, N)."""
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@implements(np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sum of products over pairs of axes, as np.tensordot: the last `axes` of a with the first of b, or two lists."""
    if isinstance(axes, int):
        left, right = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        left, right = ([side] if isinstance(side, int) else list(side) for side in axes)
    left, right = ([normalise(i, x.ndim)[0] for i in side] for side, x in ((left, a), (right, b)))
    rest_a = [i for i in range(a.ndim) if i not in left]
    rest_b = [i for i in range(b.ndim) if i not in right]
    inside = int(np.prod([a.shape[i] for i in left]))
    if [a.shape[i] for i in left] != [b.shape[i] for i in right]:
        raise ShapeError(
            f"tensordot: axes {left} of {a.shape} and axes {right} of {b.shape} must have equal sizes; "
            f"got {[a.shape[i] for i in left]} and {[b.shape[i] for i in right]}."
        )
    rows, columns = [a.shape[i] for i in rest_a], [b.shape[i] for i in rest_b]
    product = matmul(
        np.reshape(np.transpose(a, rest_a + left), (int(np.prod(rows)), inside)),
        np.reshape(np.transpose(b, right + rest_b), (inside, int(np.prod(columns)))),
    )
    return np.reshape(product, (*rows, *columns))
