"""Break every gradient rule on purpose and see whether the op tests notice: `python -m tests.mutation` tells.

A mutant is one rule changed at run time. It is caught if a test that holds rules against central differences fails for
a sample of its primitive, and equivalent if it gives the same gradients on all samples (minus zero is zero).
"""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.ops.running import CASES, gradients, run, sources
from tests.ops.test_gradients import (
    DIFFERENCED,
    test_collected_factors_equal_central_differences,
    test_rule_equals_central_differences,
)
from tests.samples import Sample
from tinygrad_rnn import backward
from tinygrad_rnn.primitive import PRIMITIVES, Primitive

Rule = Callable[..., Any]
SAMPLES: dict[str, list[Sample]] = {}
for _i in DIFFERENCED:
    SAMPLES.setdefault(CASES[_i][0], []).append(CASES[_i][1])


class Mutant(NamedTuple):
    """kind: what is wrong. apply: `apply(patch)` puts it in place through pytest's monkeypatch."""

    primitive: str
    kind: str
    apply: Callable[[pytest.MonkeyPatch], None]


def _ones(x: Any) -> Any:
    """A residual without its values."""
    return np.ones_like(x) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


# a rule that gives the cotangent `part` from `g`, made wrong: change(rule, g, y, inputs, params) -> part
CHANGES: dict[str, Callable[..., Any]] = {
    "sign": lambda rule, g, y, xs, params: -rule(g, y, *xs, **params),
    "factor": lambda rule, g, y, xs, params: rule(g, y, *xs, **params) * 1.01,
    "cotangent dropped": lambda rule, g, y, xs, params: rule(np.ones_like(g), y, *xs, **params),
    "output dropped": lambda rule, g, y, xs, params: rule(g, _ones(y), *xs, **params),
    "inputs dropped": lambda rule, g, y, xs, params: rule(g, y, *map(_ones, xs), **params),
    "wrong entry": lambda rule, g, y, xs, params: _moved(rule(g, y, *xs, **params)),
    "wrong axis": lambda rule, g, y, xs, params: _turned(rule(g, y, *xs, **params)),
    "term dropped": lambda rule, g, y, xs, params: rule(g, y, *xs, **params) * 0,
}


def _moved(part: Any) -> Any:
    return np.roll(part, 1) if np.ndim(part) else part


def _turned(part: Any) -> Any:
    """The entries in the order of another axis, in the shape that is expected."""
    return np.reshape(np.transpose(part), np.shape(part)) if np.ndim(part) > 1 else part


def _wrong(rule: Rule, change: Callable[..., Any]) -> Rule:
    return lambda g, y, *xs, **params: change(rule, g, y, xs, params)


def _wrong_every(every: Rule, change: Callable[..., Any]) -> Rule:
    def wrong(i: int, g: Any, y: Any, *xs: Any, **params: Any) -> Any:
        return change(lambda *args, **kwargs: every(i, *args, **kwargs), g, y, xs, params)

    return wrong


def _wrong_scatter(scatter: Rule, change: Callable[..., Any]) -> Rule:
    """The scatter of a cotangent into a buffer, made wrong in the same ways."""

    def wrong(buffer: Any, g: Any, *xs: Any, **params: Any) -> None:
        def rule(g: Any, y: Any, *xs: Any, **params: Any) -> Any:
            part = np.zeros_like(buffer)
            scatter(part, g, *xs, **params)
            return part

        buffer += change(rule, g, None, xs, params)

    return wrong


def _wrong_fill(fill: Rule, change: Callable[..., Any]) -> Rule:
    """The same for a scatter that is told what of the buffer may not be zero."""

    def wrong(buffer: Any, g: Any, filled: Any, **params: Any) -> None:
        def rule(g: Any, y: Any, **params: Any) -> Any:
            part = np.zeros_like(buffer)
            fill(part, g, (), **params)
            return part

        buffer += change(rule, g, None, (), params)

    return wrong


def _wrong_factors(factors: Rule, change: Callable[..., Any]) -> Rule:
    """The factors of a cotangent, whose product is made wrong; a matrix is the product of a unit matrix and itself."""

    def wrong(g: Any, y: Any, *xs: Any, **params: Any) -> Any:
        if factors(g, y, *xs, **params) is None:
            return None

        def rule(*args: Any, **params: Any) -> Any:
            left, right = factors(*args, **params)
            return left.T @ right

        product = change(rule, g, y, xs, params)
        return np.eye(len(product)), product

    return wrong


def mutants(names: list[str]) -> Iterator[Mutant]:
    """All mutants of the rules of these primitives."""
    for name in names:
        p = PRIMITIVES[name]
        for kind, change in CHANGES.items():
            if (kind == "output dropped" and not p.saves_output) or (
                kind == "inputs dropped" and not p.saves.strip("y")
            ):
                continue
            for i, rule in enumerate(p.vjps):
                if rule is not None and p.scatter is None:
                    rules = (*p.vjps[:i], _wrong(rule, change), *p.vjps[i + 1 :])
                    yield Mutant(name, f"{kind}, argument {i}", lambda m, p=p, rules=rules: m.setattr(p, "vjps", rules))
            if p.scatter is not None and p.fill is None:
                scatter = _wrong_scatter(p.scatter, change)
                yield Mutant(name, f"{kind}, scatter", lambda m, p=p, s=scatter: m.setattr(p, "scatter", s))
            if p.fill is not None:
                fill = _wrong_fill(p.fill, change)
                yield Mutant(name, f"{kind}, fill", lambda m, p=p, fill=fill: m.setattr(p, "fill", fill))
            if p.factors is not None:
                i, factors = p.factors
                pair = i, _wrong_factors(factors, change)
                yield Mutant(name, f"{kind}, factors", lambda m, p=p, pair=pair: m.setattr(p, "factors", pair))
            if p.every is not None:
                every = _wrong_every(p.every, change)
                yield Mutant(name, f"{kind}, every", lambda m, p=p, e=every: m.setattr(p, "every", e))
            if p.joint is not None:
                joint = _wrong_joint(p.joint, change)
                yield Mutant(name, f"{kind}, joint", lambda m, p=p, j=joint: m.setattr(p, "joint", j))
        yield from _structure(name, p)
        yield from _unbroadcast(name, p)


