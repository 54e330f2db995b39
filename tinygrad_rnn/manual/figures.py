"""What the handwritten models draw: the fit of a series, a loss curve, loss and accuracy of training and test.

Imports matplotlib (extra `plot`) inside the functions only, so a script that prints needs none. Nothing here blocks: a
window is redrawn in place, a notebook's output is replaced, and without a display the figure waits for `savefig`.
"""

import importlib
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["FitPlot", "draw_fit", "loss_curve", "pyplot", "train_test_curves"]

# As in `tinygrad_rnn.plots`: told apart by eyes of every kind, and in grey by the dashes.
_DATA: dict[str, Any] = {"color": "#0072b2"}
_MODEL: dict[str, Any] = {"color": "#d55e00", "linestyle": "--"}
MISSING = "figures need matplotlib, which is not installed. Install it with: pip install 'tinygrad_rnn[plot]'"


def pyplot() -> Any:
    """Return `matplotlib.pyplot`; raise ModuleNotFoundError that says what to install if there is none."""
    try:
        return importlib.import_module("matplotlib.pyplot")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(MISSING, name="matplotlib") from error


def draw_fit(axes: Any, y: np.ndarray, y_hat: np.ndarray, epoch: int, dt: int = 0) -> None:
    """Draw a series and what the model says about it; with a lag also the zone beyond the data.

    axes: matplotlib Axes, cleared first.  y: (T,) or (T, 1) float, the data, at 0 ... T-1.
    y_hat: (T,) or (T, 1) float, drawn at dt ... T-1+dt, because the output at step t speaks of step t + dt.
    epoch: goes into the title.  dt: the lag in steps; if not 0, grey marks the steps for which there are no data.
    """
    y, y_hat = np.ravel(y), np.ravel(y_hat)
    last = len(y) - 1
    axes.clear()
    axes.plot(np.arange(len(y)), y, **_DATA, label="y")
    axes.plot(np.arange(len(y_hat)) + dt, y_hat, **_MODEL, label=r"$\hat{y}$")
    axes.set(xlabel="x", ylabel="y", title=f"epoch# {epoch}")
    if dt:
        low, high = min(y.min(), y_hat.min()), max(y.max(), y_hat.max())
        axes.fill_between([last, last + dt], low, high, color="k", alpha=0.1)
        axes.plot([last, last], [low, high], "k-", linewidth=3)
    axes.legend(loc="upper left")


class FitPlot:
    """One figure of a fit that is redrawn while a model trains, and never stops the training.

    `live` tells whether anybody can see it change: a window or a notebook. Otherwise draw only what will be saved.
    """

    def __init__(self) -> None:
        self._pyplot = pyplot()
        self.figure, self.axes = self._pyplot.subplots(num="Run_RNN", clear=True)
        backend = self._pyplot.get_backend().lower()
        self._notebook = "inline" in backend
        self._window = self.figure.canvas.required_interactive_framework is not None
        self._display: Any = None
        self.live = self._notebook or self._window

    def draw(self, y: np.ndarray, y_hat: np.ndarray, epoch: int, dt: int = 0) -> None:
        """Draw as `draw_fit` does and show it where it can be seen, without waiting for the user."""
        draw_fit(self.axes, y, y_hat, epoch, dt)
        if self._window:
            self._pyplot.pause(0.001)
        elif self._notebook:
            self._show_in_notebook()

    def _show_in_notebook(self) -> None:
        if self._display is None:
            self._display = importlib.import_module("IPython.display").display(self.figure, display_id=True)
        else:
            self._display.update(self.figure)

    def close(self) -> None:
        """Free a notebook's figure (its last picture stays); leave a window or an undisplayed figure to the caller."""
        if self._notebook:
            self._pyplot.close(self.figure)


def _save(figure: Any, path: str | Path | None) -> None:
    if path is not None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        importlib.import_module("tinygrad_rnn.plots").save(figure, path, dpi=300)


def loss_curve(losses: Any, path: str | Path | None = "plots/training_loss_curve.png") -> Any:
    """Draw the training loss against the epoch and save it.

    losses: sequence of E floats, one per epoch, the first belongs to epoch 1.
    path: where to save at 300 dpi, folders are made; None saves nothing.
    Returns the matplotlib Figure. Raises ModuleNotFoundError without matplotlib.
    """
    figure, axes = pyplot().subplots(num="Training Loss Curve", clear=True)
    axes.plot(np.arange(1, len(losses) + 1), losses, **_DATA, marker="o")
    axes.set(title="Training Loss Curve", xlabel="Epoch", ylabel="Loss")
    axes.grid(True)
    _save(figure, path)
    return figure


def train_test_curves(history: dict[str, list[float]], path: str | Path | None = None) -> Any:
    """Draw loss and accuracy of training and test against the epoch, side by side.

    history: `train_loss`, `test_loss`, `train_accuracy`, `test_accuracy`, each a list of E floats.
    path: where to save at 300 dpi ("train_test_accuracy_loss.png"), folders are made; None saves nothing.
    Returns the matplotlib Figure. Raises ModuleNotFoundError without matplotlib.
    """
    figure, panels = pyplot().subplots(1, 2, num="Training and Test", clear=True, figsize=(10, 4))
    for axes, quantity in zip(panels, ("loss", "accuracy"), strict=True):
        for split, style in (("train", _DATA), ("test", _MODEL)):
            axes.plot(history[f"{split}_{quantity}"], **style, label=split)
        axes.set(title=quantity.capitalize(), xlabel="Epoch", ylabel=quantity.capitalize())
        axes.grid(True)
        axes.legend()
    figure.tight_layout()
    _save(figure, path)
    return figure
