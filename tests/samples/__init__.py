"""One table of samples for all primitives: it drives every test of the ops, the mutants and the fuzzer.

A primitive without samples fails the suite. `RANDOM` names the draws, whose values no oracle can foretell.
"""

from .base import Edge, Op, Sample, call, draw, mask, rng_of, spread, whole
from .contract import CONTRACT
from .elementwise import ELEMENTWISE
from .index import INDEX
from .reduce import REDUCE
from .shape import SHAPE

TABLE: dict[str, Op] = {**ELEMENTWISE, **REDUCE, **CONTRACT, **SHAPE, **INDEX}
RANDOM = ("bernoulli",)
CONSTANT = ("zeros_like", "ones_like")  # of float arrays make float arrays that do not depend on them

__all__ = ["CONSTANT", "RANDOM", "TABLE", "Edge", "Op", "Sample", "call", "draw", "mask", "rng_of", "spread", "whole"]
