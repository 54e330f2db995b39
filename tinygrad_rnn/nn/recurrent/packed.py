"""Sequences of unequal lengths in one tensor without padding, in PyTorch's layout.

`data` holds step 0 of all sequences, then step 1 of those that have one, and so on; the sequences stand in order of
falling length, so step t is the next `batch_sizes[t]` rows and always the first of the batch. One index op packs and
one unpacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...dtypes import as_dtype
from ...errors import ShapeError
from ...ops.elementwise import where
from ...ops.index import Slot, take
from ...ops.shape import reshape, stack
from ...reading import values_of
from ...tensor import Tensor, cast, make

_WHAT = "the lengths of sequences (a list of them is known, and selects the program)"


class PackedSequence(NamedTuple):
    """A batch of sequences of unequal lengths; make one with `pack_padded_sequence` or `pack_sequence`.

    data: (N, ...), N the sum of all lengths. batch_sizes: (T,) int64, how many sequences have a step t.
    sorted_indices: (B,) int64 or None, where in the caller's batch the sequences stood. unsorted_indices: its inverse.
    """

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """The same with data of another dtype: `to(float64)`; the only device is the CPU."""
        dtype = next((a for a in (*args, *kwargs.values()) if not isinstance(a, str | bool)), None)
        return self if dtype is None else self._replace(data=cast(self.data, as_dtype(dtype)))

    def double(self) -> PackedSequence:
        """The same with float64 data."""
        return self.to(np.float64)

    def float(self) -> PackedSequence:
        """The same with float32 data."""
        return self.to(np.float32)

    def cpu(self) -> PackedSequence:
        """Itself: everything is on the CPU."""
        return self


def _lengths(lengths: Any) -> np.ndarray:
    return np.asarray(values_of(lengths, _WHAT) if not isinstance(lengths, list | tuple) else [int(n) for n in lengths])


def _rows(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Falling lengths (B,) -> batch sizes (T,), and the place in the packed data of step t of sequence b, (T, B)."""
    steps = np.arange(int(lengths[0]) if len(lengths) else 0)
    sizes = (lengths[None, :] > steps[:, None]).sum(1)
    return sizes, (np.cumsum(sizes) - sizes)[:, None] + np.arange(len(lengths))


def _order(lengths: np.ndarray, enforce_sorted: bool) -> np.ndarray | None:
    if not enforce_sorted:
        return np.argsort(-lengths, kind="stable")
    if (lengths[1:] > lengths[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    return None


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Leave out the padding.

    input: (T, B, ...), or (B, T, ...) if batch_first. lengths: (B,) int, list, array or Tensor, each from 1 to T.
    enforce_sorted: expect the lengths in falling order; if False they are sorted, and results put back in order.
    Raises RuntimeError for a length below 1 or unsorted lengths, ShapeError for one above T or not one per sequence.
    """
    sizes = _lengths(lengths)
    time, batch = (1, 0) if batch_first else (0, 1)
    if sizes.shape != (input.shape[batch],):
        raise ShapeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} "
            f"(batch_size={input.shape[batch]})."
        )
    if not len(sizes) or sizes.min() <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if sizes.max() > input.shape[time]:
        raise ShapeError(
            f"pack_padded_sequence: expected lengths up to {input.shape[time]}, the padded length, got {sizes.max()}."
        )
    order = _order(sizes, enforce_sorted)
    ordered = sizes if order is None else sizes[order]
    batch_sizes, _ = _rows(ordered)
    step, place = np.nonzero(ordered[None, :] > np.arange(len(batch_sizes))[:, None])
    column = place if order is None else order[place]
    row = column * input.shape[1] + step if batch_first else step * input.shape[1] + column
    flat = reshape(input, shape=(input.shape[0] * input.shape[1], *input.shape[2:]))
    data = take(flat, make(row), pattern=(Slot(0),))
    if order is None:
        return PackedSequence(data, make(batch_sizes))
    return PackedSequence(data, make(batch_sizes), make(order), make(np.argsort(order)))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Put the padding back: (T, B, ...), or (B, T, ...) if batch_first, and the lengths (B,) int64.

    padding_value: what stands behind the end. total_length: T, at least the longest length (the default).
    Raises ValueError if total_length is too short.
    """
    sizes = sequence.batch_sizes._known(_WHAT)
    longest = len(sizes)
    if total_length is not None and total_length < longest:
        raise ValueError(
            f"Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    lengths = (sizes[:, None] > np.arange(sizes[0])).sum(0)
    total = longest if total_length is None else total_length
    _, rows = _rows(lengths)
    inside = np.arange(total)[:, None] < lengths
    rows = np.where(inside, np.concatenate([rows, np.zeros((total - longest, len(lengths)), rows.dtype)]), 0)
    if sequence.unsorted_indices is not None:
        back = sequence.unsorted_indices._known(_WHAT)
        rows, inside, lengths = rows[:, back], inside[:, back], lengths[back]
    if batch_first:
        rows, inside = rows.T, inside.T
    padded = take(sequence.data, make(np.ascontiguousarray(rows)), pattern=(Slot(0),))
    if not inside.all():
        mask = inside.reshape(*inside.shape, *(1,) * (padded.ndim - 2))
        padded = where(make(mask), padded, make(np.asarray(padding_value, padded.dtype)))
    return padded, make(lengths)


def pad_sequence(
    sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Tensors (T_b, ...) of unequal lengths -> (T, B, ...), or (B, T, ...) if batch_first, filled up with
    padding_value.

    padding_side: "right" or "left". Raises ValueError for another side or no sequences, ShapeError if the other axes
    differ.
    """
    if padding_side not in ("left", "right"):
        raise ValueError(f"pad_sequence: expected padding_side 'left' or 'right', got {padding_side!r}.")
    parts = [s if isinstance(s, Tensor) else make(np.asarray(s)) for s in sequences]
    if not parts:
        raise ValueError("pad_sequence: expected at least one sequence, got none.")
    if any(part.shape[1:] != parts[0].shape[1:] for part in parts):
        shapes = [list(part.shape) for part in parts]
        raise ShapeError(f"pad_sequence: expected sequences that differ in their first axis only, got {shapes}.")
    longest = max(part.shape[0] for part in parts)
    padded = []
    for part in parts:
        gap = longest - part.shape[0]
        side = (0, gap) if padding_side == "right" else (gap, 0)
        width = (side, *((0, 0),) * (part.ndim - 1))
        padded.append(np.pad(part, width, constant_values=padding_value) if gap else part)
    return stack(*padded, axis=0 if batch_first else 1)


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack tensors (T_b, ...) of unequal lengths; arguments and errors as `pack_padded_sequence`."""
    return pack_padded_sequence(pad_sequence(sequences), [len(s) for s in sequences], enforce_sorted=enforce_sorted)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """(T, B, ...), or (B, T, ...) if batch_first, and lengths (B,) -> a list of tensors (T_b, ...)."""
    return [
        padded_sequences[(b, slice(0, int(n))) if batch_first else (slice(0, int(n)), b)]
        for b, n in enumerate(_lengths(lengths))
    ]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """A list of tensors (T_b, ...), in the order they had before packing."""
    return unpad_sequence(*pad_packed_sequence(packed_sequences))
