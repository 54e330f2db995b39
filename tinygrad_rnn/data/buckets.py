"""Sequences of unequal length in padded batches, neighbours in length together.

Floor 0: imports `errors` and `streams.positive`. Sorting whole epochs by length would waste no padding and learn
    badly, so each epoch is shuffled, cut into pools of some batches, sorted inside each pool, and the batches
    shuffled again.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, SupportsIndex

import numpy as np

from tinygrad_rnn.data.streams import positive
from tinygrad_rnn.errors import DataError, explain

__all__ = ["BucketBatches", "PaddedBatch", "pad"]


class PaddedBatch(NamedTuple):
    """B sequences of at most T steps, longest first.

    inputs: (T, B, ...), padded at the end, or (B, T, ...) if asked for. lengths: (B,) int64, falling. indices: (B,)
        int64, which sequences these are; labels are picked by it: `labels[batch.indices]`.
    """

    inputs: np.ndarray
    lengths: np.ndarray
    indices: np.ndarray


def pad(
    sequences: Sequence[np.ndarray | Sequence[Any]], *, value: float = 0, batch_first: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Stack sequences of unequal length, the shorter ones padded at the end.

    sequences: B arrays (length, ...), equal in dtype and in all axes after the first. value: what the padding holds.
    Returns (T, B, ...), or (B, T, ...) with `batch_first`, T the longest; and the lengths, (B,) int64.
    Raises DataError for no sequences, an empty one, or unequal dtypes or inner shapes, naming which.
    """
    arrays = _checked("pad", sequences)
    lengths = np.array([len(array) for array in arrays], np.int64)
    padded = np.full((len(arrays), lengths.max(), *arrays[0].shape[1:]), value, arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: len(array)] = array
    return (padded if batch_first else np.ascontiguousarray(padded.swapaxes(0, 1))), lengths


class BucketBatches:
    """Padded batches of similar lengths, in a fresh random order each epoch, resumable in the middle.

    sequences: N arrays (length, ...), each at least one step long, equal in dtype and inner shape.
    batch: B sequences at a time, fewer in a pool's last batch. generator: draws the order; nothing else is random.
    pool: how many batches are sorted by length together; 1 mixes fully, more wastes less padding.
    padding: what fills up the shorter sequences. batch_first: give (B, T, ...) instead of (T, B, ...).
    Attributes: `position`, the batch that comes next; `epoch`, how many are complete.
    Raises DataError as `pad` does, here and not in mid-epoch.
    """

    def __init__(
        self,
        sequences: Sequence[np.ndarray | Sequence[Any]],
        *,
        batch: SupportsIndex,
        generator: np.random.Generator,
        pool: SupportsIndex = 50,
        padding: float = 0,
        batch_first: bool = False,
    ) -> None:
        self.batch, self.pool = positive("batch", batch), positive("pool", pool)
        if not isinstance(generator, np.random.Generator):
            do = "Pass np.random.default_rng(seed)."
            got = type(generator).__name__
            raise DataError(explain("generator", expected="a numpy.random.Generator", got=got, do=do))
        self.generator, self.padding, self.batch_first = generator, padding, batch_first
        self._sequences = _checked("sequences", sequences)
        self._lengths = np.array([len(sequence) for sequence in self._sequences], np.int64)
        self.position, self.epoch = 0, 0
        self._before: Mapping[str, Any] | None = None
        self._order: list[np.ndarray] = []

    def __len__(self) -> int:
        """Batches in an epoch."""
        whole, rest = divmod(len(self._sequences), self.batch * self.pool)
        return whole * self.pool + -(-rest // self.batch)

    def __iter__(self) -> Iterator[PaddedBatch]:
        if self._before is None:
            self._begin_epoch()
        while self.position < len(self):
            indices = self._order[self.position]
            self.position += 1
            inputs, lengths = pad(
                [self._sequences[i] for i in indices], value=self.padding, batch_first=self.batch_first
            )
            yield PaddedBatch(inputs, lengths, indices.copy())
        self.position, self.epoch, self._before = 0, self.epoch + 1, None

    def state_dict(self) -> dict[str, Any]:
        """Position, epoch, and the state that the generator had when the epoch's order was drawn; JSON can hold it."""
        return {
            "position": self.position,
            "epoch": self.epoch,
            "order": self._before,
            "sequences": len(self._sequences),
            "batch": self.batch,
            "pool": self.pool,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken: the same order for the rest of the epoch.

        The generator itself is left as it is: it belongs to the caller, who saves and restores it with the others.
        Raises DataError if the state was taken of other data or is no such state.
        """
        for key, here in (("sequences", len(self._sequences)), ("batch", self.batch), ("pool", self.pool)):
            if state.get(key) != here:
                do = "Resume with the data, batch and pool that the run began with."
                raise DataError(explain(f"bucket state, {key}", expected=str(here), got=str(state.get(key)), do=do))
        position, epoch, before = state.get("position"), state.get("epoch"), state.get("order")
        if type(position) is not int or type(epoch) is not int or not 0 <= position <= len(self) or epoch < 0:
            expected, got = f"position 0 to {len(self)} and an epoch", f"{position!r} and {epoch!r}"
            raise DataError(explain("bucket state", expected=expected, got=got))
        order: list[np.ndarray] = []
        if before is not None:
            twin = type(self.generator.bit_generator)()
            try:
                twin.state = before
            except (ValueError, TypeError, KeyError) as error:
                expected = f"the state of a {type(twin).__name__}"
                raise DataError(explain("bucket state, order", expected=expected, got=str(error))) from error
            order = self._drawn(np.random.Generator(twin))
        self.position, self.epoch, self._before, self._order = position, epoch, before, order

    def _begin_epoch(self) -> None:
        self._before = self.generator.bit_generator.state
        self._order = self._drawn(self.generator)

    def _drawn(self, generator: np.random.Generator) -> list[np.ndarray]:
        """The batches of an epoch as arrays of indices, each longest first."""
        order = generator.permutation(len(self._sequences))
        batches = []
        for start in range(0, len(order), self.batch * self.pool):
            pooled = order[start : start + self.batch * self.pool]
            ranked = pooled[np.argsort(-self._lengths[pooled], kind="stable")]
            batches.extend(ranked[at : at + self.batch] for at in range(0, len(ranked), self.batch))
        return [batches[i] for i in generator.permutation(len(batches))]


def _checked(where: str, sequences: Sequence[np.ndarray | Sequence[Any]]) -> list[np.ndarray]:
    arrays = [np.asarray(sequence) for sequence in sequences]
    if not arrays:
        raise DataError(explain(where, expected="at least one sequence", got="none"))
    for i, array in enumerate(arrays):
        if array.ndim == 0 or not len(array):
            got = "a single number" if array.ndim == 0 else "an empty one"
            raise DataError(explain(f"sequence {i}", expected="a sequence of at least one step", got=got))
        if array.shape[1:] != arrays[0].shape[1:] or array.dtype != arrays[0].dtype:
            expected = f"steps as in sequence 0, {arrays[0].dtype} of shape {arrays[0].shape[1:]}"
            got = f"{array.dtype} of shape {array.shape[1:]}"
            raise DataError(explain(f"sequence {i}", expected=expected, got=got))
    return arrays
