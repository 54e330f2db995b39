"""The whole idea on real text: a character RNN is trained, drawn unrolled over time, and its gradients are checked.

    make demo                  on the Python language reference that ships with every interpreter
    make demo TEXT=book.txt    on a text of yours

The drawing, what the network wrote and its weights go into demo_output/.
"""

import argparse
import math
import sys
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
import viz
from tinygrad_rnn import nn
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.data import StreamBatches, Vocabulary, embedded_text, read_text
from tinygrad_rnn.errors import TinygradError
from tinygrad_rnn.files import replace
from tinygrad_rnn.manual import rnn as manual
from tinygrad_rnn.nn.utils.stateless import functional_call
from tinygrad_rnn.train import Trainer, mean_loss

HIDDEN, BATCH, TIME = 256, 32, 40


class CharRNN(nn.Module):
    """Predicts each next character: one tanh RNN over one-hot characters, and a linear head."""

    def __init__(self, characters: int, hidden: int):
        super().__init__()
        self.rnn = nn.RNN(characters, hidden)
        self.head = nn.Linear(hidden, characters)

    def forward(self, x, h=None):
        """x: (T, B, V) one-hot; h: (1, B, H), or None for zeros. Returns scores (T, B, V) and the last state."""
        states, h = self.rnn(x, h)
        return self.head(states), h


def one_hot(ids: np.ndarray, size: int, dtype=np.float32) -> tg.Tensor:
    """ids: (...) int. Returns (..., size), 1 at the id."""
    return tg.from_numpy(np.eye(size, dtype=dtype)[ids])


def objective(model: CharRNN, batch, h):
    """Cross entropy in nats per character of a chunk (x, y), each (T, B) int, and the state to carry on."""
    x, y = batch
    scores, h = model(one_hot(x, model.head.out_features), h)
    return nn.functional.cross_entropy(scores.flatten(0, 1), tg.from_numpy(y).flatten()), h


def sample(model: CharRNN, vocabulary: Vocabulary, prompt: str, length: int, temperature: float, rng) -> str:
    """Let the model go on from the prompt, one drawn character at a time."""
    ids, h = list(vocabulary.encode(prompt)), None
    with tg.no_grad():
        scores, h = model(one_hot(np.array(ids)[:, None], len(vocabulary)))
        for _ in range(length):
            chances = (scores[-1, 0] / temperature).softmax(0)
            ids.append(tg.multinomial(chances, 1, generator=rng).item())
            scores, h = model(one_hot(np.array([[ids[-1]]]), len(vocabulary)), h)
    return vocabulary.decode(ids)


def train(model: CharRNN, vocabulary: Vocabulary, ids: np.ndarray, updates: int, folder: Path, rng) -> None:
    """Truncated BPTT: the state is carried from chunk to chunk and gradients stop between them."""
    cut = int(0.95 * len(ids))
    held_out = StreamBatches(ids[cut:], batch=16, time=100)
    optimizer = tg.optim.Adam(model.parameters(), lr=3e-3)
    trainer = Trainer(
        model,
        optimizer,
        StreamBatches(ids[:cut], batch=BATCH, time=TIME),
        objective,
        step_scheduler=tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=updates, eta_min=2e-4),
        clip=5.0,
        evaluate=lambda model: mean_loss(model, objective, held_out),
        evaluate_every=max(1, updates // 8),
        log_every=max(1, updates // 16),
        folder=folder,
        overwrite=True,
    )
    tell = trainer.report.evaluated

    def evaluated(step: int, loss: float, best: bool) -> None:
        words = sample(model, vocabulary, "The ", 60, 0.7, rng).replace("\n", " ")
        trainer.report.say(f"\n  held-out text: {loss / math.log(2):.3f} bits per character; it writes: {words}\n")

    trainer.report.evaluated = evaluated if tell else tell
    trainer.fit(steps=updates)


def check(characters: int, rng):
    """The gradients of a small copy of the model, three ways: by the graph, by hand, by finite differences."""
    model = CharRNN(characters, 16).double()
    ids = rng.integers(0, characters, (9, 3))
    x, y = one_hot(ids[:-1], characters, np.float64), tg.from_numpy(ids[1:])
    parameters = {name: p.detach().numpy() for name, p in model.named_parameters()}
    short = {name: name.removeprefix("rnn.").removesuffix("_l0") for name in parameters}

    def loss_fn(parameters):
        scores, _ = functional_call(model, parameters, x)
        return nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten())

    _, by_hand = manual.loss_and_gradients({short[name]: p for name, p in parameters.items()}, x.numpy(), y.numpy())
    return compare_gradients(loss_fn, parameters, {name: by_hand[short[name]] for name in parameters})


def main(argv=None) -> int:
    """Train, sample, draw and check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--text", type=Path, help="text to learn (default: the Python language reference)")
    parser.add_argument("--updates", type=int, default=2000, help="training steps (default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("demo_output"), help="folder for results (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    if options.updates < 1:
        parser.error(f"--updates: expected at least 1, got {options.updates}")
    written = options.out / "sample.txt"
    if options.text and options.text.exists() and written.exists() and written.samefile(options.text):
        parser.error(f"--text {options.text}: expected a text of yours, got what the demo writes and would replace")
    try:
        return run(options)
    except (TinygradError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2


def run(options: argparse.Namespace) -> int:
    """The demo itself. Raises DataError for a text that cannot be read or is too short."""
    rng = np.random.default_rng(0)
    tg.manual_seed(0)
    text = embedded_text() if options.text is None else read_text(options.text)
    vocabulary = Vocabulary.of_characters(text)
    model = CharRNN(len(vocabulary), HIDDEN)
    weights = sum(p.numel() for p in model.parameters())
    print(
        f"{len(text):,} characters of {options.text or 'the Python language reference'}, {len(vocabulary)} of them "
        "different"
    )
    print(f"A tanh RNN with {weights:,} weights, unrolled over {TIME} steps, {BATCH} tracks of text at a time\n")
    train(model, vocabulary, vocabulary.encode(text), options.updates, options.out, rng)
    written = sample(model, vocabulary, "The ", 500, 0.6, rng)
    print(f"\nWhat it writes now:\n\n{written}\n")

    replace(options.out / "sample.txt", written.encode())
    drawing = viz.draw(CharRNN(len(vocabulary), 16), one_hot(vocabulary.encode(text[:5])[:, None], len(vocabulary)))
    drawing.save(options.out / "rnn_unrolled.svg")

    print("Its gradients by the graph, by hand, and by finite differences:\n")
    report = check(len(vocabulary), rng)
    print(report)
    print(f"\nThe network unrolled over time: {options.out / 'rnn_unrolled.svg'}")
    print(f"What it wrote:                  {options.out / 'sample.txt'}")
    print(f"Its weights and its curve:      {options.out / 'best.safetensors'}, {options.out / 'metrics.jsonl'}")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
