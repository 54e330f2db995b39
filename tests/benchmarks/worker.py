"""The other end of the pipe: one side of a race in its own process, asleep until it is its turn.

Reads one JSON object a line from standard input and answers with one. Nothing but answers goes to the pipe: what a
library prints is sent to standard error.
"""

import gc
import importlib
import importlib.util
import json
import os
import sys
import time

from tests.benchmarks.names import SIDES


def prepare(side: str, task: str) -> tuple[dict, object]:
    """Build the work of one side. Returns what to tell the parent, and the function that does one unit of work.

    The function may return a number (a loss): the first three are reported, for the parent to compare between sides.
    """
    needs = SIDES[side].needs
    if not _available(needs):
        return {"missing": f"{needs} is not installed"}, None
    module = importlib.import_module(f"tests.benchmarks.sides.{SIDES[side].module}")
    kind, _, argument = task.partition(":")
    builder = getattr(module, kind, None)
    if builder is None:
        return {"missing": f"no `{kind}` here"}, None
    built = time.perf_counter()
    work, units = builder(side, argument)
    start = time.perf_counter()
    first = work()
    done = time.perf_counter()
    outputs = [None if output is None else float(output) for output in (first, work(), work())]
    gc.collect()
    return {"first": done - start, "build": start - built, "units": units, "outputs": outputs}, work


def _available(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a parent package is missing
        return False


def turn(work, repeats: int) -> dict:
    """Run `work` so many times. Returns seconds per run and the processor seconds spent per second (threads in use)."""
    processor, start = time.process_time(), time.perf_counter()
    for _ in range(repeats):
        work()
    seconds = time.perf_counter() - start
    return {"seconds": seconds / repeats, "threads": (time.process_time() - processor) / seconds}


def main() -> None:
    """Answer until the pipe closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    work = None
    for line in sys.stdin:
        request = json.loads(line)
        if "task" in request:
            answer, work = prepare(request["side"], request["task"])
        else:
            answer = turn(work, request["repeats"])
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
