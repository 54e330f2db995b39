"""The whole idea on real text: a character RNN, written as a loop, trained, drawn unrolled, and its gradients checked.

    make demo                  on the Python language reference that ships with every interpreter
    make demo TEXT=book.txt    on a text of yours

Writes the curve, the drawing and the samples into demo_output/.
"""

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np

import tinygrad_rnn as tg
import viz
from tinygrad_rnn import nn
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.data import StreamBatches, Vocabulary, embedded_text, read_text
from tinygrad_rnn.errors import DataError
from tinygrad_rnn.manual import rnn as manual
from tinygrad_rnn.nn.utils.stateless import functional_call

HIDDEN, BATCH, STEPS_BACK = 256, 32, 40


class CharRNN(nn.Module):
    """Predicts the next character from all before it: one tanh RNN over one-hot characters, and a linear head."""

    def __init__(self, vocabulary_size: int, hidden_size: int):
        super().__init__()
        self.rnn = nn.RNN(vocabulary_size, hidden_size)
        self.head = nn.Linear(hidden_size, vocabulary_size)

    def forward(self, x, h=None):
        """x: (T, B, V) one-hot, h: (1, B, H) -> scores (T, B, V) and the state after the last step."""
        states, h = self.rnn(x, h)
        return self.head(states), h


def one_hot(ids: np.ndarray, size: int, dtype=np.float32) -> tg.Tensor:
    """ids (...) int -> (..., size), 1 at the id."""
    return tg.from_numpy(np.eye(size, dtype=dtype)[ids])


def loss_of(model: CharRNN, x: np.ndarray, y: np.ndarray, h=None):
    """Mean cross entropy in nats of ids y (T, B) after ids x (T, B), and the state."""
    scores, h = model(one_hot(x, model.head.out_features), h)
    return nn.functional.cross_entropy(scores.flatten(0, 1), tg.from_numpy(y).flatten()), h


def bits_per_character(model: CharRNN, ids: np.ndarray) -> float:
    """Cross entropy of the model on held-out text, in bits."""
    batches = StreamBatches(ids, batch_size=16, steps=100)
    with tg.no_grad():
        total, h = 0.0, None
        for x, y in batches:
            loss, h = loss_of(model, x, y, h)
            total += loss.item()
    return total / len(batches) / math.log(2)


def sample(model: CharRNN, vocabulary: Vocabulary, prompt: str, length: int, temperature: float, rng) -> str:
    """Let the model continue the prompt, one drawn character at a time."""
    ids = list(vocabulary.encode(prompt))
    h = None
    with tg.no_grad():
        for i in range(len(ids) + length - 1):
            scores, h = model(one_hot(np.array([[ids[i]]]), len(vocabulary)), h)
            if i >= len(ids) - 1:
                weights = (scores[0, 0] / temperature).softmax(0)
                ids.append(tg.multinomial(weights, 1, generator=rng).item())
    return vocabulary.decode(ids)


def train(model: CharRNN, ids: np.ndarray, held_out: np.ndarray, updates: int, show) -> list[tuple[int, float, float]]:
    """Truncated BPTT over the text: the state is carried from chunk to chunk, gradients stop between them."""
    optimizer = tg.optim.Adam(model.parameters(), lr=3e-3)
    schedule = tg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=updates, eta_min=3e-4)
    batches = iter(())
    h, smooth, history, begin = None, None, [], time.perf_counter()
    for update in range(1, updates + 1):
        chunk = next(batches, None)
        if chunk is None:  # once through the text: start over
            batches, h = iter(StreamBatches(ids, batch_size=BATCH, steps=STEPS_BACK)), None
            chunk = next(batches)
        optimizer.zero_grad()
        loss, h = loss_of(model, *chunk, None if h is None else h.detach())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        smooth = loss.item() if smooth is None else 0.95 * smooth + 0.05 * loss.item()
        if update % max(1, updates // 10) == 0 or update == updates:
            history.append((update, smooth, bits_per_character(model, held_out)))
            show(*history[-1], time.perf_counter() - begin)
    return history


def check(vocabulary_size: int, rng) -> object:
    """The gradients of a small copy of the model, three ways: by the graph, by hand, by finite differences."""
    model = CharRNN(vocabulary_size, 16).double()
    ids = rng.integers(0, vocabulary_size, (9, 3))
    x, y = one_hot(ids[:-1], vocabulary_size, np.float64), tg.from_numpy(ids[1:])
    names = {"rnn.weight_ih_l0": "weight_ih", "rnn.weight_hh_l0": "weight_hh"}
    names |= {"rnn.bias_ih_l0": "bias_ih", "rnn.bias_hh_l0": "bias_hh", "head.weight": "head.weight", "head.bias": "head.bias"}
    params = {name: p.detach().numpy() for name, p in model.named_parameters()}

    def loss_fn(parameters):
        scores, _ = functional_call(model, parameters, x)
        return nn.functional.cross_entropy(scores.flatten(0, 1), y.flatten())

    _, by_hand = manual.loss_and_gradients({names[n]: p for n, p in params.items()}, x.numpy(), y.numpy())
    return compare_gradients(loss_fn, params, {name: by_hand[names[name]] for name in params})


def main(argv=None) -> int:
    """Train, sample, draw, check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, help="text to learn (default: the Python language reference)")
    parser.add_argument("--updates", type=int, default=700, help="training steps (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("demo_output"), help="folder for the results (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        text = embedded_text() if options.text is None else read_text(options.text)
    except DataError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    rng = np.random.default_rng(0)
    tg.manual_seed(0)

    vocabulary = Vocabulary.of_characters(text)
    ids = vocabulary.encode(text)
    cut = int(0.95 * len(ids))
    model = CharRNN(len(vocabulary), HIDDEN)
    weights = sum(p.numel() for p in model.parameters())
    source = options.text or "the Python language reference"
    print(f"{len(text):,} characters of {source}, {len(vocabulary)} different ones; a tanh RNN with {weights:,} weights\n")
    print(" update   loss (nats)   held out (bits per character)   seconds   it writes")

    def show(update, loss, bits, seconds):
        words = sample(model, vocabulary, "The ", 44, 0.7, rng).replace("\n", " ")
        print(f"{update:7d}   {loss:11.3f}   {bits:29.3f}   {seconds:7.1f}   {words}", flush=True)

    train(model, ids[:cut], ids[cut:], options.updates, show)
    written = sample(model, vocabulary, "The ", 600, 0.6, rng)
    print(f"\n{written}\n")

    options.out.mkdir(parents=True, exist_ok=True)
    picture, page = options.out / "rnn_unrolled.svg", options.out / "rnn_unrolled.html"
    drawing = viz.draw(CharRNN(len(vocabulary), 16), one_hot(ids[:5, None], len(vocabulary)))
    drawing.save(picture)
    drawing.save(page)
    (options.out / "sample.txt").write_text(written, encoding="utf-8")

    print("Gradients by the graph, by hand, and by finite differences:\n")
    report = check(len(vocabulary), rng)
    print(report)
    print(f"\nThe network unrolled over time:  {picture}   (interactive: {page})")
    print(f"What it wrote:                   {options.out / 'sample.txt'}")
    return 0 if report.ok else 1


if __name__ == "__main__":
    sys.exit(main())
