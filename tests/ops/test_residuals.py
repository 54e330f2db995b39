"""`saves` is what the rules read: no less (a stand-in would fail) and no more (memory would be kept for nothing)."""

from typing import Any

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.samples import TABLE, Sample, rng_of
from tinygrad_rnn.graph import Node
from tinygrad_rnn.primitive import PRIMITIVES

from .running import run, seed_for, sources, with_gradient

DIFFERENTIABLE = [name for name in TABLE if PRIMITIVES[name].differentiable]


def declared(name: str, count: int) -> tuple[bool, set[int]]:
    """(whether the output is saved, positions of the saved inputs) as the docstring of `saves` defines it."""
    saves = PRIMITIVES[name].saves
    digits = [int(c) for c in saves if c.isdigit()]
    if "*" in saves:
        return "y" in saves, set(range(digits[0] if digits else 0, count))
    return "y" in saves, set(digits)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_nodes_hold_what_is_declared_and_stand_ins_for_the_rest(name: str):
    for sample in TABLE[name].samples:
        if not with_gradient(name, sample):
            continue
        node = run(name, sample)[1].node
        output, inputs = declared(name, len(sample.args))
        assert (node.y is not None) == output
        for i, x in enumerate(node.xs):
            assert isinstance(x, Node) == (i not in inputs), f"input {i} of {sample}"


def altered(x: Any, rng: np.random.Generator) -> Any:
    """An array like x with other values, of the same kind."""
    if not isinstance(x, np.ndarray):
        return x if isinstance(x, bool) else x + 1
    if x.dtype.kind == "f":
        return rng.uniform(0.3, 0.9, x.shape)
    return ~x if x.dtype == np.bool_ else np.where(x > 0, x - 1, x + 1).astype(x.dtype)


def matters(name: str, sample: Sample, which: int | None) -> bool:
    """Whether the gradients change when one residual (an input, or the output: None) is replaced by other values."""

    def grads(spoil: bool) -> list[Any]:
        args, y = run(name, sample)
        rng = rng_of(name, str(sample), which)
        if spoil and which is None:
            y.node.y = altered(y.node.y, rng)
        elif spoil:
            y.node.xs = [altered(x, rng) if i == which else x for i, x in enumerate(y.node.xs)]
        return list(
            tg.autograd.grad(
                y, sources(name, sample, args), tg.Tensor(seed_for(name, sample, y.shape)), allow_unused=True
            )
        )

    try:
        with np.errstate(all="ignore"):
            spoiled = grads(True)
    except (IndexError, ValueError, RuntimeError):
        return True
    pairs = zip(grads(False), spoiled, strict=True)
    return any(
        (a is None) != (b is None) or (a is not None and not np.array_equal(a.numpy(), b.numpy())) for a, b in pairs
    )


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_every_declared_residual_is_needed(name: str):
    samples = [sample for sample in TABLE[name].samples if with_gradient(name, sample)]
    output, _ = declared(name, 0)
    if output:
        assert any(matters(name, sample, None) for sample in samples), "the output is saved and no rule reads it"
    positions = set().union(*(declared(name, len(sample.args))[1] for sample in samples))
    for i in sorted(positions):
        fitting = [sample for sample in samples if len(sample.args) > i]
        assert any(matters(name, sample, i) for sample in fitting), f"input {i} is saved and no rule reads it"
