"""Tab 4: the model just trained, unrolled over time, and how much of the gradient reaches each step."""

import numpy as np
import streamlit as st
import streamlit.components.v1 as components

import viz
from tinygrad_rnn import plots
from tinygrad_rnn.dashboard.engines import copied, fresh
from tinygrad_rnn.dashboard.kit import Job, room, show
from tinygrad_rnn.dashboard.series import built_in
from tinygrad_rnn.manual.regression import RNN_model
from tinygrad_rnn.models import Regression

__all__ = ["tab"]

VIEWS = {"Explore (pan, zoom, open modules)": "html", "Gradient colours by step": "gradients"}


def tab() -> Job | None:
    """Fill the tab."""
    st.markdown("An RNN is a loop, so its graph is **already unrolled**: one column per step, shared weights once.")
    left, right = st.columns(2)
    steps = left.slider("Time steps", 2, 12, 5)
    view = right.selectbox("View", list(VIEWS))
    if "model" not in st.session_state:
        st.info("Nothing is trained yet, so this is a model with fresh weights.")
    data = st.session_state.get("data") or built_in()
    model: RNN_model = st.session_state.get("model") or fresh(10)
    if st.button("Draw", type="primary"):
        components.html(_drawing(model, data.x[:steps], data.y[:steps], VIEWS[view]), height=620, scrolling=True)
        _fading(_norms(model, data.x, data.y))
    return None


def _fading(norms: np.ndarray) -> None:
    """Plot the norms of the last steps, as far back as there is anything left."""
    # Far below the largest they are all the same to learning, and 0 has no logarithm.
    left = norms > norms.max() * 1e-12
    first = max(len(norms) - 40, int(np.flatnonzero(~left)[-1]) + 1 if not left.all() else 0)
    steps, shown = np.arange(first, len(norms)), norms[first:]

    def draw(axes) -> None:
        plots.curves(axes, {"norm": (steps, shown)}, log=True)
        axes.set(xlabel="time step", ylabel="norm", title="gradient of the last step's error, as it goes back in time")

    show(room(), draw, height=2.6)
    factor = (shown[0] / shown[-1]) ** (1 / max(len(shown) - 1, 1))
    how = "It vanishes." if factor < 1 else "It explodes."
    rest = f" Before step {first} nothing of use is left." if first and not left[first - 1] else ""
    st.caption(f"From right to left, every step back multiplies it by {factor:.2g}, on average. {how}{rest}")


def _drawing(model: RNN_model, x: np.ndarray, y: np.ndarray, view: str) -> str:
    twin = Regression.from_manual({name: getattr(model, name) for name in ("Wh", "Wi", "Wo", "bias")})
    drawing = viz.draw(twin.loss(x, y), gradients=view == "gradients", title="The regression model, unrolled")
    return drawing.html if view == "html" else drawing.svg


def _norms(model: RNN_model, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """||dE_T / da_t|| for all t: (T,)."""
    copy = copied(model)
    copy.forward(x)
    last = np.zeros_like(y)
    last[-1] = 1.0
    copy.backward(last)
    return np.array([np.linalg.norm(step.d_inputs) for step in copy.Act_list])
