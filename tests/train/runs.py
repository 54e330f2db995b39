"""A small but complete training run: everything that a resumed run must restore takes part in it.

Used by the tests in this folder, and as a program that can be killed: `python -m tests.train.runs FOLDER KIND STEPS`.
"""

import os
import sys

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import nn, optim
from tinygrad_rnn.data import BucketBatches, StreamBatches, Vocabulary
from tinygrad_rnn.train import LAST, Quiet, Trainer

TEXT = "the quick brown fox jumps over the lazy dog; " * 8
VOCABULARY = Vocabulary.of_characters(TEXT)


class InverseTime:
    """A scheduler by itself, so that these tests stand on the optimiser alone: lr / (1 + decay * steps)."""

    def __init__(self, optimizer, decay):
        self.optimizer, self.decay, self.steps = optimizer, decay, 0
        self.first = optimizer.param_groups[0]["lr"]

    def step(self, loss=None):
        self.steps += 1
        self.optimizer.param_groups[0]["lr"] = self.first / (1 + self.decay * self.steps)

    def state_dict(self):
        return {"steps": self.steps, "first": self.first}

    def load_state_dict(self, state):
        self.steps, self.first = state["steps"], state["first"]


class CharacterModel(nn.Module):
    """Embedding, LSTM, dropout, head: (T, B) integers to (T, B, V) scores."""

    def __init__(self, hidden=8):
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), 5)
        self.rnn = nn.LSTM(5, hidden)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(hidden, len(VOCABULARY))

    def forward(self, x, state=None):
        y, state = self.rnn(self.embedding(x), state)
        return self.head(self.dropout(y)), state


class Shuffled:
    """Batches that keep no place: an order drawn anew each epoch, as a DataLoader does."""

    def __init__(self, stream, generator):
        self.stream, self.generator = stream, generator

    def __len__(self):
        return 7

    def __iter__(self):
        for start in self.generator.permutation(len(self.stream) - 14)[:7]:
            piece = self.stream[start : start + 14, None]
            yield piece[:-1], piece[1:]


def objective(model, batch, state):
    """Cross entropy of the next character; the LSTM's state is carried on."""
    x, y = batch
    if state is not None and state[0].shape[1] != x.shape[1]:
        state = None
    scores, state = model(tg.tensor(x), state)
    return nn.functional.cross_entropy(scores.reshape(-1, len(VOCABULARY)), tg.tensor(y).reshape(-1)), state


def padded_objective(model, batch, state):
    """The same over padded sequences, each by itself."""
    x = batch.inputs
    return objective(model, (x[:-1], x[1:]), None)[0]


def build(folder, kind="stream", seed=0, **options):
    """A Trainer on "stream" (carried state), "shuffled" (no place kept) or "bucketed" batches, all seeded."""
    tg.manual_seed(seed)
    generator = np.random.default_rng(seed + 1)
    stream = VOCABULARY.encode(TEXT)
    model = CharacterModel()
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    sequences = [stream[at : at + 2 + at % 9] for at in range(0, 300, 10)]
    batches = {
        "stream": lambda: StreamBatches(stream, batch=3, time=17),
        "shuffled": lambda: Shuffled(stream, generator),
        "bucketed": lambda: BucketBatches(sequences, batch=4, generator=generator, pool=2),
    }[kind]()
    defaults = {
        "validation": StreamBatches(stream[::-1], batch=2, time=50),
        "clip": 0.1,
        "step_scheduler": InverseTime(optimizer, 0.01),
        "epoch_scheduler": InverseTime(optimizer, 0.1),
        "plateau_scheduler": InverseTime(optimizer, 0.05),
        "evaluate_every": 5,
        "save_every": 3,
        "log_every": 4,
        "generators": [generator],
        "description": {"hidden": 8, "vocabulary": VOCABULARY.describe()},
        "report": Quiet(sys.stdout),
        "folder": folder,
    }
    if kind == "bucketed":
        held_out = np.random.default_rng(seed + 2)
        defaults["validation"] = BucketBatches(sequences, batch=9, generator=held_out)
        defaults["generators"] = [generator, held_out]
        objective_ = padded_objective
    else:
        objective_ = objective
    return Trainer(model, optimizer, batches, objective_, **(defaults | options))


def everything(trainer):
    """All that must be equal in two runs: weights, optimiser, generators, as bytes and plain values."""
    arrays = {name: tensor.numpy().tobytes() for name, tensor in trainer.model.state_dict().items()}
    moments = {
        (number, key): value.numpy().tobytes() if hasattr(value, "numpy") else value
        for number, values in trainer.optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }
    draws = [generator.bit_generator.state for generator in trainer.generators]
    return arrays, moments, draws, trainer.optimizer.param_groups[0]["lr"], trainer.feed.state_dict()


class Announcing(Quiet):
    """Says, besides what must be said, that the first step is done."""

    announced = False

    def step(self, progress):
        if not self.announced:
            self.say("training")
        self.announced = True


def main(folder, kind, steps):
    """Start the run in the folder, or take it up, and train. Most of its time goes into saving."""
    trainer = build(folder, kind, save_every=1, report=Announcing(sys.stdout))
    if os.path.exists(os.path.join(folder, LAST)):
        trainer.resume()
    outcome = trainer.fit(steps=int(steps))
    print(outcome.ended.value, outcome.step, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
