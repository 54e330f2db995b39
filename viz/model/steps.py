"""Columns: which time steps are shown, and which are equal enough to be left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .roles import Folding

EDGES_SHOWN = (3, 1)
"""How many steps stay at the beginning and at the end of an elided sequence."""


@dataclass(frozen=True)
class Column:
    """One step, or a run of steps that are left out. first, last: the steps; hidden: whether they are left out."""

    first: int
    last: int
    hidden: bool

    @property
    def count(self) -> int:
        """Number of steps."""
        return self.last - self.first + 1

    @property
    def title(self) -> str:
        """What stands over the column."""
        return f"t = {self.first}" if self.count == 1 else f"t = {self.first} … {self.last}"


def columns(
    fold: Folding, show: slice | int | Iterable[int] | None, elide: int | None
) -> tuple[list[Column], list[int]]:
    """The columns from left to right, and the steps that differ from the rest.

    show: the steps to show, as a slice or numbers, or None for the default: all if there are at most `elide`, else
    the first three and the last. elide=None leaves out nothing. A step that differs in structure from the others is
    always shown. Raises IndexError for a step that does not exist.
    """
    present = sorted({t for t in fold.step if t is not None})
    if not present:
        return [], []
    odd = differing(fold)
    if show is not None:
        shown = _chosen(show, present) | set(odd)
    elif elide is None or len(present) <= elide:
        shown = set(present)
    else:
        head, tail = EDGES_SHOWN
        shown = {*present[:head], *present[-tail:], *odd}
    found: list[Column] = []
    for t in present:
        if t in shown:
            found.append(Column(t, t, False))
        elif found and found[-1].hidden and found[-1].last == t - 1:
            found[-1] = replace(found[-1], last=t)
        else:
            found.append(Column(t, t, True))
    return found, odd


def _chosen(show: slice | int | Iterable[int], present: list[int]) -> set[int]:
    if isinstance(show, slice):
        return set(present[show])
    wanted = [show] if isinstance(show, (int, np.integer)) else list(show)
    chosen = {int(t) + (len(present) if t < 0 else 0) for t in wanted}
    missing = sorted(chosen.difference(present))
    if missing:
        raise IndexError(
            f"viz.draw: steps={show!r} asks for step {missing[0]}, but the graph has steps {present[0]} to "
            f"{present[-1]}. Give numbers or a slice within them."
        )
    return chosen


def differing(fold: Folding) -> list[int]:
    """Steps whose structure is not that of most steps: other ops, shapes or dtypes, a cut, a value that is NaN or
    infinite.
    """
    graph = fold.graph
    signs: dict[int, list[Any]] = {t: [] for t in fold.step if t is not None}
    ends = {min(signs), max(signs)}
    role, step = fold.role, fold.step
    for i, node in enumerate(graph.nodes):
        t = step[i]
        if t is None:
            continue
        known = [
            ("before",)
            if (step[p] is not None and step[p] != t) or (p in fold.initial and t in ends)
            else ("cut",)
            if p in fold.initial
            else (role[p],)
            for p in graph.parents[i]
        ]
        signs[t].append((role[i], node.shape, node.dtype.str, tuple(known), _broken(node)))
    kinds = {t: hash(tuple(sorted(found))) for t, found in signs.items()}
    common = Counter(kinds.values()).most_common(1)[0][0]
    return [t for t, kind in sorted(kinds.items()) if kind != common]


def _broken(node: Any) -> bool:
    """Whether a value kept for the backward sweep, or held by a leaf, is NaN or infinite."""
    kept = node.value if node.primitive is None else node.y
    return isinstance(kept, np.ndarray) and kept.dtype.kind == "f" and not np.isfinite(kept).all()
