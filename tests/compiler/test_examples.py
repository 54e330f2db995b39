"""Every model, and the losses of every numbered example, compiled: the same values and gradients as eagerly."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_rnn as tg
from tests.compiler.same import Subject, assert_same, tensor
from tinygrad_rnn import models
from tinygrad_rnn.cli.targets import NAMES, problem
from tinygrad_rnn.data import StreamBatches, Vocabulary
from tinygrad_rnn.language import LanguageModel, objective
from tinygrad_rnn.primitive import PRIMITIVES, REGISTRY
from tinygrad_rnn.state import current

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OPTIONS = {"01_series": ["--epochs", "3"], "03_characters": ["--epochs", "3"], "04_sentiment": ["--epochs", "1"],
           "05_next_word": ["--epochs", "2"]}  # fmt: skip
CHECKS = 2  # calls of a loss in an example that are compared


def subject_of(name):
    """The loss of a built-in model as a function of its parameters by name."""
    found = problem(name, steps=6)

    def loss(*values):
        return found.loss_fn(dict(zip(found.params, values, strict=True)))

    return Subject(loss, tuple(tg.tensor(array, requires_grad=True) for array in found.params.values()))


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_models_as_functions_of_their_parameters(name, order):
    assert_same(lambda: subject_of(name), order=order)


def fed(name):
    """A model with the loss as a function of the data, as a training loop calls it; what is no array is static."""
    rng = np.random.default_rng(1)
    B, T, D, H, C = 3, 6, 2, 5, 4
    numbers, classes = (lambda *shape: tg.tensor(rng.normal(size=shape))), (lambda *s: rng.integers(0, C, s))
    one_hot = tg.tensor(np.eye(C)[classes(B, T)].transpose(2, 0, 1).copy())
    sizes, data = {
        "Regression": ((1, H), (numbers(T, 1), numbers(T, 1))),
        "SequenceClassifier": ((D, H, C), (numbers(B, T, D), numbers(B, C))),
        "CharModel": ((H, C, C), (one_hot, one_hot)),
        "Sentiment": ((C, H, 2), (tg.tensor(np.eye(C)[classes(T)]), 1)),
        "NextWord": ((C, H), (classes(T).tolist(), classes(T).tolist())),
        **{cell: ((D, H, C), (numbers(T, B, D), tg.tensor(classes(T, B)))) for cell in CELLS},
    }[name]
    tg.manual_seed(0)
    model = getattr(models, name)(*sizes).double()
    return Subject(model.loss, data, model)


CELLS = ("TanhModel", "LSTMModel", "GRUModel")


@pytest.mark.parametrize("name", [name for name in models.__all__ if name != "Twin"])
def test_models_as_functions_of_their_data(name):
    assert_same(lambda: fed(name))


@pytest.mark.parametrize("options", [{}, {"layers": 2, "dropout": 0.3}], ids=str)
@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_the_language_model_with_its_state_carried(cell, options):
    text = "the cat sat on the mat. " * 10
    vocabulary = Vocabulary.of_characters(text)
    chunks = list(StreamBatches(vocabulary.encode(text), batch=3, time=7))[:2]

    def make():
        tg.manual_seed(0)
        model = LanguageModel(vocabulary, cell, hidden=6, embedding=4, **options).double()

        def losses(*arrays):
            state, total = None, []
            for chunk in zip(arrays[::2], arrays[1::2], strict=True):
                loss, state = objective(model, chunk, state)
                total.append(loss)
            return total, state

        return Subject(losses, tuple(tg.tensor(array) for chunk in chunks for array in chunk), model)

    assert_same(make)


@pytest.fixture
def compared(monkeypatch):
    """Every loss of a model is compiled, too, the first few times, and compared; what was compared, by name."""
    seen = []

    def hook(cls):
        loss, loss_fn = cls.loss, cls.loss_fn

        def checked_loss(self, *data):
            plain = all(p.is_leaf for p in self.parameters())  # not inside of a functional call
            if plain and not current().tracing and seen.count("loss") < CHECKS:
                seen.append("loss")
                tg.compile(lambda *given: loss(self, *given)).check(*data, rtol=1e-12, atol=1e-12)
                tg.compile(lambda: loss(self, *data)).check(rtol=1e-12, atol=1e-12)
            return loss(self, *data)

        def checked_loss_fn(self, *data):
            function = loss_fn(self, *data)

            def of(params):
                if seen.count("loss_fn") < CHECKS:
                    seen.append("loss_fn")
                    tg.compile(function).check(params, rtol=1e-12, atol=1e-12)
                return function(params)

            return of

        monkeypatch.setattr(cls, "loss", checked_loss)
        monkeypatch.setattr(cls, "loss_fn", checked_loss_fn)

    for name in models.__all__:
        if name != "Twin":
            hook(getattr(models, name))
    return seen


def run(name, monkeypatch):
    monkeypatch.setattr(sys, "argv", [name, *OPTIONS.get(name, [])])
    state = np.random.get_state()  # noqa: NPY002 - the published runs seed the global generator
    try:
        return runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    finally:
        np.random.set_state(state)  # noqa: NPY002


TWINS = ["01_series", "02_classifier", "03_characters", "04_sentiment", "05_next_word"]
OTHERS = ["06_an_op_of_your_own", "07_where_did_it_go_wrong", "08_curvature", "09_stop_and_go_on"]


def test_every_numbered_example_is_here():
    assert sorted(path.stem for path in EXAMPLES.glob("[0-9]*.py")) == TWINS + OTHERS


@pytest.mark.parametrize("name", TWINS)
def test_examples_of_both_sides(name, compared, monkeypatch, capsys):
    run(name, monkeypatch)
    assert compared.count("loss") == compared.count("loss_fn") == CHECKS
    assert "All sides agree" in capsys.readouterr().out


@pytest.fixture
def ops_are_forgotten():
    """What an example registers is gone after the test."""
    before = [(table, dict(table)) for table in (PRIMITIVES, REGISTRY)]
    yield
    for table, kept in before:
        table.clear()
        table.update(kept)


def test_an_op_of_your_own(monkeypatch, ops_are_forgotten):
    softsign = run("06_an_op_of_your_own", monkeypatch)["softsign"]
    for order in (1, 2):
        assert_same(lambda: Subject(lambda x: [softsign(row) * x[0] for row in x], (tensor(5, 3),)), order=order)


def test_where_did_it_go_wrong(monkeypatch):
    example = run("07_where_did_it_go_wrong", monkeypatch)
    assert_same(lambda: Subject(example["loss_of"], (tensor(4, 1, low=0.5, high=2.0),)))

    def make():
        tg.manual_seed(0)
        model = example["Model"]().double()
        return Subject(model, (tensor(5, 1, 3),), model)

    assert_same(make)


def test_curvature():
    """As the example computes it, all of it compiled: the gradient, and the gradient of the slope along a direction."""
    regression = subject_of("regression")
    along = [np.cos(np.arange(array.numel())).reshape(array.shape) for array in regression.args]

    def curved(*leaves):
        slopes = tg.autograd.grad(regression.function(*leaves), leaves, create_graph=True)
        slope = sum((g * v).sum() for g, v in zip(slopes, along, strict=True))
        return slope, *tg.autograd.grad(slope, leaves, create_graph=True)

    for order in (1, 2):
        assert_same(lambda: subject_of("regression")._replace(function=curved), order=order)


def test_stop_and_go_on(monkeypatch, tmp_path):
    """Its trainer, with the objective compiled: dropout draws, and the state goes on, as eagerly."""
    example = run("09_stop_and_go_on", monkeypatch)

    def trained(folder, replayed):
        trainer = example["trainer"](folder)
        model = trainer.model = trainer.model.double()
        if replayed:
            compiled = tg.compile(lambda x, y, state: objective(model, (x, y), state))
            trainer.objective = lambda model, batch, state: compiled(*batch, state)
        trainer.fit(steps=6)
        return {name: value.numpy() for name, value in model.state_dict().items()}

    eager, replayed = (trained(tmp_path / name, name == "replayed") for name in ("eager", "replayed"))
    for name, value in eager.items():
        np.testing.assert_allclose(replayed[name], value, rtol=0, atol=1e-12, err_msg=name)
