"""Random models, shortly; the long run is `make fuzz`."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_rnn as tg
from tinygrad_rnn.nn.recurrent import layers
from tinygrad_rnn.primitive import PRIMITIVES

from . import __main__ as fuzz
from .model_agreement import check_model, smallest
from .models import LOSSES, RECURRENT, Model, Part, draw_model, simpler
from .network import Run
from .numeric import AGREED, KINK, REFUSED, Disagreement

pytestmark = pytest.mark.filterwarnings("ignore:Using a target size")  # drawn on purpose

SMALL = Model(
    1,
    3,
    2,
    2,
    (3, 1),
    (Part("LSTM", {"hidden_size": 2}, "lengths"),),
    Part("MSELoss", {}, "each"),
    True,
    "float64",
    "own",
)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=12)
def test_random_models_agree_in_every_way_or_are_refused_by_all(seed: int):
    assert check_model(draw_model(seed)) in (AGREED, KINK, REFUSED)


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=150)
def test_many_random_models_agree_in_every_way_or_are_refused_by_all(seed: int):
    assert check_model(draw_model(seed)) in (AGREED, KINK, REFUSED)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:LSTM with projections", "ignore:Using a target size")
def test_random_models_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    tally: Counter[str] = Counter()
    outcomes = Counter(check_model(draw_model(seed), torch, compiled=False, tally=tally) for seed in range(120))
    assert outcomes[AGREED] > 80
    assert tally["PyTorch second order"] > 70
    assert tally["refusals alike"] > 3


def test_every_layer_loss_and_flaw_is_drawn():
    models = [draw_model(seed) for seed in range(1500)]
    kinds = Counter(part.kind for model in models for part in (*model.parts, model.loss))
    assert min(kinds.values()) >= 10
    assert {*RECURRENT, *LOSSES} <= kinds.keys()
    left_out = {"Flatten", "Unflatten", "Dropout2d", "ModuleDict", "ModuleList", "ParameterList", "Sequential"}
    names = {n for n, x in vars(tg.nn).items() if isinstance(x, type) and issubclass(x, tg.nn.Module)}
    abstract = {"Module", "RNNBase", "RNNCellBase", "Transformer"}
    assert names - abstract - left_out <= kinds.keys()
    assert len({model.flaw for model in models}) > 13


def test_a_seed_gives_the_same_model_and_the_same_numbers():
    assert draw_model(5) == draw_model(5)
    assert [str(draw_model(seed)) for seed in range(3)] == [str(draw_model(seed)) for seed in range(3)]
    values = [run(*run.inputs()).item() for run in (Run(tg, SMALL), Run(tg, SMALL))]
    assert values[0] == values[1]


def test_what_was_found_once_stays_mended():
    # sequences of unequal length, differentiated twice and compiled: slices with and without all their axes met
    parts = (Part("RNNCell", {"hidden_size": 2}, "backwards", True), Part("GRU", {"hidden_size": 4}, "sequences"))
    small = Model(4, 3, 3, 1, (3, 1, 1), parts, Part("MSELoss", {}, "each"), False, "float64", "default")
    assert check_model(small) == AGREED


def test_a_model_without_a_flaw_must_not_be_refused(monkeypatch: pytest.MonkeyPatch):
    def refuses(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(layers, "check_input", refuses)
    with pytest.raises(Disagreement, match="a model without a flaw is refused: no"):
        check_model(SMALL)


def test_a_wrong_rule_is_found(monkeypatch: pytest.MonkeyPatch):
    rule = PRIMITIVES["sigmoid"].vjps[0]
    monkeypatch.setattr(PRIMITIVES["sigmoid"], "vjps", (lambda g, y, x: rule(g, y, x) * 1.01,))
    with pytest.raises(Disagreement, match="central differences of the loss differ"):
        check_model(SMALL, compiled=False)


def test_a_state_that_is_lost_when_compiled_is_found(monkeypatch: pytest.MonkeyPatch):
    step = layers.lstm_step
    monkeypatch.setattr(layers, "lstm_step", lambda x, s, w: step(x, [s[0] * (1.0 if _eager() else 0.9), s[1]], w))
    with pytest.raises(Disagreement, match="the compiled value differs at call 0"):
        check_model(SMALL)


def _eager() -> bool:
    return not tg.state.current().tracing


def test_what_eager_refuses_the_others_must_refuse(monkeypatch: pytest.MonkeyPatch):
    model = SMALL._replace(flaw="one feature too many")
    assert check_model(model) == REFUSED
    monkeypatch.setattr(tg, "compile", lambda function: lambda *inputs: tg.ones(1, requires_grad=True).sum())
    with pytest.raises(Disagreement, match="the compiled call does not refuse what eager refuses"):
        check_model(model)


def test_a_failing_model_is_made_smaller(monkeypatch: pytest.MonkeyPatch):
    def fails(model: Model, *_: object, **__: object) -> str:
        if any(part.kind == "GRU" and part.options.get("bidirectional") for part in model.parts):
            raise Disagreement
        return AGREED

    monkeypatch.setattr("tests.fuzz.model_agreement.check_model", fails)
    large = next(m for m in map(draw_model, range(10_000)) if len(m.parts) > 2 and _fails(fails, m))
    small = smallest(large, None, True)
    assert small.parts == (
        Part("GRU", {"hidden_size": small.parts[0].options["hidden_size"], "bidirectional": True}, "batched"),
    )
    assert (small.steps, small.batch, small.features, small.loss.options) == (1, 1, 1, {})
    assert not any(_fails(fails, one) for one in simpler(small))


def _fails(check, model: Model) -> bool:
    try:
        check(model)
    except Disagreement:
        return True
    return False


def test_the_command_ends_with_its_table(capsys: pytest.CaptureFixture[str]):
    assert fuzz.main(["--seed", "3", "--cases", "6", "--minutes", "1"]) == 0
    printed = capsys.readouterr().out
    for word in ("programs in place", "models", "comparisons", "recorded sweep", "central differences", "6 cases in"):
        assert word in printed
    assert printed.rstrip().endswith("0 of them failed")


def test_the_command_prints_how_to_repeat_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(PRIMITIVES["tanh"], "vjps", (lambda g, y, x: g * (1 - y),))
    assert fuzz.main(["--only", "models", "--seed", "0", "--cases", "4", "--eager"]) == 1
    printed = capsys.readouterr()
    command = printed.out.rstrip().splitlines()[-1].strip()
    assert command.startswith("python -m tests.fuzz --only models --seed ")
    assert command in printed.err
    assert "the smallest near it:" in printed.err
    assert fuzz.main(command.split()[3:]) == 1
    monkeypatch.undo()
    assert fuzz.main(command.split()[3:]) == 0
