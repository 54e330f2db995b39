"""Datasets and loaders: what comes out, in which order, and what is refused."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tinygrad_rnn.errors import ShapeError
from tinygrad_rnn.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)


class Squares(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, i):
        return i, {"square": float(i * i), "name": str(i)}


class Stream(IterableDataset):
    def __iter__(self):
        yield from range(5)


def test_batches_are_stacked_entry_by_entry():
    batches = list(DataLoader(Squares(), batch_size=4))
    assert [len(numbers) for numbers, _ in batches] == [4, 4, 2]
    numbers, more = batches[1]
    assert numbers.dtype == np.int64
    np.testing.assert_array_equal(more["square"].array, [16, 25, 36, 49])
    assert more["square"].dtype == np.float64
    assert more["name"] == ["4", "5", "6", "7"]
    assert [len(n) for n, _ in DataLoader(Squares(), batch_size=4, drop_last=True)] == [4, 4]
    assert (len(DataLoader(Squares(), 4)), len(DataLoader(Squares(), 4, drop_last=True))) == (3, 2)


def test_tensors_are_cut_by_rows():
    data = TensorDataset(tg.arange(6).reshape(3, 2), tg.tensor([7, 8, 9]))
    assert len(data) == 3
    (x, y), *_ = DataLoader(data, batch_size=2)
    np.testing.assert_array_equal(x.array, [[0, 1], [2, 3]])
    np.testing.assert_array_equal(y.array, [7, 8])
    with pytest.raises(ShapeError, match="Size mismatch"):
        TensorDataset(tg.zeros(3), tg.zeros(2))


def test_an_order_is_drawn_anew_at_each_pass_and_repeats_with_the_seed():
    def passes(seed):
        loader = DataLoader(range(20), batch_size=5, shuffle=True, generator=np.random.default_rng(seed))
        return [np.concatenate([b.array for b in loader]).tolist() for _ in range(2)]

    first, second = passes(1)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(20))
    assert passes(1) == [first, second]
    assert passes(2) != [first, second]


def test_samplers_collators_and_single_items():
    assert [b.tolist() for b in DataLoader(range(9), 2, sampler=[3, 1, 8])] == [[3, 1], [8]]
    assert [b.tolist() for b in DataLoader(range(9), batch_sampler=[[1, 2], [5]])] == [[1, 2], [5]]
    assert list(DataLoader(range(4), 2, collate_fn=sum)) == [1, 5]
    assert list(DataLoader(range(3), batch_size=None)) == [0, 1, 2]
    assert [b.tolist() for b in DataLoader(Stream(), 2)] == [[0, 1], [2, 3], [4]]
    assert len(DataLoader(range(9), 2, sampler=[3, 1, 8])) == 2
    assert len(DataLoader(range(9), batch_sampler=[[1, 2], [5]])) == 2
    assert len(DataLoader(range(9), batch_size=None, num_workers=4)) == 9


def test_splits_cover_everything_once():
    parts = random_split(range(10), [7, 3], generator=np.random.default_rng(3))
    assert sorted(i for part in parts for i in part) == list(range(10))
    assert [len(p) for p in random_split(range(10), [0.5, 0.25, 0.25], generator=np.random.default_rng(3))] == [6, 2, 2]
    with pytest.raises(ValueError, match="Expected 10, got 9"):
        random_split(range(10), [7, 2])


def test_datasets_are_joined_and_cut():
    joined = Subset(range(10), [5, 6]) + range(3)
    assert isinstance(joined, ConcatDataset)
    assert [joined[i] for i in range(5)] == [5, 6, 0, 1, 2]
    assert joined[-1] == 2
    with pytest.raises(IndexError, match="out of range for a dataset of 5"):
        joined[5]


@pytest.mark.parametrize(("options", "text"), [
    ({"batch_size": 0}, "positive integer"),
    ({"shuffle": True, "sampler": [1]}, "mutually exclusive with shuffle"),
    ({"batch_sampler": [[1]], "batch_size": 3}, "mutually exclusive with batch_size"),
    ({"batch_size": None, "drop_last": True}, "mutually exclusive with drop_last"),
])  # fmt: skip
def test_options_that_exclude_each_other_are_refused(options, text):
    with pytest.raises(ValueError, match=text):
        DataLoader(range(3), **options)
    with pytest.raises(ValueError, match="IterableDataset"):
        DataLoader(Stream(), shuffle=True)


def test_items_that_make_no_batch_are_refused_with_the_way_out():
    with pytest.raises(TypeError, match="Pass collate_fn"):
        default_collate([object()])


def test_options_of_workers_are_ignored_and_unknown_ones_refused():
    assert len(list(DataLoader(Squares(), batch_size=4, timeout=3, persistent_workers=False))) == 3
    with pytest.raises(TypeError, match=r"unknown option 'shufle'. Known are dataset, batch_size, shuffle"):
        DataLoader(Squares(), shufle=True)
