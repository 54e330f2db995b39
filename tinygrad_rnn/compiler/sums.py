"""Sums: a sum of products is one product over a longer axis, and what is known early is added first.

Backpropagation through time adds up a weight gradient one step at a time, T products and T additions. If the products
have equal shapes the sum is a single product of the stacked operands, and likewise a sum of reductions is one
reduction, a sum of scatters one scatter. Sums and products of several terms are also reordered: terms that do not wait
for the recurrence come first, so that they are computed for all time steps at once and one operation is left in the
loop. Both round differently from eager, by what a different order of addition makes.
"""

from __future__ import annotations

import functools
from typing import Any

from ..ops.elementwise import add, multiply, subtract
from ..ops.index import Slot, put
from .builder import Builder, rewrite, uses
from .kinds import FIRST, Kinds, base
from .program import VIEWS, Instruction, Program

FEW = 4  # so many alike terms, at least, make a sum of anything worth stacking


def collect_sums(program: Program) -> Program:
    """Make one product of each sum of products, one reduction of each sum of reductions, one scatter of each sum of
    scatters.
    """
    counts = uses(program)

    def rule(b: Builder, root: Instruction, terms: list[Instruction], old: list[Instruction]) -> Instruction | None:
        return _combine(b, root, terms, old, counts)

    return _turn_products(_on_trees(program, counts, ("add",), rule, least=2))


def _turn_products(program: Program) -> Program:
    """A transposed product, (A B)^T, as a sum of products for a transposed weight is, becomes B^T A^T, and is then
    written as it will be read.
    """
    turned = {ins for ins in program.instructions if ins.op == "transpose" and ins.args[0].op == "matmul"}
    counts = uses(program) if turned else {}
    turned = {ins for ins in turned if ins.ndim == 2 and ins.args[0].args[0].ndim == 2 and counts[ins.args[0]] == 1}
    if not turned:
        return program
    b = Builder()
    new: dict[Instruction, Instruction] = {}
    now = new.__getitem__
    for ins in program.instructions:
        if ins in turned:
            left, right = (b.transpose(new[a], (1, 0), ins) for a in ins.args[0].args)
            new[ins] = b.matmul(right, left, ins)
        else:
            new[ins] = _kept(b, ins, tuple(map(now, ins.args)))
    return program.rebuilt(new, b.order)


def order_terms(program: Program) -> Program:
    """Reorder sums and products of three terms or more: what is known early first."""
    kinds = functools.cache(lambda: Kinds(program))  # few loops have nothing to order, but those are short

    def rule(b: Builder, root: Instruction, terms: list[Instruction], old: list[Instruction]) -> Instruction | None:
        readiness = kinds().readiness
        return _ordered(b, root, terms, [readiness(t, root.backward) for t in old])

    return _on_trees(program, uses(program), ("add", "multiply"), rule, least=3)


def factor(program: Program) -> Program:
    """x a + x b is x (a + b), with one product less and a sum that may not have to wait for x; likewise differences."""
    if not any(map(_is_sum_of_products, program.instructions)):
        return program
    counts = uses(program)

    def rule(b: Builder, ins: Instruction, args: tuple[Instruction, ...]) -> Instruction:
        if ins.op in ("add", "subtract") and ins.dtype.kind == "f":
            left, right = args
            if right.op == "negative" and right.shape == ins.shape and ins.op == "add":
                ins = Instruction(subtract, ins.args, {}, ins.shape, ins.dtype, ins.scope, ins.backward, ins.key)
                right = right.args[0]
                args = (left, right)
            alone = all(counts[a] == 1 or a.op == "negative" for a in ins.args)
            if left.op == right.op == "multiply" and alone and left.shape == right.shape == ins.shape:
                for x in left.args:
                    if x in right.args and x.shape == ins.shape:
                        a = left.args[1] if x is left.args[0] else left.args[0]
                        c = right.args[1] if x is right.args[0] else right.args[0]
                        if a.dtype == c.dtype == ins.dtype and a.shape == c.shape == ins.shape:
                            inner = b.emit(ins.primitive, (a, c), {}, ins.shape, ins.dtype, ins)
                            return b.multiply(x, inner, ins)
        return b.again(ins, args)

    return rewrite(program, rule)


