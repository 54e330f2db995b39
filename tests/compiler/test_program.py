"""The program: what the checker refuses, what the printer prints, and the interpreter as the reference."""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.loops import batch, loss_of, weights
from tinygrad_rnn.compiler.program import (
    CONSTANT,
    COTANGENT,
    INPUT,
    PARAMETER,
    Instruction,
    Program,
    check,
    freeze,
    interpret,
    show,
    sort,
)  # fmt: skip
from tinygrad_rnn.compiler.signature import flatten
from tinygrad_rnn.compiler.trace import record
from tinygrad_rnn.ops.elementwise import add, tanh

F8 = np.dtype(np.float64)


def leaf(shape=(2, 3), role=INPUT, backward=False):
    return Instruction(None, (), {}, shape, F8, role=role, backward=backward)


def op(primitive, *args, shape=(2, 3), dtype=F8, backward=False):
    return Instruction(primitive, args, {}, shape, dtype, backward=backward)


def program(*instructions, inputs=(), outputs=()):
    return Program(instructions, inputs, (None,) * len(outputs), outputs, (), ())


def recorded(cell="tanh"):
    args = batch()
    leaves = []
    template = flatten((args, {}), leaves, [])
    return record(loss_of(cell, weights(cell)), template, leaves).program, [x.array for x in leaves]


def test_the_checker_accepts_what_was_recorded():
    found, _ = recorded("lstm")
    assert check(found) is found


def test_the_checker_wants_operands_first():
    x = leaf()
    y = op(tanh, x)
    with pytest.raises(AssertionError, match="comes before its operand"):
        check(program(y, x, inputs=(x,), outputs=(y,)))


def test_the_checker_wants_true_types():
    x = leaf()
    for wrong in (op(tanh, x, shape=(3, 2)), op(tanh, x, dtype=np.dtype(np.float32))):
        with pytest.raises(AssertionError, match="gives"):
            check(program(x, wrong, inputs=(x,), outputs=(wrong,)))


def test_the_checker_guards_the_cut_and_the_results():
    x, g = leaf(), leaf(role=COTANGENT, backward=True)
    early = op(add, x, g)
    with pytest.raises(AssertionError, match="in front of the cut"):
        check(program(x, g, early, inputs=(x,), outputs=(early,)))
    with pytest.raises(AssertionError, match="is not computed"):
        check(program(x, inputs=(x,), outputs=(op(tanh, x),)))
    with pytest.raises(AssertionError, match="twice"):
        check(program(x, x, inputs=(x,), outputs=(x,)))


def test_the_printer_prints_one_line_an_instruction_and_the_cut():
    found, _ = recorded()
    lines = show(found, limit=1000).splitlines()
    assert len(lines) == len(found.instructions) + 1
    assert sum("the cut" in line for line in lines) == 1
    assert any("matmul" in line and "cell at t=2" in line for line in lines)
    assert show(found, limit=3).splitlines()[-1] == f"... and {len(found.instructions) - 3} more"


def test_the_interpreter_runs_forward_alone_or_both_parts():
    found, arrays = recorded()
    outputs, gradients = interpret(found, arrays)
    assert gradients == [None] * len(found.wanted)
    again, gradients = interpret(found, arrays, [np.float64(1)])
    np.testing.assert_array_equal(outputs[0], again[0])
    w = weights("tanh")
    x, targets = batch()
    loss_of("tanh", w)(x, targets).backward()
    got = dict(zip([i.shape for i in found.wanted], gradients, strict=True))
    np.testing.assert_allclose(got[x.shape], x.grad.array, rtol=1e-12)


def test_sort_puts_operands_first_and_forward_in_front():
    x, g = leaf(), leaf(role=COTANGENT, backward=True)
    y = op(tanh, x)
    z = op(add, y, g, backward=True)
    assert sort([z]) == [x, y, g, z]


def test_frozen_params_are_equal_exactly_when_params_are():
    assert freeze({"index": (slice(1, 2), 3)}) == freeze({"index": (slice(1, 2), 3)})
    assert freeze({"index": (slice(1, 2), 3)}) != freeze({"index": (slice(1, 3), 3)})
    assert freeze({"k": 1}) != freeze({"k": 1.0})
    assert hash(freeze({"a": [np.ones(2)], "b": slice(None)})) is not None


def test_what_is_made_of_parameters_and_constants_alone_is_invariant():
    x, weight, number = leaf(), leaf(role=PARAMETER), leaf(role=CONSTANT)
    assert op(tanh, op(add, weight, number)).invariant
    assert not op(add, weight, x).invariant
    assert not op(add, x, weight).invariant
    assert not leaf(role=COTANGENT).invariant


def test_a_computation_on_other_operands_keeps_all_but_its_side_of_the_cut():
    x, y, g = leaf(), leaf(), leaf(role=COTANGENT, backward=True)
    one = op(tanh, x)
    other, behind = one.on((y,)), one.on((g,))
    assert (other.args, other.backward, behind.args, behind.backward) == ((y,), False, (g,), True)
    assert (other.identity, other.shape, other.dtype) == (one.identity, one.shape, one.dtype)


def test_a_deep_recording_needs_no_recursion():
    def chain(x):
        for _ in range(5000):
            x = np.tanh(x)
        return x.sum()

    tg.compile(chain)(tg.ones(2)).item()


def test_the_cut_is_shown_where_backward_begins():
    """The cotangent, a leaf, may stand before the forward part."""
    layer = tg.nn.RNN(2, 3)
    x = tg.from_numpy(np.random.default_rng(0).normal(size=(4, 2, 2)).astype(np.float32))
    program = tg.compile(lambda x: (layer(x)[0] ** 2).mean()).program(x)
    lines = show(program, 10_000).splitlines()
    (cut,) = [i for i, line in enumerate(lines) if line.startswith("----")]
    computed = [ins.primitive is not None for ins in program.instructions]
    behind = [ins.backward for ins in program.instructions]
    assert not any(c and b for c, b in zip(computed[:cut], behind[:cut], strict=True))
    assert all(b for c, b in zip(computed[cut:], behind[cut:], strict=True) if c)
