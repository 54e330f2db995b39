"""Every primitive with its gradient rules, by kind: importing this folder fills the registry."""

from . import contract, elementwise, index, loss, random, reduce, shape, special

__all__ = ["contract", "elementwise", "index", "loss", "random", "reduce", "shape", "special"]
