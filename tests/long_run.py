"""`python -m tests.long_run`: 200,000 training steps and a graph of 1,000,000 nodes, with figures.

The same small RNN is trained by hand-written gradients, eager and as a compiled step, on the same batches, each in a
process of its own with the cyclic garbage collector off: what it would have to find stays, and shows as growth. The
parameters of the three are compared twenty times on the way. tests/test_long_runs.py holds a short run to its bounds.

Weight decay is part of the step for a reason: without it this training is chaotic, and two runs that differ by 1e-12 in
the beginning are as far apart as strangers after 20,000 steps, whoever computes them. With it, differences die out.
"""

import argparse
import gc
import json
import os
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.scaling import ROOT, resident
from tests.benchmarks.tables import Table, duration

T, B, D, H, C = 4, 3, 3, 6, 4
BATCHES = 32
LR, MOMENTUM, DECAY, CLIP = 0.02, 0.9, 0.01, 1.0
BLOCKS = 20
SIDES = ("manual", "eager", "compiled")


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Inputs (T, B, D) float64 and classes (T, B), over and over: noisy, so that there is a finite best fit."""
    rng = np.random.default_rng(0)
    return [(rng.standard_normal((T, B, D)), rng.integers(0, C, (T, B))) for _ in range(BATCHES)]


def start() -> dict[str, np.ndarray]:
    """The parameters that all sides begin with."""
    from tinygrad_rnn.manual import rnn

    return rnn.initialize_parameters(D, H, C, np.random.default_rng(1))


def manual() -> tuple[Callable[[int], None], Callable[[], dict[str, np.ndarray]]]:
    """A step by hand: gradients, clipping, decay and momentum in plain NumPy; and how to read the parameters."""
    from tinygrad_rnn.manual import rnn

    parameters, data = start(), batches()
    velocity = {name: np.zeros_like(p) for name, p in parameters.items()}

    def step(k: int) -> None:
        _, gradients = rnn.loss_and_gradients(parameters, *data[k % BATCHES])
        norm = sum(float(np.sum(g * g)) for g in gradients.values()) ** 0.5
        scale = min(1.0, CLIP / (norm + 1e-6))
        for name, g in gradients.items():
            velocity[name] *= MOMENTUM
            velocity[name] += scale * g + DECAY * parameters[name]
            parameters[name] -= LR * velocity[name]

    return step, lambda: parameters


def autograd(compiled: bool) -> tuple[Callable[[int], None], Callable[[], dict[str, np.ndarray]]]:
    """The same step by the recorded graph, op by op or compiled whole."""
    import tinygrad_rnn as tg
    from tinygrad_rnn.models import TanhModel

    model = TanhModel.from_manual(start())
    optimizer = tg.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)
    data = [(tg.tensor(x), tg.tensor(y)) for x, y in batches()]
    whole = tg.compile_step(model.loss, optimizer, clip=CLIP)

    def step(k: int) -> None:
        optimizer.zero_grad()
        model.loss(*data[k % BATCHES]).backward()
        tg.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()

    def at_once(k: int) -> None:
        whole(*data[k % BATCHES])

    return at_once if compiled else step, model.manual_parameters


def train(side: str, steps: int) -> dict[str, Any]:
    """Take `steps` steps, in blocks.

    Returns seconds (processor time of each block), resident (bytes of the process after each), parameters (after each),
    and traced (bytes that Python and NumPy hold more after a tenth as many further steps).
    """
    step, read = manual() if side == "manual" else autograd(side == "compiled")
    block = steps // BLOCKS
    seconds, sizes, parameters = [], [], []
    gc.collect()
    gc.disable()
    try:
        for b in range(BLOCKS):
            begin = time.process_time()
            for k in range(b * block, (b + 1) * block):
                step(k)
            seconds.append(time.process_time() - begin)
            sizes.append(resident())
            parameters.append({name: p.tolist() for name, p in read().items()})
        return {"seconds": seconds, "resident": sizes, "parameters": parameters, "traced": _traced(step, steps // 10)}
    finally:
        gc.enable()


def _traced(step: Callable[[int], None], steps: int) -> int:
    """Growth of what is allocated; the first steps fill what is kept for reuse."""
    tracemalloc.start()
    for k in range(100):
        step(k)
    before = tracemalloc.get_traced_memory()[0]
    for k in range(steps):
        step(k)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return grown


def drift(a: dict[str, Any], b: dict[str, Any]) -> list[float]:
    """After each block the largest difference of two sides, as a share of the largest parameter."""
    gaps = []
    for mine, theirs in zip(a["parameters"], b["parameters"], strict=True):
        scale = max(np.abs(p).max() for p in theirs.values())
        gaps.append(max(float(np.abs(np.subtract(mine[name], theirs[name])).max()) for name in theirs) / scale)
    return gaps


def nodes(count: int, kind: str) -> dict[str, float]:
    """Record a graph of about `count` nodes and sweep it.

    kind: "chain", of ops on 4 numbers; "rnn", steps of nn.RNN with a state of 4. Returns nodes, seconds of both ways,
    bytes of the process per node: recorded, at the most, and after the graph is gone.
    """
    import tinygrad_rnn as tg
    from tinygrad_rnn import graph

    make = _chain if kind == "chain" else _steps_of_an_rnn
    make(tg, 1000)[0].backward()  # what is loaded lazily and kept for reuse
    gc.collect()
    base = resident()
    begin = time.process_time()
    y, leaf = make(tg, count)
    recorded = time.process_time()
    held = resident() - base
    y.backward()
    swept = time.process_time()
    most = _most_resident() - base
    found = len(graph.ancestors([y.node]))
    finite = bool(np.isfinite(leaf.grad.numpy()).all())
    del y
    return {
        "nodes": found, "forward": recorded - begin, "backward": swept - recorded, "held": held / found,
        "most": most / found, "left": (resident() - base) / found, "finite": finite,
    }  # fmt: skip


def _chain(tg: Any, count: int) -> tuple[Any, Any]:
    h = start = tg.tensor(np.ones(4), requires_grad=True)
    for _ in range(count // 4):  # each number that is added or multiplied with is a node, too
        h = (h + 1.0) * 0.9999
    return h.sum(), start


def _steps_of_an_rnn(tg: Any, count: int) -> tuple[Any, Any]:
    layer = tg.nn.RNN(2, 4)
    x = tg.zeros(count // _NODES_PER_STEP, 1, 2)
    return (layer(x)[0] ** 2).mean(), layer.weight_hh_l0


_NODES_PER_STEP = 6


def _most_resident() -> int:
    """The most bytes that the process ever held (Linux)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def apart(name: str, *arguments: Any) -> Any:
    """Call a function of this module in a fresh process. Raises RuntimeError with its last words if it fails."""
    script = f"import json; from tests import long_run; print(json.dumps(long_run.{name}(*{arguments!r})))"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}{arguments} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def training_table(steps: int) -> Table:
    """All sides, one after the other."""
    table = Table(
        f"{steps:,} training steps of an RNN (T={T}, B={B}, D={D}, H={H}), garbage collector off",
        [
            "side",
            "per step, first tenth",
            "last tenth",
            "ratio",
            "process grown",
            "heap grown",
            "drift, half",
            "drift, end",
        ],
    )
    runs: dict[str, Any] = {}
    tenth = BLOCKS // 10
    for side in SIDES:
        run = runs[side] = apart("train", side, steps)
        first, last = (sum(part) / (steps // 10) for part in (run["seconds"][:tenth], run["seconds"][-tenth:]))
        gaps = drift(run, runs["manual"])
        grown = run["resident"][-1] - run["resident"][0]
        table.add(
            side, duration(first), duration(last), f"{last / first:.3f}", f"{grown:,} B", f"{run['traced']:,} B",
            f"{gaps[BLOCKS // 2 - 1]:.1e}", f"{gaps[-1]:.1e}",
        )  # fmt: skip
    table.notes.append(
        f"process grown: from the first {steps // BLOCKS:,} steps to the end; heap: over {steps // 10:,} further"
    )
    table.notes.append("drift: largest difference to the handwritten side, as a share of the largest parameter")
    return table


def nodes_table(count: int) -> Table:
    """Both kinds of graphs."""
    table = Table(
        f"Graphs of {count:,} nodes",
        ["graph", "nodes", "forward", "backward", "bytes per node", "at the most", "afterwards", "in all"],
    )
    for kind in ("chain", "rnn"):
        m = apart("nodes", count, kind)
        table.add(
            kind, f"{m['nodes']:,}", duration(m["forward"]), duration(m["backward"]), f"{m['held']:.0f}",
            f"{m['most']:.0f}", f"{m['left']:.0f}", f"{m['most'] * m['nodes'] / 1e6:,.0f} MB",
        )  # fmt: skip
    table.notes.append("afterwards: what the process keeps of it when the graph is gone, for its next graph")
    return table


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(prog="python -m tests.long_run", description=__doc__)
    parser.add_argument("--steps", type=int, default=200_000, help="training steps, at least 1,000; 0 for none")
    parser.add_argument("--nodes", type=int, default=1_000_000, help="nodes of the large graphs; 0 for none")
    options = parser.parse_args()
    if options.steps:
        print(training_table(options.steps).render(False), flush=True)
    if options.nodes:
        print(nodes_table(options.nodes).render(False), flush=True)


if __name__ == "__main__":
    main()
