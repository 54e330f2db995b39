"""The passes by name, in the order in which they run, and what each achieved."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .batching import batch
from .biases import fold_biases
from .builder import remove_dead_code, share_common_subexpressions
from .cleaning import clean
from .columns import lay_in_columns
from .cutting import cut_products
from .gates import open_sigmoids
from .program import VIEWS, Program
from .rows import widen_rows
from .softmax import open_softmax
from .splitting import multiply_parts, split_columns
from .sums import collect_sums, factor, order_terms
from .weights import straighten_weights

Pass = Callable[[Program], Program]


PASSES: tuple[tuple[str, Pass], ...] = (
    ("dead code", remove_dead_code),
    ("common subexpressions", share_common_subexpressions),
    ("open softmax", open_softmax),
    ("clean-up", clean),
    ("classes in columns", lay_in_columns),
    ("split columns", split_columns),
    ("products of parts", multiply_parts),
    ("sum of products", collect_sums),
    ("common factors", factor),
    ("open sigmoids", open_sigmoids),
    ("cut products", cut_products),
    ("order of terms", order_terms),
    ("biases in products", fold_biases),
    ("batching", batch),
    ("wide rows", widen_rows),
    ("straight weights", straighten_weights),
)


class Line(NamedTuple):
    """One line of the report: the pass, the instructions that compute something, and the bytes of all their results,
    afterwards.
    """

    name: str
    instructions: int
    nbytes: int


def measure(name: str, program: Program) -> Line:
    """Count what is left to compute; views cost nothing."""
    real = [i for i in program.instructions if i.primitive is not None and i.primitive.name not in VIEWS]
    return Line(name, len(real), sum(i.nbytes for i in real))


def optimise(program: Program) -> Program:
    """Run all passes."""
    for _, one in PASSES:
        program = one(program)
    return program


def stages(program: Program) -> list[tuple[str, Program]]:
    """The program as it is, and after each pass, by the name of the pass."""
    found = [("recorded", program)]
    for name, one in PASSES:
        program = one(program)
        found.append((name, program))
    return found
