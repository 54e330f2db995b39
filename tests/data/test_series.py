"""Series: lags, windows and splits against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_rnn.data import lagged, random_split, split, windows
from tinygrad_rnn.errors import DataError


@given(st.integers(1, 40), st.integers(0, 45))
def test_lagged(count, dt):
    series = np.arange(count)
    if dt >= count:
        with pytest.raises(ValueError, match=f"Time lag dt={dt} must be smaller than the data size T={count}"):
            lagged(series, dt)
    else:
        inputs, targets = lagged(series, dt)
        assert inputs.tolist() == list(range(count - dt))
        assert targets.tolist() == list(range(dt, count))


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 9), st.integers(1, 4), st.sampled_from([(), (1,), (3,)]))
def test_windows(count, time, dt, stride, inner):
    series = np.random.default_rng(0).standard_normal((count, *inner)).astype(np.float32)
    if count < time + dt:
        with pytest.raises(DataError, match=r"[Tt]ime lag|for windows of"):
            windows(series, time=time, dt=dt, stride=stride)
        return
    inputs, targets = windows(series, time=time, dt=dt, stride=stride)
    columns = series.reshape(count, -1)
    starts = range(0, count - dt - time + 1, stride)
    np.testing.assert_array_equal(inputs, np.stack([columns[i : i + time] for i in starts]), strict=True)
    np.testing.assert_array_equal(targets, np.stack([columns[i + dt : i + dt + time] for i in starts]), strict=True)
    assert np.shares_memory(inputs, series)
    assert not inputs.flags.writeable


def test_windows_forecast_one_step_of_every_window_by_default():
    inputs, targets = windows(np.arange(5), time=2)
    assert inputs[..., 0].tolist() == [[0, 1], [1, 2], [2, 3]]
    assert targets[..., 0].tolist() == [[1, 2], [2, 3], [3, 4]]


@pytest.mark.parametrize(
    ("series", "options", "text"),
    [
        (np.arange(5.0), {"time": 4, "dt": 2}, "series: expected at least 6 steps for windows of 4 at lag 2, got 5"),
        (np.arange(5.0), {"time": 0}, "time: expected an integer of at least 1, got 0"),
        (np.arange(5.0), {"time": 2, "stride": -1}, "stride: expected an integer of at least 1, got -1"),
        (np.arange(5.0), {"time": 2, "dt": -1}, "time lag: expected dt of at least 0, got -1"),
        (
            np.zeros((2, 2, 2)),
            {"time": 1},
            r"expected numbers of shape \(N,\) or \(N, D\), got float64 of shape \(2, 2, 2\)",
        ),
        (np.array(["a"]), {"time": 1}, "series: expected numbers of shape"),
        (np.array([1, np.nan, np.inf]), {"time": 1}, r"series\[1\]: expected a finite number, got nan. Fill or cut"),
        (np.array([[1, 2], [3, -np.inf]]), {"time": 1}, r"series\[1, 1\]: expected a finite number, got -inf"),
    ],
)
def test_series_that_make_no_windows(series, options, text):
    with pytest.raises(DataError, match=text):
        windows(series, **options)


@given(st.integers(2, 200), st.floats(0.001, 0.999))
def test_splits_lose_nothing(count, share):
    stretch = range(count)
    training, validation = split(stretch, validation=share)
    assert [*training, *validation] == list(stretch)
    assert training
    assert abs(len(validation) - share * count) <= 1

    kept, held = random_split(count, validation=share, generator=np.random.default_rng(0))
    assert len(held) == len(validation)
    assert sorted([*kept, *held]) == list(stretch)
    assert list(kept) == sorted(kept)
    assert list(held) == sorted(held)


def test_splits_keep_the_kind_and_draw_from_the_generator():
    assert split("abcdefghij") == ("abcdefghi", "j")
    assert split(np.arange(4), validation=0.5)[1].tolist() == [2, 3]
    first, second = (random_split(100, generator=np.random.default_rng(seed))[1].tolist() for seed in (0, 1))
    assert first != second
    assert random_split(100, generator=np.random.default_rng(0))[1].tolist() == first


@pytest.mark.parametrize(("count", "share"), [(10, 0), (10, 1), (10, -0.1), (10, float("nan")), (1, 0.5), (0, 0.5)])
def test_splits_that_leave_nothing(count, share):
    with pytest.raises(DataError, match="split: expected"):
        split(range(count), validation=share)
    with pytest.raises(DataError, match="split: expected"):
        random_split(count, validation=share, generator=np.random.default_rng(0))
