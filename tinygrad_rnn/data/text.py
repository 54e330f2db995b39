"""Text from files, checked on the way in, and the English that ships with the interpreter.

Floor 0: imports `errors` and `files`. Files are streamed: one line of 100 MB costs no more than many short ones.
"""

import codecs
import io
import os
import re
from collections.abc import Iterable, Iterator
from typing import IO

from tinygrad_rnn.errors import DataError, MissingDataError, explain
from tinygrad_rnn.files import Path, advice, open_regular

__all__ = [
    "END_OF_LINE",
    "decoded",
    "embedded_text",
    "file_error",
    "read_text",
    "read_words",
    "stream_text",
    "unknown_encoding",
]

END_OF_LINE = "<eos>"
_CHUNK = 1 << 18
_LONGEST_WORD = 1 << 16
_WORD_OR_LINE_END = re.compile(r"\n|\S+")


def embedded_text() -> str:
    """The Python language reference as every CPython carries it: about 465,000 characters of English and examples.

    The topics of `pydoc_data.topics` in alphabetical order, a blank line between two. The content differs a little from
    one Python version to the next, so compare runs on the same interpreter only.
    Raises DataError if the interpreter came without it.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        do = "Give a text file instead; some distributions leave this module out."
        raise DataError(explain("embedded text", expected="pydoc_data.topics", got=str(error), do=do)) from error
    return "\n\n".join(topics[name].strip("\n") for name in sorted(topics)) + "\n"


def read_text(path: Path, *, encoding: str = "utf-8") -> str:
    """The whole of a text file, checked as by `stream_text`."""
    return "".join(stream_text(path, encoding=encoding))


def stream_text(path: Path, *, encoding: str = "utf-8") -> Iterator[str]:
    r"""Pieces of a text file of about 256 thousand characters, in order.

    path: a regular file; symbolic links are followed.
    encoding: any that Python knows. A leading byte order mark is dropped; line ends become "\n".
    Raises DataError, with the byte offset, for bytes that are no such text and for NUL; also for an empty file, a
    directory, a device or pipe, an unreadable file; MissingDataError, also a FileNotFoundError, if there is none.
    """
    where = os.fspath(path)
    try:
        file = open_regular(path)
    except OSError as error:
        raise file_error(where, error) from error
    empty = True
    with file:
        try:
            for piece in decoded(file, where, encoding):
                empty = empty and not piece
                if piece:
                    yield piece
        except OSError as error:  # it opened, and then a disk or a network failed
            raise file_error(where, error) from error
    if empty:
        raise DataError(explain(where, expected="text", got="an empty file"))


def decoded(chunks: IO[bytes] | Iterable[bytes], where: str, encoding: str, *, offset: int = 0) -> Iterator[str]:
    """Decode a binary file or chunks of bytes piece by piece: the core of `stream_text`, for uploads too.

    where: how errors name the source. offset: where in it the chunks begin; only at 0 a mark is one. Raises DataError.
    """
    try:
        "".encode(encoding)  # refuses what is known to Python and no encoding of text, such as hex
        decoder = codecs.getincrementaldecoder(encoding)()
    except (LookupError, UnicodeError) as error:
        raise unknown_encoding(where, encoding) from error
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    first = not offset  # from here on, offset: bytes before what the decoder has not yet turned into text
    for chunk, final in _marked(chunks):
        pending = decoder.getstate()[0]
        try:
            piece = decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            raise _undecodable(where, encoding, offset + error.start, pending + chunk, error) from error
        except UnicodeError as error:  # idna and its like say no place
            raise DataError(explain(where, expected=f"{encoding} text", got=str(error))) from error
        if "\0" in piece:
            place = offset + len(piece[: piece.index("\0")].encode(encoding))
            do = "This looks like a binary file: give a text file."
            raise DataError(explain(f"{where}, byte {place:,}", expected="text", got="a NUL character", do=do))
        offset += len(pending) + len(chunk) - len(decoder.getstate()[0])
        if first and piece:
            first, piece = False, piece.removeprefix("\ufeff")
        yield newlines.decode(piece, final)


def read_words(path: Path, *, encoding: str = "utf-8", end_of_line: str | None = END_OF_LINE) -> Iterator[str]:
    """The words of a token file as WikiText has them: separated by white space, each line closed by a token.

    end_of_line: the token put after every line, blank ones too (as PyTorch's word_language_model does); None for none.
    Memory: a piece of the file at a time. Raises DataError as `stream_text`, and for a word of over 65,536 characters.
    """
    rest = piece = ""
    for piece in stream_text(path, encoding=encoding):
        text, rest = rest + piece, ""
        for found in _WORD_OR_LINE_END.finditer(text):
            if found.group() == "\n":
                if end_of_line is not None:
                    yield end_of_line
            elif found.end() < len(text):
                yield found.group()
            else:
                rest = found.group()  # it may go on in the next piece
        if len(rest) > _LONGEST_WORD:
            got = f"one of over {_LONGEST_WORD:,} characters, {rest[:20]!r}..."
            raise DataError(explain(os.fspath(path), expected="words", got=got, do="Is this a text with spaces?"))
    if rest:
        yield rest
    if end_of_line is not None and not piece.endswith("\n"):
        yield end_of_line


def _marked(chunks: IO[bytes] | Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """The chunks, then an empty final one."""
    read = getattr(chunks, "read", None)
    for chunk in iter(lambda: read(_CHUNK), b"") if read else chunks:
        yield chunk, False
    yield b"", True


def _undecodable(where: str, encoding: str, offset: int, held: bytes, error: UnicodeDecodeError) -> DataError:
    bad = error.object[error.start : error.start + 4]
    if offset == 0 and held[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        do = "This looks like UTF-16: pass encoding='utf-16'."
    else:
        do = "Convert the file to UTF-8, or pass its encoding, such as encoding='latin-1'."
    got = f"{bad.hex(' ')} ({error.reason})"
    return DataError(explain(f"{where}, byte {offset:,}", expected=f"{encoding} text", got=got, do=do))


def unknown_encoding(where: str, encoding: str) -> DataError:
    """The error for an encoding that Python does not know."""
    return DataError(explain(where, expected="a known encoding", got=repr(encoding), do="Try 'utf-8'."))


def file_error(where: str, error: OSError) -> DataError:
    """The error for a text file that cannot be opened, or not read to its end."""
    kind = MissingDataError if isinstance(error, FileNotFoundError) else DataError
    got, do = advice(error, reading=True)
    return kind(explain(where, expected="a text file to read", got=got, do=do))
