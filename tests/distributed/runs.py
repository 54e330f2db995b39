"""A training run on several ranks that can be told to break: `python -m tests.distributed.runs FOLDER STEPS [BREAK]`.

BREAK is HOW:RANK:STEP. raise, hang, exit, stop (as SIGSTOP does), interrupt, nan and drift (of a weight) happen while
the rank computes its loss; shapes, data and version before anything; dropout breaks nothing and says what is drawn.
Prints the process of each rank, "step N" from rank 0 after every step, and at the end how it ended and its best
validation loss. Started again on the same folder it goes on.
"""

import os
import signal
import sys
import time

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.distributed import world
from tinygrad_rnn.train import LAST, ParallelTrainer, Quiet

VOCABULARY = 11


class Model(nn.Module):
    """Embedding, GRU whose state is carried, head; float64."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.embedding = nn.Embedding(VOCABULARY, 4)
        self.rnn = nn.GRU(4, hidden)
        self.head = nn.Linear(hidden, VOCABULARY)

    def forward(self, x, state):
        y, state = self.rnn(self.embedding(x), state)
        return self.head(self.dropout(y)), state


class Telling(Quiet):
    """Says every step."""

    def step(self, progress):
        self.say(f"step {progress.step} loss {progress.loss:.12f}")


def breakage(how, step):
    """What the objective does, beside its work, on the rank that breaks; returns what its loss is multiplied with."""
    count = 0

    def act(model):
        nonlocal count
        count += model.training
        if count != step or not model.training:
            return 1.0
        if how == "raise":
            raise ZeroDivisionError("broken on purpose")
        if how == "exit":
            sys.exit(3)
        if how == "hang":
            time.sleep(3600)
        if how == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        if how == "interrupt":
            os.kill(os.getpid(), signal.SIGTERM)
        if how == "drift":
            model.head.bias.array[0] += 1e-9
        return float("nan") if how == "nan" else 1.0

    return act


def drawing(rank):
    """An act that prints what this rank draws."""

    def act(model):
        if model.training:
            os.write(1, f"rank {rank} draws {tg.rand(1).item():.9f}\n".encode())
        return 1.0

    return act


def main(folder, steps, broken="none:-1:0"):
    """Train, or go on."""
    here = world()
    os.write(1, f"pid {os.getpid()} of rank {here.rank}\n".encode())
    how, rank, step = broken.split(":")
    mine = int(rank) == here.rank
    if mine and how == "version":
        np.__version__ = "1.0.0"
    act = breakage(how, int(step)) if mine else lambda model: 1.0
    if how == "dropout":
        act = drawing(here.rank)
    tg.manual_seed(3)
    seed = 5 if mine and how == "data" else 4
    model = Model(9 if mine and how == "shapes" else 8, 0.3 if how == "dropout" else 0.0).double()
    stream = np.random.default_rng(seed).integers(VOCABULARY, size=2000)
    batches = StreamBatches(stream, batch=5, time=6)

    def objective(model, batch, state):
        factor = act(model)
        x, y = batch
        scores, state = model(tg.tensor(x), state)
        loss = nn.functional.cross_entropy(scores.reshape(-1, VOCABULARY), tg.tensor(y.reshape(-1)))
        return loss * factor, state

    trainer = ParallelTrainer(
        model,
        optim.Adam(model.parameters(), lr=0.01),
        batches,
        objective,
        validation=StreamBatches(stream[::-1], batch=3, time=50),
        evaluate_every=10,
        clip=0.5,
        save_every=3,
        log_every=5,
        folder=folder,
        report=Telling(sys.stdout),
    )
    if os.path.exists(os.path.join(folder, LAST)):
        trainer.resume()
    outcome = trainer.fit(steps=int(steps))
    if here.leads:
        print(outcome.ended.value, outcome.step, f"{outcome.best:.10f}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