def _is_sum_of_products(ins: Instruction) -> bool:
    """Whether two products that share an operand are added or subtracted here; or anything is subtracted as -x is
    added.
    """
    if ins.op not in ("add", "subtract"):
        return False
    left, right = ins.args
    return right.op == "negative" or (left.op == right.op == "multiply" and any(x in right.args for x in left.args))


def _on_trees(program: Program, counts: dict[Instruction, int], ops: tuple[str, ...], rule: Any, least: int) -> Program:
    """Apply `rule(builder, root, new terms, old terms)` to each tree of one op whose inner values nobody else reads.

    counts: how often each value is read. least: how many terms make a tree.
    """
    inner = set()
    for ins in program.instructions:
        if ins.op in ops and ins.dtype.kind == "f":
            op = ins.primitive
            inner.update([a for a in ins.args if a.primitive is op and counts[a] == 1 and a.shape == ins.shape])
    b = Builder()
    new: dict[Instruction, Instruction] = {}
    now = new.__getitem__
    for ins in program.instructions:
        if ins.primitive is None:
            new[ins] = b.leaf(ins)
            continue
        if ins in inner:
            continue
        made = None
        tree = not inner.isdisjoint(ins.args)
        if ins.op in ops and ins.dtype.kind == "f" and (tree or least <= 2):
            terms = _terms(ins, inner)
            if len(terms) >= least:
                made = rule(b, ins, [new[t] for t in terms], terms)
        if made is None:
            made = _unchanged(b, ins, inner, new) if tree else _kept(b, ins, tuple(map(now, ins.args)))
        new[ins] = made
    return program.rebuilt(new, b.order)


def _kept(b: Builder, ins: Instruction, args: tuple[Instruction, ...]) -> Instruction:
    """An instruction on its new operands. What does not depend on anything that changed, nearly everything, stays as it
    is, which is faster than to look for its equal."""
    if args != ins.args:
        return b.again(ins, args)
    b.order.append(ins)
    return ins


def _unchanged(
    b: Builder, root: Instruction, inner: set[Instruction], new: dict[Instruction, Instruction]
) -> Instruction:
    """The tree as it was."""
    order = [root]
    for ins in order:  # grows while we walk it
        order.extend(a for a in ins.args if a in inner and a not in new)
    for ins in reversed(order):
        new[ins] = _kept(b, ins, tuple([new[a] for a in ins.args]))
    return new[root]


def _terms(root: Instruction, inner: set[Instruction]) -> list[Instruction]:
    """The leaves of a tree, left to right."""
    terms: list[Instruction] = []
    stack = [root]
    while stack:
        ins = stack.pop()
        if ins is root or ins in inner:
            stack.extend(reversed(ins.args))
        else:
            terms.append(ins)
    return terms


def _ordered(b: Builder, root: Instruction, terms: list[Instruction], ready: list[float]) -> Instruction | None:
    """Fold the terms, earliest first; numbers keep PyTorch's dtype rules only next to arrays, so they go last of the
    first.

    ready: when each is known.
    """
    if any(t.dtype != root.dtype for t in terms):
        return None
    order = sorted(range(len(terms)), key=lambda i: (ready[i], terms[i].size))
    # what is invariant and large, as the product of a first state is, comes second: a bias stays beside its product
    large = [i for i in order if ready[i] == FIRST and terms[i].size == root.size]
    small = [i for i in order if i not in large]
    at = next((k + 1 for k, i in enumerate(small) if ready[i] > FIRST), len(small))
    order = [*small[:at], *large, *small[at:]]
    primitive = add if root.op == "add" else multiply
    total = terms[order[0]]
    for i in order[1:]:
        total = b._binary(primitive, total, terms[i], root)
    return total if total.shape == root.shape else None


def _combine(
    b: Builder, root: Instruction, terms: list[Instruction], old: list[Instruction], counts: Any
) -> Instruction | None:
    names = [_class(term, was, root, counts) for term, was in zip(terms, old, strict=True)]
    groups: dict[Any, list[int]] = {}
    for i, name in enumerate(names):
        groups.setdefault(name or i, []).append(i)
    if all(len(members) == 1 for members in groups.values()):
        return None
    total = None
    for name, members in groups.items():
        first = [terms[i] for i in members]
        if len(members) == 1 or not _worth_it(name[0], [old[i] for i in members]):
            parts = first
        else:
            parts = [_MERGE[name[0]](b, root, first)]
        for part in parts:
            total = part if total is None else b.add(total, part, root)
    return total if total is not None and total.shape == root.shape else None


