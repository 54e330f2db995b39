"""A process by itself, what is shared and how, and the errors that need no second rank."""

import builtins
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.distributed.launch import ROOT
from tinygrad_rnn import nn
from tinygrad_rnn.data import BucketBatches, PaddedBatch, StreamBatches
from tinygrad_rnn.distributed import DataParallel, World, cut, share, world
from tinygrad_rnn.distributed.sharing import carried_by_all, examples
from tinygrad_rnn.errors import DistributedError
from tinygrad_rnn.utils.data import DataLoader, TensorDataset


class Rank(World):
    """One of several, without any others."""

    def __init__(self, rank, size):
        super().__init__()
        self.rank, self.size = rank, size


@pytest.fixture
def launcher(monkeypatch):
    """As if mpiexec had started three processes."""
    monkeypatch.setenv("PMI_SIZE", "3")
    module = sys.modules["tinygrad_rnn.distributed.world"]
    module._world.cache_clear()
    yield
    module._world.cache_clear()


def test_a_process_by_itself_needs_no_mpi():
    script = (
        "import sys, tinygrad_rnn as tg; w = tg.distributed.world(); assert (w.rank, w.size) == (0, 1);"
        "assert 'mpi4py' not in sys.modules; print(w)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "<rank 0 of 1>\n"


def test_without_the_extra_the_error_says_what_to_install(launcher, monkeypatch):
    found = builtins.__import__

    def missing(name, *rest):
        if name.startswith("mpi4py"):
            raise ModuleNotFoundError("No module named 'mpi4py'")
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(DistributedError, match=r"3 processes under mpiexec: expected mpi4py.*tinygrad_rnn\[mpi\]"):
        world()


@pytest.mark.parametrize("count", [0, 1, 2, 5, 7, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_rows_are_shared_evenly_and_in_order(count, size):
    shares = [range(count)[Rank(rank, size).rows(count)] for rank in range(size)]
    assert [row for part in shares for row in part] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_every_array_of_a_batch_is_cut_along_its_examples():
    here = Rank(1, 2)
    x, y = np.arange(24).reshape(3, 4, 2), np.arange(4)
    batch = PaddedBatch(x, y, y + 10)
    part = cut(batch, here, axis=1)
    assert isinstance(part, PaddedBatch)
    np.testing.assert_array_equal(part.inputs, x[:, 2:])
    np.testing.assert_array_equal(part.indices, [12, 13])
    part = cut({"x": [tg.tensor(y)], "names": ["a", "b", "c", "d"], "scale": 0.5}, here, axis=0)
    assert part["x"][0].tolist() == [2, 3]
    assert part["names"] == ["c", "d"]
    assert part["scale"] == 0.5


def test_shared_batches_keep_length_place_and_generator():
    stream = StreamBatches(np.arange(50), batch=5, time=4)
    whole = StreamBatches(np.arange(50), batch=5, time=4)
    parts = [share(StreamBatches(np.arange(50), batch=5, time=4), Rank(rank, 3)) for rank in range(3)]
    assert len(parts[0]) == len(stream)
    for (x, _), *pieces in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(np.concatenate([piece[0] for piece in pieces], axis=1), x)
    next(iter(parts[1]))
    assert parts[1].state_dict()["position"] == 1
    generator = np.random.default_rng(0)
    buckets = BucketBatches([np.arange(3)] * 4, batch=2, generator=generator, batch_first=True)
    assert share(buckets, Rank(0, 2)).generator is generator
    assert share(stream, World()) is stream


def test_the_axis_must_be_said_where_the_batches_do_not_know_it():
    loader = DataLoader(TensorDataset(tg.zeros(5, 2), tg.zeros(5)), batch_size=3)
    assert [x.shape[0] for x, _ in share(loader, Rank(1, 2))] == [2, 1]
    with pytest.raises(DistributedError, match=r"know the axis of the examples, got a list.*axis=0"):
        share([np.zeros((2, 3))], Rank(0, 2))


def test_carried_states_are_cut_along_their_examples():
    h = tg.tensor(np.arange(12.0).reshape(2, 3, 2))
    part = carried_by_all((h, h), Rank(2, 3))
    assert part[0].tolist() == h[:, 2:].tolist()
    assert carried_by_all(None, Rank(0, 2)) is None


def test_examples_are_the_entries_of_the_last_array():
    assert examples((np.zeros((2, 3, 4)), np.zeros((2, 3)))) == 6
    assert examples(np.zeros(4)) == 4
    with pytest.raises(DistributedError, match=r"weight="):
        examples({"x": np.zeros(3)})


def test_accumulated_gradients_are_means_over_all_examples():
    weight = nn.Linear(1, 1, bias=False).double()
    parallel = DataParallel(weight, World())
    x = np.random.default_rng(0).normal(size=(9, 1))
    for rows in (slice(0, 2), slice(2, 9)):
        part = tg.tensor(x[rows])
        parallel.backward((weight(part) ** 2).mean(), len(x[rows]))
    loss = parallel.exchange()
    gradient = weight.weight.grad.numpy().copy()
    weight.zero_grad()
    whole = (weight(tg.tensor(x)) ** 2).mean()
    whole.backward()
    assert loss == pytest.approx(whole.item(), rel=1e-14)
    np.testing.assert_allclose(gradient, weight.weight.grad.numpy(), rtol=1e-14)


def test_what_cannot_be_averaged_is_refused():
    parallel = DataParallel(nn.Linear(1, 1), World())
    with pytest.raises(DistributedError, match="expected examples, got none"):
        parallel.exchange()
    with pytest.raises(ValueError, match="expected a positive number, got 0"):
        parallel.backward(tg.zeros(1, requires_grad=True).sum(), 0)
    with pytest.raises(ValueError, match="patience: expected a positive number of seconds, got -1"):
        World().patience = -1
