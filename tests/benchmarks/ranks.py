"""Two cores against one, and what follows for more machines.

`mpiexec -n 2 -genv OPENBLAS_NUM_THREADS 1 python -m tests.benchmarks.ranks [--workload W4] [--rounds 15]`

Each round times, in turn: one process on the whole batch and on parts of it, while the others sleep; all ranks on the
whole batch; all ranks on their shares without the exchange, which shows what they take from each other as neighbours on
one machine; the exchange alone. The model of the cost is fitted to the parts alone, so that the whole batch on one
process and on all ranks are predictions.
"""

import argparse
import statistics
import time
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tests.benchmarks.workloads import LEARNING_RATE, MAX_NORM, WORKLOADS, Workload
from tinygrad_rnn import nn, optim
from tinygrad_rnn.distributed import DataParallel, World, world
from tinygrad_rnn.distributed.cost import GIGABIT, TEN_GIGABIT, Cost, Network

PARTS = (1, 2, 4, 8, 16)


class Model(nn.Module):
    """The recurrent layer and the head of a workload with dense inputs."""

    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.rnn = getattr(nn, workload.cell)(workload.D, workload.H, workload.L)
        self.head = nn.Linear(workload.H, workload.V)

    def forward(self, x: Any) -> Any:
        """x: (T, B, D). Returns (T * B, V)."""
        y = self.rnn(x)[0]
        return self.head(y).reshape(-1, self.head.out_features)


class Side:
    """A training step on some rows of the batch, with the exchange or without."""

    def __init__(self, workload: Workload, here: World, rows: slice) -> None:
        model = Model(workload)
        model.load_state_dict({name: tg.tensor(a) for name, a in workload.parameters().items()})
        self.parallel = DataParallel(model, here)
        self.optimizer = optim.SGD(model.parameters(), lr=LEARNING_RATE)
        inputs, targets = workload.batch()
        self.x = tg.tensor(np.ascontiguousarray(inputs[:, rows]))
        self.y = tg.tensor(targets[:, rows].reshape(-1))
        self.loss = tg.compile(lambda x, y: nn.functional.cross_entropy(model(x), y))

    def step(self) -> None:
        """Loss, gradients, exchange, clipping, update."""
        self.optimizer.zero_grad()
        self.parallel.backward(self.loss(self.x, self.y), self.y.numel())
        self.parallel.exchange()
        nn.utils.clip_grad_norm_(self.parallel.model.parameters(), MAX_NORM)
        self.optimizer.step()


def wait_for_rank_0(comm: Any) -> None:
    """Without the spinning of a barrier, which would take a core from rank 0."""
    request = comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def measure(workload: Workload, rounds: int) -> tuple[dict[str, list[float]], int, int]:
    """Seconds by what was timed, on rank 0; the bytes of the gradients; the number of ranks."""
    here = world(patience=600)
    whole = workload.B
    alone = [whole // part for part in PARTS] if here.leads else []
    singles = {f"{rows} rows, 1 process": Side(workload, World(), slice(0, rows)) for rows in alone}
    apart = Side(workload, World(), here.rows(whole))
    together = Side(workload, here, here.rows(whole))
    buffer = np.zeros(sum(p.numel() for p in together.parallel.model.parameters()), np.float32)
    seconds: dict[str, list[float]] = {}

    def timed(name: str, work: Any) -> None:
        start = time.perf_counter()
        work()
        seconds.setdefault(name, []).append(time.perf_counter() - start)

    for _ in range(rounds + 1):
        for name, side in singles.items():
            timed(name, side.step)
        if here.comm is not None:
            wait_for_rank_0(here.comm)
            here.comm.Barrier()
        timed(f"{whole} rows, {here.size} ranks", together.step)
        if here.comm is not None:
            here.comm.Barrier()
        timed(f"shares on {here.size} ranks at once", apart.step)
        if here.comm is not None:
            here.comm.Barrier()
        timed("exchange alone", lambda: here.total(buffer))
    return {name: values[1:] for name, values in seconds.items()}, buffer.nbytes, here.size


def report(workload: Workload, seconds: dict[str, list[float]], nbytes: int, ranks: int) -> None:
    """Print what was measured, the model beside it, and what it says of more machines."""
    whole = workload.B
    for pick, name in ((statistics.median, "median"), (min, "fastest")):
        found = {what: pick(values) for what, values in seconds.items()}
        one, all_ranks = found[f"{whole} rows, 1 process"], found[f"{whole} rows, {ranks} ranks"]
        parts = [whole // part for part in PARTS[1:]]
        cost = Cost.fitted(parts, [found[f"{rows} rows, 1 process"] for rows in parts], nbytes)
        crowding = found[f"shares on {ranks} ranks at once"] / found[f"{whole // ranks} rows, 1 process"]
        here = Network(2 * (ranks - 1) / ranks * nbytes / found["exchange alone"], 0.0) if ranks > 1 else GIGABIT
        print(f"\n{name} of {len(seconds['exchange alone'])} rounds: {workload}, {nbytes / 1e6:.2f} MB of gradients")
        for what, value in found.items():
            print(f"  {what:28}{value * 1e3:9.2f} ms")
        print(f"  speed-up on {ranks} ranks: {one / all_ranks:.2f}")
        print(f"  fitted: {cost.fixed * 1e3:.2f} ms + {cost.row * 1e3:.3f} ms a row")
        for count, measured, factor in ((1, one, 1.0), (ranks, all_ranks, 1.0), (ranks, all_ranks, crowding)):
            predicted = cost._replace(fixed=cost.fixed * factor, row=cost.row * factor).step(count, whole, here)
            text = f"{count} rank(s): predicted {predicted * 1e3:.2f} ms, measured {measured * 1e3:.2f} ms"
            print(
                f"  {text}, {predicted / measured - 1:+.0%}{f' with neighbours x {factor:.2f}' if factor != 1 else ''}"
            )
        print("  machines   same global batch, times faster     same batch a machine, efficiency")
        print("                1 Gbit/s     10 Gbit/s               1 Gbit/s     10 Gbit/s")
        for count in (2, 4, 8, 16, 32, 64):
            cells = [cost.speedup(count, whole, network) for network in (GIGABIT, TEN_GIGABIT)]
            shares = [cost.efficiency(count, whole, network) for network in (GIGABIT, TEN_GIGABIT)]
            print(f"  {count:8}  {cells[0]:12.2f}  {cells[1]:12.2f}  {shares[0]:21.0%}  {shares[1]:12.0%}")


def main() -> None:
    """Measure on all ranks, report on the first."""
    parser = argparse.ArgumentParser(description="Time a training step on one process and on several.")
    parser.add_argument(
        "--workload", choices=[n for n, w in WORKLOADS.items() if w.V > 1 and not w.words], default="W4"
    )
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    workload = WORKLOADS[options.workload]
    seconds, nbytes, ranks = measure(workload, options.rounds)
    if world().leads:
        report(workload, seconds, nbytes, ranks)


if __name__ == "__main__":
    main()
