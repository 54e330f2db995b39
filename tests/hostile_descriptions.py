"""Sound checkpoint files that say something absurd: the description is changed, and the checksum put right.

tests/checkpoint_mutations.py damages bytes; whoever wants to do harm computes the checksum anew.
"""

import copy
import io
from collections import Counter
from typing import Any

import numpy as np

import tinygrad_rnn as tg
from tinygrad_rnn import checkpoint, language, nn
from tinygrad_rnn.data import Vocabulary
from tinygrad_rnn.errors import TinygradError

DEEP: Any = []
for _ in range(200):
    DEEP = [DEEP]

ODD = [
    None, True, False, 0, 1, -1, 2, 30_000, 2**31, 2**40, 10**12, 10**30, 1.5, float("inf"), float("nan"), "", "8",
    "gru", "x" * 10_000, "\0", "__class__", "tinygrad_rnn.nn.layers.linear.Linear", "os.system", [], {}, [[]], [1, 2],
    {"a": 1}, {"": None}, ["x"] * 3, DEEP,
]  # fmt: skip


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree of JSON, the whole first."""
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(place for key, value in below for place in places(value, (*path, key)))]


def changed(tree: Any, rng: np.random.Generator) -> Any:
    """A copy with one to three values replaced, removed, repeated, swapped or given another key."""
    tree = copy.deepcopy(tree)
    for _ in range(1 + int(rng.integers(3))):
        found = places(tree)
        path = found[int(rng.integers(len(found)))]
        if not path:
            if rng.random() < 0.05:
                return copy.deepcopy(ODD[int(rng.integers(len(ODD)))])
            continue
        holder = tree
        for key in path[:-1]:
            holder = holder[key]
        odd = copy.deepcopy(ODD[int(rng.integers(len(ODD)))])
        what = rng.random()
        if what < 0.7:
            holder[path[-1]] = odd
        elif what < 0.8:
            del holder[path[-1]]
        elif isinstance(holder, list):
            holder.insert(path[-1], odd if what < 0.9 else copy.deepcopy(holder[path[-1]]))
        else:
            holder[odd if isinstance(odd, str) else "more"] = holder[path[-1]]
    return tree


class Tied(nn.Module):
    """A module with most of what a description holds: lists, tied weights, buffers, plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(2, 2), nn.BatchNorm1d(2), nn.GRU(2, 2)])
        self.tied = self.layers[0]
        self.options = {"rate": 0.5, "sizes": (1, 2), "dtype": np.dtype(np.float32), "scale": tg.ones(2)}


def sound() -> dict[str, tuple[bytes, Any]]:
    """Name -> a file, and what reads it."""
    model = language.LanguageModel(Vocabulary.of_characters("abcd"), "gru", hidden=4, embedding=3, layers=2)
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    optimizer = tg.optim.Adam(model.parameters())
    model(tg.tensor([[0], [1]]))[0].sum().backward()
    optimizer.step()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "pair": (1, [2.5, None])}
    return {
        "language model": (checkpoint.pack(weights, description={"model": model.describe()}), language.load),
        "module": (saved(Tied()), load_allowed),
        "state": (saved(state), load_allowed),
    }


def saved(obj: Any) -> bytes:
    """What tg.save writes."""
    file = io.BytesIO()
    tg.save(obj, file)
    return file.getvalue()


def load_allowed(path: Any) -> Any:
    """tg.load for somebody who trusts the class above."""
    with tg.serialization.safe_globals([Tied]):
        return tg.load(path)


def fuzz(count: int, rng: np.random.Generator, path: Any) -> Counter[str]:
    """Load so many changed files; anything but a result or one of our errors is raised. Returns the verdicts."""
    verdicts: Counter[str] = Counter()
    files = [(checkpoint.unpack(data), load) for data, load in sound().values()]
    for k in range(count):
        (arrays, metadata, description), load = files[k % len(files)]
        other = {key: value for key, value in metadata.items() if key != "format"}
        path.write_bytes(checkpoint.pack(arrays, description=changed(description, rng), metadata=other))
        try:
            load(path)
        except TinygradError:
            verdicts["refused"] += 1
        else:
            verdicts["loaded"] += 1
    return verdicts
