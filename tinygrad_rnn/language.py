"""A language model over characters or words: what the command line and the dashboard train on text.

Imports nn and the vocabulary. Its description is all that is needed to build it again beside its weights.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from . import checkpoint, nn
from .creation import as_tensor, from_numpy
from .data.vocabulary import Vocabulary
from .errors import CheckpointError, DataError, explain
from .state import no_grad
from .tensor import Tensor

__all__ = ["CELLS", "LanguageModel", "load", "objective", "sample"]

CELLS: dict[str, Callable[..., Any]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_KIND, _SIZES = "language model", ("hidden", "layers", "embedding")


class LanguageModel(nn.Module):
    """Scores every next token: an embedding, recurrent layers, a linear head.

    vocabulary: of V tokens. cell: "rnn", "lstm" or "gru". hidden: H. layers: L. embedding: D. dropout: between layers.
    Raises KeyError for another cell.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        cell: str = "lstm",
        *,
        hidden: int = 128,
        layers: int = 1,
        embedding: int = 32,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.sizes = {"cell": cell, "hidden": hidden, "layers": layers, "embedding": embedding, "dropout": dropout}
        self.embedding = nn.Embedding(len(vocabulary), embedding)
        self.rnn = CELLS[cell](embedding, hidden, layers, dropout=dropout)
        self.head = nn.Linear(hidden, len(vocabulary))

    def forward(self, numbers: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """numbers: (T, B) int, tokens. state: of the last call, None for zeros. Returns scores (T, B, V), state."""
        states, state = self.rnn(self.embedding(numbers), state)
        return self.head(states), state

    def describe(self) -> dict[str, Any]:
        """Sizes and vocabulary, as JSON can hold them."""
        return {"kind": _KIND, **self.sizes, "vocabulary": self.vocabulary.describe()}

    @classmethod
    def from_description(
        cls, description: Any, where: str = "description", weights: Mapping[str, np.ndarray] | None = None
    ) -> LanguageModel:
        """Build the model that `describe` described, with fresh weights.

        weights: those it is to get; sizes that are not theirs are refused before any memory is taken for them.
        Raises CheckpointError or DataError if it is no such description.
        """
        wanted = {"kind", "vocabulary", "cell", "dropout", *_SIZES}
        if not isinstance(description, dict) or not wanted <= description.keys() or description["kind"] != _KIND:
            do = "Give a folder or file that `train` wrote."
            raise CheckpointError(explain(where, expected="a language model", got="something else", do=do))
        cell, dropout, sizes = description["cell"], description["dropout"], {k: description[k] for k in _SIZES}
        if not isinstance(cell, str) or cell not in CELLS:
            raise CheckpointError(explain(where, expected=f"one of {', '.join(CELLS)}", got=f"{cell!r:.80}"))
        if type(dropout) not in (int, float) or not 0 <= dropout <= 1:
            raise CheckpointError(explain(where, expected="dropout from 0 to 1", got=f"{dropout!r:.80}"))
        for name, size in sizes.items():
            if type(size) is not int or size < 1:
                raise CheckpointError(explain(f"{where}, {name}", expected="a size above 0", got=f"{size!r:.80}"))
        vocabulary = Vocabulary.from_description(description["vocabulary"])
        if weights is not None:
            _check_sizes(cell, sizes, len(vocabulary), weights, where)
        H, L, D = sizes["hidden"], sizes["layers"], sizes["embedding"]
        return cls(vocabulary, cell, hidden=H, layers=L, embedding=D, dropout=dropout)


def _check_sizes(
    cell: str, sizes: Mapping[str, int], tokens: int, weights: Mapping[str, np.ndarray], where: str
) -> None:
    """Raise CheckpointError unless the weights have the shapes of these sizes: a file of a few bytes may claim any."""
    H, V, D, L = sizes["hidden"], tokens, sizes["embedding"], sizes["layers"]
    G = {"rnn": 1, "gru": 3, "lstm": 4}[cell] * H
    expected: dict[str, tuple[int, ...]] = {"embedding.weight": (V, D), "head.weight": (V, H), "head.bias": (V,)}
    for layer in range(min(L, len(weights))):
        expected[f"rnn.weight_ih_l{layer}"] = (G, H if layer else D)
        expected[f"rnn.weight_hh_l{layer}"] = (G, H)
        expected[f"rnn.bias_ih_l{layer}"] = expected[f"rnn.bias_hh_l{layer}"] = (G,)
    for name, shape in expected.items():
        if name not in weights or weights[name].shape != shape:
            others = ", ".join(sorted(weights.keys() - expected.keys())[:3])
            missing = f"none of that name{', but ' if others else ''}{others}"
            got = f"shape {list(weights[name].shape)}" if name in weights else missing
            raise CheckpointError(explain(f"{where}, {name}", expected=f"shape {list(shape)}", got=got))


def objective(model: LanguageModel, batch: Any, state: Any) -> tuple[Tensor, Any]:
    """Cross entropy in nats per token of a chunk (x, y), each (T, B) int, and the state to carry on."""
    x, y = batch
    scores, state = model(as_tensor(x), state)
    return nn.functional.cross_entropy(scores.flatten(0, 1), as_tensor(y).flatten()), state


def load(path: str | os.PathLike[str]) -> LanguageModel:
    """The model that a run saved.

    path: its folder (the best weights if there are, otherwise the last), or one of the files. Raises
    MissingCheckpointError, CheckpointError, StateDictError or DataError.
    """
    where = os.fspath(path)
    if os.path.isdir(where):
        best = os.path.join(where, "best.safetensors")
        where = best if os.path.exists(best) else os.path.join(where, "last.safetensors")
    found = checkpoint.load(where)
    described = found.description.get("model") if isinstance(found.description, dict) else None
    weights = {name: array for name, array in found.arrays.items() if not name.startswith("run/")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of dropout without effect: who trained it was told
        model = LanguageModel.from_description(described, where, weights)
    model.load_state_dict(weights)
    model.eval()
    return model


def sample(
    model: LanguageModel,
    prompt: str = "",
    *,
    length: int = 200,
    temperature: float = 1.0,
    generator: np.random.Generator | None = None,
) -> Iterator[str]:
    """Let the model go on from a prompt, token by token, as text.

    temperature: below 1 bolder choices are made rarer, 0 always takes the likeliest. generator: seed 0 unless given.
    Raises DataError for a negative temperature or length, and for a prompt outside the vocabulary.
    """
    if not (np.isfinite(temperature) and temperature >= 0 and length >= 0):
        got = f"temperature {temperature} and length {length}"
        raise DataError(explain("sample", expected="a temperature and a length of at least 0", got=got))
    generator = np.random.default_rng(0) if generator is None else generator
    vocabulary = model.vocabulary
    ids = vocabulary.encode(prompt)
    if not len(ids):
        ids = generator.integers(0, len(vocabulary), 1)
    return _continued(model, ids, length, temperature, generator)


def _continued(
    model: LanguageModel, ids: np.ndarray, length: int, temperature: float, generator: np.random.Generator
) -> Iterator[str]:
    vocabulary, mode = model.vocabulary, model.training
    model.eval()
    try:
        state = None
        for _ in range(length):
            # The recording switch is closed for one step at a time: between two, the reader's own code runs.
            with no_grad():
                scores, state = model(from_numpy(ids[:, None]), state)
            ids = np.array([_draw(scores.numpy()[-1, 0].astype(np.float64), temperature, generator)])
            yield vocabulary.separator + vocabulary.decode(ids)
    finally:
        model.train(mode)


def _draw(scores: np.ndarray, temperature: float, generator: np.random.Generator) -> int:
    if not temperature:
        return int(scores.argmax())
    # A tiny temperature divides to infinity; differences beyond 700 make no difference.
    scaled = np.maximum((scores - scores.max()) / max(temperature, 1e-6), -700.0)
    chances = np.exp(scaled)
    return int(generator.choice(len(chances), p=chances / chances.sum()))
