"""The reverse sweep: from cotangents of outputs to cotangents of everything they were made from.

Floor 3. It walks the recorded nodes in reverse order of recording, applies each primitive's rules, sums cotangents
back over broadcast axes and adds them up (`totals`), once, for every op. It knows no Tensor: what wraps an array into
one is handed in, and then the very same rules record themselves, which is how gradients of gradients and compiled
backward programs come about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .complaints import raise_if_born_backward
from .errors import GraphError, MissingRuleError, ShapeError, explain
from .graph import Node, ancestors
from .ops.elementwise import astype
from .ops.index import getitem
from .protection import Held, lift
from .state import BIRTHS, STATE, State, at_scope, current, enable_grad
from .totals import Totals
from .writes import changes, mutated, unspoilt

Wrap = Callable[..., Any]


def sweep(  # noqa: C901  (the hot loop: a call saved here is a tenth of the cost of an op)
    roots: Sequence[Node],
    seeds: Sequence[Any],
    wrap: Wrap,
    *,
    inputs: Iterable[Node] | None = None,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> dict[Node, tuple[Any, bool]]:
    """Pull the cotangents `seeds` of `roots` back.

    roots, seeds: nodes and their cotangents, of equal shapes; arrays, or Tensors if `create_graph`.
    wrap: `wrap(array, node=None)` makes a Tensor; used for hooks, and everywhere if `create_graph`.
    inputs: the nodes whose cotangents are wanted; None means those that keep theirs (`keeps_grad`).
    retain_graph: keep the residuals for another sweep; they are dropped as the sweep passes otherwise.
    create_graph: run the rules on Tensors, so that the result is itself recorded.
    Returns the wanted cotangents: node -> (cotangent, whether no one else can hold the same array).
    Raises GraphError through a freed graph or a residual changed in place, MissingRuleError where a rule is missing.
    """
    wanted = None if inputs is None else frozenset(inputs)
    order = ancestors(roots, only_grad=True)
    if wanted is not None:
        order = _leading_to(wanted, order)
    useful = None if wanted is None else set(order)
    totals = Totals(recorded=create_graph)
    waiting = totals.waiting
    for root, seed in zip(roots, seeds, strict=True):
        if useful is None or root in useful:
            totals.add(root, seed)
    found: dict[Node, tuple[Any, bool]] = {}
    before = STATE.get()
    within: State | None = None
    anomaly = current().watched & BIRTHS
    spoilt = ""
    try:
        for node in reversed(order):
            g = totals.pop(node, None)
            if waiting and node in waiting:
                g = totals.settled(node, g)
            if create_graph:
                g = totals.placed(node, g)
                behind = node.scope.as_backward()
                if within is None or within.scope is not behind:
                    within = State(before, at_scope(behind), None)
                STATE.set(within)
            if g is None:
                continue
            if node.hooks:
                spoilt = ""
                g = run_hooks(node, g, wrap, create_graph)
            if node.keeps_grad if wanted is None else node in wanted:
                found[node] = g, node in totals.own and not node.hooks and node.primitive is None
            primitive, parents, params, xs = node.primitive, node.parents, node.params, node.xs
            if primitive is None:
                continue
            if xs is None:
                raise GraphError(
                    f"Trying to backward through the graph a second time: the residuals of {node.describe()} were "
                    "freed by the "
                    f"first sweep. Pass retain_graph=True to the first backward() or grad() if you need another."
                )
            # a value that no rule reads is replaced by its node, which knows shape and dtype and nothing else
            y: Any = node if node.y is None else node.y
            if changes and (node.index < changes.newest or xs.__class__ is Held):
                y, xs, spoilt = unspoilt(node)
            elif spoilt:
                spoilt = ""
            if create_graph:
                y = wrap(y, node) if y is not node else y
                xs = [
                    wrap(x, parent) if x.__class__ is np.ndarray else x for x, parent in zip(xs, parents, strict=True)
                ]
            given: Sequence[Any] = xs
            rules: Sequence[Any] = primitive.vjps
            if primitive.scatter is not None and len(parents) == 1 and not (create_graph or anomaly):
                # reading a part, the commonest op of unrolled networks: straight into the buffer
                if useful is None or parents[0] in useful:
                    totals.add_read(parents[0], g, primitive, params)
                if not retain_graph and (xs is not parents or y is not node):
                    node.y = node.xs = None
                continue
            if not primitive.plain:
                if primitive.factors is None:
                    # Their arguments are bound already: T of them in each of T calls would make the sweep quadratic.
                    rules, given = _irregular_rules(node, g, y, xs, totals, create_graph), ()
                elif not (create_graph or anomaly):
                    rules = totals.without_collected(node, g, y, xs)
            for parent, rule in zip(parents, rules):  # noqa: B905  (one rule per parent: primitives see to it)
                if not parent.needs_grad or (useful is not None and parent not in useful):
                    continue
                if rule is None:
                    raise _missing(node, parents.index(parent))
                part = rule(g, y, *given, **params) if params else rule(g, y, *given)
                if part is None:
                    continue
                if part.shape != parent.shape:
                    part = unbroadcast(part, parent, node)
                if part.dtype is not parent.dtype and part.dtype != parent.dtype:
                    part = astype(part, dtype=parent.dtype)
                if anomaly:
                    raise_if_born_backward(part, g, node, parents.index(parent))
                if parent not in totals and parent.primitive is not None:
                    totals[parent] = part
                else:
                    totals.add(parent, part, shared=part is g or primitive.kind == "custom")
            if not retain_graph and (xs is not parents or y is not node):
                node.y = node.xs = None
    except Exception as error:
        if spoilt:
            raise GraphError(spoilt) from error
        raise
    finally:
        if create_graph:
            STATE.set(before)
    return found


def _missing(node: Node, i: int) -> MissingRuleError:
    return MissingRuleError(
        f"backward through {node.describe()}: {node.op} has no gradient rule for argument {i}, which requires grad. "
        "Use detach() on "
        f"it if no gradient should flow there."
    )


def _leading_to(wanted: frozenset[Node], order: list[Node]) -> list[Node]:
    """The nodes of `order` that depend on a wanted one: the sweep need not look at any other."""
    useful: set[Node] = set()
    for node in order:
        if node in wanted or any(parent in useful for parent in node.parents):
            useful.add(node)
    return [node for node in order if node in useful]


def _irregular_rules(node: Node, g: Any, y: Any, xs: Sequence[Any], totals: Totals, recorded: bool) -> list[Any]:
    """One rule per parent for ops whose rules are not simply listed: any number of arguments, one rule for all,
    scattered reads."""
    primitive, parents = node.primitive, node.parents
    assert primitive is not None
    joint, scatter = primitive.joint, primitive.scatter
    if joint is not None:
        results = joint(g, y, *xs, **node.params)
        return [lambda *_, result=result, **__: result for result in results]
    if primitive.every is not None:
        every = primitive.every
        rules: list[Any] = [lambda g, y, i=i, **params: every(i, g, y, *xs, **params) for i in range(len(parents))]
    else:
        rules = [rule and (lambda g, y, rule=rule, **params: rule(g, y, *xs, **params)) for rule in primitive.vjps]
    if scatter is not None:
        if not recorded:
            rules[0] = lambda g, y, **params: scatter(totals.buffer(parents[0]), g, *xs[1:], **params)
        elif primitive is getitem:
            rules[0] = lambda g, y, index: totals.add_part(parents[0], g, index)
    return rules


def unbroadcast(g: Any, parent: Node, node: Node | None = None) -> Any:
    """Sum a cotangent over the axes along which its array was broadcast, back to the shape of that array."""
    shape = parent.shape
    extra = len(g.shape) - len(shape)
    if extra > 0 and g.__class__ is np.ndarray and g.shape[extra:] == shape:  # a bias, at every step
        return np.add.reduce(g, axis=tuple(range(extra))).reshape(shape)
    axes = (
        (*range(extra), *(i + extra for i, n in enumerate(shape) if n == 1 and g.shape[i + extra] != 1))
        if extra >= 0
        else ()
    )
    if extra < 0 or any(g.shape[i + extra] != n and n != 1 for i, n in enumerate(shape)):
        raise ShapeError(
            f"backward{' through ' + node.describe() if node else ''}: expected a gradient of shape {list(shape)} (or "
            "one that "
            f"broadcasting made of it), got {list(g.shape)}."
        )
    if g.__class__ is np.ndarray:
        return np.add.reduce(g, axis=axes).reshape(shape)
    return np.sum(g, axis=axes).reshape(shape)


def run_hooks(node: Node, g: Any, wrap: Wrap, recorded: bool) -> Any:
    """Show the cotangent to the hooks, each of which may replace it."""
    tensor = g if recorded else wrap(np.asarray(g))
    for hook in list((node.hooks or {}).values()):
        changed = hook(tensor)
        if changed is not None:
            if tuple(changed.shape) != node.shape:
                raise ShapeError(
                    f"hook of {node.describe()}: expected a gradient of shape {list(node.shape)}, got "
                    f"{list(changed.shape)}."
                )
            tensor = changed
    return tensor if recorded else tensor.array


def pull(
    outputs: Sequence[Any],
    seeds: Sequence[Any],
    wrap: Wrap,
    *,
    inputs: Sequence[Any] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> dict[Node, tuple[Any, bool]]:
    """Check Tensors and the Tensors (or None) that seed them, and sweep; other arguments and result as `sweep`.

    Raises GraphError if an output has no history, or has no seed and more than one entry; ShapeError for a seed that
    does not fit.
    """
    roots, cotangents = [], []
    if current().tracing and not create_graph:
        raise GraphError(
            "backward() or grad() while compile is recording: a replay would not repeat it. Call backward() on the "
            "result of the compiled function, compile the whole step with compile_step, or pass create_graph=True to "
            "grad()."
        )
    for output, seed in zip(outputs, seeds, strict=True):
        if output.node is None or not output.node.needs_grad:
            raise GraphError(
                f"element {len(roots)} of tensors does not require grad and does not have a grad_fn: nothing that it "
                "was made from "
                f"requires grad, or it was made under no_grad()."
            )
        if seed is None:
            if output.array.size != 1:
                raise GraphError(
                    "grad can be implicitly created only for scalar outputs; this one has shape "
                    f"{list(output.shape)}. Pass a "
                    f"gradient of that shape, or reduce it with .sum() or .mean() first."
                )
            seed = wrap(np.ones_like(output.array))
        if seed.shape != output.shape:
            raise ShapeError(
                explain("backward", expected=f"a gradient of shape {list(output.shape)}", got=str(list(seed.shape)))
            )
        roots.append(output.node)
        cotangents.append(seed if create_graph else seed.array.astype(output.dtype, copy=False))
    wanted = None if inputs is None else [t.node for t in inputs if t.node is not None]
    retain = create_graph if retain_graph is None else retain_graph
    if not create_graph:
        return sweep(roots, cotangents, wrap, inputs=wanted, retain_graph=retain)
    with enable_grad():  # as in PyTorch: who asks for a graph gets one, under no_grad too
        cotangents = [
            seed if seed.dtype == root.dtype else astype(seed, dtype=root.dtype)
            for seed, root in zip(cotangents, roots, strict=True)
        ]
        return sweep(roots, cotangents, wrap, inputs=wanted, retain_graph=retain, create_graph=True)


def deposit(node: Node, g: Any, exclusive: bool, wrap: Wrap) -> None:
    """Add a cotangent, array or Tensor, to the `.grad` of a node."""
    if not isinstance(g, (np.ndarray, np.generic)):
        node.grad = g if node.grad is None else node.grad + g
    elif node.grad is None:
        # an array that something else may hold is copied: gradients must not change behind the user's back
        node.grad = wrap(g if exclusive and g.flags.c_contiguous else np.array(g, order="C"))
    else:
        lift(node.grad.array)
        np.add(node.grad.array, g, out=node.grad.array)
        mutated(node.grad.array)  # somebody may have recorded the gradient so far
