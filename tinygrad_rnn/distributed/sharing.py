"""Which part of a batch, and of the state carried between batches, is whose.

Imports `errors`, Tensor and the World beside it. Every rank goes through the same global batches in the same order and
takes its rows of each; the place in the data is therefore one number, whatever the number of ranks, and so is the
order, if the ranks draw it from equal generators.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from ..errors import DistributedError, explain
from ..tensor import Tensor
from ..trees import gather, plant
from .world import World

__all__ = ["Share", "carried_by_all", "carried_by_one", "cut", "examples", "share"]

STATE_AXIS = 1  # of (L, B, H): the states of recurrent layers


def cut(batch: Any, world: World, axis: int) -> Any:
    """This rank's rows of a batch: of every array or Tensor in its tuples, lists and dicts.

    axis: which axis counts examples; arrays with fewer axes are cut along their last, so that axis=1 suits inputs of
    (T, B, D) with labels of (B,). A list of numbers or texts is cut as a list; other things are passed on whole.
    """
    if hasattr(batch, "shape"):
        at = min(axis, len(batch.shape) - 1)
        return batch[(slice(None),) * at + (world.rows(batch.shape[at]),)] if at >= 0 else batch
    if isinstance(batch, dict):
        return {key: cut(value, world, axis) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(cut(value, world, axis) for value in batch))
    if isinstance(batch, tuple | list):
        if isinstance(batch, list) and all(isinstance(item, int | float | str | bytes) for item in batch):
            return batch[world.rows(len(batch))]
        return type(batch)(cut(value, world, axis) for value in batch)
    return batch


def examples(batch: Any) -> int:
    """How much a batch counts: the entries of its last array, as in `train.mean_loss`, or of the array that it is.

    Raises DistributedError for a batch of another kind.
    """
    last: Any = batch[-1] if isinstance(batch, tuple | list) and batch else batch
    if hasattr(last, "shape"):
        return int(np.prod(last.shape))
    if isinstance(last, list | tuple):
        return len(last)
    do = "Pass weight=..., a function of the batch that tells how many examples its mean loss is over."
    got = f"a {type(batch).__name__}"
    raise DistributedError(explain("batch", expected="an array, or a tuple that ends with one", got=got, do=do))


class Share:
    """This rank's rows of batches, with the length, place and generator of the batches themselves.

    batches: an iterable of global batches, the same on all ranks. axis: see `cut`.
    """

    def __init__(self, batches: Iterable[Any], world: World, axis: int) -> None:
        self._batches, self._world, self._axis = batches, world, axis

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            yield cut(batch, self._world, self._axis)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._batches, name)


class _SizedShare(Share):
    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]


def share(batches: Any, world: World, axis: int | None = None) -> Any:
    """This rank's share of batches, as an iterable of the same kind; themselves if they were made with `ranks`.

    axis: which axis of the arrays counts examples. It may be left out for batches that say so by `batch_first`, as
    those of `data` do, and for a DataLoader, whose first axis it is. Raises DistributedError if it must be said.
    """
    if world.size == 1 or getattr(batches, "ranks", None) is not None:
        return batches
    if axis is None:
        first = getattr(batches, "batch_first", True if hasattr(batches, "collate_fn") else None)
        if first is None:
            do = "Pass axis=0 for (B, T, ...) or axis=1 for (T, B, ...)."
            got = f"a {type(batches).__name__}, which does not say"
            raise DistributedError(explain("batches", expected="to know the axis of the examples", got=got, do=do))
        axis = 0 if first else 1
    return (_SizedShare if hasattr(batches, "__len__") else Share)(batches, world, axis)


def carried_by_one(state: Any, world: World) -> Any:
    """The carried state of all ranks side by side, as one process would carry it; None if none carries any.

    state: None, or a tree of Tensors (L, B, H), this rank's rows each.
    """
    parts = [part for part in world.collect(gather(state), "the gathering of carried states") if part[0] is not None]
    if not parts:
        return None
    outline, first = parts[0]
    joined = {}
    for name, array in first.items():
        pieces = [arrays[name] for _, arrays in parts]
        joined[name] = np.concatenate(pieces, axis=STATE_AXIS) if array.ndim > STATE_AXIS else array
    return plant(outline, joined, tensor=Tensor)


def carried_by_all(state: Any, world: World) -> Any:
    """This rank's rows of a carried state, the inverse of `carried_by_one`."""
    outline, arrays = gather(state)
    own = {name: _rows(array, world) for name, array in arrays.items()}
    return plant(outline, own, tensor=Tensor)


def _rows(array: np.ndarray, world: World) -> np.ndarray:
    if array.ndim <= STATE_AXIS:
        return array
    return np.ascontiguousarray(array[:, world.rows(array.shape[STATE_AXIS])])
