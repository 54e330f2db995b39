"""Rows S0.5, S1.8, S3.7: what is drawn, and that printing alone needs no matplotlib."""

import sys
import types

import numpy as np
import pytest

from tinygrad_rnn.manual import classifier, figures
from tinygrad_rnn.manual.regression import Apply_RNN, Run_RNN, Tanh

matplotlib = pytest.importorskip("matplotlib")

Y = np.sin(np.linspace(0, 6, 40)).reshape(-1, 1)


@pytest.fixture(autouse=True)
def headless():
    """Draw into memory, and leave no figure behind."""
    matplotlib.use("Agg", force=True)
    import matplotlib.pyplot as plt

    plt.close("all")
    yield plt
    plt.close("all")


@pytest.mark.parametrize("dt", [0, 7])
def test_s0_5_lines_labels_and_forecast_zone(dt, headless):
    y_hat = 0.5 * Y
    figure, axes = headless.subplots()
    figures.draw_fit(axes, Y, y_hat, epoch=12, dt=dt)
    data, fit, *rest = axes.get_lines()
    np.testing.assert_array_equal(data.get_xydata(), np.column_stack([np.arange(40), Y]))
    np.testing.assert_array_equal(fit.get_xydata(), np.column_stack([np.arange(40) + dt, y_hat]))
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("x", "y", "epoch# 12")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["y", r"$\hat{y}$"]
    assert len(rest) == len(axes.collections) == bool(dt)
    if dt:
        (end,), (band,) = rest, axes.collections
        assert (end.get_color(), end.get_linewidth(), list(end.get_xdata())) == ("k", 3, [39, 39])
        assert band.get_alpha() == 0.1
        bounds = band.get_paths()[0].get_extents()
        assert (bounds.x0, bounds.x1) == (39, 39 + dt)
        assert (bounds.y0, bounds.y1) == (Y.min(), Y.max())
    figure.canvas.draw()


def test_s0_5_run_rnn_leaves_its_last_figure_without_blocking(headless, capsys):
    model = Run_RNN(Y, Y, Tanh(), epochs=3, n_neurons=4, dt=5)
    (number,) = headless.get_fignums()
    axes = headless.figure(number).axes[0]
    assert axes.get_title() == "epoch# 2"
    np.testing.assert_array_equal(axes.get_lines()[1].get_ydata(), Apply_RNN(Y, model)[:, 0])
    assert capsys.readouterr().out.count("Current MSE") == 3


def test_s0_5_many_runs_share_one_figure(headless):
    for _ in range(25):  # pyplot warns about the 21st open figure
        Run_RNN(Y, Y, Tanh(), epochs=0, n_neurons=1)
    assert len(headless.get_fignums()) == 1


def test_s0_5_a_notebook_shows_one_picture_and_replaces_it(monkeypatch, headless):
    shown = []

    class Handle:
        def update(self, figure):
            shown.append(("update", figure.axes[0].get_title()))

    def display(figure, display_id):
        shown.append(("display", figure.axes[0].get_title()))
        return Handle()

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    monkeypatch.setattr(headless, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    Run_RNN(Y, Y, Tanh(), epochs=2, n_neurons=2)
    assert shown == [("display", "epoch# 0"), ("update", "epoch# 1"), ("update", "epoch# 1")]
    assert not headless.get_fignums(), "left open, the figure would be shown once more"


def test_s0_5_a_window_is_redrawn_without_waiting(monkeypatch, headless):
    pauses = []
    monkeypatch.setattr(headless.FigureCanvasBase, "required_interactive_framework", "qt", raising=False)
    monkeypatch.setattr(headless, "pause", pauses.append)
    monkeypatch.setattr(headless, "show", lambda *_, **__: pytest.fail("show blocks"))
    Run_RNN(Y, Y, Tanh(), epochs=3, n_neurons=2)
    assert pauses == [0.001] * 4


@pytest.mark.parametrize("plot_each", [0, None, False])
def test_s0_3_no_reports_mean_no_figure(plot_each, headless):
    Run_RNN(Y, Y, Tanh(), epochs=2, n_neurons=2, plot_each=plot_each)
    assert not headless.get_fignums()


def test_s0_3_what_can_be_seen_is_redrawn_at_every_report(monkeypatch):
    drawn = []

    class Window(figures.FitPlot):
        def __init__(self):
            super().__init__()
            self.live = True

        def draw(self, y, y_hat, epoch, dt=0):
            drawn.append((epoch, dt))

    monkeypatch.setattr(figures, "FitPlot", Window)
    Run_RNN(Y, Y, Tanh(), epochs=7, n_neurons=2, plot_each=3, dt=5)
    assert drawn == [(0, 5), (3, 5), (6, 5), (6, 5)]


def test_s1_8_loss_curve(tmp_path, capsys):
    path = tmp_path / "plots" / "training_loss_curve.png"
    model = classifier.main(str(path))
    axes = figures.loss_curve(model.loss_history, None).axes[0]
    (line,) = axes.get_lines()
    np.testing.assert_array_equal(line.get_xydata(), np.column_stack([np.arange(1, 51), model.loss_history]))
    assert line.get_marker() == "o"
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("Training Loss Curve", "Epoch", "Loss")
    assert all(line.get_visible() for line in axes.get_xgridlines())
    width, height = matplotlib.image.imread(path).shape[1::-1]
    assert (width, height) == (1920, 1440), "6.4 x 4.8 inches at 300 dpi"
    assert "Epoch 50" in capsys.readouterr().out


def test_s3_7_loss_and_accuracy_of_train_and_test(tmp_path):
    history = {
        f"{split}_{what}": [k + j / 10 for j in range(5)]
        for k, (split, what) in enumerate((s, w) for s in ("train", "test") for w in ("loss", "accuracy"))
    }
    path = tmp_path / "new" / "train_test_accuracy_loss.png"
    figure = figures.train_test_curves(history, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    for axes, what in zip(figure.axes, ("loss", "accuracy"), strict=True):
        assert axes.get_xlabel() == "Epoch"
        assert axes.get_ylabel().lower() == what
        for line, split in zip(axes.get_lines(), ("train", "test"), strict=True):
            assert line.get_label() == split
            np.testing.assert_array_equal(line.get_ydata(), history[f"{split}_{what}"])


def test_without_matplotlib_a_plain_message_and_training_goes_on(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    Run_RNN(Y, Y, Tanh(), epochs=2, n_neurons=2)
    first, *rest = capsys.readouterr().out.splitlines()
    assert "pip install 'tinygrad_rnn[plot]'" in first
    assert [line.split()[0] for line in rest] == ["Current", "Current", "Model"]


def test_without_matplotlib_a_figure_that_was_asked_for_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'tinygrad_rnn\[plot\]'"):
        figures.loss_curve([1.0], tmp_path / "x.png")
