"""The folder of a run: last and best checkpoint and the metrics, and what may be done to them.

Imports `checkpoint`, `trees` and the metrics beside it.
"""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tinygrad_rnn import checkpoint
from tinygrad_rnn.errors import CheckpointError, explain
from tinygrad_rnn.files import Path, advice, remove_leftovers
from tinygrad_rnn.tensor import Tensor
from tinygrad_rnn.train import metrics
from tinygrad_rnn.trees import gather, plant

__all__ = ["BEST", "LAST", "METRICS", "Held", "RunFolder"]

LAST, BEST, METRICS = "last.safetensors", "best.safetensors", "metrics.jsonl"
_RUN = "run"  # what the names of all arrays in LAST begin with that are no weights


class Held(NamedTuple):
    """What a last checkpoint holds: the weights by name, and the rest of the run."""

    weights: dict[str, np.ndarray]
    run: Any


class RunFolder:
    """Where a run keeps its files, each a checkpoint of its own.

    In LAST the weights stand under their own names, everything else under names that begin with "run/"; BEST holds
    weights alone, so PyTorch loads it as it is. Both carry {"model": description, ...} as their description.
    path: the folder, which need not exist. description: of the model, whatever JSON can hold.
    """

    def __init__(self, path: Path, description: Any) -> None:
        self.path, self.description = os.fspath(path), description

    def of(self, name: str) -> str:
        """The path of one of the three files."""
        return os.path.join(self.path, name)

    def claim(self, *, overwrite: bool) -> None:
        """Make the folder, or empty it of an earlier run if that is wanted.

        Raises CheckpointError if it holds a run and may not be emptied, or cannot be made.
        """
        old = [path for path in map(self.of, (LAST, BEST, METRICS)) if os.path.lexists(path)]
        if old and not overwrite:
            do = "Call resume() to go on with it, choose another folder, or pass overwrite=True."
            got = ", ".join(map(os.path.basename, old))
            raise CheckpointError(explain(self.path, expected="no training run", got=got, do=do))
        try:
            os.makedirs(self.path, exist_ok=True)
            for path in old:
                os.unlink(path)
        except OSError as error:
            got, do = advice(error)
            raise CheckpointError(explain(self.path, expected="a folder for the run", got=got, do=do)) from error

    def save_last(self, weights: Mapping[str, Any], run: Any) -> None:
        """Replace LAST. Raises CheckpointError, with the one before untouched."""
        outline, arrays = gather(run, root=_RUN)
        description = {"model": self.description, "run": outline}
        checkpoint.save(self.of(LAST), arrays | dict(weights), description=description)

    def save_best(self, weights: Mapping[str, Any], **figures: Any) -> None:
        """Replace BEST, the figures beside the description. Raises CheckpointError, with the one before untouched."""
        checkpoint.save(self.of(BEST), dict(weights), description={"model": self.description, **figures})

    def load_last(self) -> Held:
        """Read LAST, changing nothing.

        Raises MissingCheckpointError if there is none, CheckpointError if it is damaged, holds no run, or is of a model
        with another description.
        """
        path = self.of(LAST)
        found = checkpoint.load(path)
        held = found.description if isinstance(found.description, dict) else {}
        if "run" not in held:
            do = "Only files written by Trainer.save can be resumed."
            raise CheckpointError(explain(path, expected="a training run", got="weights without one", do=do))
        if _json(held.get("model")) != _json(self.description):
            do = "Resume with the configuration that the run began with, or choose another folder."
            expected, got = f"the model {_json(self.description):.200}", f"{_json(held.get('model')):.200}"
            raise CheckpointError(explain(path, expected=expected, got=got, do=do))
        weights = {name: array for name, array in found.arrays.items() if not name.startswith(_RUN + "/")}
        return Held(weights, plant(held["run"], found.arrays, tensor=Tensor))

    def rewind(self, step: int) -> None:
        """Drop metrics of later steps, which a resumed run writes again, and what a killed process left unfinished."""
        metrics.rewind(self.of(METRICS), step)
        for name in (LAST, BEST, METRICS):
            remove_leftovers(self.of(name))

    def note(self, figures: dict[str, Any]) -> None:
        """Add a line of metrics."""
        metrics.append(self.of(METRICS), figures)


def _json(description: Any) -> str:
    """The description as a checkpoint gives it back: lists for tuples, strings for keys."""
    return json.dumps(json.loads(json.dumps(description)), sort_keys=True)
