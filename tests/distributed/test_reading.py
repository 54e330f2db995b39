"""Each rank reads and keeps its share of the text, whatever their number; the rest of the text never comes to it."""

import json

import numpy as np
import pytest

from tests.distributed.launch import launch
from tinygrad_rnn.data import StreamBatches, Vocabulary, pieces, read_text

pytest.importorskip("mpi4py")

pytestmark = pytest.mark.mpi
BATCH = 16


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """12 MB of two-byte and one-byte characters, in lines that end as on Windows."""
    path = tmp_path_factory.mktemp("corpus") / "corpus.txt"
    letters = np.random.default_rng(0).choice(list("abcdefghij äöü"), size=5000)
    path.write_bytes(("".join(letters) + "\r\n").encode() * 2000)
    return path


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_what_a_rank_reads_and_keeps_is_its_share(corpus, ranks):
    found = json.loads(launch(ranks, "tests.distributed.reading", corpus, BATCH))
    whole = read_text(corpus)
    size, tokens = corpus.stat().st_size, len(whole)
    assert size > 40 * pieces.PIECE
    tracks = -(-BATCH // ranks) / BATCH
    for rank in found:
        # Once to count and once to encode; beside its tracks a few pieces, for those at the ends belong to two ranks.
        assert rank["read"] <= 1.05 * size * (1 / ranks + tracks) + 4 * pieces.PIECE
        assert rank["kept"] <= 1.01 * tokens * tracks + 200_000
        assert rank["peak"] <= 2.01 * tokens * tracks + 20 * pieces.PIECE
    assert len(found) == ranks
    alone = StreamBatches(Vocabulary.of_characters(whole).encode(whole), batch=BATCH, time=20)
    assert {rank["crc32"] for rank in found} == {alone.state_dict()["crc32"]}
