"""Saturation: which sigmoids may be computed with an error that is small beside 1, but not beside a value near 0.

1/2 + 1/2 tanh(x / 2) is a good gate: sigmoid(-50) comes out as 0 instead of 2e-22, and what is multiplied with it is
off by as little. Its logarithm would be off by infinity. So the values that a sigmoid reaches by products, and by sums
of nothing but such products, must be read by operations only that do not magnify what is close to 0.
"""

from __future__ import annotations

from .program import VIEWS, Instruction, Program

_CARRIED = VIEWS | {
    "stack", "concatenate", "place", "copy", "cell", "astype", "multiply", "negative", "square", "add", "subtract",
    "sum", "mean", "where", "take", "take_along_axis", "flip", "roll", "pad", "repeat", "tril", "triu",
}  # fmt: skip
"""Operations whose result is close to 0 where a gate is."""

_SMOOTH = {
    "matmul", "einsum", "tanh", "sigmoid", "relu", "exp", "sin", "cos", "softmax", "log_softmax", "cross_entropy",
    "put", "scatter_along_axis",
}  # fmt: skip
"""Operations whose result is as far off as what they read, or less, in absolute terms."""


def rough(program: Program) -> set[Instruction]:
    """The sigmoids of which nothing is read that a small absolute error could spoil."""
    small: set[Instruction] = set()  # values that are close to 0 where some gate is
    for ins in program.instructions:
        if ins.op == "sigmoid":
            small.add(ins)
            continue
        close = small.issuperset(ins.args) if ins.op in ("add", "subtract") else not small.isdisjoint(ins.args)
        if close and _carries(ins, 0):
            small.add(ins)
    if not small:
        return small
    delicate: set[Instruction] = set()
    for ins in reversed(program.instructions):
        if small.isdisjoint(ins.args):
            continue
        for i, a in enumerate(ins.args):
            if a in small and ((ins in small and ins in delicate) or not _tolerates(ins, i)):
                delicate.add(a)
    bare = set(program.outputs)  # a gate that is returned may be meant as a probability
    shown = VIEWS | {"stack", "concatenate", "copy"}
    for ins in reversed(program.instructions):
        if ins in bare and ins.op in shown:
            bare.update(ins.args)
    return {ins for ins in program.instructions if ins.op == "sigmoid" and ins not in delicate and ins not in bare}


def _carries(ins: Instruction, i: int) -> bool:
    return ins.op in _CARRIED or (ins.op == "divide" and i == 0)


def _tolerates(ins: Instruction, i: int) -> bool:
    """Whether an instruction may read a value at position i that is off by little beside 1."""
    return _carries(ins, i) or ins.op in _SMOOTH
