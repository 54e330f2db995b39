"""The same training by one process without `distributed`, and by several with it.

`mpiexec -n N python -m tests.distributed.cases OUT`: rank 0 writes the weights of every case after 100 steps, and how
often and with how many bytes the ranks have talked in them, to OUT.npz. The counts are taken at mpi4py's communicator,
not from what the package says of itself.
"""

import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.distributed import DataParallel, World, world

STEPS = 100
SIZES = (7, 5, 3, 8)  # examples of the global batches, in turn: uneven for 2 to 4 ranks, and 3 leaves one of 4 idle
T, D, H, C = 5, 3, 32, 4


@dataclass(frozen=True)
class Case:
    """cell: of nn. rule: optimiser and its options. clip: total norm. micro: batches accumulated for a step."""

    cell: str
    rule: str
    options: tuple[tuple[str, Any], ...] = (("lr", 0.01),)
    clip: float | None = None
    micro: int = 1
    compiled: str = ""

    def __str__(self) -> str:
        extras = [f"clip {self.clip}" if self.clip else "", f"accumulate {self.micro}" if self.micro > 1 else ""]
        return " ".join(word for word in (self.cell, self.rule, *extras, self.compiled) if word)


_MOMENTUM = (("lr", 0.1), ("momentum", 0.9), ("weight_decay", 1e-4))
CASES = [
    *(Case(cell, "SGD", _MOMENTUM, clip=0.3) for cell in ("RNN", "LSTM", "GRU")),
    *(Case(cell, "Adam", clip=0.5, micro=3) for cell in ("RNN", "LSTM", "GRU")),
    *(Case("RNN", rule) for rule in ("Adadelta", "Adagrad", "AdamW", "Adamax", "NAdam", "RAdam")),
    # Larger steps of these two carry a change of the last bit of a weight past the bar, on one process too.
    Case("RNN", "RMSprop", (("lr", 0.001),)),
    Case("RNN", "LBFGS", (("lr", 0.001), ("max_iter", 3), ("history_size", 2))),
    Case("GRU", "SGD", clip=0.3, compiled="compile"),
    Case("LSTM", "Adam", clip=0.3, compiled="compile_step"),
]  # fmt: skip


class Classifier(nn.Module):
    """The last output of a recurrent layer through a linear one; with a parameter that no loss depends on."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self.rnn = getattr(nn, cell)(D, H)
        self.head = nn.Linear(H, C)
        self.idle = nn.Parameter(tg.ones(3))

    def forward(self, x: Any) -> Any:
        """x: (T, B, D). Returns scores (B, C)."""
        return self.head(self.rnn(x)[0][-1])


def built(case: Case, seed: int = 0) -> tuple[Classifier, Any]:
    """Model in float64 and optimiser."""
    tg.manual_seed(seed)
    model = Classifier(case.cell).double()
    return model, getattr(optim, case.rule)(model.parameters(), **dict(case.options))


def batches(case: Case) -> list[tuple[np.ndarray, np.ndarray]]:
    """The global batches, one after the other: inputs (T, B, D) and labels (B,)."""
    rng = np.random.default_rng(7)
    sizes = [SIZES[i % len(SIZES)] for i in range(STEPS * case.micro)]
    return [(rng.normal(size=(T, size, D)), rng.integers(C, size=size)) for size in sizes]


def loss_of(model: Classifier) -> Any:
    """The mean loss as a function of arrays."""
    return lambda x, y: nn.functional.cross_entropy(model(tg.as_tensor(x)), tg.as_tensor(y))


def alone(case: Case) -> dict[str, np.ndarray]:
    """The weights after training in one process, as anyone would write it; accumulated batches are joined."""
    model, optimizer = built(case)
    loss = loss_of(model)
    given = batches(case)
    for at in range(0, len(given), case.micro):
        parts = given[at : at + case.micro]
        x, y = np.concatenate([x for x, _ in parts], axis=1), np.concatenate([y for _, y in parts])

        def closure(x: Any = x, y: Any = y) -> Any:
            optimizer.zero_grad()
            value = loss(x, y)
            value.backward()
            if case.clip:
                nn.utils.clip_grad_norm_(model.parameters(), case.clip)
            return value

        optimizer.step(closure)
    return {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}


def together(case: Case, world: World) -> tuple[dict[str, np.ndarray], int]:
    """The same on the ranks of a world, and how often the gradient was taken.

    The ranks begin with weights of their own, so that rank 0's must come to all.
    """
    model, optimizer = built(case, seed=world.rank)
    parallel = DataParallel(model, world)
    given = batches(case)
    if case.compiled == "compile_step":
        step = parallel.compile_step(loss_of(model), optimizer, clip=case.clip)
        for x, y in given:
            rows = world.rows(len(y))
            step(len(y[rows]), x[:, rows], y[rows])
        return {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}, STEPS
    taken = 0
    loss = tg.compile(loss_of(model)) if case.compiled else loss_of(model)
    for at in range(0, len(given), case.micro):

        def closure(parts: Any = given[at : at + case.micro]) -> Any:
            nonlocal taken
            taken += 1
            optimizer.zero_grad()
            for x, y in parts:
                rows = world.rows(len(y))
                if len(y[rows]):
                    parallel.backward(loss(x[:, rows], y[rows]), len(y[rows]))
            value = parallel.exchange()
            if case.clip:
                nn.utils.clip_grad_norm_(model.parameters(), case.clip)
            return tg.tensor(value)

        optimizer.step(closure)
    parallel.check()
    return {name: tensor.detach().numpy() for name, tensor in model.named_parameters()}, taken


class Counting:
    """A communicator that counts what is called, and the bytes of the buffers summed."""

    def __init__(self, comm: Any) -> None:
        self.comm, self.calls, self.nbytes = comm, Counter(), 0

    def __getattr__(self, name: str) -> Any:
        if name[0].isupper() or name in ("bcast", "allgather", "allreduce", "isend", "gather"):
            self.calls[name] += 1
        return getattr(self.comm, name)

    def Allreduce(self, place: Any, buffer: np.ndarray, op: Any) -> None:
        """Counted, and passed on."""
        self.calls["Allreduce"] += 1
        self.nbytes += buffer.nbytes
        self.comm.Allreduce(place, buffer, op=op)


def main(out: str) -> None:
    """Run every case."""
    here = world()
    kept: dict[str, np.ndarray] = {}
    for case in CASES:
        counting = here.comm = Counting(here.comm.comm if isinstance(here.comm, Counting) else here.comm)
        weights, taken = together(case, here)
        kept |= {f"{case}|{name}": array for name, array in weights.items()}
        calls = counting.calls
        kept[f"{case}|calls"] = np.array([calls["Allreduce"], counting.nbytes, calls["allgather"], taken])
    if here.leads:
        np.savez(out, **kept)


if __name__ == "__main__":
    main(*sys.argv[1:])
