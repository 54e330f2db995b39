"""Models compiled and eager: equal values and gradients in float64, and what the expert would have seen in the
program.
"""

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.loops import B, D, H, T, V, batch, loss_of, run, weights
from tinygrad_rnn import nn
from tinygrad_rnn.compiler.program import VIEWS
from tinygrad_rnn.ops.loss import cross_entropy

EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("head", ["each", "all"])
@pytest.mark.parametrize("scoped", [True, False])
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "highway"])
def test_loops_over_cells_equal_eager(cell, scoped, head):
    compiled = tg.compile(loss_of(cell, weights(cell), scoped, head))
    for seed in range(2):
        compiled.check(*batch(seed=seed), **EXACT)


@pytest.mark.parametrize("steps", [1, 2, 3, 17])
def test_any_number_of_steps(steps):
    tg.compile(loss_of("lstm", weights("lstm"))).check(*batch(steps=steps), **EXACT)


def test_batch_of_one():
    tg.compile(loss_of("gru", weights("gru"))).check(*batch(rows=1), **EXACT)


def test_a_loop_leaves_three_calls_per_step_each_way():
    def calls(steps):
        compiled = tg.compile(loss_of("tanh", weights("tanh")))
        compiled(*batch(steps=steps)).backward()
        plan = compiled.plan(*batch(steps=steps))
        return len(plan.forward), len(plan.backward)

    few, many = calls(10), calls(30)
    assert [(b - a) / 20 for a, b in zip(few, many, strict=True)] == [3, 3]


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("cell", ["tanh", "lstm", "gru", "highway"])
def test_one_product_each_for_inputs_weights_and_head(cell):
    program = tg.compile(loss_of(cell, weights(cell))).program(*batch())
    products = [ins for ins in program.instructions if ins.op == "matmul"]
    stepwise = [ins for ins in products if ins.scope.t is not None and B in ins.shape[-2:-1]]
    assert len(products) - len(stepwise) <= 8
    rows = T * B
    assert sum(rows in ins.args[0].shape for ins in products) >= 3, (
        "inputs, head and weight gradients contract all steps"
    )
    gates = {"tanh": 1, "lstm": 4, "gru": 3, "highway": 2}[cell]
    for wanted, gradient in zip(program.wanted, program.gradients, strict=True):
        if len(wanted.shape) == 2 and wanted.shape[0] != V:
            made_of = products_behind(gradient)
            assert len(made_of) in (1, gates), f"the gradient of {wanted} is one product, or one for each gate"
            assert all(rows in a.shape for product in made_of for a in product.args), "over all steps"


def products_behind(gradient):
    """The products that a gradient shows, through views and joins."""
    if gradient.op == "matmul":
        return [gradient]
    assert gradient.op in {*VIEWS, "stack", "concatenate"}, gradient
    return list(dict.fromkeys(p for a in gradient.args for p in products_behind(a)))


def test_a_stack_of_two_layers_projects_the_inputs_of_each_at_once():
    torch_like = nn.RNN(D, H, 2).double()
    compiled = tg.compile(lambda x: torch_like(x)[0].sum())
    x, _ = batch(steps=20)
    compiled.check(x, **EXACT)
    big = [i for i in compiled.program(x).instructions if i.op == "matmul" and i.size >= 20 * B * H and not i.backward]
    assert len(big) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "RNN", "num_layers": 2}, {"cell": "RNN", "nonlinearity": "relu"},
        {"cell": "LSTM", "bidirectional": True}, {"cell": "LSTM", "proj_size": 2},
        {"cell": "GRU", "batch_first": True, "bias": False}, {"cell": "GRU", "num_layers": 2},
        {"cell": "LSTM", "num_layers": 2, "dropout": 0.5},
    ],
    ids=str,
)  # fmt: skip
def test_layers_equal_eager(options):
    options = dict(options)
    layer = getattr(nn, options.pop("cell"))(D, H, **options).double()

    def function(x):
        outputs, state = layer(x)
        return (outputs * outputs).mean(), outputs, state

    compiled = tg.compile(function)
    x, _ = batch()
    tg.manual_seed(3)
    compiled.check(x, **EXACT)
    layer.eval()
    compiled.check(x, **EXACT)


def test_packed_sequences_equal_eager():
    layer = nn.LSTM(D, H).double()

    def function(x):
        packed = nn.utils.rnn.pack_padded_sequence(x, [5, 3, 2])
        outputs, _ = nn.utils.rnn.pad_packed_sequence(layer(packed)[0])
        return (outputs * outputs).sum()

    tg.compile(function).check(batch()[0], **EXACT)


def test_attention_over_all_states():
    w = weights("tanh")
    query = tg.tensor(np.random.default_rng(1).normal(size=(H, H)), requires_grad=True)

    def function(xs):
        states = np.stack(run("tanh", xs, w))
        total = 0
        for h in states:
            scores = ((h @ query) * states).sum(-1)
            total = total + (scores.softmax(0)[..., None] * states).sum(0).pow(2).mean()
        return total

    tg.compile(function).check(batch()[0], **EXACT)


