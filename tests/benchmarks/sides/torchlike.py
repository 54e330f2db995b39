"""PyTorch and tinygrad_rnn, from one source: the second speaks the names of the first, so only the import differs."""

import importlib
from collections.abc import Callable

import numpy as np

from tests.benchmarks.workloads import LEARNING_RATE, MAX_NORM, WORKLOADS, Workload

Work = tuple[Callable[[], object], int]


def library(side: str):
    """The module that plays the part of `torch` on this side."""
    return importlib.import_module("torch" if side.startswith("torch") else "tinygrad_rnn")


def make_model(torch, load: Workload, unrolled: bool):
    """A module from inputs to predictions (T, B, V), with the workload's parameters.

    unrolled: the recurrent layers are Python loops over `nn.RNNCell` and its kin, instead of `nn.RNN`.
    """
    nn = torch.nn
    kind = f"{load.cell}Cell" if unrolled else load.cell

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            if load.words:
                self.embedding = nn.Embedding(load.V, load.D)
            if unrolled:
                self.rnn = nn.ModuleList(
                    [getattr(nn, kind)(load.H if layer else load.D, load.H) for layer in range(load.L)]
                )
            else:
                self.rnn = getattr(nn, kind)(load.D, load.H, load.L)
            self.head = nn.Linear(load.H, load.V)

        def forward(self, inputs):
            x = self.embedding(inputs) if load.words else inputs
            return self.head(unroll(torch, self.rnn, x) if unrolled else self.rnn(x)[0])

    model = Model()
    arrays = load.parameters()
    if unrolled:
        arrays = {_cell_name(name): array for name, array in arrays.items()}
    model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return model


def unroll(torch, cells, x):
    """x: (T, B, D) through a stack of cells, step by step. Returns (T, B, H)."""
    states = [None] * len(cells)
    outputs = []
    for step in x.unbind(0):
        h = step
        for layer, cell in enumerate(cells):
            states[layer] = cell(h) if states[layer] is None else cell(h, states[layer])
            h = states[layer][0] if isinstance(states[layer], tuple) else states[layer]
        outputs.append(h)
    return torch.stack(outputs)


def _cell_name(name: str) -> str:
    """rnn.weight_ih_l0 -> rnn.0.weight_ih."""
    base, _, layer = name.rpartition("_l")
    return f"rnn.{layer}.{base.removeprefix('rnn.')}" if name.startswith("rnn.") else name


def make_loss(torch, load: Workload, model) -> Callable:
    """(inputs, targets) -> mean loss over all steps and sequences."""
    functional = torch.nn.functional

    def loss(inputs, targets):
        predictions = model(inputs)
        if load.V == 1:
            return functional.mse_loss(predictions, targets)
        return functional.cross_entropy(predictions.reshape(-1, load.V), targets.reshape(-1))

    return loss


def step(side: str, name: str) -> Work:
    """One training step of a workload: forward, loss, backward, clip, SGD."""
    torch = library(side)
    load = WORKLOADS[name]
    model = make_model(torch, load, unrolled=side.endswith("cells"))
    return training(torch, load, model, make_loss(torch, load, model))


def training(torch, load: Workload, model, loss_fn: Callable) -> Work:
    """The usual five lines around a loss function."""
    inputs, targets = (torch.from_numpy(array) for array in load.batch())
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE)

    def work():
        optimizer.zero_grad()
        loss = loss_fn(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), MAX_NORM)
        optimizer.step()
        return loss.detach()

    return work, 1


LINKS = 200


def recording(side: str, _: str) -> Work:
    """A chain of h = tanh(h * w) on 8x8 float64: recorded and swept, counted per op."""
    torch = library(side)
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=(8, 8)))
    w = torch.from_numpy(rng.normal(size=(8, 8))).requires_grad_()

    def work():
        h = start
        for _ in range(LINKS):
            h = torch.tanh(h * w)
        w.grad = None
        h.sum().backward()
        return float(w.grad.sum())

    return work, 2 * LINKS


def op(side: str, name: str) -> Work:
    """A chain of one op on 16x64 float32 (add, tanh, or matmul with a 64x64 weight): recorded and swept, per op."""
    torch = library(side)
    rng = np.random.default_rng(0)
    start = torch.from_numpy(rng.normal(size=(16, 64)).astype(np.float32)).requires_grad_()
    shape = (64, 64) if name == "matmul" else (16, 64)
    w = torch.from_numpy((rng.normal(size=shape) / 8).astype(np.float32)).requires_grad_()
    apply = {"add": lambda h: h + w, "tanh": torch.tanh, "matmul": lambda h: h @ w}[name]

    def work():
        h = start
        for _ in range(LINKS):
            h = apply(h)
        start.grad = w.grad = None
        h.sum().backward()
        return float(start.grad.sum())

    return work, LINKS
