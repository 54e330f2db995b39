"""Contiguous batches: every number once, targets shifted by one, tracks that continue, and resumption."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import StreamBatches
from tinygrad_rnn.errors import DataError

sizes = st.integers(1, 9)


@given(st.integers(2, 300), sizes, sizes, st.booleans())
def test_the_chunks_of_a_track_join_to_a_stretch_of_the_stream(count, batch, time, batch_first):
    count = max(count, 2 * batch)
    batches = StreamBatches(np.arange(count), batch=batch, time=time, batch_first=batch_first)
    chunks = list(batches)
    assert len(chunks) == len(batches)
    axis = 1 if batch_first else 0
    assert all(x.shape == y.shape and x.shape[1 - axis] == batch for x, y in chunks)
    assert [x.shape[axis] for x, _ in chunks[:-1]] == [time] * (len(chunks) - 1)
    inputs = np.concatenate([x for x, _ in chunks], axis)
    targets = np.concatenate([y for _, y in chunks], axis)
    tracks = inputs if batch_first else inputs.T
    length = count // batch
    assert tracks.tolist() == [[b * length + t for t in range(length - 1)] for b in range(batch)]
    assert np.array_equal(targets, inputs + 1)


def test_as_pytorch_examples_cut_it():
    stream = np.random.default_rng(0).integers(0, 50, 103)
    rows = stream[: 103 // 4 * 4].reshape(4, -1).T  # batchify: (N // B, B)
    for index, (x, y) in enumerate(StreamBatches(stream, batch=4, time=7)):
        start = 7 * index
        steps = min(7, len(rows) - 1 - start)
        assert np.array_equal(x, rows[start : start + steps])
        assert np.array_equal(y, rows[start + 1 : start + 1 + steps])


def test_the_last_chunk_may_be_dropped():
    batches = StreamBatches(np.arange(22), batch=2, time=4, drop_last=True)
    assert [x.shape for x, _ in batches] == [(4, 2), (4, 2)]
    assert len(batches) == 2


def test_what_is_handed_out_is_a_contiguous_copy():
    stream = np.arange(20, dtype=np.uint8)
    batches = StreamBatches(stream, batch=2, time=3)
    for x, y in batches:
        assert x.dtype == y.dtype == np.int64
        assert x.flags.c_contiguous
        x[:] = -1
        y[:] = -1
    assert next(iter(batches))[0].T.tolist() == [[0, 1, 2], [10, 11, 12]]
    assert stream.tolist() == list(range(20))


@given(st.integers(0, 12), st.booleans())
def test_resuming_goes_on_where_the_state_was_taken(taken, inside):
    def fresh():
        return StreamBatches(np.arange(40) % 7, batch=2, time=4)

    def forever(batches):
        while True:
            yield from batches

    whole = fresh()
    steps = forever(whole)
    for _ in range(taken):
        next(steps)
    state = json.loads(json.dumps(whole.state_dict()))
    resumed = fresh()
    if inside:
        next(iter(resumed))
    resumed.load_state_dict(state)
    again = forever(resumed)
    for _ in range(7):
        for one, two in zip(next(steps), next(again), strict=True):
            assert np.array_equal(one, two)
        assert (whole.position, whole.epoch) == (resumed.position, resumed.epoch)


def test_passes_are_counted():
    batches = StreamBatches(np.arange(20), batch=2, time=3)
    positions = [batches.position for _ in batches]
    assert positions == [1, 2, 3]
    assert (batches.position, batches.epoch) == (0, 1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"batch": 3},
            "stream state, batch: expected 2, got 3. Resume with the text, batch and time that the run began",
        ),
        ({"crc32": 1}, "stream state, crc32: expected [0-9]+, got 1. Resume with the text"),
        ({"position": 4}, "stream state: expected position 0 to 3 and an epoch, got 4 and 0"),
        ({"position": "1"}, "stream state: expected position 0 to 3 and an epoch, got '1' and 0"),
        ({"epoch": -1}, "stream state: expected position 0 to 3 and an epoch, got 0 and -1"),
    ],
)
def test_states_of_something_else(change, text):
    batches = StreamBatches(np.arange(20), batch=2, time=3)
    with pytest.raises(DataError, match=text):
        batches.load_state_dict(batches.state_dict() | change)
    assert (batches.position, batches.epoch) == (0, 0)


@pytest.mark.parametrize(
    ("stream", "options", "text"),
    [
        (
            "text",
            {},
            r"stream: expected integers of shape \(N,\), got <U4 of shape \(\). Encode text with a Vocabulary",
        ),
        (np.zeros((2, 9), int), {}, r"stream: expected integers of shape \(N,\), got int64 of shape \(2, 9\)"),
        (np.arange(3), {}, "stream: expected at least 4 numbers for 2 tracks, got 3. Use a longer text"),
        (np.arange(7), {"drop_last": True}, "stream: expected at least 8 numbers for 2 tracks, got 7"),
        (np.arange(9), {"batch": 0}, "batch: expected an integer of at least 1, got 0"),
        (np.arange(9), {"time": 2.0}, "time: expected an integer of at least 1, got 2.0"),
        (np.arange(9), {"time": True}, "time: expected an integer of at least 1, got True"),
    ],
)
def test_errors(stream, options, text):
    with pytest.raises(DataError, match=text):
        StreamBatches(stream, **({"batch": 2, "time": 3} | options))
