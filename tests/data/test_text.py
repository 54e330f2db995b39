"""Text from files: whole, streamed, and every way in which a file is no text."""

import os
import sys
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import decoded, embedded_text, read_column, read_text, read_words, stream_text, text
from tinygrad_rnn.errors import DataError, MissingDataError


def test_the_embedded_text_is_long_english_and_always_the_same():
    english = embedded_text()
    assert 300_000 < len(english) < 1_000_000
    assert english == embedded_text()
    assert english.startswith('The "assert" statement\n')
    assert english.count(" the ") > 2000
    assert "\0" not in english
    assert english.isascii() or len(set(english)) < 200


def test_without_the_module_the_embedded_text_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match=r"embedded text: expected pydoc_data.topics, got .*Give a text file instead"):
        embedded_text()


def written(folder, data):
    path = folder / "a.txt"
    path.write_bytes(data)
    return path


def test_line_ends_and_byte_order_marks(tmp_path):
    assert read_text(written(tmp_path, "\ufeffone\r\ntwo\rthree\n\ufefffour".encode())) == "one\ntwo\nthree\n\ufefffour"
    assert read_text(written(tmp_path, "hé".encode("utf-16")), encoding="utf-16") == "hé"
    assert read_text(written(tmp_path, "hé".encode("latin-1")), encoding="latin-1") == "hé"


def test_a_byte_order_mark_is_one_at_the_beginning_only():
    mark = "\ufeff".encode()
    assert "".join(decoded([mark, mark, b"a", mark], "f", "utf-8")) == "\ufeffa\ufeff"
    assert "".join(decoded([b"a", mark + b"b"], "f", "utf-8")) == "a\ufeffb"
    with pytest.raises(DataError, match=r"f, byte 1: expected utf-8 text, got ff fe .*Convert the file to UTF-8"):
        list(decoded([b"a", b"\xff\xfe"], "f", "utf-8"))


def test_a_symbolic_link_is_followed(tmp_path):
    written(tmp_path, b"text")
    (tmp_path / "link").symlink_to("a.txt")
    assert read_text(tmp_path / "link") == "text"


@given(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])), st.integers(1, 5))
def test_pieces_cut_anywhere_join_to_the_text(content, size):
    data = content.encode()
    chunks = [data[at : at + size] for at in range(0, len(data), size)]
    assert "".join(decoded(chunks, "f", "utf-8")) == content.removeprefix("\ufeff")


@given(st.binary(), st.integers(1, 5))
def test_the_place_of_the_first_error_does_not_depend_on_the_cuts(data, size):
    def outcome(chunks):
        try:
            return "".join(decoded(chunks, "f", "utf-8"))
        except DataError as error:
            return str(error).partition(",")[2].partition(":")[0]

    assert outcome([data[at : at + size] for at in range(0, len(data), size)]) == outcome([data])


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"abc\xff", "a.txt, byte 3: expected utf-8 text, got ff .invalid start byte.. Convert the file to UTF-8"),
        (b"\xc3\xa9" * 200_000 + b"\xc3(", "a.txt, byte 400,000: expected utf-8 text, got c3 28 .invalid continuation"),
        (b"abc\xe2\x82", "a.txt, byte 3: expected utf-8 text, got e2 82 .unexpected end"),
        (b"abc\xed\xa0\x80", "a.txt, byte 3: expected utf-8 text, got ed"),
        ("hé".encode("utf-16"), "a.txt, byte 0: expected utf-8 text, got ff .*This looks like UTF-16: pass encoding="),
        (b"\xc3\xa9\0", "a.txt, byte 2: expected text, got a NUL character. This looks like a binary file"),
        (b"a" * 300_000 + b"\xc3\xa9\0", "a.txt, byte 300,002: expected text, got a NUL"),
        (b"", "a.txt: expected text, got an empty file"),
        (b"\xef\xbb\xbf", "a.txt: expected text, got an empty file"),
    ],
)
def test_files_that_are_no_text(tmp_path, data, complaint):
    with pytest.raises(DataError, match=complaint):
        read_text(written(tmp_path, data))


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(MissingDataError, match=r"nope: expected a text file to read, got No such file.*Check the path"):
        read_text(tmp_path / "nope")
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "nope")
    os.mkfifo(tmp_path / "pipe")
    for name, got in ((".", "a directory"), ("pipe", "a device, pipe or socket"), ("/dev/zero", "a device")):
        with pytest.raises(DataError, match=f"expected a text file to read, got {got}"):
            read_text(tmp_path / name)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="Too many levels of symbolic links"):
        read_text(tmp_path / "loop")
    for name in ("hex", "rot13", "undefined"):  # Python knows them, and no text is written in them
        with pytest.raises(DataError, match=f"expected a known encoding, got '{name}'"):
            read_text(written(tmp_path, b"6"), encoding=name)
    with pytest.raises(DataError, match="expected idna text, got "):
        read_text(written(tmp_path, b"xn--9999.de"), encoding="idna")
    with pytest.raises(DataError, match=r"expected a known encoding, got 'utf-9'. Try 'utf-8'."):
        read_text(written(tmp_path, b"a"), encoding="utf-9")


def test_words_and_line_ends(tmp_path):
    path = written(tmp_path, b" = Title = \n\n a  b\tc\n \nlast")
    expected = "= Title = <eos> <eos> a b c <eos> <eos> last <eos>".split()
    assert list(read_words(path)) == expected
    assert list(read_words(path, end_of_line=None)) == [word for word in expected if word != "<eos>"]


@given(st.text(st.sampled_from("ab \n\tä"), min_size=1), st.integers(1, 7))
def test_words_do_not_depend_on_how_the_file_is_cut(tmp_path_factory, content, size):
    path = written(tmp_path_factory.mktemp("words"), content.encode())
    # As pytorch/examples reads a corpus: line by line, a token after each.
    expected = [word for line in content.split("\n") for word in [*line.split(), "<eos>"]]
    if content.endswith("\n"):
        expected.pop()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(text, "_CHUNK", size)
        assert list(read_words(path)) == expected


def test_one_long_line_is_streamed(tmp_path):
    path = written(tmp_path, b"word " * 400_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_words(path)) == 400_001
        assert sum(map(len, stream_text(path))) == 2_000_000
        assert tracemalloc.get_traced_memory()[1] < 2_500_000
    finally:
        tracemalloc.stop()


def test_a_word_without_end_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a.txt: expected words, got one of over 65,536 characters, 'wwww.*spaces\?"):
        list(read_words(written(tmp_path, b"w" * 10_000_000)))


@pytest.mark.slow
def test_one_line_of_a_hundred_megabytes(tmp_path):
    path = written(tmp_path, (b"w" * 999 + b" ") * 100_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_words(path)) == 100_001
        assert sum(map(len, stream_text(path))) == 100_000_000
        assert tracemalloc.get_traced_memory()[1] < 2_500_000
        tracemalloc.reset_peak()
        with pytest.raises(
            DataError, match="line 1: expected rows of a table, got a line of over 1,048,576 characters"
        ):
            read_column(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()
