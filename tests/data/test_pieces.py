"""Pieces of a text file: joined they are the text, wherever it is cut, and nothing else is read for one."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinygrad_rnn.data import TextPieces, pieces, read_text
from tinygrad_rnn.errors import DataError, MissingDataError

ENCODINGS = ["utf-8", "utf-8-sig", "latin-1", "cp1252", "ascii", "cp037", "utf-16", "shift_jis", "gb18030"]
CUT = ENCODINGS[:6]


@pytest.fixture
def small(monkeypatch):
    """Pieces of 7 bytes, found 3 bytes at a time."""
    monkeypatch.setattr(pieces, "PIECE", 7)
    monkeypatch.setattr(pieces, "_NEAR", 3)


texts = st.text(st.sampled_from("ab \n\r\té€好\U0001f600\ufeff\u3000"), min_size=1, max_size=60)


@given(texts, st.sampled_from(ENCODINGS), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_join_to_the_text_and_no_word_is_cut(small, tmp_path_factory, content, encoding, words):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    data = content.encode(encoding, "ignore") or "a".encode(encoding)
    path.write_bytes(data)
    try:
        whole = read_text(path, encoding=encoding)
    except DataError:  # nothing but a mark
        whole = ""
    cut = TextPieces(path, encoding=encoding, words=words)
    assert "".join(cut) == whole
    if words:
        assert [word for piece in cut for word in piece.split()] == whole.split()
    assert len(cut) == (-(-len(data) // 7) if encoding in CUT else 1)


def test_a_piece_costs_its_own_bytes_and_those_around_the_cuts(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("héllo wörld\n" * 100_000, encoding="utf-8")
    cut = TextPieces(path)
    assert len(cut) == 6
    assert "".join([cut[2], cut[3]]) in read_text(path)
    assert cut.bytes_read <= 2 * (pieces.PIECE + 2 * pieces._NEAR)


def test_the_place_of_bytes_that_are_no_text_is_that_in_the_file(small, tmp_path):
    path = tmp_path / "a.txt"
    for data, message in ((b"a" * 20 + b"\xff" + b"a" * 20, "byte 20: expected utf-8 text, got ff .invalid start byte"),
                          (b"a" * 30 + b"\0" + b"a" * 9, "byte 30: expected text, got a NUL character")):  # fmt: skip
        path.write_bytes(data)
        with pytest.raises(DataError, match=message):
            list(TextPieces(path))


def test_files_that_are_none_or_change(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(MissingDataError, match=re.escape(str(path))):
        TextPieces(path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="expected text, got an empty file"):
        TextPieces(path)
    path.write_bytes(b"text")
    with pytest.raises(DataError, match="expected a known encoding, got 'no-such'"):
        TextPieces(path, encoding="no-such")
    cut = TextPieces(path)
    with pytest.raises(IndexError, match="piece 1 of 1"):
        cut[1]
    path.write_bytes(b"more text")
    with pytest.raises(DataError, match=r"expected 4 bytes as before, got 9\. Leave the file alone"):
        cut[0]
