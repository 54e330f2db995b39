"""Figures of one style: told apart without colour, saved whole, names and titles shown as they are."""

import io
import itertools

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib.colors import to_rgb

import tinygrad_rnn as tg
from tinygrad_rnn import plots
from tinygrad_rnn.compare import compare_gradients
from tinygrad_rnn.manual import figures

X = np.arange(30.0)
METRICS = [
    {"step": k, "loss": 3.0 / k, "gradient_norm": 1.0 / k, **({"validation_loss": 4.0 / k} if k % 5 == 0 else {})}
    for k in range(1, 21)
]


def grey(line):
    """The luminance of a line, from 0 for black to 1 for white."""
    return float(np.dot(to_rgb(line.get_color()), (0.2126, 0.7152, 0.0722)))


def fitted():
    made, (axes,) = plots.figure()
    plots.fit(axes, X, np.sin(X), np.cos(X), title="a fit")
    return made


def forecast():
    made, (axes,) = plots.figure()
    plots.forecast(axes, np.sin(X), np.sin(X[5:]), np.ones(6), title="a forecast")
    return made


def curves():
    made, (axes,) = plots.figure()
    plots.curves(axes, {str(k): (X, X**k + 1) for k in range(4)}, log=True)
    return made


def by_hand():
    history = {f"{split}_{what}": [1.0, 0.5] for split in ("train", "test") for what in ("loss", "accuracy")}
    return figures.train_test_curves(history)


FIGURES = {"run": lambda: plots.run(METRICS, "training"), "fit": fitted, "forecast": forecast, "curves": curves}


@pytest.mark.parametrize("draw", [*FIGURES.values(), by_hand], ids=[*FIGURES, "train and test"])
def test_lines_are_told_apart_without_colour(draw):
    for axes in draw().axes:
        named = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
        for one, other in itertools.combinations(named, 2):
            dashes = one.get_linestyle() != other.get_linestyle()
            thin, thick = sorted((one.get_linewidth(), other.get_linewidth()))
            assert dashes or thick >= 1.8 * thin or abs(grey(one) - grey(other)) > 0.2
        assert all(grey(line) < 0.6 for line in named), "too pale for white paper"


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
@pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES)
def test_saved_by_suffix(draw, suffix, tmp_path):
    plots.save(draw(), tmp_path / f"figure{suffix}")
    begins = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix]
    assert (tmp_path / f"figure{suffix}").read_bytes().startswith(begins)


@pytest.mark.parametrize("draw", [fitted, forecast])
def test_the_names_of_a_series_do_not_cover_it(draw):
    made = draw()
    made.canvas.draw()
    (axes,) = made.axes
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1
    assert axes.get_title(loc="left").startswith("a f")


def test_a_run_shows_losses_and_the_norm_of_the_gradient():
    losses, norms = plots.run(METRICS).axes
    training, validation = losses.get_lines()
    np.testing.assert_allclose(training.get_ydata(), [3.0 / k for k in range(1, 21)])
    np.testing.assert_array_equal(validation.get_xdata(), [5, 10, 15, 20])
    np.testing.assert_allclose(norms.get_lines()[0].get_ydata(), [1.0 / k for k in range(1, 21)])
    assert len(plots.run([{"step": 1, "loss": 1.0}]).axes) == 1


def test_the_forecast_begins_where_the_data_end():
    (axes,) = forecast().axes
    (line,) = [line for line in axes.get_lines() if line.get_label() == "forecast"]
    np.testing.assert_array_equal(line.get_xdata(), np.arange(29, 36))
    (zone,) = axes.patches
    assert (zone.get_x(), zone.get_x() + zone.get_width()) == (29, 35)


def test_an_error_is_red_on_pale_ground_and_has_its_number():
    params = {"w": np.arange(1.0, 4.0), "v": np.ones(2)}
    report = compare_gradients(
        lambda p: (p["w"] * p["w"]).sum() + p["v"].sum(), params, {"w": params["w"], "v": np.ones(2)}
    )
    _, (axes,) = plots.figure()
    report.plot(axes)
    image = axes.get_images()[0]
    (red, green, blue, _), right = (image.cmap(image.norm(value)) for value in (0, -16))
    assert red > 0.4 > 0.2 > max(green, blue), "not black"
    assert min(right[:3]) > 0.9
    assert image.get_array()[0, 0] > image.get_array()[1, 0]
    assert [text.get_text() for text in axes.texts] == ["0.5", "0"]


def test_a_heat_map_of_errors_holds_all_that_is_written_on_it():
    params = {"w": np.ones(3)}
    made, (axes,) = plots.figure(8, 2.4)
    axes.grid(False)
    compare_gradients(lambda p: (p["w"] ** 2).sum(), params, {"w": np.ones(3)}).plot(axes)
    made.canvas.draw()
    _, bar, *_ = made.axes
    wide, high = made.canvas.get_width_height()
    label = bar.xaxis.label.get_window_extent()
    assert label.x0 > 0
    assert label.x1 < wide
    assert label.y1 < bar.get_window_extent().y0 < high, "the label stands below its bar"


def test_a_heat_map_of_many_steps_has_few_labels_and_no_numbers():
    def loss_fn(p):
        h = tg.ones(2, 2, dtype=tg.float64)
        for t in range(50):
            with tg.scope(t=t):
                h = (h @ p["w"]).tanh()
        return h.sum()

    w = tg.tensor([[0.9, 0.3], [-0.2, 0.8]], dtype=tg.float64, requires_grad=True)
    loss_fn({"w": w}).backward()
    report = compare_gradients(loss_fn, {"w": w.detach().numpy()}, {"w": w.grad.numpy()}, samples=0)
    axes = report.plot(plots.figure()[1][0])
    assert axes.get_images()[0].get_array().shape == (1, 50)
    assert len(axes.get_xticklabels()) <= 20
    assert not axes.texts


def test_a_dollar_in_a_title_is_no_formula(tmp_path):
    made, (axes,) = plots.figure()
    plots.fit(axes, X, X, title=r"a$\frac$.csv")
    plots.save(made, tmp_path / "a.svg")


@pytest.mark.parametrize("log", [True, False])
@pytest.mark.parametrize("largest", [1e150, 1e300, 1.7e308, np.inf])
def test_a_training_that_diverges_is_drawn(largest, log):
    made, axes = plots.figure(9, 3, columns=3)
    grown = np.concatenate([np.geomspace(0.1, 1e100, 28), [largest / 2, largest]])
    plots.curves(axes[0], {"loss": (X, grown)}, log=log)
    plots.fit(axes[1], X, np.sin(X), -grown)
    plots.forecast(axes[2], np.sin(X), grown, grown)
    made.savefig(io.BytesIO(), format="png")
