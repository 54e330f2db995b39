"""Tab 3: the model hears a series and says what it will be dt steps later; the last dt answers lie beyond the data."""

import functools

import numpy as np
import streamlit as st

from tinygrad_rnn import plots
from tinygrad_rnn.dashboard import series
from tinygrad_rnn.dashboard.engines import ENGINES, fresh
from tinygrad_rnn.dashboard.kit import Job, buttons, room, show, watch
from tinygrad_rnn.manual.regression import Apply_RNN, SGD_Optimizer

__all__ = ["tab"]

CHOICES = {"20: short memory": (20,), "50: long memory": (50,), "20 against 50": (20, 50), "another": ()}


def tab() -> Job | None:
    """Fill the tab; training is returned as a job."""
    st.markdown(
        "The model reads y(t) and learns **y(t + dt)**. Run over the whole series, it says *dt* values that nobody has "
        "seen yet: the **orange** line on shaded ground. The dotted **grey** line is what it says of the data."
    )
    left, middle, right = st.columns(3)
    choice = left.selectbox("Lag dt", list(CHOICES), key="ar_choice")
    neurons = middle.number_input("Neurons", 1, 300, 100, key="ar_neurons")
    epochs = right.number_input("Epochs", 1, 5000, 200, key="ar_epochs")
    lags = CHOICES[choice] or (int(left.number_input("dt", 1, 150, 30, key="ar_dt")),)
    data = st.session_state.get("data") or series.built_in()
    y = data.y
    if max(lags) >= len(y) // 2:
        st.error(f"Time lag dt={max(lags)} must be smaller than half the data size T={len(y)}.")
        return None
    row = buttons()
    started = row.button("Start Forecast", type="primary")
    row.button("Stop", key="ar_stop", help="Ends training; what was drawn stays.")
    bar = st.empty()
    places = [column.empty() for column in (st.columns(len(lags)) if len(lags) > 1 else [room()])]
    if not started:
        for place, (lag, kept, beyond) in zip(places, st.session_state.get("forecasts", []), strict=False):
            show(place, functools.partial(_draw, y=kept, said=beyond, lag=lag), *_size(lags))
        return None

    def train() -> None:
        found: list = []
        st.session_state["forecasts"] = found
        for lag, place in zip(lags, places, strict=True):
            model, losses = fresh(int(neurons)), []
            steps = ENGINES["by hand"](model, SGD_Optimizer(1e-5, 0.95, 0.01), y[:-lag], y[lag:], int(epochs))
            found.append((lag, y, Apply_RNN(y, model)))

            def draw(epoch: int, lag=lag, place=place, model=model) -> None:
                found[-1] = lag, y, Apply_RNN(y, model)
                drawn = functools.partial(_draw, y=y, said=found[-1][2], lag=lag)
                show(place, drawn, *_size(lags))

            watch(steps, int(epochs), losses, draw, bar, f"dt = {lag}, epoch")

    return train


def _size(lags: tuple[int, ...]) -> tuple[float, float]:
    """Inches of one figure, or of one of two side by side."""
    return (7.0, 2.8) if len(lags) == 1 else (5.2, 3.2)


def _draw(axes, y: np.ndarray, said: np.ndarray, lag: int) -> None:
    """said: (T, 1), of which entry t speaks of step t + lag."""
    plots.forecast(axes, y[:, 0], said[:-lag, 0], said[-lag:, 0], title=f"dt = {lag}")
