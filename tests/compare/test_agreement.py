"""The comparison: its verdicts, figures and tables, over time, against PyTorch, and what it refuses."""

import sys

import numpy as np
import pytest

from tests.compare import models, wrong
from tinygrad_rnn.compare import assert_gradients_match, compare_gradients
from tinygrad_rnn.errors import DTypeError, GraphError, ShapeError
from tinygrad_rnn.tensor import Tensor


@pytest.fixture
def patient():
    """A small RNN with an output at every step, its loss function, and its right gradients."""
    made = wrong.problem("rnn", np.random.default_rng(1), T=5, B=2, H=6, D=4, C=3)
    return made, models.loss_function(made), wrong.gradients(made, {})


def test_right_gradients_are_exact_on_all_sides(patient):
    made, loss_fn, manual = patient
    report = compare_gradients(loss_fn, made.params, manual)
    assert report.ok
    assert bool(report)
    for row in report.rows:
        assert row.verdict.kind == "exact"
        assert row.relative < 1e-14
        assert row.numeric < 1e-8
        assert abs(row.cosine - 1) < 1e-12


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda g: g, "exact"),
        (lambda g: 0.5 * g, "scaled by 0.5"),
        (lambda g: -g, "scaled by -1"),
        (lambda g: g.T, "transposed"),
        (lambda g: 3 * g.T, "transposed and scaled by 3"),
        (lambda g: g + 0.1, "other"),
        (lambda g: np.full_like(g, np.nan), "other (NaN or Inf)"),
        (lambda g: g[0], "wrong shape"),
    ],
)
@pytest.mark.parametrize("name", ["weight_hh", "head.weight"])
def test_a_mismatch_is_classified(patient, name, change, kind):
    made, loss_fn, manual = patient
    report = compare_gradients(loss_fn, made.params, manual | {name: change(manual[name])})
    assert str(report[name].verdict) == kind
    assert report.ok == (kind == "exact")
    assert all(row.verdict.kind == "exact" for row in report.rows if row.name != name)


def test_figures_of_a_wrong_gradient(patient):
    made, loss_fn, manual = patient
    wrong_one = manual["bias_ih"].copy()
    wrong_one[3] += 0.25
    row = compare_gradients(loss_fn, made.params, manual | {"bias_ih": wrong_one})["bias_ih"]
    g = manual["bias_ih"]
    assert row.worst == (3,)
    assert row.absolute == pytest.approx(0.25)
    assert row.relative == pytest.approx(0.25 / max(np.abs(g).max(), np.abs(wrong_one).max()))
    assert row.cosine == pytest.approx(g @ wrong_one / np.linalg.norm(g) / np.linalg.norm(wrong_one))
    assert (row.worst_manual, row.worst_autograd) == (pytest.approx(wrong_one[3]), pytest.approx(g[3]))


def test_a_missing_gradient_is_reported_and_counts_as_wrong(patient):
    made, loss_fn, manual = patient
    del manual["bias_hh"]
    report = compare_gradients(loss_fn, made.params, manual)
    assert report["bias_hh"].verdict.kind == "missing"
    assert not report.ok


def test_without_a_manual_side_autograd_is_held_against_differences(patient):
    made, loss_fn, _ = patient
    report = compare_gradients(loss_fn, made.params)
    assert report.ok
    assert {row.verdict.kind for row in report.rows} == {"not given"}


def test_differences_find_a_gradient_that_was_cut_off(patient):
    made, loss_fn, _ = patient

    def detached(p):
        return loss_fn(p | {"weight_hh": p["weight_hh"] * 0.5 + p["weight_hh"].detach() * 0.5})

    report = compare_gradients(detached, made.params, samples=36)
    assert not report.ok
    assert report["weight_hh"].numeric > 1e-3
    assert "do not agree among themselves" in str(report)


def test_the_manual_side_may_be_a_callable_with_or_without_the_loss(patient):
    made, loss_fn, manual = patient
    assert compare_gradients(loss_fn, made.params, lambda p: manual).ok
    assert compare_gradients(loss_fn, made.params, lambda p: (1.0, manual)).ok


def test_parameters_are_not_changed(patient):
    made, loss_fn, manual = patient
    for value in made.params.values():
        value.flags.writeable = False
    before = {name: value.copy() for name, value in made.params.items()}
    compare_gradients(loss_fn, made.params, manual)
    for name, value in made.params.items():
        np.testing.assert_array_equal(value, before[name])


def test_float32_agrees_within_its_rounding():
    made = wrong.problem("gru", np.random.default_rng(2), dtype=np.float32)
    report = compare_gradients(models.loss_function(made), made.params, wrong.gradients(made, {}))
    assert report.ok
    assert report.rtol == pytest.approx(float(np.finfo(np.float32).eps) ** 0.6)


@pytest.mark.parametrize("style", ["scoped", "bare", "layers"])
@pytest.mark.parametrize("cell", wrong.GATES)
def test_contributions_of_the_steps_add_up_to_the_gradient(cell, style):
    made = wrong.problem(cell, np.random.default_rng(3), T=5)
    manual = wrong.gradients(made, {})
    report = compare_gradients(models.loss_function(made, style), made.params, manual, samples=0)
    for name, gradient in manual.items():
        parts = report.contributions(name)
        assert list(parts) == list(range(5))
        np.testing.assert_allclose(sum(parts.values()), gradient, atol=1e-12)
    # the first step reads a zero state
    assert not report.contributions("weight_hh")[0].any()


