"""The model of the cost: limits that can be worked out by hand, and the program that measures."""

import pytest

from tests.distributed.launch import launch
from tinygrad_rnn.distributed import GIGABIT, TEN_GIGABIT, Cost, Network


def test_an_exchange_is_two_passes_over_the_wire():
    network = Network(bandwidth=1e6, latency=1e-3)
    assert network.exchange(1, 4_000_000) == 0
    assert network.exchange(2, 4_000_000) == pytest.approx(4 + 2e-3)
    assert network.exchange(64, 4_000_000) == pytest.approx(2 * 63 / 64 * 4 + 12e-3)


def test_the_fit_returns_what_made_the_times():
    cost = Cost.fitted([4, 8, 32], [0.02 + 0.003 * n for n in (4, 8, 32)], 10)
    assert cost.fixed == pytest.approx(0.02)
    assert cost.row == pytest.approx(0.003)
    assert Cost.fitted([4, 8], [0.03, 0.07], 10).fixed == 0
    with pytest.raises(ValueError, match=r"two different sizes of the batch, got \[4, 4\]"):
        Cost.fitted([4, 4], [1.0, 2.0], 10)


def test_more_machines_pay_until_the_fixed_part_is_left():
    cost = Cost(fixed=0.01, row=0.004, nbytes=1_000_000)
    free = Network(bandwidth=float("inf"), latency=0)
    assert cost.speedup(64, 64, free) == pytest.approx((0.01 + 64 * 0.004) / 0.014)
    assert cost.efficiency(64, 64, free) == 1
    assert cost.step(3, 64, free) == pytest.approx(0.01 + 22 * 0.004)  # the rank with most rows is waited for
    assert 1 < cost.speedup(64, 64, GIGABIT) < cost.speedup(64, 64, TEN_GIGABIT) < cost.speedup(64, 64, free)


@pytest.mark.mpi
def test_the_measuring_program_runs():
    pytest.importorskip("mpi4py")
    printed = launch(2, "tests.benchmarks.ranks", "--workload", "W2", "--rounds", "1")
    assert "speed-up on 2 ranks" in printed
    assert printed.count("      64  ") == 2
