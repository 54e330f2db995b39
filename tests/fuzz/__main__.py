"""`python -m tests.fuzz --minutes 10 [--seed N] [--programs N]`: random programs until the time is up, then a table.

Every program is drawn from its own seed, which is printed if it fails, together with the program.
"""

import argparse
import sys
import time
import traceback
from collections import Counter
from typing import Any

import numpy as np

from .agreement import check
from .programs import draw_program


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(1)
    return torch


def main() -> int:
    """Run, print the table, and return the exit status: 1 if any program disagreed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on")
    parser.add_argument("--programs", type=int, default=0, help="stop after so many programs")
    parser.add_argument("--eager", action="store_true", help="leave the compiler out")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the seed of the first program")
    options = parser.parse_args()
    torch = _torch()
    outcomes: dict[str, Counter[str]] = {"pure": Counter(), "in place": Counter()}
    primitives: Counter[str] = Counter()
    start, seed = time.monotonic(), options.seed
    print(f"seeds from {seed}; PyTorch {'takes part' if torch else 'is not installed and takes no part'}", flush=True)
    while time.monotonic() - start < 60 * options.minutes:
        if options.programs and seed - options.seed >= options.programs:
            break
        rng = np.random.default_rng(seed)
        inplace = bool(seed % 3 == 0)
        program = draw_program(lambda n, rng=rng: int(rng.integers(n)), 2 + int(rng.integers(25)), inplace=inplace)
        primitives.update(step.primitive for step in program.steps)
        kind = "in place" if inplace else "pure"
        try:
            outcomes[kind][check(program, torch, compiled=not options.eager)] += 1
        except Exception:  # noqa: BLE001  (whatever goes wrong is a finding, and the others shall still run)
            outcomes[kind]["DISAGREED"] += 1
            print(f"seed {seed}:\n{program}\n{traceback.format_exc(limit=-3)}", file=sys.stderr, flush=True)
        seed += 1
    _table(outcomes, primitives, time.monotonic() - start)
    return int(any(counts["DISAGREED"] for counts in outcomes.values()))


def _table(outcomes: dict[str, Counter[str]], primitives: Counter[str], seconds: float) -> None:
    columns = ("agreed", "kink", "refused", "DISAGREED")
    print(f"{'programs':<10}{'all':>9}" + "".join(f"{c:>11}" for c in columns))
    for kind, counts in outcomes.items():
        print(f"{kind:<10}{counts.total():>9}" + "".join(f"{counts[c]:>11}" for c in columns))
    rarest = ", ".join(f"{name} {n}" for name, n in primitives.most_common()[-5:])
    print(f"{primitives.total()} steps over {len(primitives)} primitives in {seconds:.0f} s; the rarest: {rarest}")


if __name__ == "__main__":
    sys.exit(main())