def _structure(name: str, p: Primitive) -> Iterator[Mutant]:
    """Rules that stand at the wrong argument, or are missing."""
    places = [i for i, rule in enumerate(p.vjps) if rule is not None]
    if len(places) == 2:
        order = {places[0]: places[1], places[1]: places[0]}
        swapped = tuple(p.vjps[order.get(i, i)] for i in range(len(p.vjps)))
        yield Mutant(name, "parents swapped", lambda m: m.setattr(p, "vjps", swapped))
    for i in places:
        if p.scatter is None:
            without = (*p.vjps[:i], None, *p.vjps[i + 1 :])
            yield Mutant(name, f"rule removed, argument {i}", lambda m, rules=without: m.setattr(p, "vjps", rules))
    joint = p.joint
    if joint is not None:
        backwards = lambda *args, **kwargs: list(joint(*args, **kwargs))[::-1]
        yield Mutant(name, "parents swapped", lambda m: m.setattr(p, "joint", backwards))


def _wrong_joint(joint: Rule, change: Callable[..., Any]) -> Rule:
    """One rule for all arguments, whose last part is made wrong."""

    def wrong(g: Any, y: Any, *xs: Any, **params: Any) -> Any:
        last = change(lambda *args, **kwargs: list(joint(*args, **kwargs))[-1], g, y, xs, params)
        return [*list(joint(g, y, *xs, **params))[:-1], last]

    return wrong


def _unbroadcast(name: str, p: Primitive) -> Iterator[Mutant]:
    """The sweep forgets to sum over the axes that this primitive stretched, and takes their first entry or mean."""
    original = backward.unbroadcast

    def forgetful(pick: Callable[..., Any]) -> Callable[..., Any]:
        def take(g: Any, parent: Any, node: Any = None) -> Any:
            exact = original(g, parent, node)
            return (
                pick(exact, np.size(exact) / max(np.size(getattr(g, "array", g)), 1))
                if node and node.primitive is p
                else exact
            )

        return take

    mean = forgetful(lambda exact, share: exact * share)
    yield Mutant(name, "unbroadcast by the mean", lambda m: m.setattr(backward, "unbroadcast", mean))


def caught(mutant: Mutant) -> bool | None:
    """Whether the op test fails for a sample under this mutant; None if it is equivalent on all samples."""
    samples = SAMPLES[mutant.primitive]
    with pytest.MonkeyPatch.context() as patch:
        mutant.apply(patch)
        for sample in samples:
            try:
                with np.errstate(all="ignore"):
                    test_rule_equals_central_differences(mutant.primitive, sample)
                    if PRIMITIVES[mutant.primitive].factors is not None:
                        test_collected_factors_equal_central_differences(mutant.primitive, sample)
            except Exception:  # noqa: BLE001  (a mutant may fail in any way)
                return True
        changed = [_gradients(mutant.primitive, sample) for sample in samples]
    exact = [_gradients(mutant.primitive, sample) for sample in samples]
    same = all(np.array_equal(a, b) for xs, ys in zip(changed, exact, strict=True) for a, b in zip(xs, ys, strict=True))
    return None if same else False


def _gradients(name: str, sample: Sample) -> list[np.ndarray]:
    found = gradients(name, sample) + gradients(name, sample, create_graph=True)
    if PRIMITIVES[name].factors is not None:
        args, _ = run(name, sample)
        thrice = sum(PRIMITIVES[name](*args, **sample.params).sum() for _ in range(3))
        found += [g.numpy() for g in tg.autograd.grad(thrice, sources(name, sample, args))]
    return [np.asarray(g) for g in found]


def survey(names: list[str]) -> tuple[Counter[str], list[Mutant]]:
    """(how many mutants were caught, equivalent, missed; those that were missed)."""
    counts: Counter[str] = Counter()
    missed = []
    for mutant in mutants(names):
        verdict = caught(mutant)
        counts["equivalent" if verdict is None else "caught" if verdict else "missed"] += 1
        if verdict is False:
            missed.append(mutant)
    return counts, missed


def main() -> int:
    """Survey every primitive, print a line for each and the share caught; 1 if a mutant was missed."""
    total: Counter[str] = Counter()
    columns = ("caught", "equivalent", "missed")
    print(f"{'primitive':<22}" + "".join(f"{c:>12}" for c in columns))
    for name in SAMPLES:
        counts, missed = survey([name])
        total += counts
        print(f"{name:<22}" + "".join(f"{counts[c]:>12}" for c in columns), *(m.kind for m in missed), flush=True)
    wrong = total["caught"] + total["missed"]
    print(f"{'all':<22}" + "".join(f"{total[c]:>12}" for c in columns))
    print(f"caught {total['caught']} of {wrong} mutants that change a gradient: {100 * total['caught'] / wrong:.2f} %")
    return int(bool(total["missed"]))


if __name__ == "__main__":
    sys.exit(main())
