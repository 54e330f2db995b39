"""One long stream of numbers cut into batches for truncated backpropagation through time.

Floor 0: imports `errors`, and the numbers of a text. The stream is laid out as B parallel tracks, each a contiguous
stretch of it, and every batch is the next T steps of all tracks: the state after one batch is the initial state of the
next, detached.
Source: the `batchify` and `get_batch` of pytorch/examples, word_language_model.
"""

import operator
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, SupportsIndex

import numpy as np

from tinygrad_rnn.data.shared import Numbers, Ranks
from tinygrad_rnn.errors import DataError, explain

__all__ = ["StreamBatches", "positive"]

_CHUNK = 1 << 16


class StreamBatches:
    """Chunks of T steps over B tracks of a stream, targets shifted by one, resumable in the middle.

    stream: (N,) integers, N >= 2 * batch; the last N % batch numbers find no place. Whatever slices will do: an array,
        one mapped from a file (`np.load(..., mmap_mode="r")`), the `Numbers` of a text; it is kept in its dtype.
    batch: B, the number of tracks. time: T, steps per chunk; the last chunk of a pass is shorter unless `drop_last`.
    batch_first: give (B, T) instead of (T, B).
    ranks: the `distributed.world()` whose ranks share each batch. Only this rank's tracks are then read, kept and
        given, and all ranks must make the batches together; `position` and `state_dict` are those of the whole.
    Attributes: `position`, the chunk that comes next; `epoch`, how many passes are complete.
    Raises DataError for a stream of another shape or dtype, or too short.

    Iterating gives (inputs, targets), each (T, B) int64, from `position` to the end of the pass, and then turns
    `position` back to 0. Carry the state from one to the next and start each pass from zeros (`position == 0`):

    >>> for x, y in StreamBatches(np.arange(10), batch=2, time=3):
    ...     print(x.T.tolist(), y.T.tolist())
    [[0, 1, 2], [5, 6, 7]] [[1, 2, 3], [6, 7, 8]]
    [[3], [8]] [[4], [9]]
    """

    def __init__(
        self,
        stream: np.ndarray | Numbers | Sequence[int],
        *,
        batch: SupportsIndex,
        time: SupportsIndex,
        batch_first: bool = False,
        drop_last: bool = False,
        ranks: Ranks | None = None,
    ) -> None:
        numbers = stream if isinstance(stream, np.ndarray | Numbers) else np.asarray(stream)
        self.batch, self.time = positive("batch", batch), positive("time", time)
        self.batch_first, self.ranks = batch_first, ranks
        if len(numbers.shape) != 1 or numbers.dtype.kind not in "iu":
            got = f"{numbers.dtype} of shape {numbers.shape}"
            do = "Encode text with a Vocabulary first."
            raise DataError(explain("stream", expected="integers of shape (N,)", got=got, do=do))
        steps = len(numbers) // self.batch - 1
        smallest = self.time if drop_last else 1
        if steps < smallest:
            tracks = f"{self.batch} track{'' if self.batch == 1 else 's'}"
            expected = f"at least {self.batch * (smallest + 1):,} numbers for {tracks}"
            do = "Use a longer text, or a smaller batch or time."
            raise DataError(explain("stream", expected=expected, got=f"{len(numbers):,}", do=do))
        self._steps = steps // self.time * self.time if drop_last else steps
        own = ranks.rows(self.batch) if ranks else slice(0, self.batch)
        tracks = np.asarray(numbers[own.start * (steps + 1) : own.stop * (steps + 1)]).reshape(-1, steps + 1)
        sums = [_checksum(track) for track in tracks]
        if ranks:
            sums = [number for part in ranks.collect(sums, "the comparison of tracks") for number in part]
        self._crc32 = zlib.crc32(np.array(sums, "<u4").data)
        # Time in front, so that a chunk of T steps is one contiguous block of memory.
        self._tracks = np.array(tracks.T, order="C")
        self.position, self.epoch = 0, 0

    def __len__(self) -> int:
        """Chunks in a full pass."""
        return (self._steps + self.time - 1) // self.time

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while self.position < len(self):
            start = self.position * self.time
            stop = min(start + self.time, self._steps)
            # Counted before it is handed out: a checkpoint written inside the loop's body resumes after this chunk.
            self.position += 1
            yield self._laid(self._tracks[start:stop]), self._laid(self._tracks[start + 1 : stop + 1])
        self.position, self.epoch = 0, self.epoch + 1

    def state_dict(self) -> dict[str, int]:
        """Where the stream stands, as numbers that JSON can hold, with what identifies the stream."""
        return {"position": self.position, "epoch": self.epoch, **self._identity()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken.

        Raises DataError if it was taken of another stream or layout, or is no such state; nothing is changed then.
        """
        for key, here in self._identity().items():
            if state.get(key) != here:
                do = "Resume with the text, batch and time that the run began with."
                raise DataError(explain(f"stream state, {key}", expected=str(here), got=str(state.get(key)), do=do))
        position, epoch = state.get("position"), state.get("epoch")
        if type(position) is not int or type(epoch) is not int or not 0 <= position <= len(self) or epoch < 0:
            expected, got = f"position 0 to {len(self)} and an epoch", f"{position!r} and {epoch!r}"
            raise DataError(explain("stream state", expected=expected, got=got))
        self.position, self.epoch = position, epoch

    def _identity(self) -> dict[str, int]:
        return {"batch": self.batch, "time": self.time, "steps": self._steps, "crc32": self._crc32}

    def _laid(self, chunk: np.ndarray) -> np.ndarray:
        """A copy, so that nobody changes the stream through what was handed out."""
        return (chunk.T if self.batch_first else chunk).astype(np.int64, order="C")


def _checksum(track: np.ndarray) -> int:
    """Of the numbers, whatever their dtype."""
    crc = 0
    for at in range(0, len(track), _CHUNK):
        crc = zlib.crc32(track[at : at + _CHUNK].astype("<i8").data, crc)
    return crc


def positive(name: str, value: SupportsIndex) -> int:
    """An integer of at least 1, whatever integer type it came as. Raises DataError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise DataError(explain(name, expected="an integer of at least 1", got=repr(value)))
    return number
