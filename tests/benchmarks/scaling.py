"""Long graphs: does cost stay linear, and does memory come back? Each measurement in a process of its own.

Also the importable bodies of tests/test_long_runs.py, which holds the memory figures to their bounds.
"""

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from tests.benchmarks.tables import Table, duration

ROOT = Path(__file__).resolve().parents[2]
LONG_CHAIN = 100_000


def chain(length: int) -> dict[str, float]:
    """Record and sweep h = (h + 1) * 0.9999, `length` ops in all. Returns seconds and the gradient, exactly known."""
    import tinygrad_rnn as tg

    h = start = tg.tensor(np.ones(4), requires_grad=True)
    begin = time.perf_counter()
    for _ in range(length // 2):
        h = (h + 1.0) * 0.9999
    middle = time.perf_counter()
    h.sum().backward()
    end = time.perf_counter()
    assert start.grad is not None
    return {"forward": middle - begin, "backward": end - middle, "gradient": float(start.grad.numpy().max())}


def rnn_seconds(steps: int) -> dict[str, float]:
    """Forward, loss and backward of an RNN over so many steps. Returns processor seconds, the best of 5."""
    import tinygrad_rnn as tg

    run = rnn_step(tg, steps, 4, 16)
    run()
    seconds = []
    for _ in range(5):
        begin = time.process_time()
        run()
        seconds.append(time.process_time() - begin)
    return {"seconds": min(seconds)}


def rnn_peak(steps: int) -> dict[str, float]:
    """The same step once. Returns the most bytes that it held at a time."""
    import tinygrad_rnn as tg

    run = rnn_step(tg, steps, 4, 16)
    tracemalloc.start()
    run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {"peak": float(peak)}


def rnn_step(tg, steps: int, batch: int, hidden: int):
    """A function that runs forward, loss and backward of an RNN and drops the gradients again."""
    rng = np.random.default_rng(0)
    model = tg.nn.RNN(8, hidden)
    x = tg.from_numpy(rng.normal(size=(steps, batch, 8)).astype(np.float32))

    def run() -> None:
        model.zero_grad()
        (model(x)[0] ** 2).mean().backward()

    return run


def training(steps: int) -> dict[str, float]:
    """Train a small RNN with the cyclic garbage collector off. Returns the growth of process and heap in bytes."""
    import tinygrad_rnn as tg

    rng = np.random.default_rng(0)
    rnn_layer, head = tg.nn.RNN(8, 16), tg.nn.Linear(16, 5)
    parameters = [*rnn_layer.parameters(), *head.parameters()]
    optimizer = tg.optim.SGD(parameters, lr=0.01, momentum=0.9)
    x = tg.from_numpy(rng.normal(size=(4, 3, 8)).astype(np.float32))
    targets = tg.from_numpy(rng.integers(5, size=12))

    def step() -> None:
        optimizer.zero_grad()
        loss = tg.nn.functional.cross_entropy(head(rnn_layer(x)[0]).reshape(-1, 5), targets)
        loss.backward()
        tg.nn.utils.clip_grad_norm_(parameters, 5.0)
        optimizer.step()

    gc.collect()
    gc.disable()
    try:
        for _ in range(200):
            step()
        size = resident()
        for _ in range(steps):
            step()
        grown = resident() - size
        tracemalloc.start()
        step()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(steps // 5):
            step()
        traced = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        return {"resident": float(grown), "traced": float(traced)}
    finally:
        gc.enable()


def resident() -> int:
    """Bytes of the process in memory now (Linux); 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except FileNotFoundError:
        return 0


def measure(name: str, argument: int) -> dict[str, float]:
    """Run one of the functions above in a fresh process. Raises RuntimeError with its last words if it fails."""
    script = f"import json; from tests.benchmarks import scaling; print(json.dumps(scaling.{name}({argument})))"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name}({argument}) failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def table(smoke: bool) -> Table:
    """The scaling figures; a tenth of the size when only trying whether they run."""
    scale = 10 if smoke else 1
    result = Table("Long graphs and long runs (eager)", ["what", "measured", "bound"])
    links = measure("chain", LONG_CHAIN // scale)
    result.add(f"chain of {LONG_CHAIN // scale:,} ops, forward", duration(links["forward"]), "runs")
    result.add(f"chain of {LONG_CHAIN // scale:,} ops, backward", duration(links["backward"]), "runs")
    lengths = f"RNN, T = {10_000 // scale:,} against {1000 // scale:,}"
    short, long = (measure("rnn_seconds", steps // scale)["seconds"] for steps in (1000, 10_000))
    seconds = f"{duration(long)} against {duration(short)}"
    result.add(f"{lengths}: processor time", f"{long / short:.1f} times ({seconds})", "12 times")
    short, long = (measure("rnn_peak", steps // scale)["peak"] for steps in (1000, 10_000))
    peaks = f"{long / 1e6:.1f} MB against {short / 1e6:.1f} MB"
    result.add(f"{lengths}: peak memory", f"{long / short:.1f} times ({peaks})", "12 times")
    grown = measure("training", 10_000 // scale)
    result.add(f"{10_000 // scale:,} training steps, gc off: growth", f"{grown['resident'] / 1e6:.2f} MB", "5 MB")
    return result


def import_table(rounds: int) -> Table:
    """`import tinygrad_rnn` against `import numpy`, each in fresh interpreters, in turns."""
    # Users import compiled bytecode, whatever this shell says; the first round only writes it, into its own folder.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {"numpy": [], "tinygrad_rnn": []}
    with tempfile.TemporaryDirectory() as bytecode:
        environment["PYTHONPYCACHEPREFIX"] = bytecode
        for turn in range(rounds + 1):
            for module, seconds in times.items():
                script = (
                    f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
                )
                command = [sys.executable, "-c", script]
                done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
                if turn:
                    seconds.append(float(done.stdout))
    medians = {module: float(np.median(seconds)) for module, seconds in times.items()}
    result = Table(f"Import time, median of {rounds} fresh interpreters", ["module", "median", "/ numpy", "bound"])
    result.add("numpy", duration(medians["numpy"]), "1.00", "")
    result.add(
        "tinygrad_rnn", duration(medians["tinygrad_rnn"]), f"{medians['tinygrad_rnn'] / medians['numpy']:.2f}", "1.50"
    )
    return result
