"""`python -m tests.fuzz --minutes 10`: random programs and random models until the time is up, then one table.

Every case is drawn from a seed of its own. A failing one is printed with the command that repeats it, and if it is a
model with the smallest one near it that fails as well; the exit status is then 1.
"""

import argparse
import sys
import time
import traceback
import warnings
from collections import Counter
from typing import Any

import numpy as np

from .agreement import check
from .model_agreement import check_model, smallest
from .models import draw_model
from .numeric import AGREED, KINK, REFUSED
from .programs import draw_program

KINDS = ("programs", "programs in place", "models")
DISAGREED = "DISAGREED"


class Campaign:
    """What has been tried: outcomes by kind, comparisons by kind, the ops and layers that took part, and failures."""

    def __init__(self, torch: Any, compiled: bool) -> None:
        self.torch = torch
        self.compiled = compiled
        self.outcomes: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
        self.comparisons: Counter[str] = Counter()
        self.parts: dict[str, Counter[str]] = {"primitives": Counter(), "layers and losses": Counter()}
        self.failures: list[str] = []

    def try_case(self, kind: str, seed: int) -> None:
        """Draw one case and check it; whatever goes wrong is a finding, and the others shall still run."""
        case = self._model(seed) if kind == "models" else self._program(seed, kind == "programs in place")
        try:
            if kind == "models":
                outcome = check_model(case, self.torch, compiled=self.compiled, tally=self.comparisons)
            else:
                outcome = check(case, self.torch, compiled=self.compiled, tally=self.comparisons)
        except Exception:  # noqa: BLE001  (see above)
            outcome = DISAGREED
            self._report(kind, seed, case)
        self.outcomes[kind][outcome] += 1

    def _program(self, seed: int, inplace: bool) -> Any:
        rng = np.random.default_rng(seed)
        program = draw_program(lambda n: int(rng.integers(n)), 2 + int(rng.integers(25)), inplace=inplace)
        self.parts["primitives"].update(step.primitive for step in program.steps)
        return program

    def _model(self, seed: int) -> Any:
        model = draw_model(seed)
        self.parts["layers and losses"].update(part.kind for part in (*model.parts, model.loss))
        return model

    def _report(self, kind: str, seed: int, case: Any) -> None:
        command = f"python -m tests.fuzz --only {kind.replace(' ', '-')} --seed {seed} --cases 1"
        command += "" if self.compiled else " --eager"
        self.failures.append(command)
        print(f"\n{command}\n{case}\n{traceback.format_exc(limit=-3)}", file=sys.stderr)
        if kind == "models":
            print(f"the smallest near it:\n{smallest(case, self.torch, self.compiled)}", file=sys.stderr)
        sys.stderr.flush()

    def print_table(self, seconds: float) -> None:
        """What was tried and what came of it; failures last, each with its command."""
        columns = (AGREED, KINK, REFUSED, DISAGREED)
        print(f"\n{'cases':<24}{'all':>9}" + "".join(f"{column:>11}" for column in columns))
        for kind, counts in self.outcomes.items():
            print(f"{kind:<24}{counts.total():>9}" + "".join(f"{counts[column]:>11}" for column in columns))
        print(f"\n{'comparisons':<24}{self.comparisons.total():>9}")
        for kind, count in sorted(self.comparisons.items()):
            print(f"  {kind:<22}{count:>9}")
        for what, counts in self.parts.items():
            rarest = ", ".join(f"{name} {n}" for name, n in counts.most_common()[-4:])
            print(f"\n{what}: {len(counts)}, used {counts.total():,} times; the rarest: {rarest}")
        cases = sum(counts.total() for counts in self.outcomes.values())
        print(f"\n{cases:,} cases in {seconds:.0f} s, {len(self.failures)} of them failed")
        for command in self.failures:
            print(f"  {command}")


def _torch() -> Any:
    try:
        import torch
    except ModuleNotFoundError:
        return None
    torch.set_num_threads(1)
    return torch


def main(arguments: list[str] | None = None) -> int:
    """Run, print the table, and return the exit status: 1 if any case disagreed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to go on")
    parser.add_argument("--cases", type=int, default=0, help="stop after so many cases")
    parser.add_argument("--only", choices=[kind.replace(" ", "-") for kind in KINDS], help="one kind of cases")
    parser.add_argument("--eager", action="store_true", help="leave the compiler out")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the seed of the first case")
    options = parser.parse_args(arguments)
    torch = _torch()
    campaign = Campaign(torch, not options.eager)
    # by time a half of all goes into models: one takes as long as ten programs
    kinds = [options.only.replace("-", " ")] if options.only else [*["programs", "programs in place"] * 4, "models"]
    warnings.simplefilter("ignore")  # shapes that broadcast and the like are drawn on purpose
    start, seed = time.monotonic(), options.seed
    print(f"seeds from {seed}; PyTorch {'takes part' if torch else 'is not installed and takes no part'}", flush=True)
    while time.monotonic() - start < 60 * options.minutes:
        if options.cases and seed - options.seed >= options.cases:
            break
        campaign.try_case(kinds[seed % len(kinds)], seed)
        seed += 1
    campaign.print_table(time.monotonic() - start)
    return int(bool(campaign.failures))


if __name__ == "__main__":
    sys.exit(main())
