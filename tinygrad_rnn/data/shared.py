"""A text as numbers, read by several processes together: each reads its share of the file, and none all of it.

Floor 0: imports `errors`, the vocabulary and the numbers of this folder. Whoever takes part is handed in, as `Ranks`:
`distributed.world()`, or nobody else.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from tinygrad_rnn.data.vocabulary import UNKNOWN, Vocabulary
from tinygrad_rnn.errors import DataError, explain

__all__ = ["Numbers", "Pieces", "Ranks", "SharedText"]


class Ranks(Protocol):
    """What sharing needs of `distributed.World`."""

    def rows(self, count: int, /) -> slice:
        """Which of so many things are this rank's: contiguous, in the order of ranks."""
        ...

    def collect(self, thing: Any, what: str, /) -> list[Any]:
        """What all ranks pass, in their order."""
        ...

    def merge(self, thing: Any, join: Callable[[Any, Any], Any], what: str, /) -> Any:
        """What all ranks pass, joined two by two."""
        ...


class Pieces(Protocol):
    """Strings that joined are a text, of which any can be had: `TextPieces`, or a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, k: int, /) -> str: ...


class SharedText:
    """The tokens of a text, counted once by all ranks together; the numbers of any stretch can then be read by any.

    pieces: of the text, the same on every rank; with words, a word must lie in one piece.
    words: tokens are words between white space, otherwise characters.
    ranks: who takes part, each reading its share of the pieces; None: nobody else.
    All ranks must make it together. Memory: a piece, 8 bytes for each piece, and the distinct tokens.
    Raises DataError for a text without tokens, if the ranks have different texts, and what reading pieces raises.
    """

    def __init__(self, pieces: Pieces, *, words: bool = False, ranks: Ranks | None = None) -> None:
        self.pieces, self.words = pieces, words
        own = ranks.rows(len(pieces)) if ranks else slice(0, len(pieces))
        found: Any = Counter() if words else set()
        counts = []
        for k in range(own.start, own.stop):
            tokens = self.tokens(k)
            found.update(tokens)
            counts.append(len(tokens))
        parts = [(len(pieces), getattr(pieces, "bytes", None), counts)]
        if ranks:
            parts = ranks.collect(parts[0], "the counting of the text")
            found = ranks.merge(found, _joined, "the reduction of the vocabulary")
        _same(parts)
        self.found = found
        self.starts = np.concatenate([[0], np.cumsum([count for part in parts for count in part[2]])]).astype(np.int64)
        if not len(self):
            raise DataError(explain("text", expected="at least one token", got="none", do="Give a longer text."))

    def __len__(self) -> int:
        """Tokens in all."""
        return int(self.starts[-1])

    def tokens(self, k: int) -> Sequence[str]:
        """Read the tokens of a piece."""
        return self.pieces[k].split() if self.words else self.pieces[k]

    def vocabulary(self, *, size: int | None = None) -> Vocabulary:
        """Of all tokens; as `Vocabulary.of_words`, with `<unk>` and at most so many, or `of_characters`."""
        if self.words:
            return Vocabulary.of_counts(self.found, size=size, unknown=UNKNOWN)
        return Vocabulary.of_characters(self.found)

    def numbers(self, vocabulary: Vocabulary) -> "Numbers":
        """The text as the vocabulary numbers it; nothing is read yet."""
        return Numbers(self, vocabulary, 0, len(self))


class Numbers:
    """A stretch of a text as numbers, read from its pieces whenever `np.asarray(...)` is taken of it.

    A slice of it is a stretch again; `shape` is (N,), `dtype` the smallest unsigned one that holds the vocabulary.
    Reading raises DataError for a token outside the vocabulary, if that has no `unknown`, and if the text has changed.
    """

    def __init__(self, text: SharedText, vocabulary: Vocabulary, start: int, stop: int) -> None:
        self._text, self._vocabulary, self._start, self._stop = text, vocabulary, start, stop
        self.shape = (stop - start,)
        self.dtype = np.min_scalar_type(len(vocabulary) - 1)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, stretch: slice) -> "Numbers":
        start, stop, step = stretch.indices(len(self))
        if step != 1:
            raise DataError(explain("numbers of a text", expected="a stretch without gaps", got=f"a step of {step}"))
        return Numbers(self._text, self._vocabulary, self._start + start, self._start + max(start, stop))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        read = np.empty(self.shape, self.dtype if dtype is None else dtype)
        starts = self._text.starts
        first, last = np.searchsorted(starts, self._start, "right") - 1, np.searchsorted(starts, self._stop, "left")
        for k in range(first, last if len(self) else first):
            begin, end = max(starts[k], self._start), min(starts[k + 1], self._stop)
            if begin < end:
                read[begin - self._start : end - self._start] = self._piece(k)[begin - starts[k] : end - starts[k]]
        return read

    def _piece(self, k: int) -> np.ndarray:
        tokens, starts = self._text.tokens(k), self._text.starts
        if len(tokens) != starts[k + 1] - starts[k]:
            expected, got = f"{starts[k + 1] - starts[k]:,} tokens as before", f"{len(tokens):,}"
            do = "Leave the file alone while it is read."
            raise DataError(explain(f"text, piece {k} of {len(starts) - 1}", expected=expected, got=got, do=do))
        try:
            return self._vocabulary.encode(tokens)
        except DataError as error:
            raise DataError(f"text from token {starts[k]:,} on: {error}") from error


def _joined(one: Any, other: Any) -> Any:
    return one | other if isinstance(one, set) else one + other


def _same(parts: Iterable[tuple[int, int | None, list[int]]]) -> None:
    """Raise DataError if the ranks have texts of different lengths."""
    sizes = [(pieces, size) for pieces, size, _ in parts]
    for rank, (pieces, size) in enumerate(sizes):
        if (pieces, size) != sizes[0]:
            expected, got = (f"{n} pieces" if s is None else f"{s:,} bytes" for n, s in (sizes[0], (pieces, size)))
            do = "Give every rank the same text."
            raise DataError(explain(f"rank {rank}, text", expected=f"{expected} as on rank 0", got=got, do=do))
