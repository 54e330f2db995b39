"""Mistakes in forming a gradient from cotangents that may be right: transposed, overwritten, scaled, clipped, another
operand.

For one parameter and K sets of cotangents at once, `Forms.explain` says which of them, in which form, give the
handwritten numbers.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ..anatomy.shares import Group, Shares
from ..anatomy.structure import Loop
from .bypass import FLAT, behind
from .operands import KINDS, Slip, line_of, moved, slips

__all__ = ["Form", "Forms", "Option", "Scales", "is_round"]

_SMALL = 2**20  # bytes of operands up to which they are kept, and not made again for every sweep


class Form(NamedTuple):
    """One way of forming a gradient wrongly. kind: its name. detail: what tells it from others of its kind."""

    kind: str
    detail: float | str | tuple[int, ...] | Slip = ""
    rank: int = 2
    cost: float = 1.0

    @property
    def is_rare(self) -> bool:
        """Whether it is not worth trying together with several mistakes in the sweep."""
        return isinstance(self.detail, Slip) and (self.rank > 2 or self.detail.form == "left out")


Operands = list[np.ndarray] | Callable[[], list[np.ndarray]]

Option = tuple[Form, ...]
"""What happened to one parameter, innermost first; empty if its gradient was formed rightly."""


class Scales:
    """Recognises constant factors: products of 2 and of the sizes of the problem, above or below the line.

    sizes: what is counted -> how many there are: examples, time steps, outputs.
    """

    def __init__(self, sizes: Mapping[str, int]) -> None:
        self.table: list[tuple[float, int, str]] = []
        counted = [("", 2), *((name, n) for name, n in sizes.items() if n > 1)]
        for powers in itertools.product((0, 1, -1), repeat=len(counted)):
            used = sum(map(abs, powers))
            if 0 < used <= 3:
                value = math.prod(float(n) ** power for (_, n), power in zip(counted, powers, strict=True))
                self.table.append((value, used, _told(dict(zip(counted, powers, strict=True)))))
        self.table.sort(key=lambda row: (row[1], not row[2].startswith(("half", "twice"))))

    def meanings(self, c: float, rtol: float) -> list[str]:
        """What a factor can stand for, in words: the shortest readings, all that take as many sizes; empty if it is
        none of the known.
        """
        return [text for used, text in self._rows(c, rtol) if used == self.used(c, rtol)]

    def used(self, c: float, rtol: float) -> int:
        """How many sizes a factor takes; 0 if it is none of the known."""
        return next((used for used, _ in self._rows(c, rtol)), 0)

    def _rows(self, c: float, rtol: float) -> Iterator[tuple[int, str]]:
        return (
            (used, "the sign, and " * (c < 0) + text)
            for value, used, text in self.table
            if abs(abs(c) - value) <= 10 * rtol * value and abs(value - 1) > 10 * rtol
        )

    def form(self, c: float, rtol: float) -> Form | None:
        """The form that a factor stands for; None for no factor at all."""
        if abs(c + 1) <= 10 * rtol:
            return Form("sign", "", 1)
        used = self.used(c, rtol)
        if used:
            return Form("constant factor", float(f"{c:.6g}"), 1 + used)
        return Form("constant factor", float(f"{c:.6g}"), 4, 1.4) if abs(c) > rtol else None


def _told(powers: Mapping[tuple[str, int], int]) -> str:
    """A product of sizes in words: "half (a forgotten factor 2, as of a square)", for one."""
    parts = []
    for (name, n), power in powers.items():
        if power and name:
            parts.append(f"{'multiplied' if power > 0 else 'divided'} by the number of {name}, {n}")
        elif power:
            parts.append("twice (a factor 2 too many)" if power > 0 else "half (a forgotten factor 2, as of a square)")
    return " and ".join(parts)


class Forms:
    """The ways in which the gradient of one parameter can have been formed.

    name: the parameter. manual: what the user has, or None if nothing was handed in. rtol: what counts as equal,
    relative to the largest entry. ceiling: the value at which several entries of all gradients stand, if they look
    clipped, or None.

    lines: what each group of uses reads over time. present: the steps that add to the gradient. twins: slips that read
    the same numbers as another one.
    """

    def __init__(
        self, shares: Shares, name: str, manual: np.ndarray | None, rtol: float, scales: Scales, ceiling: float | None
    ) -> None:
        self.shares, self.name, self.rtol, self.scales, self.ceiling = shares, name, rtol, scales, ceiling
        self.leaf = shares.recording.leaves[name]
        self.shape = self.leaf.shape
        self.manual = manual
        self.groups = shares.groups[name]
        self.lines = [line_of(shares, group) for group in self.groups]
        self.present = sorted({int(n) for group in self.groups for n in group.steps})
        self.twins: dict[Form, list[Form]] = {}
        self.variants: list[tuple[Option, Operands]] = list(self._variants())
        self.usual = [(option, operands) for option, operands in self.variants if not any(f.is_rare for f in option)]
        self.targets = list(self._targets())
        self.unsummed = list(self._unsummed())
        self.undone = list(self._undone())

    def _variants(self) -> Iterator[tuple[Option, Operands]]:
        """Other operands: rows left out, rows of another step."""
        if not self.groups:
            return
        loop = self.groups[0].loop
        base = [self._operand(group) for group in self.groups]
        known = loop is not None and all(g.loop is loop and (g.steps >= 0).all() for g in self.groups)
        if loop is not None and known and len(self.present) > 1:
            yield from self._of_steps(base, loop)
        if any(int(group.examples.max(initial=0)) for group in self.groups):
            firsts = [A * (g.examples == 0)[:, None] for A, g in zip(base, self.groups, strict=True)]
            yield (Form("one example only", "first", 4),), firsts
            lasts = [
                A * (g.examples == g.examples.max(initial=0))[:, None] for A, g in zip(base, self.groups, strict=True)
            ]
            yield (Form("one example only", "last", 5),), lasts
        if len(self.groups) > 1:
            for k in range(len(self.groups)):
                without = [A * (j != k) for j, A in enumerate(base)]
                yield (Form("one of its uses forgotten", k, 3),), without

    def _under(self, slip: Slip) -> list[np.ndarray]:
        """The operands as a slip has them."""
        found = [moved(g, line, self.present, slip) for g, line in zip(self.groups, self.lines, strict=True)]
        return [self._operand(g) if A is None else A for A, g in zip(found, self.groups, strict=True)]

    def _undone(self) -> Iterator[tuple[Form, list[np.ndarray]]]:
        """The last factor of the errors, where it was left out of this gradient alone: 1 / factor, per group."""
        structure = self.shares.structure
        for what, kind in (("slope", "activation derivative missing"), ("factor", "factor missing")):
            found: list[np.ndarray] = []
            for group in self.groups:
                factors = [behind(structure, node, what) for node, _ in group.uses]
                if any(factor is None or (np.abs(factor) < FLAT).any() for factor in factors):
                    break
                rows = [
                    group.rows_of(n, f[None]) for (n, _), f in zip(group.uses, factors, strict=True) if f is not None
                ]
                found.append(1 / np.concatenate(rows, axis=1))
            if found and len(found) == len(self.groups) and any((rows != 1).any() for rows in found):
                yield Form(kind, "", 4), found

    @staticmethod
    def _operand(group: Group) -> np.ndarray:
        assert group.A is not None, "a group is filled in when it is made"
        return group.A

    def _of_steps(self, base: list[np.ndarray], loop: Loop) -> Iterator[tuple[Option, Operands]]:
        """One step alone, wrong indices, and both."""

        def ends(operands: list[np.ndarray], *forms: Form) -> Iterator[tuple[Option, list[np.ndarray]]]:
            for end, rank in ((self.present[0], 2), (self.present[-1], 3)):
                kept = [A * (g.steps == end)[:, None] for A, g in zip(operands, self.groups, strict=True)]
                yield (*forms, Form("overwritten instead of accumulated", loop.times[end], rank)), kept

        yield from ends(base)
        tried = {slip: rank for line in self.lines for slip, rank in slips(line, self.present)}
        known = {_key(base): Form("")}
        for slip, rank in tried.items():
            operands = self._under(slip)
            form = Form(KINDS[slip.form], slip, rank)
            same = known.setdefault(_key(operands), form)
            if same is not form:  # numbers that have a name already
                self.twins.setdefault(same, []).append(form)
                continue
            small = sum(A.nbytes for A in operands) <= _SMALL
            yield (form,), operands if small else functools.partial(self._under, slip)
            if slip.form == "shift" and abs(slip.k) == 1 and slip.edge == "skipped":
                yield from ends(operands, form)

    def _targets(self) -> Iterator[tuple[Option, np.ndarray]]:
        """The handwritten numbers, undone: what an untouched gradient would have to be equal to."""
        m = self.manual
        if m is None:
            return
        if m.shape == self.shape:
            yield (), m
        elif m.size == self.leaf.size and [n for n in m.shape if n != 1] == [n for n in self.shape if n != 1]:
            yield (), m.reshape(self.shape)  # (H,) for (H, 1): nobody's gradient is wrong for that
        if m.ndim == 2 and m.T.shape == self.shape and min(m.shape) > 1:
            yield (Form("transposed", "", 1),), np.ascontiguousarray(m.T)
        if m.shape == self.shape and len(self.shape) and min(self.shape) > 0:
            for count in self._gate_counts():
                for axis, n in enumerate(self.shape):
                    if n % count == 0 and n > count:
                        yield from self._reordered(m, count, axis)

    def _gate_counts(self) -> list[int]:
        structure = self.shares.structure
        loops = {group.loop for group in self.groups if group.loop is not None}
        return sorted({gate.blocks for loop in loops for gate in structure.gates(loop) if gate.blocks <= 4})

    def _reordered(self, m: np.ndarray, count: int, axis: int) -> Iterator[tuple[Option, np.ndarray]]:
        size = m.shape[axis] // count
        for order in itertools.permutations(range(count)):
            if order == tuple(range(count)):
                continue
            index = np.concatenate([np.arange(k * size, (k + 1) * size) for k in np.argsort(order)])
            moved = sum(k != j for k, j in enumerate(order))
            yield (Form("gate order of the result", order, 2 if moved == 2 else 4),), np.take(m, index, axis=axis)

    def _unsummed(self) -> Iterator[tuple[Form, list[int]]]:
        """For a bias whose gradient has as many rows as there are examples: nobody summed over them."""
        m = self.manual
        if m is None or m.shape == self.shape or len(self.groups) != 1 or not self.groups[0].is_bias:
            return
        group = self.groups[0]
        rows = int(group.examples.max(initial=-1)) + 1
        if rows > 1 and m.size == rows * self.leaf.size and group.root.size == self.leaf.size:
            yield Form("bias not summed over the batch", "", 1), list(range(rows))

    def explain(
        self, base: np.ndarray, rows: Sequence[np.ndarray], wanted: np.ndarray, fits: list[float], deep: bool = False
    ) -> list[list[Option]]:
        """For each of K candidates the options under which its cotangents give the handwritten numbers; cheapest first.

        base: (K, *shape), the gradients formed rightly. rows: per group, (K, R, N). wanted: (K,) bool, which to look
        at. fits: receives the relative errors of those that fit. deep: whether candidates are so many that rare forms
        are not worth their time.
        """
        found: list[list[Option]] = [[] for _ in base]
        if self.manual is None or not self.manual.any():
            for k in np.flatnonzero(wanted):
                found[k] = self._of_nothing(not base[k].any())
            return found
        looked_at = np.flatnonzero(wanted)
        self._compare(found, (), base[looked_at], looked_at, fits, self.targets)
        open_ = wanted & np.array([() not in options for options in found])
        if not open_.any():
            return found
        where = np.flatnonzero(open_)
        for forms, operands in self.usual if deep else self.variants:
            part = np.zeros((len(where), *self.shape))
            for group, A, G in zip(self.groups, _made(operands), rows, strict=True):
                part = part + self.shares.to_leaf(group.root, group.gradient(A, G[where]), self.leaf)
            self._compare(found, forms, part, where, fits, self.targets[:2])
        for form, inverses in () if deep else self.undone:
            part = np.zeros((len(where), *self.shape))
            for group, inverse, G in zip(self.groups, inverses, rows, strict=True):
                rightly = group.gradient(self._operand(group), G[where] * inverse)
                part = part + self.shares.to_leaf(group.root, rightly, self.leaf)
            self._compare(found, (form,), part, where, fits, self.targets[:2])
        for form, numbers in self.unsummed:
            G, group = rows[0][where], self.groups[0]
            each = np.stack([G[:, group.examples == b].sum(axis=1) for b in numbers], axis=1)  # (k, B, N)
            for order in (each, each.swapaxes(1, 2)) if each.shape[1] != each.shape[2] else (each,):
                self._compare(found, (form,), order, where, fits, [((), self.manual)])
        return found

    def _of_nothing(self, right: bool) -> list[Option]:
        """Why a gradient is zero: it should be, it is the one step that was kept, or it is missing."""
        if right:
            return [()]
        options: list[Option] = [(Form("missing", "", 3),)]
        if self.manual is not None:
            options += [forms for forms, operands in self.variants if not any(A.any() for A in _made(operands))]
        return options

    def _compare(
        self,
        found: list[list[Option]],
        forms: Option,
        pred: np.ndarray,
        where: np.ndarray,
        fits: list[float],
        targets: Sequence[tuple[Option, np.ndarray]],
    ) -> None:
        """Hold predictions, one for each number in `where`, against targets: as they are, up to a factor, clipped."""
        flat = pred.reshape(len(where), -1)
        top = np.abs(flat).max(axis=1, initial=0.0)
        for option, target in targets:
            t = target.reshape(-1)
            limit = self.rtol * np.maximum(top, np.abs(t).max(initial=0.0))
            error = np.abs(flat - t).max(axis=1, initial=0.0)
            for j in np.flatnonzero(error <= limit):
                found[where[j]].append((*forms, *option))
                fits.append(float(error[j] / max(top[j], 1e-300)))
            if len(option) and option[0].kind == "gate order of the result":
                continue
            norms = np.einsum("kn,kn->k", flat, flat)
            c = np.divide(flat @ t, norms, out=np.zeros_like(norms), where=norms > 0)
            rest = np.abs(c[:, None] * flat - t).max(axis=1, initial=0.0)
            scaled = (rest <= self.rtol * np.abs(t).max(initial=0.0)) & (error > limit)
            for j in np.flatnonzero(scaled):
                found[where[j]].extend((*forms, *option, form) for form in self._scaled(float(c[j])))
                fits.append(float(rest[j] / max(np.abs(t).max(), 1e-300)))
            self._clipped(found, (*forms, *option), flat, t, where, error > limit, fits)

    def _scaled(self, c: float) -> list[Form]:
        form = self.scales.form(c, self.rtol)
        forms = [form] if form is not None else []
        assert self.manual is not None
        norm = float(np.linalg.norm(self.manual))
        if 0 < c < 1 and is_round(norm):
            forms.append(Form("each gradient clipped by norm", float(f"{norm:.5g}"), 3))
        return forms

    def _clipped(
        self, found: list[list[Option]], forms: Option, flat: np.ndarray, t: np.ndarray, where: np.ndarray,
        open_: np.ndarray, fits: list[float],
    ) -> None:  # fmt: skip
        top = float(np.abs(t).max(initial=0.0))
        cut = np.abs(t) >= top * (1 - 1e-12)
        looks_clipped = is_round(top) or np.count_nonzero(cut) > 1
        looks_clipped |= self.ceiling is not None and abs(self.ceiling - top) <= 1e-9 * top
        agrees = np.abs(flat[:, ~cut] - t[~cut]).max(axis=1, initial=0.0) <= self.rtol * top
        for j in np.flatnonzero(open_ & (agrees | looks_clipped)):
            c = 1.0
            if not agrees[j] and not cut.all():
                with np.errstate(divide="ignore", invalid="ignore"):
                    c = float(np.median(t[~cut] / flat[j][~cut]))
            elif cut.all() and abs(np.sign(flat[j]) @ np.sign(t)) == len(t):  # nothing but the threshold is left
                c = float(np.sign(flat[j][0] * t[0])) * max(1.0, 2 * top / float(np.abs(flat[j]).min()))
            error = np.abs(np.clip(c * flat[j], -top, top) - t).max() if np.isfinite(c) else np.inf
            if error <= self.rtol * top and np.abs(c * flat[j]).max() > top * (1 + self.rtol):
                sign = Form("sign", "", 1) if c < 0 else None
                form = sign if cut.all() else self.scales.form(c, self.rtol) if c != 1.0 else None
                clip = Form("clipped by value", float(f"{top:.5g}"), 2)
                found[where[j]].append((*forms, *([form] if form else []), clip))
                fits.append(float(error / top))


def _made(operands: Operands) -> list[np.ndarray]:
    return operands() if callable(operands) else operands


def _key(operands: Sequence[np.ndarray]) -> bytes:
    """What two lists of operands with the same numbers have in common."""
    return b"".join(hashlib.sha256((A + 0.0).tobytes()).digest() for A in operands)  # + 0.0: no zero of another sign


def is_round(value: float) -> bool:
    """Whether a number has at most two digits, as thresholds have; clip_grad_norm_ is 1e-6 off."""
    return value > 0 and abs(value - float(f"{value:.2g}")) <= 3e-6 * value
