"""Figures in one style: curves of a run, a fit, a forecast. Colour-blind safe, and told apart in grey by their dashes.

matplotlib (extra `plot`) is imported inside. Figures are made without pyplot, so threads of a server may draw at once.
Imports `files`.
"""

from __future__ import annotations

import importlib
import io
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .files import Path, replace

__all__ = ["COLOURS", "curves", "figure", "fit", "forecast", "literal", "run", "save"]

COLOURS = {"data": "#0072b2", "model": "#d55e00", "unseen": "#009e73", "other": "#666666", "zone": "#999999"}
"""Of Okabe and Ito's palette: blue, vermilion (which looks orange), bluish green, and greys."""


LARGEST = 1e100
"""What is larger, as the loss of a training that diverges, is drawn as large as this: no tick has room beyond."""


def _bounded(y: Any) -> np.ndarray:
    return np.clip(np.asarray(y, float), -LARGEST, LARGEST)


def figure(width: float = 7.0, height: float = 3.4, columns: int = 1) -> tuple[Any, list[Any]]:
    """A figure of so many inches and its axes, side by side. Raises ModuleNotFoundError without matplotlib."""
    try:
        made = importlib.import_module("matplotlib.figure").Figure(figsize=(width, height), layout="constrained")
    except ModuleNotFoundError as error:
        text = "figures need matplotlib. Install it with: pip install 'tinygrad_rnn[plot]'"
        raise ModuleNotFoundError(text, name="matplotlib") from error
    axes = [made.add_subplot(1, columns, column + 1) for column in range(columns)]
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(True, color="#dddddd", linewidth=0.6)
        one.set_axisbelow(True)
    return made, axes


def save(figure: Any, path: Path, dpi: int = 150) -> None:
    """Write a matplotlib figure, whole or not at all, in the format that the suffix names; without one as .png.

    Raises ValueError for a format that matplotlib does not know, OSError where it cannot be written.
    """
    name, suffix = os.path.splitext(os.fspath(path))
    suffix = suffix or ".png"
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix[1:].lower(), dpi=dpi)
    replace(name + suffix, buffer.getvalue())


def literal(text: str) -> str:
    """A text as matplotlib shows it sign by sign: what stands between two dollars would be taken for a formula."""
    return text.replace("$", r"\$")


def curves(axes: Any, lines: Mapping[str, tuple[Any, Any]], *, log: bool = False) -> None:
    """Several (x, y) lines under their names, each with its own dashes; log: a logarithmic y axis."""
    styles = [("#0072b2", "-"), ("#d55e00", "--"), ("#009e73", "-."), ("#666666", ":")]
    for (name, (x, y)), (colour, dashes) in zip(lines.items(), styles * len(lines), strict=False):
        marker = "." if len(x) < 12 else None
        axes.plot(x, _bounded(y), dashes, color=colour, label=literal(name), linewidth=1.6, marker=marker)
    if log:
        axes.set_yscale("log")
    if len(lines) > 1:
        axes.legend(edgecolor="none", framealpha=0.8)


def run(metrics: Sequence[Mapping[str, Any]], title: str = "") -> Any:
    """Loss of training and validation, and the norm of the gradient, by training step.

    metrics: lines as `train.read_metrics` gives them. Returns the figure.
    """
    norms = [line for line in metrics if line.get("gradient_norm") is not None]
    made, axes = figure(9 if norms else 6, 3.2, columns=2 if norms else 1)
    lines = {}
    for name, key in (("training", "loss"), ("validation", "validation_loss")):
        found = [line for line in metrics if line.get(key) is not None]
        if found:
            lines[name] = ([line["step"] for line in found], [line[key] for line in found])
    curves(axes[0], lines)
    axes[0].set(xlabel="step", ylabel="loss", title=literal(title))
    if norms:
        curves(axes[1], {"norm": ([line["step"] for line in norms], [line["gradient_norm"] for line in norms])})
        axes[1].set(xlabel="step", ylabel="gradient norm", title="norm of the gradient, before clipping")
    for one in axes:
        one.xaxis.get_major_locator().set_params(integer=True)  # there is no half a step
    return made


def fit(
    axes: Any, x: np.ndarray, y: np.ndarray, y_hat: np.ndarray | None = None, *, title: str = "", kind: str = "model"
) -> None:
    """Data and what the model says of them, if it has said anything yet.

    x, y, y_hat: (T,). kind: a name from COLOURS for the model's line, "model" or "unseen".
    """
    axes.plot(x, y, color=COLOURS["data"], linewidth=1.0, label="data")
    if y_hat is not None:
        label = {"model": "model", "unseen": "prediction on unseen data"}[kind]
        axes.plot(x, _bounded(y_hat), "--", color=COLOURS[kind], linewidth=2.0, label=label)
    axes.set(xlabel="x", ylabel="y")
    _headed(axes, title)


def forecast(axes: Any, y: np.ndarray, fitted: np.ndarray, beyond: np.ndarray, *, title: str = "") -> None:
    """A series, the model on it, and the forecast beyond the last value on shaded ground.

    y: (N,). fitted: (M,), M <= N, ending with the data. beyond: (K,), the forecast of steps N, N + 1, ...
    """
    N, K = len(y), len(beyond)
    axes.plot(np.arange(N), y, color=COLOURS["data"], linewidth=1.0, label="data")
    axes.plot(
        np.arange(N - len(fitted), N), _bounded(fitted), ":", color=COLOURS["other"], linewidth=1.4, label="model"
    )
    if K:
        # Joined to the last value the model gave, so that the line does not begin in mid-air.
        joint = _bounded(np.concatenate([fitted[-1:], beyond]))
        axes.plot(np.arange(N + K - len(joint), N + K), joint, color=COLOURS["model"], linewidth=2.0, label="forecast")
        axes.axvspan(N - 1, N + K - 1, color=COLOURS["zone"], alpha=0.2, linewidth=0)
        axes.axvline(N - 1, color="black", linewidth=1.5)
    axes.set(xlabel="step", ylabel="y")
    _headed(axes, title)


def _headed(axes: Any, title: str) -> None:
    """The title above at the left and the names of the lines at the right: a series leaves no room between its axes."""
    axes.set_title(literal(title), loc="left", fontsize="medium")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0.1)
