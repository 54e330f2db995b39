"""The pictures of the documentation, each made by a few lines that can be copied.

    python examples/pictures.py [DIRECTORY]

The same lines give the same bytes everywhere, so the tests hold the files in examples/pictures against this script.
"""

import argparse
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
import viz
from tinygrad_rnn import nn
from tinygrad_rnn.compare import compare_gradients, diagnose

PLACE = Path(__file__).resolve().parent / "pictures"


def seeded(module, scale=0.3):
    """`module` with float64 parameters drawn from a fixed seed, so that no digit depends on the machine."""
    rng = np.random.default_rng(1)
    for parameter in module.double().parameters():
        nn.init.uniform_(parameter, -scale, scale, generator=rng)
    return module


def data(*shape):
    return tg.tensor(np.random.default_rng(0).standard_normal(shape))


class Echo(nn.Module):
    """A cell and a head in a plain loop: what the README begins with."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(1, 16)
        self.head = nn.Linear(16, 1)

    def forward(self, x):
        h, said = None, []
        for t in range(len(x)):
            with tg.scope(t=t):
                h = self.cell(x[t], h)
                said.append(self.head(h))
        return tg.stack(said)


class EveryStep(Echo):
    """The same, judged in every step."""

    def forward(self, x, target):
        h, loss = tg.zeros(x.shape[1], 16, dtype=tg.float64), tg.zeros((), dtype=tg.float64)
        for t in range(len(x)):
            with tg.scope(t=t):
                h = self.cell(x[t], h)
                error = self.head(h) - target[t]
                loss = loss + (error**2).mean()
        return loss


class LastStep(nn.Module):
    """Only the end is judged: the gradient has to travel all the way."""

    def __init__(self, layer):
        super().__init__()
        self.rnn = layer(3, 8)

    def forward(self, x):
        _, state = self.rnn(x)
        return ((state[0] if isinstance(state, tuple) else state) ** 2).sum()


class Characters(nn.Module):
    """A character model: embedding, two layers, head, loss."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 8)
        self.rnn = nn.LSTM(8, 16, num_layers=2)
        self.head = nn.Linear(16, 30)

    def forward(self, tokens, target):
        y, _ = self.rnn(self.embedding(tokens))
        return nn.functional.cross_entropy(self.head(y).reshape(-1, 30), target.reshape(-1))


def forgetting():
    """An RNN beside an LSTM that is told to remember, on one scale."""
    drawings = {}
    for layer in (nn.RNN, nn.LSTM):
        model = seeded(LastStep(layer))
        if layer is nn.LSTM:
            with tg.no_grad():
                model.rnn.bias_ih_l0[8:16] = 3.0  # the forget gate
        drawings[layer.__name__] = viz.draw(model, data(40, 2, 3), gradients=True)
    return viz.compare(drawings, title="Where the gradient dies: RNN and LSTM")


def accused():
    """A gradient derived by hand, with a classic mistake, held against autograd: the report drawn as heat."""
    rng = np.random.default_rng(0)
    x, params = rng.normal(size=(5, 2, 3)), {"Wx": rng.normal(size=(3, 3)), "Wh": rng.normal(size=(3, 3))}

    def loss_fn(p):
        h = tg.zeros(2, 3, dtype=tg.float64)
        for t in range(5):
            with tg.scope(t=t):
                h = (x[t] @ p["Wx"] + h @ p["Wh"]).tanh()
        return (h * h).sum()

    def by_hand(p):
        h = [np.zeros((2, 3))]
        for t in range(5):
            h.append(np.tanh(x[t] @ p["Wx"] + h[-1] @ p["Wh"]))
        grads, dh = {"Wx": 0, "Wh": 0}, 2 * h[-1]
        for t in reversed(range(5)):
            da = dh * (1 - h[t + 1] ** 2)
            grads = {"Wx": grads["Wx"] + x[t].T @ da, "Wh": grads["Wh"] + h[t].T @ da}
            dh = da @ p["Wh"]  # should be da @ p["Wh"].T
        return grads

    tensors = {name: tg.tensor(array, requires_grad=True) for name, array in params.items()}
    report = compare_gradients(loss_fn, params, by_hand)
    findings = diagnose(loss_fn, params, by_hand).findings
    return viz.draw(loss_fn(tensors), names=tensors, errors=report, marks=findings)


def compiled():
    """What the compiler makes of twelve steps."""
    model = seeded(EveryStep())
    x, target = data(12, 2, 1), data(12, 2, 1)
    return viz.draw(tg.compile(model), x, target, title="A compiled training step")


def characters():
    rng = np.random.default_rng(0)
    tokens, target = (tg.tensor(rng.integers(0, 30, (6, 2))) for _ in range(2))
    return viz.draw(seeded(Characters()), tokens, target)


PICTURES = {
    "cell_and_head.svg": lambda: viz.draw(seeded(Echo()), data(5, 1, 1)),
    "every_step.svg": lambda: viz.draw(seeded(EveryStep()), data(5, 2, 1), data(5, 2, 1)),
    "every_op.svg": lambda: viz.draw(seeded(nn.LSTM(3, 4)), data(3, 2, 3), level="ops"),
    "layers.svg": lambda: viz.draw(
        seeded(nn.GRU(3, 4, num_layers=2, bidirectional=True)), data(9, 2, 3), level="layers"
    ),
    "both_directions.svg": lambda: viz.draw(seeded(nn.LSTM(3, 4, num_layers=2, bidirectional=True)), data(50, 2, 3)),
    "opened.svg": lambda: viz.draw(seeded(nn.RNN(3, 4, num_layers=2)), data(3, 2, 3), expand=["RNN.l0"]),
    "characters.svg": characters,
    "forgetting.svg": forgetting,
    "accused.svg": accused,
    "compiled.svg": compiled,
}


def echo(theme):
    """The README's first program, run to its end, and the line below it."""
    tg.manual_seed(0)
    cell, head, x = nn.RNNCell(1, 16), nn.Linear(16, 1), tg.rand(12, 64, 1)
    optimizer = tg.optim.Adam([*cell.parameters(), *head.parameters()], lr=0.01)
    for _ in range(201):
        h, said = None, []
        for x_t in x:
            h = cell(x_t, h)
            said.append(head(h))
        loss = nn.functional.mse_loss(tg.stack(said)[2:], x[:-2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return viz.draw(loss, steps=slice(0, 4), theme=theme)


# These have learnt, so the last digits that they tell on hovering are those of a machine, and not the same everywhere.
OF_THE_README = {"echo_light.svg": lambda: echo("light"), "echo_dark.svg": lambda: echo("dark")}


def main(argv=None):
    parser = argparse.ArgumentParser(description="Draw the pictures of the documentation and of the README anew.")
    parser.add_argument("place", nargs="?", type=Path, default=PLACE, help="folder to write them into")
    place = parser.parse_args(argv).place
    place.mkdir(parents=True, exist_ok=True)
    for name, make in {**PICTURES, **OF_THE_README}.items():
        print(make().save(place / name))


if __name__ == "__main__":
    main()
