"""A text file in pieces, each of which can be read without those before it: what lets several processes share a file.

Floor 0: imports `errors`, `files` and the text of this folder.
"""

import codecs
import os
import re
from collections.abc import Iterator
from typing import IO

from tinygrad_rnn.data.text import decoded, file_error, unknown_encoding
from tinygrad_rnn.errors import DataError, explain
from tinygrad_rnn.files import Path, open_regular

__all__ = ["PIECE", "TextPieces"]

PIECE = 1 << 18
_NEAR = 1 << 12  # bytes looked at for the next place to cut


class TextPieces:
    """A text file as a sequence of strings that together are the text: `pieces[k]` reads about 256 kilobytes.

    path, encoding: as for `stream_text`. words: cut between words, not only between characters; a word then lies in one
        piece, and each piece but the last ends with white space.
    Attributes: `bytes`, the size of the file; `bytes_read`, how many were read so far, counted again when read again.
    UTF-8 and encodings of one byte a character are cut; in others (UTF-16, those of East Asia) no place but the
    beginning is known to begin a character, so the whole file is one piece.
    Raises DataError, when made and when a piece is read, for what `stream_text` raises it for, and if the size changes.
    """

    def __init__(self, path: Path, *, encoding: str = "utf-8", words: bool = False) -> None:
        self.path, self.encoding = os.fspath(path), encoding
        self.bytes_read = 0
        self.bytes = -1
        with self._opened() as file:
            self.bytes = os.fstat(file.fileno()).st_size
        if not self.bytes:
            raise DataError(explain(self.path, expected="text", got="an empty file"))
        self._between = _between(self.path, encoding, words)
        self._size = PIECE if self._between is not None else self.bytes

    def __len__(self) -> int:
        return (self.bytes + self._size - 1) // self._size

    def __iter__(self) -> Iterator[str]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> str:
        if not 0 <= k < len(self):
            raise IndexError(f"{self.path}: piece {k} of {len(self)}")
        with self._opened() as file:
            start, stop = self._cut(file, k * self._size), self._cut(file, (k + 1) * self._size)
            # A byte order mark is one at the beginning of the file only.
            plain = self.encoding if not start or _name(self.encoding) != "utf-8-sig" else "utf-8"
            return "".join(decoded(self._chunks(file, start, stop), self.path, plain, offset=start))

    def _opened(self) -> IO[bytes]:
        try:
            file = open_regular(self.path)
        except OSError as error:
            raise file_error(self.path, error) from error
        size = os.fstat(file.fileno()).st_size
        if self.bytes not in (-1, size):
            file.close()
            do = "Leave the file alone while it is read."
            raise DataError(explain(self.path, expected=f"{self.bytes:,} bytes as before", got=f"{size:,}", do=do))
        return file

    def _cut(self, file: IO[bytes], at: int) -> int:
        """The first offset from `at` on where a piece may begin."""
        if at <= 0 or at >= self.bytes or self._between is None:
            return min(max(at, 0), self.bytes)
        start, window = at - 1, self._read(file, at - 1, _NEAR)
        while not (found := self._between.search(window)):
            more = self._read(file, start + len(window), _NEAR)
            if not more:
                return self.bytes
            start, window = start + len(window) - 1, window[-1:] + more
        return start + found.end()

    def _chunks(self, file: IO[bytes], start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, PIECE):
            yield self._read(file, at, min(PIECE, stop - at))

    def _read(self, file: IO[bytes], at: int, count: int) -> bytes:
        file.seek(at)
        found = file.read(count)
        self.bytes_read += len(found)
        return found


def _between(where: str, encoding: str, words: bool) -> re.Pattern[bytes] | None:
    """Matches the last byte of a piece, seeing the next; None where no such byte can be told. Raises DataError."""
    name = _name(encoding)
    if name is None:
        raise unknown_encoding(where, encoding)
    utf8 = name in ("utf-8", "utf-8-sig")
    if not utf8 and not _one_byte_each(encoding):
        return None
    space, cr, lf = (re.escape(sign.encode("utf-8" if utf8 else encoding)) for sign in " \r\n")
    if words:
        return re.compile(b"%b|%b" % (space, lf))
    # Never between "\r" and "\n", which are one character when read; and in UTF-8 in front of a first byte only.
    return re.compile(b"(?s)(?!%b%b).%b" % (cr, lf, rb"(?=[^\x80-\xbf])" if utf8 else b""))


def _name(encoding: str) -> str | None:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        return None


def _one_byte_each(encoding: str) -> bool:
    """Whether every byte that is text at all is one character, whatever stands before it."""
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        for byte in range(256):
            decoder.reset()
            try:
                if len(decoder.decode(bytes([byte]))) != 1:
                    return False
            except UnicodeDecodeError:
                continue
        return [len(sign.encode(encoding)) for sign in " \r\n"] == [1, 1, 1]
    except (LookupError, TypeError, ValueError):  # ValueError: codecs of other things than text raise kinds of it
        return False
