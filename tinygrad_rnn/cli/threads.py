"""How many threads BLAS may use while a command runs."""

from __future__ import annotations

import contextlib
import os
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["VARIABLES", "chosen", "one_thread"]

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def chosen() -> dict[str, str]:
    """What the user has said of threads, by variable."""
    return {name: os.environ[name] for name in VARIABLES if name in os.environ}


def one_thread() -> AbstractContextManager[Any]:
    """A context with one BLAS thread, unless the user has chosen.

    The products of a recurrent step are small: threads gain little, and beside other work on the machine they wait for
    each other so long that training takes ten times as long.
    """
    if chosen():
        return contextlib.nullcontext()
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="blas")