def _worth_it(how: str, members: list[Instruction]) -> bool:
    """Whether to merge: a few plain terms are better added, and products with weights are not weight gradients."""
    if how == "plain":
        return len(members) >= FEW
    if how == "matmul":
        bare = [_bare(m) for m in members]
        return 2 * sum(any(base(a).invariant for a in m.args) for m in bare) <= len(bare)
    return True


def _class(term: Instruction, was: Instruction, root: Instruction, counts: Any) -> Any:
    """What terms must share to be summed in one go: how, and the types involved; None if this one stands alone."""
    outer = term.shape
    while term.op == "reshape":
        if counts[was] > 1:
            return None
        term, was = term.args[0], was.args[0] if was.op == "reshape" else was
    if term.shape != root.shape and outer != root.shape:
        return None
    if was.invariant:
        return None
    if counts.get(was, 2) == 1 and outer == root.shape:
        if term.op == "matmul" and term.ndim == 2 and term.args[0].ndim == 2 and term.args[1].ndim == 2:
            return ("matmul", outer, term.shape, term.args[0].dtype, term.args[1].dtype)
        elif term.op == "sum" and not term.params["keepdims"]:
            return ("sum", outer, term.args[0].shape, term.params["axis"])
        elif term.op == "put" and all(isinstance(p, Slot) for p in term.params["pattern"]):
            return ("put", outer, term.identity, tuple(a.shape for a in term.args))
    if term.op in VIEWS or term.primitive is None or outer != root.shape or term.op == "stack":
        return None
    return ("plain", was.primitive, was.identity, tuple([a.shape for a in was.args]))


def _bare(term: Instruction) -> Instruction:
    return term.args[0] if term.op == "reshape" else term


def _sum_of_matmuls(b: Builder, root: Instruction, terms: list[Instruction]) -> Instruction:
    """sum_t A_t B_t = [A_1 A_2 ...] [B_1; B_2; ...]."""
    pairs = []
    for term in terms:
        left, right = _bare(term).args
        pairs.append((b.transpose(left, (1, 0), root), right))
    pairs.sort(key=lambda pair: (pair[0].key, pair[1].key))
    left = _joined(b, tuple(p[0] for p in pairs), root)
    right = _joined(b, tuple(p[1] for p in pairs), root)
    return b.reshape(b.matmul(b.transpose(left, (1, 0), root), right, root), terms[0].shape, root)


def _joined(b: Builder, parts: tuple[Instruction, ...], like: Instruction) -> Instruction:
    """Matrices on top of each other."""
    rows, columns = parts[0].shape
    if len({p.shape for p in parts}) == 1:
        return b.reshape(b.stack(parts, 0, like), (len(parts) * rows, columns), like)
    return b.concatenate(parts, 0, like)


def _sum_of_sums(b: Builder, root: Instruction, terms: list[Instruction]) -> Instruction:
    axis = tuple(i + 1 for i in _bare(terms[0]).params["axis"])
    parts = tuple(sorted((_bare(t).args[0] for t in terms), key=lambda x: x.key))
    return b.reshape(b.sum(b.stack(parts, 0, root), (0, *axis), root), terms[0].shape, root)


def _sum_of_scatters(b: Builder, root: Instruction, terms: list[Instruction]) -> Instruction:
    first = _bare(terms[0])
    members = sorted((_bare(t) for t in terms), key=lambda t: t.args[0].key)
    stacked = tuple(b.stack(tuple(m.args[i] for m in members), 0, root) for i in range(len(first.args)))
    return b.reshape(b.emit(put, stacked, first.params, first.shape, first.dtype, root), terms[0].shape, root)


def _sum_of_anything(b: Builder, root: Instruction, terms: list[Instruction]) -> Instruction:
    return b.sum(b.stack(tuple(sorted(terms, key=lambda t: t.key)), 0, root), (0,), root)


_MERGE = {"matmul": _sum_of_matmuls, "sum": _sum_of_sums, "put": _sum_of_scatters, "plain": _sum_of_anything}
