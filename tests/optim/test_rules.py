"""Every optimiser against PyTorch's, step by step over 50 steps."""

import numpy as np
import pytest

import tinygrad_rnn.optim as optim
from tinygrad_rnn.nn import Parameter
from tinygrad_rnn.tensor import Tensor

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.peers

STEPS = 50
RULES = [
    ("SGD", {"lr": 0.05}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.001, "maximize": True}),
    ("Adam", {"lr": 0.05}),
    ("Adam", {"lr": 0.05, "betas": (0.5, 0.8), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.05, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "maximize": True}),
    ("AdamW", {"lr": 0.05}),
    ("AdamW", {"lr": 0.05, "weight_decay": 0.3, "amsgrad": True}),
    ("Adamax", {"lr": 0.05, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "momentum_decay": 0.02}),
    ("NAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.05, "weight_decay": 0.1, "decoupled_weight_decay": True, "betas": (0.9, 0.99)}),
    ("RMSprop", {"lr": 0.02}),
    ("RMSprop", {"lr": 0.02, "alpha": 0.7, "eps": 1e-2, "weight_decay": 0.1, "momentum": 0.5}),
    ("RMSprop", {"lr": 0.02, "centered": True, "momentum": 0.5}),
    ("Adagrad", {"lr": 0.1}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5}),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1}),
    ("LBFGS", {"lr": 0.1, "max_iter": 4}),
    ("LBFGS", {"lr": 0.03, "max_iter": 5, "history_size": 3, "max_eval": 4}),
    ("LBFGS", {"line_search_fn": "strong_wolfe", "max_iter": 3}),
]


