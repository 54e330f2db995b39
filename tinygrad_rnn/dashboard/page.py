"""The page that Streamlit runs: `tinygrad-rnn app`, or `make app` in a checkout."""

import streamlit as st

from tinygrad_rnn.dashboard import autoregression, check, inference, text, training, unrolled

__all__ = ["main"]

TABS = {
    "Training (Regression)": training.tab,
    "Inference (Prediction)": inference.tab,
    "Autoregression (Time Forecasting)": autoregression.tab,
    "Unrolled graph": unrolled.tab,
    "Gradient check": check.tab,
    "Text": text.tab,
}


def main() -> None:
    """Lay out the tabs, then do what one of them asked for."""
    st.set_page_config(page_title="tinygrad_rnn", layout="wide")
    st.title("Recurrent networks, unrolled")
    jobs = []
    for place, fill in zip(st.tabs(list(TABS)), TABS.values(), strict=True):
        with place:
            job = fill()
            if job is not None:
                jobs.append((place, job))
    for place, job in jobs:
        with place:
            job()


if __name__ == "__main__":
    main()
