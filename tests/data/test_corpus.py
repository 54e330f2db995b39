"""Corpora in the layouts in which they are distributed."""

import pytest

from tinygrad_rnn.data import load_corpus
from tinygrad_rnn.errors import DataError, MissingDataError


def lay_out(folder, names):
    for name, content in zip(names, (" a b a \n\n b a \n", " a c \n", " c \n"), strict=True):
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize(
    "names",
    [
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        ("train.txt", "valid.txt", "test.txt"),
        ("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt"),
    ],
)
def test_three_files_and_a_vocabulary_of_the_first(tmp_path, names):
    corpus = load_corpus(lay_out(tmp_path, names))
    assert corpus.vocabulary.tokens == ("<unk>", "<eos>", "a", "b")
    assert corpus.train.tolist() == [2, 3, 2, 1, 1, 3, 2, 1]
    assert corpus.validation.tolist() == [2, 0, 1]
    assert corpus.test.tolist() == [0, 1]


def test_limits_of_the_vocabulary(tmp_path):
    folder = lay_out(tmp_path, ("train.txt", "valid.txt", "test.txt"))
    assert load_corpus(folder, size=3).vocabulary.tokens == ("<unk>", "<eos>", "a")
    assert load_corpus(folder, min_count=2).vocabulary.tokens == ("<unk>", "<eos>", "a", "b")
    assert load_corpus(folder, min_count=3).vocabulary.tokens == ("<unk>", "<eos>", "a")


def test_folders_without_a_corpus(tmp_path):
    with pytest.raises(
        MissingDataError, match=r"expected wiki.train.tokens, .* \(or train.txt, .*\), got nothing. Rename"
    ):
        load_corpus(tmp_path)
    for k in range(10):
        if k == 8:
            with pytest.raises(MissingDataError, match=r"got 0.txt, .*7.txt. Rename"):
                load_corpus(tmp_path)
        (tmp_path / f"{k}.txt").touch()
    with pytest.raises(MissingDataError, match=r"got 0.txt, .*7.txt and 2 more. Rename"):
        load_corpus(tmp_path)
    with pytest.raises(MissingDataError, match="got No such file or directory"):
        load_corpus(tmp_path / "missing")
    with pytest.raises(DataError, match="got Not a directory"):
        load_corpus(tmp_path / "0.txt")


def test_a_bad_file_is_named(tmp_path):
    folder = lay_out(tmp_path, ("train.txt", "valid.txt", "test.txt"))
    (folder / "valid.txt").write_bytes(b"a \xff")
    with pytest.raises(DataError, match=r"valid.txt, byte 2: expected utf-8 text"):
        load_corpus(folder)