@pytest.fixture(autouse=True)
def _float64():
    """PyTorch keeps some numbers of its state in the default dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def _start(seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape) for shape in [(3, 4), (4,), ()]]


def _loss(w, b, s, x, exp, log):
    """Neither quadratic nor convex, and every parameter takes part."""
    z = x @ w + b * b
    return (log(1 + exp(z) + exp(-z) * s * s)).sum() + 0.1 * (s - 1) ** 4 + 0.05 * (w * w * w * w).sum()


def _curve(make, parameters, tensors, leave_out, exp, log):
    """The parameters after every step; `leave_out` has no gradient in every third step."""
    optimizer = make(parameters)
    curve, losses = [], []
    for step in range(STEPS):
        x = tensors[step]

        def closure(x=x, step=step):
            optimizer.zero_grad()
            loss = _loss(*parameters, x, exp, log)
            loss.backward()
            if leave_out and step % 3 == 2:
                parameters[1].grad = None
            return loss

        losses.append(optimizer.step(closure).item())
        curve.append(np.concatenate([np.asarray(p.detach().numpy()).reshape(-1) for p in parameters]))
    return np.array(curve), np.array(losses), optimizer


@pytest.mark.parametrize("leave_out", [False, True])
@pytest.mark.parametrize(("name", "options"), RULES, ids=[f"{n}-{'-'.join(o)}" for n, o in RULES])
def test_fifty_steps_are_those_of_pytorch(name, options, leave_out):
    start = _start(1)
    xs = np.random.default_rng(2).normal(size=(STEPS, 5, 3))
    if name == "LBFGS":
        xs[:] = xs[0]  # a line search needs one function
    ours = _curve(
        lambda p: getattr(optim, name)(p, **options),
        [Parameter(a.copy()) for a in start],
        [Tensor(x) for x in xs],
        leave_out,
        np.exp,
        np.log,
    )
    theirs = _curve(
        lambda p: getattr(torch.optim, name)(p, **options),
        [torch.nn.Parameter(torch.tensor(a)) for a in start],
        [torch.tensor(x) for x in xs],
        leave_out,
        torch.exp,
        torch.log,
    )
    tolerance = 1e-6 if name == "LBFGS" else 1e-10
    # with so short a memory PyTorch strays from itself: a start moved by 1e-14 ends 1e-3 away after 50 steps, 1e-13
    # after 20
    steps = 20 if "history_size" in options else STEPS
    np.testing.assert_allclose(ours[0][:steps], theirs[0][:steps], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(ours[1][:steps], theirs[1][:steps], rtol=tolerance)


@pytest.mark.parametrize(("name", "options"), RULES, ids=[f"{n}-{'-'.join(o)}" for n, o in RULES])
def test_state_dicts_of_pytorch_load_and_go_on_alike(name, options):
    rng = np.random.default_rng(3)
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in _start(4)]
    other = getattr(torch.optim, name)(theirs, **options)
    ours = [Parameter(np.array(p.detach().numpy())) for p in theirs]
    optimizer = getattr(optim, name)(ours, **options)

    def step(gradients):
        for p, q, g in zip(ours, theirs, gradients, strict=True):
            p.grad, q.grad = Tensor(g), torch.tensor(g)
        if name == "LBFGS":
            optimizer.step(lambda: Tensor(np.asarray(1.0)))
            other.step(lambda: torch.tensor(1.0))
        else:
            optimizer.step()
            other.step()

    for _ in range(3):
        gradients = [rng.normal(size=p.shape) for p in ours]
        for q, g in zip(theirs, gradients, strict=True):
            q.grad = torch.tensor(g)
        other.step(*([lambda: torch.tensor(1.0)] if name == "LBFGS" else []))
    for p, q in zip(ours, theirs, strict=True):
        p.data = Tensor(np.array(q.detach().numpy()))
    optimizer.load_state_dict(other.state_dict())
    for _ in range(3):
        step([rng.normal(size=p.shape) for p in ours])
    for p, q in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=1e-9, atol=1e-12)


def test_lbfgs_finds_the_minimum_of_rosenbrock_with_a_line_search():
    p, q = Parameter(np.array([-1.5, 2.0])), torch.nn.Parameter(torch.tensor([-1.5, 2.0], dtype=torch.float64))
    ours = optim.LBFGS([p], line_search_fn="strong_wolfe", max_iter=60, max_eval=200)
    theirs = torch.optim.LBFGS([q], line_search_fn="strong_wolfe", max_iter=60, max_eval=200)

    def closure(optimizer, v):
        def evaluate():
            optimizer.zero_grad()
            loss = (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2
            loss.backward()
            return loss

        return evaluate

    ours.step(closure(ours, p))
    theirs.step(closure(theirs, q))
    np.testing.assert_allclose(p.array, [1, 1], atol=1e-5)
    np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=1e-7)
    assert ours.state[p]["func_evals"] == theirs.state[q]["func_evals"]


VALLEYS = {
    "rosenbrock": lambda v: (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2,
    "waves": lambda v: (v * v).sum() + 3 * (v * 7).sin().sum(),
    "walls": lambda v: ((v * 3).exp() + (v * -4).exp()).sum(),
    "shallow": lambda v: ((v * v) + 1e-4).sqrt().sum(),
}


@pytest.mark.parametrize("lr", [0.01, 1, 30])
@pytest.mark.parametrize("name", VALLEYS)
def test_the_line_search_takes_the_steps_of_pytorch_on_hard_functions(name, lr):
    start = np.array([-1.3, 0.7])
    for iterations in (1, 2, 4, 7):
        p, q = Parameter(start.copy()), torch.nn.Parameter(torch.tensor(start))
        evaluations = []
        for optimizer, v in (
            (optim.LBFGS([p], lr, iterations, 60, line_search_fn="strong_wolfe"), p),
            (torch.optim.LBFGS([q], lr, iterations, 60, line_search_fn="strong_wolfe"), q),
        ):

            def closure(optimizer=optimizer, v=v):
                optimizer.zero_grad()
                loss = VALLEYS[name](v)
                loss.backward()
                return loss

            with np.errstate(over="ignore", invalid="ignore"):
                optimizer.step(closure)
            evaluations.append(optimizer.state[v]["func_evals"])
        assert evaluations[0] == evaluations[1]
        np.testing.assert_allclose(p.array, q.detach().numpy(), rtol=1e-6)
