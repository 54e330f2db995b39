"""Every primitive with its gradient rules, by kind: importing this folder fills the registry."""

from . import (
    composite,
    contract,
    elementwise,
    index,
    loss,
    numpy_reductions,
    random,
    reduce,
    shape,
    special,
)  # fmt: skip

__all__ = [
    "composite", "contract", "elementwise", "index", "loss", "numpy_reductions", "random", "reduce", "shape", "special",
]  # fmt: skip
