"""Vocabularies: characters or words to integers and back.

Floor 0, first of the data files: imports `errors` only. The order of the tokens is a function of the text alone (sorted
characters; words by falling count, then alphabetically), never of hashing or of the order of a set.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from tinygrad_rnn.errors import DataError, explain

__all__ = ["UNKNOWN", "Vocabulary"]

UNKNOWN = "<unk>"


class Vocabulary:
    """V tokens and their numbers 0 to V - 1.

    tokens: distinct strings, in the order of their numbers.
    unknown: the token that stands for every other one (`<unk>`, put in front if it is not among the tokens), or None:
        then a foreign token is an error.
    separator: what stands between tokens in text: nothing for characters, a space for words.
    Raises DataError for no tokens, a token twice, or one that is no string.

    >>> letters = Vocabulary.of_characters("hello world")
    >>> letters.encode("hold"), letters.decode([3, 5, 4, 2])
    (array([3, 5, 4, 1]), 'hole')
    """

    __slots__ = ("_codes", "_numbers", "separator", "tokens", "unknown")

    def __init__(self, tokens: Iterable[str], *, unknown: str | None = None, separator: str = "") -> None:
        listed = tuple(tokens)
        if unknown is not None and unknown not in listed:
            listed = (unknown, *listed)
        if not listed:
            raise DataError(explain("vocabulary", expected="at least one token", got="none", do="Give it some text."))
        if any(not isinstance(token, str) for token in listed):
            odd = next(token for token in listed if not isinstance(token, str))
            raise DataError(explain("vocabulary", expected="tokens that are strings", got=f"{odd!r:.80}"))
        self.tokens, self.unknown, self.separator = listed, unknown, separator
        self._numbers = {token: number for number, token in enumerate(listed)}
        self._codes = _table(() if separator else listed, -1 if unknown is None else self._numbers[unknown])
        if len(self._numbers) < len(listed):
            twice = Counter(listed).most_common(1)[0][0]
            raise DataError(explain("vocabulary", expected="distinct tokens", got=f"{twice!r} more than once"))

    @classmethod
    def of_characters(cls, text: Iterable[str], *, unknown: str | None = None) -> Self:
        """The sorted set of the characters (code points) of a text, or of pieces of one. Raises DataError if empty."""
        return cls(sorted(set().union(*text)), unknown=unknown)

    @classmethod
    def of_words(
        cls, words: Iterable[str], *, size: int | None = None, min_count: int = 1, unknown: str | None = UNKNOWN
    ) -> Self:
        """Words by falling count, equal counts alphabetically.

        words: an iterable of words, read once, so a corpus may stream through; a string is split at white space.
        size: at most so many tokens, `unknown` included; None for all.
        min_count: rarer words are left to `unknown`.
        Raises DataError if nothing remains, or if size is not positive.
        """
        counts = Counter(words.split() if isinstance(words, str) else words)
        return cls.of_counts(counts, size=size, min_count=min_count, unknown=unknown)

    @classmethod
    def of_counts(
        cls, counts: Mapping[str, int], *, size: int | None = None, min_count: int = 1, unknown: str | None = UNKNOWN
    ) -> Self:
        """As `of_words`, of words that are counted already: word -> how often."""
        if size is not None and size < 1:
            raise DataError(explain("vocabulary", expected="size of at least 1", got=str(size)))
        ranked = sorted((word for word in counts if counts[word] >= min_count), key=lambda word: (-counts[word], word))
        if unknown is not None:
            ranked = [unknown] + [word for word in ranked if word != unknown]
        return cls(ranked[:size], unknown=unknown, separator=" ")

    def split(self, text: str) -> Sequence[str]:
        """The tokens of a text: its characters, or its words between white space."""
        return text.split() if self.separator else text

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """Numbers of tokens, (N,) int64.

        tokens: a string, split as by `split`, or any iterable of tokens, which is read once and not kept.
        Raises DataError for a token outside the vocabulary if it has no `unknown`.
        """
        if isinstance(tokens, str) and not self.separator:
            return self._characters(tokens)
        listed = self.split(tokens) if isinstance(tokens, str) else tokens
        if self.unknown is not None:
            number, other = self._numbers.get, self._numbers[self.unknown]
            return np.fromiter((number(token, other) for token in listed), np.int64)
        return np.fromiter(self._known(listed), np.int64)

    def decode(self, numbers: Iterable[Any]) -> str:
        """The text of numbers, an iterable or (N,) integers: tokens joined by the separator.

        Raises DataError for a number outside 0 to V - 1 (a negative one too) or one that is no integer.
        """
        array = np.asarray(numbers if isinstance(numbers, np.ndarray) else list(numbers))
        if array.size == 0:
            return ""
        if array.dtype.kind not in "iu" or array.ndim != 1:
            got = f"{array.dtype} of shape {array.shape}"
            raise DataError(explain("decode", expected="integers of shape (N,)", got=got))
        if array.min() < 0 or array.max() >= len(self):
            got = f"{array.min()} to {array.max()}"
            do = "Is this the vocabulary that the model was trained with?"
            raise DataError(explain("decode", expected=f"numbers 0 to {len(self) - 1}", got=got, do=do))
        return self.separator.join(map(self.tokens.__getitem__, array.tolist()))

    def describe(self) -> dict[str, Any]:
        """A description that JSON can hold, for checkpoints; `from_description` brings the vocabulary back."""
        return {"tokens": list(self.tokens), "unknown": self.unknown, "separator": self.separator}

    @classmethod
    def from_description(cls, description: Any) -> Self:
        """The vocabulary that `describe` described. Raises DataError if it is not such a description."""
        wanted = {"tokens": list, "unknown": str | None, "separator": str}
        if not isinstance(description, dict) or set(description) != set(wanted):
            got = sorted(description) if isinstance(description, dict) else type(description).__name__
            raise DataError(explain("vocabulary description", expected=f"the keys {sorted(wanted)}", got=str(got)))
        for key, kind in wanted.items():
            if not isinstance(description[key], kind):
                got = type(description[key]).__name__
                raise DataError(explain(f"vocabulary description, {key}", expected=str(kind), got=got))
        return cls(description["tokens"], unknown=description["unknown"], separator=description["separator"])

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._numbers

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.describe() == other.describe()

    def __hash__(self) -> int:
        return hash((self.tokens, self.unknown, self.separator))

    def __repr__(self) -> str:
        kind = "words" if self.separator else "characters"
        return f"Vocabulary({len(self)} {kind}, unknown={self.unknown!r})"

    def _characters(self, text: str) -> np.ndarray:
        """As `encode`, of a string, by a table of code points: fifty times as fast as one by one."""
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        numbers = self._codes.take(codes, mode="clip").astype(np.int64)  # the last entry is for all code points beyond
        if self.unknown is None and len(numbers) and numbers.min() < 0:
            return np.fromiter(self._known(text), np.int64)  # tells which it is
        return numbers

    def _known(self, tokens: Iterable[str]) -> Iterator[int]:
        for position, token in enumerate(tokens):
            try:
                yield self._numbers[token]
            except KeyError:
                where, expected = f"encode, token {position}", f"one of {len(self)} tokens"
                do = f"Build the vocabulary from text that has it, or with unknown={UNKNOWN!r}."
                raise DataError(explain(where, expected=expected, got=repr(token)[:80], do=do)) from None


def _table(tokens: Sequence[str], other: int) -> np.ndarray:
    """Numbers of the tokens that are characters, by code point, (highest + 2,) int32; `other` where there is none."""
    characters = {ord(token): number for number, token in enumerate(tokens) if len(token) == 1}
    table = np.full(max(characters, default=-1) + 2, other, np.int32)
    table[list(characters)] = list(characters.values())
    return table
