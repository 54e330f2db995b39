"""Padded batches: every sequence once an epoch, padded only behind its end, near ones together, resumable."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import BucketBatches, pad
from tinygrad_rnn.errors import DataError


def sequences(lengths):
    return [np.arange(length) + 100 * i for i, length in enumerate(lengths)]


@given(st.lists(st.integers(1, 8), min_size=1, max_size=40), st.integers(1, 6), st.integers(1, 4), st.booleans())
def test_every_sequence_once_an_epoch_whole_and_padded_behind(lengths, batch, pool, batch_first):
    data = sequences(lengths)
    generator = np.random.default_rng(0)
    batches = BucketBatches(data, batch=batch, generator=generator, pool=pool, padding=-1, batch_first=batch_first)
    for _ in range(2):
        seen = []
        for inputs, found, indices in batches:
            rows = inputs if batch_first else inputs.T
            assert rows.shape == (len(indices), found[0])
            assert len(indices) <= batch
            assert list(found) == sorted(found, reverse=True)
            for row, length, index in zip(rows, found, indices, strict=True):
                assert np.array_equal(row[:length], data[index])
                assert (row[length:] == -1).all()
            seen += indices.tolist()
        assert sorted(seen) == list(range(len(data)))
    assert batches.epoch == 2


@given(st.integers(1, 50), st.integers(1, 6), st.integers(1, 4))
def test_the_number_of_batches_is_known_beforehand(count, batch, pool):
    batches = BucketBatches([[1]] * count, batch=batch, generator=np.random.default_rng(0), pool=pool)
    assert len(list(batches)) == len(batches)


def test_pools_save_padding_and_epochs_differ():
    rng = np.random.default_rng(1)
    data = sequences(rng.integers(1, 100, 1000))

    def padded(pool):
        batches = BucketBatches(data, batch=20, generator=np.random.default_rng(2), pool=pool)
        return sum(batch.inputs.size for batch in batches)

    wanted = sum(map(len, data))
    assert padded(50) < 1.1 * wanted < 1.5 * wanted < padded(1)
    batches = BucketBatches(data, batch=20, generator=np.random.default_rng(2))
    one, two = ([tuple(batch.indices) for batch in batches] for _ in range(2))
    assert one != two
    again = BucketBatches(data, batch=20, generator=np.random.default_rng(2))
    assert [tuple(batch.indices) for batch in again] == one
    lengths = [batch.lengths[0] for batch in again]
    assert lengths != sorted(lengths), "the batches of a pool come in random order"


@pytest.mark.parametrize("taken", [0, 1, 4, 5, 9])
def test_resuming_goes_on_where_the_state_was_taken(taken):
    def fresh(seed):
        return BucketBatches(
            sequences([3, 1, 4, 1, 5, 9, 2, 6, 5]), batch=2, generator=np.random.default_rng(seed), pool=2
        )

    def forever(batches):
        while True:
            yield from batches

    whole = fresh(0)
    steps = forever(whole)
    for _ in range(taken):
        next(steps)
    state = json.loads(json.dumps({"batches": whole.state_dict(), "generator": whole.generator.bit_generator.state}))
    resumed = fresh(1)
    resumed.load_state_dict(state["batches"])
    resumed.generator.bit_generator.state = state["generator"]
    again = forever(resumed)
    for _ in range(12):
        assert next(steps).indices.tolist() == next(again).indices.tolist()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sequences": 3}, "bucket state, sequences: expected 2, got 3. Resume with the data, batch and pool"),
        ({"position": 3}, "bucket state: expected position 0 to 1 and an epoch, got 3 and 0"),
        ({"order": {"bit_generator": "MT19937"}}, "bucket state, order: expected the state of a PCG64, got"),
        ({"order": 3}, "bucket state, order: expected the state of a PCG64, got"),
    ],
)
def test_states_of_something_else(change, text):
    batches = BucketBatches([[1], [2]], batch=2, generator=np.random.default_rng(0))
    with pytest.raises(DataError, match=text):
        batches.load_state_dict(batches.state_dict() | change)


def test_padding_is_zero_and_time_first_by_default():
    batches = BucketBatches([[1], [2, 3]], batch=2, generator=np.random.default_rng(0))
    (batch,) = batches
    assert batch.inputs.tolist() == [[2, 1], [3, 0]]
    assert pad([[1], [2, 3]])[0].tolist() == [[1, 2], [0, 3]]
    assert batches.pool == 50


def test_pad():
    padded, lengths = pad([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], value=np.nan, batch_first=True)
    assert lengths.tolist() == [1, 2]
    np.testing.assert_array_equal(padded, [[[1, 2], [np.nan, np.nan]], [[3, 4], [5, 6]]])
    time_first, _ = pad([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], value=np.nan)
    np.testing.assert_array_equal(time_first, padded.swapaxes(0, 1))
    assert time_first.flags.c_contiguous


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ([], "expected at least one sequence, got none"),
        ([[1], []], "sequence 1: expected a sequence of at least one step, got an empty one"),
        ([[1], 2], "sequence 1: expected a sequence of at least one step, got a single number"),
        ([[1], [2.0]], r"sequence 1: expected steps as in sequence 0, int64 of shape \(\), got float64 of shape \(\)"),
        (
            [[[1]], [[1, 2]]],
            r"sequence 1: expected steps as in sequence 0, int64 of shape \(1,\), got int64 of shape \(2,\)",
        ),
    ],
)
def test_errors(given, text):
    with pytest.raises(DataError, match=text):
        pad(given)
    with pytest.raises(DataError, match=text):
        BucketBatches(given, batch=2, generator=np.random.default_rng(0))


def test_a_late_bad_sequence_is_named_by_its_own_number():
    with pytest.raises(DataError, match="sequence 700: expected a sequence of at least one step, got an empty one"):
        BucketBatches([[1]] * 700 + [[]], batch=2, generator=np.random.default_rng(0))


def test_a_seed_is_no_generator():
    with pytest.raises(
        DataError, match=r"generator: expected a numpy.random.Generator, got int. Pass np.random.default"
    ):
        BucketBatches([[1]], batch=2, generator=3)
