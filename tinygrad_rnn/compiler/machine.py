"""The machine: what NumPy is fast at here, and with how many threads it multiplies.

Read off NumPy and its BLAS and never timed, so that every run on one machine makes the same choice and gives the same
numbers.
"""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def tanh_is_fast() -> bool:
    """Whether a tanh takes about as long as an exponential. NumPy computes it from tables, which only AVX-512 reads
    well: with AVX2 it takes twice as long.
    """
    found = np.lib.introspect.opt_func_info(func_name="^tanh$", signature="float32")
    targets = [kernel["current"] for kernels in found.values() for kernel in kernels.values()]
    return any("X86_V4" in target or "AVX512" in target for target in targets)


def blas_threads() -> int:
    """How many threads a large product is shared between; 1 where that cannot be told."""
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)
