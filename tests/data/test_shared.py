"""A text that several ranks read: they have the tracks of one process, each reads its share, and faults are named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.data.together import together
from tinygrad_rnn.data import SharedText, StreamBatches, TextPieces, Vocabulary, pieces, read_text, split
from tinygrad_rnn.errors import DataError

sizes = st.integers(1, 5)
texts = st.lists(st.sampled_from(["one", "two", "three", "é", "好", " ", "\n", "\r\n", "  "]), min_size=12, max_size=80)


@given(texts, sizes, sizes, st.integers(1, 4), st.booleans())
def test_ranks_have_the_tracks_of_one_process(tmp_path_factory, content, batch, time, size, words):
    path = tmp_path_factory.mktemp("text") / "a.txt"
    path.write_bytes((" ".join(content) if words else "".join(content) + "end of the text").encode())
    whole = read_text(path)
    tokens = whole.split() if words else whole
    vocabulary = Vocabulary.of_words(whole, size=4) if words else Vocabulary.of_characters(whole)
    if len(tokens) < 2 * batch + 2:
        return
    stream, ending = split(vocabulary.encode(whole))
    expected = StreamBatches(stream, batch=batch, time=time)

    def work(rank):
        text = SharedText(TextPieces(path, words=words), words=words, ranks=rank)
        assert text.vocabulary(size=4) == vocabulary
        first, rest = split(text.numbers(vocabulary))
        assert np.asarray(rest).tolist() == ending.tolist()
        assert np.asarray(first[3:5]).tolist() == stream[3:5].tolist()
        batches = StreamBatches(first, batch=batch, time=time, ranks=rank)
        return list(batches), batches.state_dict()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", 7)
        found = together(size, work)
    for at, (x, y) in enumerate(expected):
        np.testing.assert_array_equal(np.concatenate([given[at][0] for given, _ in found], axis=1), x)
        np.testing.assert_array_equal(np.concatenate([given[at][1] for given, _ in found], axis=1), y)
        assert {given[at][0].dtype for given, _ in found} == {np.dtype(np.int64)}
    assert all(state == expected.state_dict() for _, state in found), "a run may go on with another number of ranks"


def test_each_rank_reads_its_share_of_the_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"the quick brown fox\n" * 100_000)

    def work(rank):
        file = TextPieces(path)
        text = SharedText(file, ranks=rank)
        StreamBatches(text.numbers(text.vocabulary()), batch=8, time=10, ranks=rank)
        return file.bytes_read

    for size in (1, 2, 4):
        allowed = 2 * path.stat().st_size / size + 4 * (pieces.PIECE + pieces._NEAR)
        assert max(together(size, work)) <= allowed


def test_a_mapped_array_is_shared_too_and_not_changed(tmp_path):
    np.save(tmp_path / "tokens.npy", np.arange(100, dtype=np.uint16))
    mapped = np.load(tmp_path / "tokens.npy", mmap_mode="r")
    first, second = together(2, lambda rank: next(iter(StreamBatches(mapped, batch=3, time=2, ranks=rank)))[0])
    assert first.tolist() == [[0], [1]]
    assert second.tolist() == [[33, 66], [34, 67]]
    assert StreamBatches(mapped, batch=1, time=2)._tracks.flags.writeable


def test_texts_that_differ_between_ranks_are_refused(tmp_path):
    for rank in range(2):
        (tmp_path / f"{rank}.txt").write_text("abc" * (rank + 1))
    with pytest.raises(DataError, match=r"rank 1, text: expected 3 bytes as on rank 0, got 6 bytes\. Give every rank"):
        together(2, lambda rank: SharedText(TextPieces(tmp_path / f"{rank.rank}.txt"), ranks=rank))
    with pytest.raises(DataError, match="rank 1, text: expected 1 pieces as on rank 0, got 2 pieces"):
        together(2, lambda rank: SharedText(["ab"] * (rank.rank + 1), ranks=rank))


def test_tokens_that_are_foreign_or_not_there():
    text = SharedText(["abc", "abd"])
    with pytest.raises(DataError, match="text from token 3 on: encode, token 2: expected one of 3 tokens, got 'd'"):
        np.asarray(text.numbers(Vocabulary("abc")))
    assert np.asarray(text.numbers(Vocabulary("abcd")), np.int64).tolist() == [0, 1, 2, 0, 1, 3]
    with pytest.raises(DataError, match="expected a stretch without gaps, got a step of 2"):
        text.numbers(Vocabulary("abcd"))[::2]
    with pytest.raises(DataError, match="text: expected at least one token, got none"):
        SharedText([" \n"], words=True)
    changing = ["abc", "abd"]
    text = SharedText(changing)
    changing[1] = "ab"
    with pytest.raises(DataError, match="piece 1 of 2: expected 3 tokens as before, got 2"):
        np.asarray(text.numbers(Vocabulary("abcd")))
