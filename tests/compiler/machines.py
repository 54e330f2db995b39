"""Machines as the compiler sees them: what it chooses differs, results must not."""

import contextlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple
from unittest import mock

from tinygrad_rnn.compiler import gates, joining, splitting


class Machine(NamedTuple):
    """by_tanh: whether sigmoids are best computed so, and not through exp. threads: of BLAS."""

    by_tanh: bool
    threads: int

    def __str__(self) -> str:
        return f"{'tanh' if self.by_tanh else 'exp'}, {self.threads} thread{'s' if self.threads > 1 else ''}"


MACHINES = [Machine(*kind) for kind in itertools.product((True, False), (1, 2))]


@contextlib.contextmanager
def on_machine(machine: Machine) -> Iterator[None]:
    """Compile as on that machine."""
    with (
        mock.patch.object(gates, "through_tanh", return_value=machine.by_tanh),
        mock.patch.object(splitting, "blas_threads", return_value=machine.threads),
        mock.patch.object(joining, "blas_threads", return_value=machine.threads),
    ):
        yield
