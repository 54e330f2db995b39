"""Datasets and loaders in PyTorch's words: `from tinygrad_rnn.utils.data import DataLoader`.

One process: NumPy indexing is fast, so `num_workers` and `pin_memory` are accepted and ignored. Orders are drawn from a
generator that can be passed, and saved, so a run can be repeated and resumed.
"""

from __future__ import annotations

import inspect
import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..ops.random import resolve
from ..tensor import Tensor, array_of, make


class Dataset:
    """Something with `__getitem__(i)` and, unless it is only iterated over, `__len__`."""

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__}.__getitem__: a Dataset must define it.")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """A dataset that is only iterated over: a stream. Define `__iter__`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__}.__iter__: an IterableDataset must define it.")


class TensorDataset(Dataset):
    """Tensors with the same first axis; item i is the tuple of their rows i. Raises ShapeError if the sizes differ."""

    def __init__(self, *tensors: Tensor) -> None:
        if any(t.shape[0] != tensors[0].shape[0] for t in tensors):
            raise ShapeError(f"Size mismatch between tensors: first axes {[t.shape[0] for t in tensors]}.")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(t[index] for t in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].shape[0]


class ConcatDataset(Dataset):
    """Datasets one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("datasets should not be an empty iterable")
        self.cumulative_sizes = np.cumsum([len(d) for d in self.datasets]).tolist()

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for a dataset of {len(self)} items")
        index %= len(self)
        which = bisect_right(self.cumulative_sizes, index)
        return self.datasets[which][index - (self.cumulative_sizes[which - 1] if which else 0)]


class Subset(Dataset):
    """Some items of a dataset, by their numbers."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: int) -> Any:
        return self.dataset[self.indices[index]]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(dataset: Any, lengths: Sequence[float], generator: np.random.Generator | None = None) -> list[Subset]:
    """Split at random into parts that do not overlap.

    lengths: sizes that add up to that of the dataset, or shares that add up to 1; what rounding leaves over goes to the
    first parts, one item each. generator: what draws. Raises ValueError if they do not add up.
    """
    sizes = list(lengths)
    total = len(dataset)
    if math.isclose(sum(sizes), 1) and sum(sizes) <= 1:
        if any(not 0 <= share <= 1 for share in sizes):
            raise ValueError(f"random_split: expected shares between 0 and 1, got {sizes}.")
        sizes = [math.floor(total * share) for share in sizes]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != total:
        raise ValueError(
            f"Sum of input lengths does not equal the length of the input dataset! Expected {total}, got {sum(sizes)}."
        )
    order = resolve(generator).permutation(total).tolist()
    ends = np.cumsum(sizes).tolist()
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def default_collate(batch: Sequence[Any]) -> Any:
    """Make one batch of a list of items: tensors, arrays and numbers are stacked; tuples, lists and dicts entry by
    entry.

    Raises TypeError for other items: pass a collate_fn.
    """
    first = batch[0]
    if isinstance(first, Tensor | np.ndarray | np.generic):
        return make(np.stack([array_of(item) for item in batch]))
    if isinstance(first, float):
        return make(np.asarray(batch, np.float64))
    if isinstance(first, int):
        return make(np.asarray(batch))
    if isinstance(first, str | bytes):
        return list(batch)
    if isinstance(first, Mapping):
        return {key: default_collate([item[key] for item in batch]) for key in first}
    if isinstance(first, tuple | list):
        columns = [default_collate(list(column)) for column in zip(*batch, strict=True)]
        return type(first)(*columns) if hasattr(first, "_fields") else columns
    raise TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {type(first)}. "
        f"Pass collate_fn."
    )


_OF_WORKERS = frozenset(
    "timeout worker_init_fn multiprocessing_context prefetch_factor persistent_workers pin_memory_device "
    "in_order".split()
)
"""Options of PyTorch's that say how several processes load: accepted, and of no effect."""


class DataLoader:
    """Batches of a dataset: `for x, y in DataLoader(dataset, batch_size=32, shuffle=True, generator=g)`.

    batch_size: items per batch; None gives single items. shuffle: in a new order at every pass. drop_last: leave out a
    last, smaller batch. collate_fn: list of items -> batch, `default_collate` unless given. sampler: gives the order,
    instead of shuffle;
    batch_sampler: gives lists of numbers, instead of batch_size, shuffle, sampler and drop_last.
    generator: what draws the order. num_workers, pin_memory and the like are accepted and ignored.
    Raises ValueError for options that exclude each other or a batch_size below 1, TypeError for one that is unknown.
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        *,
        generator: np.random.Generator | None = None,
        **ignored: Any,
    ) -> None:
        unknown = [name for name in ignored if name not in _OF_WORKERS]
        if unknown:
            known = ", ".join(inspect.signature(DataLoader).parameters)
            raise TypeError(f"DataLoader: unknown option {unknown[0]!r}. Known are {known.removesuffix(', ignored')}.")
        if sampler is not None and shuffle:
            raise ValueError("sampler option is mutually exclusive with shuffle")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ValueError(
                "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last"
            )
        if batch_size is not None and (not isinstance(batch_size, int) or batch_size <= 0):
            raise ValueError(f"batch_size should be a positive integer value, but got batch_size={batch_size}")
        if batch_size is None and drop_last:
            raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")
        if isinstance(dataset, IterableDataset) and (shuffle or sampler is not None or batch_sampler is not None):
            raise ValueError("DataLoader with IterableDataset: expected no shuffle, sampler or batch_sampler option")
        self.dataset: Any = dataset
        self.batch_size = batch_size if batch_sampler is None else None
        self.shuffle = bool(shuffle)
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.num_workers = num_workers
        self.collate_fn = collate_fn or (default_collate if batch_size is not None else (lambda item: item))
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.generator = generator

    def _order(self) -> Iterable[int]:
        if self.sampler is not None:
            return self.sampler
        if self.shuffle:
            return resolve(self.generator).permutation(len(self.dataset)).tolist()
        return range(len(self.dataset))

    def __iter__(self) -> Iterator[Any]:
        if self.batch_sampler is not None:
            for numbers in self.batch_sampler:
                yield self.collate_fn([self.dataset[i] for i in numbers])
            return
        streaming = isinstance(self.dataset, IterableDataset)
        items = iter(self.dataset) if streaming else (self.dataset[i] for i in self._order())
        if self.batch_size is None:
            yield from map(self.collate_fn, items)
            return
        batch: list[Any] = []
        for item in items:
            batch.append(item)
            if len(batch) == self.batch_size:
                yield self.collate_fn(batch)
                batch = []
        if batch and not self.drop_last:
            yield self.collate_fn(batch)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        size = len(self.dataset if self.sampler is None else self.sampler)  # type: ignore[arg-type]
        if self.batch_size is None:
            return size
        return size // self.batch_size if self.drop_last else math.ceil(size / self.batch_size)
