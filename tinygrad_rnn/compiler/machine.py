"""The machine: what NumPy is fast at here, and with how many threads it multiplies.

Read off NumPy and its BLAS and never timed, so that every run on one machine makes the same choice and gives the same
numbers.
"""

from __future__ import annotations

import functools
import os
import sys

import numpy as np


@functools.cache
def tanh_is_fast() -> bool:
    """Whether a tanh takes about as long as an exponential. NumPy computes it from tables, which only AVX-512 reads
    well: with AVX2 it takes twice as long.
    """
    found = np.lib.introspect.opt_func_info(func_name="^tanh$", signature="float32")
    targets = [kernel["current"] for kernels in found.values() for kernel in kernels.values()]
    return any("X86_V4" in target or "AVX512" in target for target in targets)


VARIABLES = (
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS"
)  # fmt: skip


def blas_threads() -> int:
    """How many threads a large product is shared between.

    Asked of threadpoolctl where it is in use, for only with it the number may have changed; else it is what the
    environment says, or all cores. A wrong answer costs time and nothing else.
    """
    threadpoolctl = sys.modules.get("threadpoolctl")
    if threadpoolctl is not None:
        pools = threadpoolctl.threadpool_info()
        return max((pool["num_threads"] for pool in pools if pool["user_api"] == "blas"), default=1)
    for name in VARIABLES:
        first = os.environ.get(name, "").partition(",")[0].strip()
        if first.isdecimal() and int(first):
            return int(first)
    return os.cpu_count() or 1
