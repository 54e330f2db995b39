"""Samples of the products: every combination of ranks that np.matmul knows, and einsum in all its notation."""

import itertools
from typing import Any

import numpy as np

from .base import Op, call, draw

_MATMUL = [
    ((3, 4), (4, 2)), ((4,), (4,)), ((4,), (4, 2)), ((3, 4), (4,)),
    ((2, 3, 4), (4, 2)), ((2, 3, 4), (4,)), ((4,), (2, 4, 3)), ((3, 4), (2, 4, 2)),
    ((2, 3, 4), (2, 4, 2)), ((2, 1, 3, 4), (3, 4, 2)), ((1, 3, 4), (2, 4, 2)),
    ((0, 4), (4, 2)), ((3, 0), (0, 2)), ((2, 3, 0), (0, 2)), ((2, 0, 3), (3, 2)), ((0, 3, 4), (0, 4, 2)),
    ((0,), (0,)), ((2, 3, 0), (0,)), ((1, 1), (1, 1)),
]  # fmt: skip

_EINSUM = [
    ("ij,jk->ik", (3, 4), (4, 2)), ("ij,jk", (3, 4), (4, 2)), ("bij,bjk->bik", (2, 3, 2), (2, 2, 4)),
    ("i,i->", (3,), (3,)), ("i,j->ij", (3,), (2,)), ("ij->ji", (3, 4)), ("ij->", (3, 4)), ("ij->j", (3, 4)),
    ("ii->i", (3, 3)), ("ii->", (3, 3)), ("ii", (3, 3)), ("iij->j", (2, 2, 3)), ("ii,i->i", (3, 3), (3,)),
    ("iji->ij", (2, 3, 2)), ("iii->i", (2, 2, 2)), ("ij,ii->j", (2, 3), (2, 2)),
    ("...i,...i->...", (2, 3), (2, 3)), ("...i,i->...", (2, 3, 2), (2,)), ("...ij,...jk", (2, 2, 3), (3, 2)),
    ("...i,...i->...", (1, 3), (4, 3)), ("...i,...j->...ij", (2, 1, 2), (3, 2)), ("...,...", (2, 3), (3,)),
    ("b...,b...->...", (2, 3, 2), (2, 3, 2)), ("i...->...", (2, 3)), ("...i->...", (2, 1, 3)),
    ("i,ij,j->", (3,), (3, 2), (2,)), ("ab,bc,cd->ad", (2, 3), (3, 2), (2, 2)), ("ij,ij->ij", (1, 3), (2, 3)),
    ("ij,jk->ik", (0, 3), (3, 2)), ("ij,jk->ik", (2, 0), (0, 3)), (",i->i", (), (3,)), ("->", ()),
    ("i,ji->j", (3,), (2, 1)),
]  # fmt: skip


def by_loops(*operands: Any, subscripts: str) -> Any:
    """einsum by its definition: a sum over all values of all letters. Written once more, slowly, as the oracle."""
    left, arrow, output = subscripts.partition("->")
    terms = left.split(",")
    spare = "ABCDEFGH"
    width = max(
        (x.ndim - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True) if "..." in t), default=0
    )
    full = []
    for term, x in zip(terms, operands, strict=True):
        n = x.ndim - len(term.replace("...", ""))
        full.append(term.replace("...", spare[width - n : width]))
    output = output.replace("...", spare[:width])
    if not arrow:
        letters = "".join(terms).replace("...", "")
        output = spare[:width] + "".join(sorted(c for c in set(letters) if letters.count(c) == 1))
    size: dict[str, int] = {}
    for term, x in zip(full, operands, strict=True):
        for letter, n in zip(term, x.shape, strict=True):
            size[letter] = n if size.get(letter, 1) == 1 else size[letter]
    result = np.zeros([size[c] for c in output])
    for values in itertools.product(*(range(n) for n in size.values())):
        at = dict(zip(size, values, strict=True))
        factors = [
            x[tuple(at[c] if n > 1 else 0 for c, n in zip(term, x.shape, strict=True))]
            for term, x in zip(full, operands, strict=True)
        ]
        result[tuple(at[c] for c in output)] += np.prod(factors)
    return result


def _torch_einsum(t: Any, *operands: Any, subscripts: str) -> Any:
    return t.einsum(subscripts, *operands)


CONTRACT: dict[str, Op] = {
    "matmul": Op(
        [call(draw(*a, key=("matmul", 0)), draw(*b, key=("matmul", 1))) for a, b in _MATMUL],
        np.matmul,
        lambda t, a, b: t.matmul(a, b),
    ),
    "einsum": Op(
        [
            call(*(draw(*shape, key=(subscripts, i)) for i, shape in enumerate(shapes)), subscripts=subscripts)
            for subscripts, *shapes in _EINSUM
        ],
        by_loops,
        _torch_einsum,
    ),
}
