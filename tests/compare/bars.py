"""The figures of the gradient doctor, printed: `python -m tests.compare.bars [patients per mistake] [right gradients]`.

Single mistakes named first, pairs named exactly, right gradients accused, and the time of a diagnosis at H=16, T=10.
"""

import collections
import sys
import time
from typing import NamedTuple

import numpy as np

from tests.compare import exam, models, wrong
from tinygrad_rnn.compare import diagnose


class Tally(NamedTuple):
    """named: diagnoses that are exactly the mistakes made; told: those, or the mistakes given as having the same
    numbers.
    """

    named: int
    told: int
    of: int
    failures: list[str]


def examine(made, switches, rng):
    """Diagnose one patient; returns the diagnosis and the mistakes that were made, by the doctor's names."""
    loss_fn = models.loss_function(made, style=str(rng.choice(["scoped", "bare", "layers"])))
    return diagnose(loss_fn, made.params, wrong.gradients(made, switches))


def grade(diagnosis, wanted):
    """(named exactly, named exactly or as indistinguishable)."""
    wanted = sorted(wanted)
    if sorted(diagnosis.kinds) == wanted:
        return True, True
    others = [sorted(finding.kind for finding in other) for other in diagnosis.alternatives]
    if len(wanted) == len(diagnosis.findings) == 1:
        others += [[kind] for kind in diagnosis.findings[0].same_kinds]
    return False, wanted in others


def tally(cells, choose, count, rng):
    """Examine `count` patients; `choose(rng)` gives a cell and names of mistakes."""
    named = told = seen = 0
    failures = []
    while seen < count:
        cell, names = choose(rng)
        made, switches = exam.patient(cell, names, rng)
        if len(switches) < len(names) or not exam.shows(made, switches):
            continue
        seen += 1
        diagnosis = examine(made, switches, rng)
        exact, among = grade(diagnosis, [exam.NAMES[name] for name in names])
        named += exact
        told += among
        if not exact:
            failures.append(f"{cell} {switches} T,B,D={made.x.shape}: {'told as same; ' * among}said {diagnosis.kinds}")
    return Tally(named, told, seen, failures)


def singles(cell, name, count, seed=0):
    """One mistake, `count` random models."""
    return tally([cell], lambda rng: (cell, [name]), count, np.random.default_rng(seed))


def several(cell, how_many, count, seed=0):
    """Random combinations of mistakes."""
    names = [name for name in exam.mistakes_of(cell) if name != "missing"]
    return tally(
        [cell], lambda rng: (cell, list(rng.choice(names, how_many, replace=False))), count, np.random.default_rng(seed)
    )


def accused(count, seed=0):
    """How many of `count` right gradients, of all cells and both dtypes, the doctor finds fault with."""
    rng = np.random.default_rng(seed)
    found = 0
    for k in range(count):
        cell = list(wrong.GATES)[k % 3]
        dtype = (np.float64, np.float32)[k // 3 % 2]
        flags = {"every_step": bool(rng.integers(2)), "classes": bool(rng.integers(2))}
        made = wrong.problem(cell, rng, dtype=dtype, **flags)
        found += not examine(made, {}, rng).ok
    return found


def slowest(seed=0):
    """Seconds per diagnosis at H=16, T=10, B=4: by cell, for one mistake, a pair, and numbers that nothing explains."""
    rng = np.random.default_rng(seed)
    times = {}
    for cell in wrong.GATES:
        made = wrong.problem(cell, rng, T=10, H=16, B=4, D=8, C=5)
        noise = {name: g + 0.1 * rng.standard_normal(g.shape) for name, g in wrong.gradients(made, {}).items()}
        pair = wrong.gradients(made, {"not transposed": True, "outputs shifted": True})
        for word, manual in (("one", wrong.gradients(made, {"sign": "weight_hh"})), ("pair", pair), ("none", noise)):
            before = time.process_time()
            diagnose(models.loss_function(made), made.params, manual, seconds=60)
            times[cell, word] = time.process_time() - before
    return times


def main(count=30, right=500):
    by_name = collections.defaultdict(list)
    for cell in wrong.GATES:
        for name in exam.mistakes_of(cell):
            by_name[name].append((cell, singles(cell, name, count)))
    print(
        f"single mistakes, {count} random models per cell and mistake: named first (or told as having the same numbers)"
    )
    named = told = of = 0
    for name, results in by_name.items():
        line = ", ".join(
            f"{cell} {r.named}/{r.of}" + (f" ({r.told})" if r.told > r.named else "") for cell, r in results
        )
        print(f"  {name:34} {line}")
        named, told, of = (
            a + sum(b) for a, b in zip((named, told, of), zip(*(r[:3] for _, r in results), strict=True), strict=True)
        )
    print(f"  all: {named}/{of} = {named / of:.1%} named first, {told / of:.1%} told")
    for how_many, word in ((2, "pairs"), (3, "triples")):
        results = [several(cell, how_many, 4 * count // how_many, seed=1) for cell in wrong.GATES]
        named, told, of = (sum(column) for column in zip(*(r[:3] for r in results), strict=True))
        print(f"{word}: {named}/{of} = {named / of:.1%} named exactly, {told / of:.1%} told")
        for failure in [text for r in results for text in r.failures][:12]:
            print("   ", failure)
    print(f"right gradients accused: {accused(right)} of {right}")
    print("seconds of CPU per diagnosis at H=16, T=10, B=4:")
    for (cell, word), seconds in slowest().items():
        print(f"  {cell:5} {word:5} {seconds:.2f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
