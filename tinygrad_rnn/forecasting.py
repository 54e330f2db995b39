"""A recurrent model that says what a series will be `lag` steps later, and from that, any number of steps ahead.

Imports nn, train and data. The series is scaled to mean 0 and deviation 1 inside and scaled back outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import nn, optim
from .creation import from_numpy
from .data.series import lagged, windows
from .errors import DataError, explain
from .generators import default_generator
from .language import CELLS
from .state import no_grad
from .tensor import Tensor
from .train import Ended, Report, Trainer

__all__ = ["Forecast", "SeriesModel", "forecast", "shortest"]

_FEWEST = 8  # pairs of now and later to learn from


class SeriesModel(nn.Module):
    """One recurrent layer of H units over a series, and a linear output. cell: "rnn", "lstm" or "gru"."""

    def __init__(self, cell: str = "gru", hidden: int = 32) -> None:
        super().__init__()
        self.rnn = CELLS[cell](1, hidden)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """x: (T, B, 1). Returns what each value will be lag steps later, (T, B, 1), and the state."""
        states, state = self.rnn(x, state)
        return self.head(states), state


class Forecast(NamedTuple):
    """What `forecast` found, in the units of the series.

    fitted: (N - lag,), what the model says of series[lag:] on seeing series[:-lag]. beyond: (horizon,).
    error, naive: root mean square error on the held-out end of the series, of the model and of repeating the value seen
    lag steps before. ended: why training stopped. epochs: how many there were.
    """

    fitted: np.ndarray
    beyond: np.ndarray
    error: float
    naive: float
    ended: Ended
    epochs: int


def forecast(
    series: np.ndarray,
    *,
    lag: int = 20,
    horizon: int | None = None,
    cell: str = "gru",
    hidden: int = 32,
    epochs: int = 200,
    lr: float = 0.01,
    held_out: float = 0.2,
    seed: int = 0,
    report: Report | None = None,
    watch: Callable[[SeriesModel], None] | None = None,
) -> Forecast:
    """Train on a series and forecast what comes after it.

    series: (N,) finite numbers. lag: the model learns series[t + lag] from series[..t]. horizon: how many steps beyond
    the end, lag unless given; beyond lag the model goes on from its own forecasts. held_out: the share at the end that
    is not trained on, to measure the error; the weights with the smallest are kept. watch: called after every epoch.
    Raises DataError for a series too short, not finite, or without any change.
    """
    horizon = lag if horizon is None else horizon
    if lag < 1 or horizon < 1:
        raise DataError(explain("forecast", expected="lag and horizon of at least 1", got=f"{lag} and {horizon}"))
    if len(series) < shortest(lag, held_out):
        expected = f"at least {shortest(lag, held_out)} steps for a lag of {lag}"
        raise DataError(explain("series", expected=expected, got=str(len(series)), do="Use a smaller lag."))
    inputs, targets = lagged(np.asarray(series, np.float64), lag)
    cut = _trained_on(len(inputs), held_out)
    time = min(cut, 64)
    windows(series, time=1, dt=0)  # refuses what is not finite, by its place
    middle, spread = float(inputs[:cut].mean()), float(inputs[:cut].std())
    if spread < 1e-12 * max(1.0, abs(middle)):
        raise DataError(explain("series", expected="values that change", got="a constant in the training part"))

    scaled = ((series - middle) / spread).astype(np.float32)
    model = _seeded(cell, hidden, seed)
    x, y = windows(scaled[: cut + lag], time=time, dt=lag, stride=max(1, (cut - time) // 32))
    batch = from_numpy(x.swapaxes(0, 1).copy()), from_numpy(y.swapaxes(0, 1).copy())
    best: dict[str, Any] = {"error": np.inf, "weights": model.state_dict()}

    def evaluate(model: SeriesModel) -> float:
        error = _rms(_run(model, scaled[:-lag])[cut:] - scaled[lag:][cut:])
        if error < best["error"]:
            best.update(error=error, weights={name: array.clone() for name, array in model.state_dict().items()})
        if watch is not None:
            watch(model)
        return error

    trainer = Trainer(
        model,
        optim.Adam(model.parameters(), lr=lr),
        [batch],
        lambda model, batch, state: nn.functional.mse_loss(model(batch[0])[0], batch[1]),
        evaluate=evaluate,
        clip=1.0,
        log_every=None,
        report=report,
    )
    outcome = trainer.fit(epochs=epochs)
    model.load_state_dict(best["weights"])
    fitted, beyond = _continued(model, scaled, lag, horizon)
    naive = _rms(targets[cut:] - inputs[cut:])
    back = lambda values: values.astype(np.float64) * spread + middle
    error = _rms(back(fitted)[cut:] - targets[cut:])
    return Forecast(back(fitted), back(beyond), error, naive, outcome.ended, outcome.epoch)


def shortest(lag: int, held_out: float = 0.2) -> int:
    """The fewest steps of a series that `forecast` takes. Raises DataError unless held_out is from 0 to below 1."""
    if not 0 <= held_out < 1:
        raise DataError(explain("forecast", expected="held_out from 0 to below 1", got=repr(held_out)))
    pairs = _FEWEST
    while _trained_on(pairs, held_out) < _FEWEST:
        pairs += 1
    return lag + pairs


def _trained_on(pairs: int, held_out: float) -> int:
    return pairs - max(1, round(held_out * pairs))


def _seeded(cell: str, hidden: int, seed: int) -> SeriesModel:
    """A model whose weights are a function of the seed alone; the default generator is left as it was."""
    kept = default_generator.get_state()
    default_generator.manual_seed(seed)
    try:
        return SeriesModel(cell, hidden)
    finally:
        default_generator.set_state(kept)


def _run(model: SeriesModel, values: np.ndarray) -> np.ndarray:
    with no_grad():
        return model(from_numpy(values[:, None, None]))[0].numpy()[:, 0, 0]


def _continued(model: SeriesModel, scaled: np.ndarray, lag: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Run over the series and then over the model's own forecasts: the output at step t speaks of step t + lag."""
    with no_grad():
        said, state = model(from_numpy(scaled[:, None, None]))
        outputs = list(said.numpy()[:, 0, 0])
        for step in range(max(0, horizon - lag)):
            x = np.array([[[outputs[len(scaled) + step - lag]]]], np.float32)
            said, state = model(from_numpy(x), state)
            outputs.append(said.numpy()[0, 0, 0])
    every = np.array(outputs, np.float32)
    return every[: len(scaled) - lag], every[len(scaled) - lag :][:horizon]


def _rms(error: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(error, dtype=np.float64))))
