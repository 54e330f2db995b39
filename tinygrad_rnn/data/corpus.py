"""Corpora of three token files, as WikiText and the Penn Treebank come: training, validation, test.

Floor 0: imports `errors`, `files` and the vocabulary and text of this folder.
"""

import os
from typing import NamedTuple

import numpy as np

from tinygrad_rnn.data.text import END_OF_LINE, read_words
from tinygrad_rnn.data.vocabulary import UNKNOWN, Vocabulary
from tinygrad_rnn.errors import DataError, MissingDataError, explain
from tinygrad_rnn.files import Path, advice

__all__ = ["Corpus", "load_corpus"]

# As WikiText is distributed, as pytorch/examples stores it, as the Penn Treebank is named.
_LAYOUTS = (
    ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
    ("wiki.train.raw", "wiki.valid.raw", "wiki.test.raw"),
    ("train.txt", "valid.txt", "test.txt"),
    ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
)


class Corpus(NamedTuple):
    """A vocabulary of V words and three streams of their numbers, each (N,) int64."""

    vocabulary: Vocabulary
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def load_corpus(folder: Path, *, size: int | None = None, min_count: int = 1, encoding: str = "utf-8") -> Corpus:
    """Read the three token files of a folder.

    folder: holds wiki.{train,valid,test}.tokens, or {train,valid,test}.txt, or the like; every line is closed by <eos>.
    size, min_count: limits of the vocabulary, which is made of the training words alone; others become <unk>.
    Memory: 8 bytes a word, and the vocabulary; the files are streamed twice.
    Raises DataError naming what was looked for and what the folder holds, and what `stream_text` raises.
    """
    train, validation, test = _files(os.fspath(folder))
    words = Vocabulary.of_words(read_words(train, encoding=encoding), size=size, min_count=min_count, unknown=UNKNOWN)
    streams = (words.encode(read_words(path, encoding=encoding)) for path in (train, validation, test))
    return Corpus(words, *streams)


def _files(folder: str) -> tuple[str, str, str]:
    expected = f"{', '.join(_LAYOUTS[0])} (or {', '.join(_LAYOUTS[2])})"
    try:
        held = sorted(os.listdir(folder))
    except OSError as error:
        kind = MissingDataError if isinstance(error, FileNotFoundError) else DataError
        got, do = advice(error, reading=True)
        raise kind(explain(folder, expected=f"a folder with {expected}", got=got, do=do)) from error
    for layout in _LAYOUTS:
        if set(layout) <= set(held):
            train, validation, test = (os.path.join(folder, name) for name in layout)
            return train, validation, test
    got = ", ".join(held[:8]) + (f" and {len(held) - 8} more" if len(held) > 8 else "") if held else "nothing"
    do = f"Rename the files, or read each with read_words, which ends lines with {END_OF_LINE}."
    raise MissingDataError(explain(folder, expected=expected, got=got, do=do))
