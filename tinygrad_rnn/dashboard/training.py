"""Tab 1: a tanh RNN learns a curve before your eyes."""

import numpy as np
import streamlit as st

from tinygrad_rnn import plots
from tinygrad_rnn.dashboard import series
from tinygrad_rnn.dashboard.engines import ENGINES, copied, fresh
from tinygrad_rnn.dashboard.kit import Job, buttons, figure, literal, show, tell, watch
from tinygrad_rnn.errors import DataError
from tinygrad_rnn.manual.regression import Apply_RNN, SGD_Optimizer

__all__ = ["tab"]

_WIDE, _BESIDE = (6.3, 3.6), (4.2, 3.6)  # inches: side by side in columns of 3 to 2, equally high


def tab() -> Job | None:
    """Fill the tab; the training itself, if it was asked for, is returned as a job."""
    st.markdown("The **blue** line is the data, the dashed **orange** one the model. The loss is ½ mean (ŷ − y)².")
    left, middle, right = st.columns(3)
    neurons = left.number_input("Neurons", 1, 300, 50)
    epochs = left.number_input("Epochs", 1, 5000, 500)
    rate = middle.number_input("Learning rate", 1e-8, 1.0, 1e-5, format="%.1e")
    momentum = middle.number_input("Momentum", 0.0, 0.999, 0.95)
    decay = right.number_input("Decay", 0.0, 10.0, 0.0, format="%.3f")
    engine = right.selectbox("Gradients", list(ENGINES), help="Written by hand or by autograd: the same curve.")
    data = _data()
    row = buttons()
    started = row.button("Start Training", type="primary", disabled=data is None)
    row.button("Stop", help="Ends training; the model is kept as it is.")
    bar = st.empty()
    wide, beside = st.columns([3, 2])
    fit, loss = wide.empty(), beside.empty()
    if data is None:
        return None
    if not started:
        _last(bar, fit, loss, data)
        return None

    def train() -> None:
        model, losses = fresh(int(neurons)), []
        st.session_state.update(model=model, losses=losses, data=data, epochs=int(epochs), engine=engine)
        steps = ENGINES[engine](model, SGD_Optimizer(rate, momentum, decay), data.x, data.y, int(epochs))
        if not watch(steps, int(epochs), losses, lambda epoch: _draw(fit, loss), bar, "Epoch"):
            del st.session_state["model"]
            st.error("Training diverged: the loss is no number any more. Lower the learning rate or the momentum.")

    return train


def _data() -> series.Series | None:
    file = st.file_uploader("Your own data (CSV: one column y, or two columns x, y)", type=["csv", "txt"], key="csv")
    if file is None:
        return series.built_in()
    try:
        found = series.uploaded(file.getvalue(), file.name)
        st.caption(
            f"{len(found.x)} steps of {literal(file.name)} to learn, the last {len(found.x_unseen)} left unseen."
        )
        return found
    except DataError as error:
        tell(error)
        return None


def _draw(fit, loss) -> None:
    kept = st.session_state
    data, losses = kept["data"], list(kept["losses"])
    y_hat = Apply_RNN(data.x, copied(kept["model"]))
    title = f"epoch {len(losses)}, loss {figure(losses[-1])}"
    show(fit, lambda axes: plots.fit(axes, data.x[:, 0], data.y[:, 0], y_hat[:, 0], title=title), *_WIDE)

    def curve(axes) -> None:
        plots.curves(axes, {"loss": (np.arange(1, len(losses) + 1), losses)}, log=True)
        axes.set(xlabel="epoch", ylabel="loss", title="loss", xlim=(0, kept["epochs"]))

    show(loss, curve, *_BESIDE)


def _last(bar, fit, loss, data: series.Series) -> None:
    """What was reached when training ended or was stopped."""
    kept = st.session_state
    if "model" in kept and kept["losses"]:
        done, losses = kept["epochs"], kept["losses"]
        how = "Trained" if len(losses) >= done else "Stopped; the model is kept as it is"
        bar.success(f"{how}: {len(losses)} of {done} epochs, loss {figure(losses[-1])}, gradients {kept['engine']}")
        _draw(fit, loss)
    else:
        # Something to look at; and the first picture of a server costs a second, which training need not wait for.
        show(fit, lambda axes: plots.fit(axes, data.x[:, 0], data.y[:, 0], title="before training"), *_WIDE)
        loss.caption("Here the loss will fall.")
