"""Tab 2: the trained model, its weights frozen, on data it has never seen."""

import numpy as np
import streamlit as st

from tinygrad_rnn import plots
from tinygrad_rnn.dashboard.engines import copied
from tinygrad_rnn.dashboard.kit import Job, figure, literal, room, show
from tinygrad_rnn.manual.regression import Apply_RNN

__all__ = ["tab"]


def tab() -> Job | None:
    """Fill the tab."""
    st.markdown(
        "The weights are **frozen**: only a forward pass. The dashed **green** line is the prediction on unseen data."
    )
    run = st.button("Run Apply_RNN() Forward Pass", type="primary")
    if "model" not in st.session_state:
        if run:
            st.warning("Nothing is trained yet. Go to *Training (Regression)* and press **Start Training** first.")
        else:
            st.info("Train a model first, in the tab *Training (Regression)*.")
        return None
    if run:
        model, data = copied(st.session_state["model"]), st.session_state["data"]
        y_hat = Apply_RNN(data.x_unseen, model)
        loss = 0.5 * float(np.mean((y_hat - data.y_unseen) ** 2))
        title = f"unseen data, loss {figure(loss)}"
        x, y = data.x_unseen[:, 0], data.y_unseen[:, 0]
        show(room(), lambda axes: plots.fit(axes, x, y, y_hat[:, 0], title=title, kind="unseen"))
        st.caption(
            f"{len(x)} steps of {literal(data.name)}, which training never saw. The first few are worse: the state "
            "starts at zero and the model has to hear a little before it can speak."
        )
    return None
