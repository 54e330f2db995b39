"""`make bench`: every timing the project makes claims about, in one run. `--help` says what can be chosen.

All sides of a comparison take turns in one run, each in its own process, stopped while the others work.
Times are medians over rounds, ratios the medians of the ratios within them.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks import memory, scaling
from tests.benchmarks.names import OP_SIDES, RECORDING_SIDES, SIDES, STEP_SIDES
from tests.benchmarks.race import Result, race
from tests.benchmarks.tables import Table, duration, machine, race_table, ratio
from tests.benchmarks.workloads import WORKLOADS

BARS = [("compiled-step", "manual"), ("compiled-step", "torch"), ("compiled-step", "jax"), ("eager", "torch-cells")]
"""Whose time over whose the last table shows."""

PARTS = ["recording", "import", "ops", "steps", "memory", "scaling"]


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line to options; exits with a sentence on a name that does not exist."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Time tinygrad_rnn beside others.")
    lists = {
        "--parts": (PARTS, "which tables"),
        "--workloads": (list(WORKLOADS), "which training workloads"),
        "--sides": (list(SIDES), "which competitors"),
    }
    for flag, (choices, text) in lists.items():
        parser.add_argument(flag, type=_subset(choices), default=choices, help=f"{text}: {','.join(choices)}")
    parser.add_argument("--threads", type=_numbers, default=[1, 2], help="BLAS threads, such as 1 or 1,2")
    parser.add_argument("--rounds", type=int, default=15, help="turns per side (default 15)")
    parser.add_argument("--clock", choices=["wall", "processor"], default="wall", help="processor: for a busy machine")
    parser.add_argument("--markdown", action="store_true", help="print Markdown instead of text")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the tables to FILE as Markdown, too")
    parser.add_argument("--smoke", action="store_true", help="once round, small: to see that everything runs")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"--rounds: at least 1, got {options.rounds}")
    if options.smoke:
        options.rounds, options.threads, options.workloads = 1, [1], ["W1", "W9"]
    return options


def _subset(choices: list[str]):
    def names(text: str) -> list[str]:
        chosen = text.split(",")
        unknown = [name for name in chosen if name not in choices]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(choices)}")
        return chosen

    return names


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def tables(options: argparse.Namespace) -> Iterator[Table]:
    """The tables asked for, each as soon as it is measured."""
    rounds, clock = options.rounds, options.clock

    def chosen(sides: list[str]) -> list[str]:
        return [side for side in sides if side in options.sides]

    if "recording" in options.parts:
        results = race(chosen(RECORDING_SIDES), "recording", rounds, clock=clock)
        title = "Recording: tanh(h * w) on 8x8 float64, forward and backward, per op"
        yield race_table(title, results, ["autograd", "mygrad", "dezero", "torch"])
    if "import" in options.parts:
        yield scaling.import_table(rounds)
    if "ops" in options.parts:
        for name in ("add", "tanh", "matmul"):
            results = race(chosen(OP_SIDES), f"op:{name}", rounds, clock=clock)
            yield race_table(f"Eager {name} on 16x64 float32, forward and backward, per op", results, ["torch"])
    if "steps" in options.parts:
        for threads in options.threads:
            yield from step_tables(options.workloads, chosen(STEP_SIDES), rounds, threads, clock)
    if "memory" in options.parts:
        yield memory.table(options.workloads)
    if "scaling" in options.parts:
        yield scaling.table(options.smoke)


def step_tables(workloads: list[str], sides: list[str], rounds: int, threads: int, clock: str) -> Iterator[Table]:
    """One table a workload, and one of them all with the ratios that matter."""
    everything: dict[str, dict[str, Result]] = {}
    for name in workloads:
        everything[name] = race(sides, f"step:{name}", rounds, threads, clock)
        title = f"{name}, {WORKLOADS[name]}: one training step, {threads} thread{'s' if threads > 1 else ''}"
        yield race_table(title, everything[name], ["torch", "torch-cells", "manual", "jax"])
    title = f"Training steps, {threads} thread{'s' if threads > 1 else ''}: times, and ratios within the rounds"
    pairs = [(a, b) for a, b in BARS if a in sides and b in sides]
    against = [f"{SIDES[a].short} / {SIDES[b].short}" for a, b in pairs]
    summary = Table(title, ["workload", *(SIDES[side].title for side in sides), *against])
    for name, results in everything.items():
        times = [duration(results[side].median) for side in sides]
        ratios = [ratio(results[a].over(results[b])) for a, b in pairs]
        summary.add(f"{name} {WORKLOADS[name]}", *times, *ratios)
    yield summary


def main() -> int:
    """Measure, print, save. Returns 1 if a side broke, or computed something else than the others."""
    options = parse()
    begin = time.perf_counter()
    command = " ".join(["python -m tests.benchmarks", *sys.argv[1:]])
    heading = f"`{command}`\n\n{machine()}; medians of {options.rounds} interleaved rounds, {options.clock} clock\n"
    print(heading, flush=True)
    written = [heading]
    wrong = False
    for table in tables(options):
        print(table.render(options.markdown), flush=True)
        written.append(table.render(markdown=True))
        wrong = wrong or any("WRONG: " in note or "BROKEN: " in note for note in table.notes)
        if options.save:
            options.save.parent.mkdir(parents=True, exist_ok=True)
            options.save.write_text("\n".join(written))
    print(f"{time.perf_counter() - begin:.0f} s in all")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
