"""What kind an instruction is, and how deep it lies: what reordering and batching go by.

Two instructions are of one kind if they could be done as one and it would make sense: same primitive and params,
operands of the same types that come from the same kinds, same module path, same side of the cut, and the same weights
among their operands. The depth of a value is the length of the longest chain of computations that leads to it; the
level of a kind is the average depth of its members, so that a step of a recurrence, wherever in time it stands, has one
level.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ..ops.contract import matmul
from ..state import Scope
from .program import CONSTANT, VIEWS, Instruction, Program

FIRST = -2.0
"""How late parameters, and what depends on nothing else, are known."""

IN_LOOP = 1e9
"""How much later than its level the step of a loop is taken to be: the first layer's step t and the second layer's step
t - 1 are about as deep, but only the second layer has to wait for its own."""


def _origins(program: Program) -> dict[Instruction, Instruction]:
    """What each invariant value is computed from: one value stands for all slices of a weight, and for all that is done
    alike to them.
    """
    found: dict[Instruction, Instruction] = {}
    names: dict[Any, Instruction] = {}  # a tuple of tuples would be hashed down to its leaves, by every path to them
    for ins in program.instructions:
        if ins.invariant:
            primitive = ins.primitive
            if primitive is None:
                found[ins] = ins
                continue
            roots = tuple([found[a] for a in ins.args])
            named = (primitive, ins.identity, roots)
            found[ins] = roots[0] if primitive.name in VIEWS else names.setdefault(named, ins)
    return found


class Kinds:
    """of: instruction -> number of its kind (views and leaves have none). depth: instruction -> chain length. level:
        kind -> average.

    steady: the kinds all of whose members are invariant.
    """

    def __init__(self, program: Program) -> None:
        self._program = program
        self._paths: dict[Scope, str]
        self.depth: dict[Instruction, int] = {}
        origins = self._origins = _origins(program)
        paths = self._paths = {}
        coarse: dict[Any, list[Instruction]] = defaultdict(list)
        rough: dict[Instruction, Any] = {}
        numbers: dict[Any, int] = {}
        depths = self.depth
        for ins in program.instructions:
            deepest = 0
            backward = ins.backward
            for a in ins.args:
                if a.backward == backward and depths[a] > deepest:
                    deepest = depths[a]
            primitive = ins.primitive
            if primitive is None or primitive.name in VIEWS:
                depths[ins] = deepest
                continue
            depths[ins] = deepest + 1
            # numbers of types are hashed faster than the types, and there are few types
            operands = tuple([a if a.role == CONSTANT else (a.shape, a.dtype.num) for a in ins.args])
            path = paths.get(ins.scope)
            if primitive is matmul:  # what is summed of products with one weight is not what is summed of another's
                operands = (*operands, origins.get(ins.args[1]))
            name = (primitive, ins.identity, operands, self.path(ins.scope) if path is None else path, backward)
            number = numbers.setdefault(name, len(numbers))
            rough[ins] = number
            coarse[number].append(ins)
        self.of: dict[Instruction, int] = {}
        self.level: list[float] = []
        self.size: list[int] = []
        self.steady: list[bool] = []
        for members in coarse.values():
            for group in self._refined(members, rough):
                number = len(self.level)
                self.of.update(dict.fromkeys(group, number))
                self.level.append(sum([self.depth[m] for m in group]) / len(group))
                self.size.append(len(group))
                self.steady.append(all(m.invariant for m in group))

    def _refined(self, members: list[Instruction], rough: dict[Instruction, Any]) -> Iterable[list[Instruction]]:
        """Split by weights and by where the operands come from; a leaf operand (an initial state) fits to anything."""
        if len(members) == 1:
            return [members]
        columns = zip(*[m.args for m in members], strict=True)
        names = list(zip(*[self._named(column, rough) for column in columns], strict=True))
        if len(set(names)) <= 1:
            return [members]
        split: dict[Any, list[Instruction]] = defaultdict(list)
        for m, name in zip(members, names, strict=True):
            split[name].append(m)
        loose = [name for name in split if None in name]
        for name in loose:
            fitting = [
                other
                for other in split
                if other != name and all(n is None or n == o for n, o in zip(name, other, strict=True))
            ]
            if fitting:
                split[max(fitting, key=lambda other: len(split[other]))].extend(split.pop(name))
        return split.values()

    def _named(self, column: Sequence[Instruction], rough: dict[Instruction, Any]) -> list[Any]:
        """What tells one operand of some members from that of others: its weight, if most read one, else its kind."""
        if sum([a.invariant for a in column]) * 2 > len(column):
            return [self._origins.get(a) for a in column]
        return [rough[a] if a in rough else rough.get(base(a)) for a in column]

    @functools.cached_property
    def loops(self) -> set[int]:
        """The kinds that are steps of loops."""
        return recurrent(self._program, self)

    def path(self, scope: Scope) -> str:
        """The module path without time steps."""
        found = self._paths.get(scope)
        if found is None:
            above = self.path(scope.parent) if scope.parent is not None else ""
            found = self._paths[scope] = f"{above}.{scope.name}" if scope.name else above
        return found

    def readiness(self, ins: Instruction, backward: bool) -> float:
        """How late a value is known, for sorting operands: parameters, then values from in front of the cut, then by
        level, and what stands in a loop after all that does not.
        """
        ins = base(ins)
        number = self.of.get(ins)
        if number is None:
            return FIRST if ins.invariant else -0.5
        if self.steady[number]:
            return FIRST
        if backward and not ins.backward:
            return -1.0
        return self.level[number] + (IN_LOOP if number in self.loops else 0)


def base(ins: Instruction) -> Instruction:
    """The value that a view shows, through any number of views."""
    while ins.primitive is not None and ins.primitive.name in VIEWS:
        ins = ins.args[0]
    return ins


def recurrent(program: Program, kinds: Kinds) -> set[int]:
    """The kinds that lie on a cycle, when all members of a kind are seen as one: the steps of loops. (Tarjan's
    algorithm.)
    """
    edges: dict[int, set[int]] = defaultdict(set)
    for ins, number in kinds.of.items():
        for a in ins.args:
            origin = base(a)
            source = kinds.of.get(origin)
            if source is not None and origin.backward == ins.backward:
                edges[source].add(number)
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    waiting: set[int] = set()
    found: set[int] = set()
    for start in range(len(kinds.level)):
        if start in index:
            continue
        path = [(start, iter(edges[start]))]
        index[start] = low[start] = len(index)
        stack.append(start)
        waiting.add(start)
        while path:
            node, following = path[-1]
            for n in following:
                if n not in index:
                    index[n] = low[n] = len(index)
                    stack.append(n)
                    waiting.add(n)
                    path.append((n, iter(edges[n])))
                    break
                if n in waiting:
                    low[node] = min(low[node], index[n])
            else:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == index[node]:
                    component = stack[stack.index(node) :]
                    del stack[stack.index(node) :]
                    waiting.difference_update(component)
                    if len(component) > 1 or node in edges[node]:
                        found.update(component)
    return found