def test_step_errors_tell_where_the_sweep_went_wrong(patient):
    made, loss_fn, _ = patient
    # cut after one step: the last step is right, and every step before lacks what comes back to it
    report = compare_gradients(loss_fn, made.params, wrong.gradients(made, {"cut after": 1}))
    errors, exact = report.step_errors("weight_ih")
    assert exact
    assert list(errors) == [4, 3, 2, 1, 0]
    assert errors[4] < 1e-12
    assert all(errors[t] > 1e-3 for t in (3, 2, 1, 0))
    assert max(report.step_errors("head.weight")[0].values()) == 0.0


def test_a_transposed_gradient_has_no_step_errors(patient):
    made, loss_fn, manual = patient
    report = compare_gradients(loss_fn, made.params, manual | {"weight_hh": manual["weight_hh"].T.copy()})
    assert report.step_errors("weight_hh") == ({}, False)


def test_the_table_in_text_with_and_without_rich(patient, monkeypatch):
    pytest.importorskip("rich")
    made, loss_fn, manual = patient
    report = compare_gradients(loss_fn, made.params, manual | {"head.bias": 2 * manual["head.bias"]}, samples=0)
    with_rich = str(report)
    monkeypatch.setitem(sys.modules, "rich.console", None)
    without = str(report)
    for text in (with_rich, without):
        lines = text.split("\n")
        assert lines[0].split()[:3] == ["parameter", "shape", "verdict"]
        assert "differences" not in lines[0]
        assert any(line.startswith("head.bias") and "scaled by 2" in line for line in lines)
        assert lines[-1] == "Wrong: head.bias."


def test_the_table_in_html_escapes_names():
    report = compare_gradients(lambda p: (p["<w>"] * p["<w>"]).sum(), {"<w>": np.ones(2)}, {"<w>": np.ones(2)})
    text = report._repr_html_()
    assert "&lt;w&gt;" in text
    assert "<w>" not in text
    assert text.count("<tr") == 2


def test_the_heat_map_has_a_row_for_each_parameter_and_a_column_for_each_step(patient):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    made, loss_fn, _ = patient
    manual = wrong.gradients(made, {"cut after": 1}) | {"head.bias": np.zeros((3, 3))}
    axes = compare_gradients(loss_fn, made.params, manual, samples=0).plot()
    image = axes.images[0].get_array()
    assert image.shape == (6, 5)
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == list(made.params)
    assert image[names.index("weight_ih"), 4] < -12 < -3 < image[names.index("weight_ih"), 0]
    assert (image[names.index("head.weight")] <= -15).all()
    assert (image[names.index("head.bias")] == 0).all()
    plt.close(axes.figure)


def test_assert_gradients_match_raises_with_the_table(patient):
    made, loss_fn, manual = patient
    assert assert_gradients_match(loss_fn, made.params, manual).ok
    with pytest.raises(AssertionError, match=r"(?s)the gradients differ:.*scaled by -1.*Wrong: bias_ih"):
        assert_gradients_match(loss_fn, made.params, manual | {"bias_ih": -manual["bias_ih"]})


def test_what_cannot_be_compared_is_refused_in_words(patient):
    made, loss_fn, manual = patient
    with pytest.raises(KeyError, match=r"expected names among weight_ih.*got weight_hx"):
        compare_gradients(loss_fn, made.params, manual | {"weight_hx": np.zeros(2)})
    with pytest.raises(DTypeError, match="parameter 'n': expected a float array, got int64"):
        compare_gradients(lambda p: p["n"].sum(), {"n": np.arange(3)})
    with pytest.raises(DTypeError, match="manual 'w': expected numbers"):
        compare_gradients(lambda p: p["w"].sum(), {"w": np.ones(2)}, {"w": np.array(["a", "b"])})
    with pytest.raises(GraphError, match="got a float"):
        compare_gradients(lambda p: 1.0, {"w": np.ones(2)})  # type: ignore[arg-type, return-value]
    with pytest.raises(GraphError, match="without history"):
        compare_gradients(lambda p: p["w"].detach().sum(), {"w": np.ones(2)})
    with pytest.raises(ShapeError, match=r"a loss with one entry, got shape \[2\]"):
        compare_gradients(lambda p: p["w"] * 2.0, {"w": np.ones(2)})
    with pytest.raises(TypeError, match="expected a mapping of names to gradients, got a list"):
        compare_gradients(lambda p: p["w"].sum(), {"w": np.ones(2)}, [np.ones(2)])  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="expected one of weight_ih"):
        compare_gradients(loss_fn, made.params, manual)["nobody"]


def test_a_parameter_that_the_loss_does_not_use_has_a_zero_gradient():
    params = {"w": np.ones(2), "unused": np.ones(3)}
    report = compare_gradients(lambda p: (p["w"] * p["w"]).sum(), params, {"w": 2 * np.ones(2), "unused": np.zeros(3)})
    assert report.ok
    assert report["unused"].cosine is None


def test_parameters_may_be_tensors():
    w = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    assert compare_gradients(lambda p: (p["w"] * p["w"]).sum(), {"w": w}, {"w": Tensor(np.array([2.0, 4.0]))}).ok


@pytest.mark.peers
def test_pytorch_is_one_of_the_sides():
    torch = pytest.importorskip("torch")
    params = {"w": np.array([1.0, 2.0]), "v": np.array([3.0])}
    right = compare_gradients(lambda p: (p["w"] * p["v"]).sum(), params, torch=lambda p: (p["w"] * p["v"]).sum())
    assert right.ok
    assert right["w"].peer == 0.0
    other = compare_gradients(lambda p: (p["w"] * p["v"]).sum(), params, torch=lambda p: (p["w"] * p["w"]).sum())
    assert not other.ok
    assert other["v"].peer == 1.0
    assert torch.is_grad_enabled()
