"""What the compiler is told of the machine."""

import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import tinygrad_rnn as tg
from tests.compiler.machines import Machine, on_machine
from tinygrad_rnn import nn
from tinygrad_rnn.compiler import machine


@pytest.fixture
def environment(monkeypatch):
    """No word on threads, and threadpoolctl not in use."""
    monkeypatch.delitem(sys.modules, "threadpoolctl", raising=False)
    for name in machine.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variables", "threads"),
    [
        ({}, 8),
        ({"OMP_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "4,2"}, 4),
        ({"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "5"}, 2),
        ({"OPENBLAS_NUM_THREADS": "", "OMP_NUM_THREADS": "many"}, 8),
        ({"OPENBLAS_NUM_THREADS": "0"}, 8),
    ],
)
def test_threads_are_those_of_the_environment_or_all_cores(environment, variables, threads):
    environment.setattr(machine.os, "cpu_count", lambda: 8)
    for name, value in variables.items():
        environment.setenv(name, value)
    assert machine.blas_threads() == threads


def test_threads_are_asked_for_where_they_may_have_changed():
    np.ones((2, 2)) @ np.ones((2, 2))
    with threadpool_limits(1, user_api="blas"):
        assert machine.blas_threads() == 1


@pytest.mark.parametrize("threads", [1, 2])
def test_gates_are_multiplied_side_by_side_where_threads_share_the_product(threads):
    layer = nn.LSTM(3, 5)
    with on_machine(Machine(by_tanh=True, threads=threads)):
        program = tg.compile(lambda x: layer(x)[0]).program(tg.randn(4, 2, 3))
    products = [ins.shape for ins in program.instructions if ins.op == "matmul" and not ins.backward]
    assert products.count((2, 20) if threads > 1 else (4, 2, 5)) == 4


@pytest.mark.parametrize(("targets", "fast"), [("X86_V4", True), ("AVX512_SKX", True), ("X86_V3", False)])
def test_tanh_is_fast_with_wide_registers(monkeypatch, targets, fast):
    found = {"tanh": {"ff": {"current": targets, "available": "X86_V4 X86_V3 baseline(X86_V2)"}}}
    monkeypatch.setattr(machine.np.lib.introspect, "opt_func_info", lambda **_: found)
    assert machine.tanh_is_fast.__wrapped__() is fast
