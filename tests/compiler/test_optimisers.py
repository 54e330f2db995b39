"""Every optimiser with every option in a compiled step, beside the training loop. test_step.py has the rest."""

import inspect

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.test_step import batches, loss_of, model, train_eagerly
from tinygrad_rnn import optim

# Values that are none of the defaults. `params` and what says only how PyTorch is to run are left out.
OPTIONS = {
    "lr": 0.02, "weight_decay": 0.1, "maximize": True, "amsgrad": True, "centered": True, "momentum": 0.9, "eps": 1e-3,
    "nesterov": True, "dampening": 0.5, "decoupled_weight_decay": True, "lr_decay": 0.1, "betas": (0.8, 0.9),
    "initial_accumulator_value": 0.1, "alpha": 0.7, "rho": 0.8, "momentum_decay": 0.01,
}  # fmt: skip
NEEDS = {"nesterov": {"momentum": 0.9}, "dampening": {"momentum": 0.9}, "decoupled_weight_decay": {"weight_decay": 0.1}}
NO_MATTER = {"self", "params", "foreach", "capturable", "differentiable", "fused", "more"}
KINDS = [
    found
    for found in vars(optim).values()
    if inspect.isclass(found) and issubclass(found, optim.Optimizer) and found not in (optim.Optimizer, optim.LBFGS)
]
CASES = [
    pytest.param(kind, {"lr": 0.01} | NEEDS.get(option, {}) | {option: OPTIONS[option]}, id=f"{kind.__name__}-{option}")
    for kind in KINDS
    for option in {**inspect.signature(kind.__init__).parameters, **({"maximize": 0} if kind is optim.AdamW else {})}
    if option not in NO_MATTER
]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_every_option_of_every_optimiser_equals_the_training_loop(kind, options):
    one, other = model(), model()
    first, second = kind(one.parameters(), **options), kind(other.parameters(), **options)
    expected = train_eagerly(one, first, 0.05)
    step = tg.compile_step(loss_of(other), second, clip=0.05)
    np.testing.assert_allclose([step(x, t).item() for x, t in batches()], expected, rtol=1e-12)
    for (name, a), b in zip(one.named_parameters(), other.parameters(), strict=True):
        apart = np.abs(b.array - a.array).max()
        # Rules that divide by the size of a gradient make the rounding of a small one as large as that of a large one.
        assert apart <= 1e-9 * np.abs(a.array).max(), name