def test_a_residual_stack_and_a_tree_by_recursion():
    w = weights("tanh")[1]

    def join(parts):
        if len(parts) == 1:
            return parts[0]
        middle = len(parts) // 2
        left, right = join(parts[:middle]), join(parts[middle:])
        return np.tanh((left + right) @ w.T) + left

    compiled = tg.compile(lambda leaves: join(list(leaves)).pow(2).sum())
    leaves = tg.tensor(np.random.default_rng(0).normal(size=(8, 1, H)), requires_grad=True)
    compiled.check(leaves, **EXACT)
    products = [i for i in compiled.program(leaves).instructions if i.op == "matmul" and not i.backward]
    assert len(products) == 3, "one product for each level of the tree"


def test_sequences_of_unequal_length_are_batched_across_examples():
    w = weights("tanh")

    def function(sequences):
        return sum(run("tanh", s, w)[-1].pow(2).sum() for s in sequences)

    rng = np.random.default_rng(0)
    sequences = [tg.tensor(rng.normal(size=(n, 1, D)), requires_grad=True) for n in (4, 7, 2, 7, 5)]
    compiled = tg.compile(function)
    compiled.check(sequences, **EXACT)
    products = [i for i in compiled.program(sequences).instructions if i.op == "matmul" and not i.backward]
    assert len(products) <= 7 + 5, "steps of all examples together, and at most one projection for each sequence"


def test_float32_stays_float32_and_close():
    compiled = tg.compile(loss_of("lstm", weights("lstm", np.float32)))
    compiled.check(*batch(np.float32))
    assert compiled(*batch(np.float32)).dtype == np.float32


def test_batch_norm_updates_its_statistics_once_per_call():
    eager, layer = nn.BatchNorm1d(D).double(), nn.BatchNorm1d(D).double()
    compiled = tg.compile(lambda x: layer(x).pow(3).sum())
    for seed in range(3):
        x = batch(steps=1, rows=8, seed=seed)[0][0].detach()
        eager(x)
        compiled(x)
    np.testing.assert_allclose(layer.running_mean.numpy(), eager.running_mean.numpy(), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), eager.running_var.numpy(), rtol=1e-12)
    assert layer.num_batches_tracked.item() == 3


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("classes", [3, 40])  # few are laid out in columns
def test_a_loss_at_every_step_is_one_loss_of_all_steps(classes, shared, reduction):
    rng = np.random.default_rng(0)
    scores = tg.tensor(rng.normal(size=(T, 9, classes)), requires_grad=True)
    targets = rng.integers(classes, size=(T, 9))
    targets[rng.random(targets.shape) < 0.3] = -100  # ignored
    targets[:, 0] = 1

    @tg.compile
    def loss(scores, targets):
        total = 0
        for t in range(T):
            with tg.scope("step", t=t):
                target = targets[0 if shared else t]
                one = nn.functional.cross_entropy(scores[t] * 1.5, target, ignore_index=-100, reduction=reduction)
                total = total + (one * t).sum()
        return total

    loss.check(scores, tg.from_numpy(targets), **EXACT)
    exponentials = [ins for ins in loss.program(scores, tg.from_numpy(targets)).instructions if ins.op == "exp"]
    assert len(exponentials) == 1


@pytest.mark.parametrize("shape", [(3, 1), (1, 1), (2, 2, 1), (2, 1, 3)])
def test_cross_entropy_of_a_single_class_and_of_single_examples(shape):
    scores = tg.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)
    targets = np.zeros(shape[:-1], int)
    tg.compile(lambda x: (cross_entropy(np.tanh(x), targets) * np.pi).sum()).check(scores, **EXACT)


def test_batch_norm_is_compiled_for_evaluation_after_it_was_for_training():
    eager, layer = nn.BatchNorm1d(D).double(), nn.BatchNorm1d(D).double()
    compiled = tg.compile(lambda x: layer(x).pow(3).sum())
    for seed, training in enumerate([True, False, True, True, False]):
        x = batch(steps=1, rows=5 + seed % 2, seed=seed)[0][0].detach()
        eager.train(training)
        layer.train(training)
        np.testing.assert_allclose(compiled(x).item(), eager(x).pow(3).sum().item(), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var.numpy(), eager.running_var.numpy(), rtol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_a_step_of_two_layers_takes_twice_the_calls_of_one(kind):
    # inputs as wide as states: the products with either have one shape, and must not be taken for each other
    def calls_per_step(layers):
        layer = getattr(nn, kind)(H, H, layers).double()
        compiled = tg.compile(lambda x: layer(x)[0].sum())
        plans = [compiled.plan(tg.randn(steps, B, H, dtype=tg.float64)) for steps in (10, 30)]
        few, many = ((len(plan.forward), len(plan.backward)) for plan in plans)
        return [(b - a) / 20 for a, b in zip(few, many, strict=True)]

    one, two = calls_per_step(1), calls_per_step(2)
    assert two[0] == pytest.approx(2 * one[0], abs=0.2)
    # the gradient of the first layer's states has a term more: products with the weights of the inputs leave the loop
    assert two[1] <= 2 * one[1] + 1.2
