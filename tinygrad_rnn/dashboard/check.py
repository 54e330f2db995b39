"""Tab 5: gradients by hand, by the graph and by differences; break the backward pass and watch the doctor find it."""

import numpy as np
import streamlit as st

from tinygrad_rnn.compare import compare_gradients, diagnose
from tinygrad_rnn.dashboard.kit import Job, room, show
from tinygrad_rnn.mistakes import MISTAKES, broken_gradients
from tinygrad_rnn.models import Regression

__all__ = ["tab"]

NONE = "none: the gradient is right"


def tab() -> Job | None:
    """Fill the tab."""
    st.markdown(
        "Every gradient against two others. **Choose a mistake**, and the doctor has to name it from the numbers."
    )
    left, right = st.columns(2)
    mistake = left.selectbox("Mistake in the backward pass", [NONE, *MISTAKES])
    steps = right.slider("Time steps of the example", 2, 20, 8)
    if mistake != NONE:
        st.caption(f"Broken on purpose: {MISTAKES[mistake]}.")
    if not st.button("Check Gradients", type="primary"):
        return None
    rng = np.random.default_rng(0)
    shapes = {"Wh": (5, 5), "Wi": (5, 1), "Wo": (1, 5), "bias": (5, 1)}
    params = {name: 0.5 * rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((steps, 1)), rng.standard_normal((steps, 1))
    loss_fn = Regression.from_manual(params).loss_fn(x, y)
    by_hand = broken_gradients(params, x, y, None if mistake == NONE else mistake)
    report = compare_gradients(loss_fn, params, by_hand)
    st.dataframe(
        [
            {
                "parameter": row.name, "shape": str(row.shape), "by hand against autograd": str(row.verdict),
                "relative error": f"{row.relative:.1e}", "autograd against differences": f"{row.numeric:.1e}",
            }
            for row in report.rows
        ],
        hide_index=True,
    )  # fmt: skip
    diagnosis = diagnose(loss_fn, params, by_hand)
    (st.success if diagnosis.ok else st.warning)("All gradients agree." if diagnosis.ok else "The doctor says:")
    st.code(str(diagnosis), language=None, wrap_lines=True)

    def heat(axes) -> None:
        axes.grid(False)
        report.plot(axes)

    show(room(), heat, height=3.4)
    return None
