"""The search: which few mistakes, made together, reproduce the handwritten gradients.

Mistakes in the flow of cotangents need a sweep each; mistakes in forming the gradients are read off it, per parameter.
So none, one, two and three flow mistakes are swept in that order, many candidates at once, and each candidate is
dropped at the first parameter that no form explains. A hypothesis that would spoil a gradient that is right already
takes no part in pairs and triples.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ...graph import Node
from ..anatomy.recording import Recording
from ..anatomy.shares import Shares
from ..anatomy.structure import Structure
from . import bypass, flow, gating
from .forms import Form, Forms, Option, Scales, is_round
from .names import Names
from .operands import KINDS
from .sweep import Hypothesis, Patch, Sweep

__all__ = ["Explanation", "Search"]

_CHUNK = 64
_FEW = 3000
_ENTRIES = 2**16
_DIGITS = 8  # that must agree where dozens of wrong indices were tried


class Explanation(NamedTuple):
    """Mistakes that together give the handwritten numbers.

    flows: hypotheses about the sweep, each with the length of its window (0 if it has none). forms: parameter -> what
    happened to it. misfit: the largest relative error that is left. options: parameter -> all that could have.
    """

    flows: tuple[tuple[Hypothesis, int], ...]
    forms: dict[str, Option]
    misfit: float
    options: dict[str, list[Option]]

    @property
    def distinct(self) -> list[tuple[Form, list[str]]]:
        """Every form once, with the parameters that it happened to."""
        found: dict[Form, list[str]] = {}
        for name, option in self.forms.items():
            for form in option:
                found.setdefault(form, []).append(name)
        return list(found.items())

    @property
    def number(self) -> int:
        """Number of mistakes."""
        return len(self.flows) + len(self.distinct)

    @property
    def cost(self) -> float:
        """Number of mistakes, and a little for unlikely ones."""
        forms = [form for form, _ in self.distinct]
        ranks = sum(h.rank for h, _ in self.flows) + sum(form.rank for form in forms)
        return len(self.flows) + sum(form.cost for form in forms) + 0.01 * ranks


class Search:
    """Everything needed to explain one set of handwritten gradients.

    recording: the loss, once evaluated. manual: names -> arrays, any shapes; names may be missing. rtol: relative error
    that counts as equal. seconds: after which nothing more is tried.
    """

    def __init__(self, recording: Recording, manual: Mapping[str, np.ndarray], rtol: float, seconds: float) -> None:
        self.recording, self.rtol, self.seconds = recording, rtol, seconds
        self.manual = manual
        self.structure = Structure(recording)
        self.names = Names(self.structure)
        self.sweep = Sweep(recording, self.structure)
        self.shares = Shares(recording, self.structure)
        scales = Scales(_sizes(self.structure, self.shares))
        ceiling = _ceiling(manual)
        self.forms = {
            name: Forms(self.shares, name, manual.get(name), rtol, scales, ceiling) for name in recording.leaves
        }
        self.order = list(recording.leaves)
        self.tried = 0
        self.deadline = float("inf")
        self.skipped: list[str] = []
        self.twins: dict[int, list[Hypothesis]] = {}
        self.unchanged: dict[str, np.ndarray] = {}
        self.right: list[str] = []

    def hypotheses(self) -> list[Hypothesis]:
        """All mistakes that can be made in this graph."""
        structure, names = self.structure, self.names
        found = [*flow.weights(structure, names), *flow.losses(structure, names), *gating.activations(structure, names)]
        for loop in structure.loops:
            found += flow.carries(structure, names, loop)
            found += flow.entries(structure, names, loop)
            found += gating.products(structure, names, loop)
            found += gating.orders(structure, names, loop)
            found += gating.reset_side(structure, names, loop)
            found += bypass.slopes(structure, names, loop)
            found += bypass.forgotten_gates(structure, names, loop)
            found += bypass.confusions(structure, names, loop)
        return found

    def run(self) -> list[Explanation]:
        """The simplest explanations, simplest first; none if none fits; one without mistakes for a right gradient."""
        self.deadline = time.perf_counter() + self.seconds
        found = self._evaluate([()])
        if found and found[0].cost == 0:
            return found[:1]
        self._discriminating_first()
        every = sorted(self.hypotheses(), key=lambda h: h.rank)
        windows = [h for h in every if h.window]
        plain = [h for h in every if not h.window]
        found += self._evaluate([(h,) for h in plain], "single mistakes")
        found += self._evaluate([(h,) for h in windows], "single mistakes")
        if found and min(e.number for e in found) == 1:
            return _simplest(found)
        effects = self._effects(plain)
        plain = self._distinct([h for h in plain if id(h) in effects], effects)
        harmless = [h for h in plain if not h.alone and self._spares_what_is_right(effects[id(h)])]
        levels = (
            ("pairs", lambda: itertools.chain(_without_collisions(harmless, 2), _with_windows(windows, harmless))),
            ("triples", lambda: self._triples(windows, [h for h in harmless if h.common])),
        )
        for depth, (word, candidates) in enumerate(levels, start=2):
            if found and min(e.number for e in found) <= depth:
                break
            listed = list(candidates())
            found += self._evaluate([c for c in listed if not any(h.window for h in c)], word)
            found += self._evaluate([c for c in listed if any(h.window for h in c)], word)
        return _simplest(found)

    def _triples(self, windows: list[Hypothesis], common: list[Hypothesis]) -> Iterator[tuple[Hypothesis, ...]]:
        """Threes of common mistakes; with a window, which costs a row for every length, where they are few."""
        yield from _without_collisions(common, 3)
        steps = max((len(loop) for loop in self.structure.loops), default=0)
        if math.comb(len(common), 2) * steps <= _FEW:
            for pair in _without_collisions(common, 2):
                yield from ((w, *pair) for w in windows if not any(w.collides(h) for h in pair))

    def _discriminating_first(self) -> None:
        """Look first at small parameters that are wrong: they drop most candidates at least cost."""
        base = self.recording.gradients

        def key(name: str) -> tuple[bool, bool, int]:
            m, g = self.manual.get(name), base[name]
            right = m is not None and m.shape == g.shape and np.abs(m - g).max(initial=0.0) <= 100 * self.rtol * max(
                np.abs(g).max(initial=0.0), np.abs(m).max(initial=0.0)
            )  # fmt: skip
            trivial = m is None or not m.any() or g.size < 4
            return right, trivial, g.size

        self.order = sorted(self.recording.leaves, key=key)
        self.right = [name for name in self.order if key(name)[0]]

    def gradients(self, candidates: Sequence[Sequence[Hypothesis]]) -> tuple[dict[Node, np.ndarray], int]:
        """Sweep; returns what arrived, and how many rows that is."""
        arrived = self.sweep.run(candidates)
        K = len(next(iter(arrived.values())))
        self.tried += K
        return arrived, K

    def _base(
        self, name: str, arrived: Mapping[Node, np.ndarray], candidates: Sequence[Sequence[Hypothesis]], K: int
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """The gradients of a parameter as the sweeps give them, and the rows that they are made of."""
        shares, leaf = self.shares, self.recording.leaves[name]
        rows = [group.rows(arrived) for group in shares.groups[name]]
        total = np.zeros((K, *leaf.shape)) + shares.of_others(name, arrived)
        for group, G in zip(shares.groups[name], rows, strict=True):
            assert group.A is not None
            total += shares.to_leaf(group.root, group.gradient(group.A, G), leaf)
        each = K // len(candidates)
        for k, candidate in enumerate(candidates):
            for h in candidate:
                for (node, i), edit in h.edges.items():
                    view = node.parents[i]
                    if leaf in self.recording.owners.get(view, ()) and not isinstance(edit, Patch):
                        g = arrived[node][k * each : (k + 1) * each]
                        y, xs = self.sweep.residuals[node]
                        change = edit(g) - flow.pull(node, i, g, y, xs)
                        total[k * each : (k + 1) * each] += shares.to_leaf(view, change, leaf)
        return total, rows

    def _evaluate(self, candidates: Sequence[Sequence[Hypothesis]], word: str = "") -> list[Explanation]:
        """The candidates that explain the numbers. word: what they are called where time runs out."""
        found: list[Explanation] = []
        window = any(h.window for h in candidates[0]) if candidates else False
        deep = bool(candidates) and len(candidates[0]) > 1
        for start, chunk in _chunks(candidates, self._chunk_size(window)):
            if word and time.perf_counter() > self.deadline:
                self.skipped.append(f"{len(candidates) - start} of {len(candidates)} {word}")
                break
            arrived, K = self.gradients(chunk)
            alive = np.ones(K, bool)
            options: list[dict[str, list[Option]]] = [{} for _ in range(K)]
            fits: list[float] = []
            for name in self.order:
                base, rows = self._base(name, arrived, chunk, K)
                per_row = self.forms[name].explain(base, rows, alive, fits, deep=deep)
                for k in np.flatnonzero(alive):
                    options[k][name] = per_row[k]
                    alive[k] = bool(per_row[k])
                if not alive.any():
                    break
            each = K // len(chunk)
            for k in np.flatnonzero(alive):
                flows = tuple((h, int(k) % each + 1 if h.window else 0) for h in chunk[int(k) // each])
                if any(h.window and not 1 < window < each for h, window in flows):
                    continue  # a window of one step is the cut, told apart; one of all steps is no mistake
                explanation = Explanation(flows, _fewest(options[k]), max(fits, default=0.0), options[k])
                if self._is_founded(explanation):
                    found.append(explanation)
        return found

    def _chunk_size(self, window: bool) -> int:
        """How many candidates to sweep at once: as many as keep the arrays within a processor's cache."""
        largest = max(node.size for node in self.structure.nodes)
        rows = max((len(loop) for loop in self.structure.loops), default=1) if window else 1
        return max(1, min(_CHUNK, _ENTRIES // (largest * rows)))

    def _is_founded(self, explanation: Explanation) -> bool:
        """Whether unknown factors and thresholds rest on more numbers than are needed to choose them."""
        digits = -math.log10(max(self.rtol, 1e-16))
        for form, names in explanation.distinct:
            size = sum(self.recording.leaves[name].size for name in names)
            bent = form.kind == "clipped by value" and not is_round(float(str(form.detail)))
            guessed = form.kind in KINDS.values() and size * digits < _DIGITS
            if (form.cost > 1 and size < 3) or (bent and size < 2) or guessed:
                return False
        return True

    def _effects(self, hypotheses: Sequence[Hypothesis]) -> dict[int, dict[str, np.ndarray]]:
        """What each hypothesis alone makes of every gradient, as a few random projections relative to its size."""
        rng = np.random.default_rng(0)
        looks = {name: rng.standard_normal((leaf.size, 3)) for name, leaf in self.recording.leaves.items()}
        effects: dict[int, dict[str, np.ndarray]] = {}
        for start, chunk in _chunks([(), *((h,) for h in hypotheses)], self._chunk_size(window=False)):
            if start and time.perf_counter() > self.deadline:
                break
            arrived, K = self.gradients(chunk)
            for name in self.order:
                seen = self._base(name, arrived, chunk, K)[0].reshape(K, -1)
                seen = seen @ looks[name] / max(np.abs(self.recording.gradients[name]).max(initial=0.0), 1e-300)
                for k, candidate in enumerate(chunk):
                    if candidate:
                        effects.setdefault(id(candidate[0]), {})[name] = seen[k]
                    else:
                        self.unchanged[name] = seen[k]
        return effects

    def _distinct(self, hypotheses: list[Hypothesis], effects: dict[int, dict[str, np.ndarray]]) -> list[Hypothesis]:
        """One hypothesis for each set of numbers; those without effect left out. The others are noted in `twins`."""
        unchanged = np.concatenate([self.unchanged[name] for name in self.order])
        kept: list[tuple[np.ndarray, Hypothesis]] = []
        for h in sorted(hypotheses, key=lambda h: h.rank):
            seen = np.concatenate([effects[id(h)][name] for name in self.order])
            if _equal(seen, unchanged, self.rtol):
                continue
            twin = next((other for look, other in kept if _equal(seen, look, self.rtol)), None)
            if twin is None:
                kept.append((seen, h))
                self.twins[id(h)] = []
            else:
                self.twins[id(twin)].append(h)
        return [h for _, h in kept]

    def _spares_what_is_right(self, effect: dict[str, np.ndarray]) -> bool:
        return all(_equal(effect[name], self.unchanged[name], 10 * self.rtol) for name in self.right)


def _equal(a: np.ndarray, b: np.ndarray, rtol: float) -> bool:
    return bool(np.abs(a - b).max(initial=0.0) <= rtol * max(1.0, np.abs(b).max(initial=0.0)))


def _chunks(items: Sequence[Sequence[Hypothesis]], size: int) -> Iterator[tuple[int, Sequence[Sequence[Hypothesis]]]]:
    """(start, slice) of a list, piece by piece."""
    return ((start, items[start : start + size]) for start in range(0, len(items), size))


def _without_collisions(hypotheses: list[Hypothesis], count: int) -> Iterator[tuple[Hypothesis, ...]]:
    friends = {id(a): {id(b) for b in hypotheses if b is not a and not a.collides(b)} for a in hypotheses}
    for candidate in itertools.combinations(hypotheses, count):
        if all(id(b) in friends[id(a)] for a, b in itertools.combinations(candidate, 2)):
            yield candidate


def _with_windows(windows: list[Hypothesis], hypotheses: list[Hypothesis]) -> Iterator[tuple[Hypothesis, ...]]:
    return ((w, h) for w in windows for h in hypotheses if not w.collides(h))


def _fewest(options: dict[str, list[Option]]) -> dict[str, Option]:
    """One option for each parameter, so that few distinct forms are needed altogether."""
    ranked = {
        name: sorted(dict.fromkeys(some), key=lambda o: sum(f.cost + 0.01 * f.rank for f in o))[:6]
        for name, some in options.items()
    }
    if np.prod([float(len(some)) for some in ranked.values()]) <= 512:
        choices = itertools.product(*ranked.values())
    else:
        choices = iter([tuple(some[0] for some in ranked.values())])

    def cost(choice: tuple[Option, ...]) -> float:
        return sum(f.cost + 0.01 * f.rank for f in {form for option in choice for form in option})

    return dict(zip(ranked, min(choices, key=cost), strict=True))


def _simplest(found: list[Explanation]) -> list[Explanation]:
    """Those with as few mistakes as possible, likeliest first."""
    if not found:
        return []
    found = sorted(found, key=lambda e: e.cost)
    return [e for e in found if e.number <= found[0].number and e.cost < found[0].cost + 0.9]


def _ceiling(manual: Mapping[str, np.ndarray]) -> float | None:
    """A value that several entries share, up to sign, as the largest of all: what clipping leaves behind."""
    entries = np.concatenate([np.abs(m).reshape(-1) for m in manual.values()] or [np.zeros(0)])
    top = float(entries.max(initial=0.0))
    return top if top and np.count_nonzero(entries >= top * (1 - 1e-12)) > 1 else None


def _sizes(structure: Structure, shares: Shares) -> dict[str, int]:
    """The numbers that constant factors are made of, by what there are so many of."""
    batch = max((int(g.examples.max(initial=0)) + 1 for groups in shares.groups.values() for g in groups), default=1)
    steps = max((len(loop) for loop in structure.loops), default=1)
    sizes = {"examples": batch, "time steps": steps}
    products = [(node, i) for node, i in structure.recording.uses if node.op == "matmul" and node.shape]
    if products:
        node, i = products[-1]
        spine = [(loop, state) for loop in structure.loops if node in loop.spine for state in loop.states]
        if spine:  # no head: the states are the outputs
            node = spine[-1][1].nodes[max(spine[-1][1].nodes)]
        sizes["outputs"] = node.shape[-1 if i else 0]
    return sizes
