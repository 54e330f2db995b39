"""Tab 6: a small language model learns a text and writes as it learns."""

import time
from collections.abc import Iterator

import numpy as np
import streamlit as st

from tinygrad_rnn import optim, plots
from tinygrad_rnn.dashboard.kit import Job, buttons, room, show, tell, watch
from tinygrad_rnn.data import StreamBatches, Vocabulary, decoded, embedded_text
from tinygrad_rnn.errors import DataError, explain
from tinygrad_rnn.language import CELLS, LanguageModel, objective, sample
from tinygrad_rnn.nn.utils import clip_grad_norm_

__all__ = ["tab"]

LARGEST = 5_000_000


def tab() -> Job | None:
    """Fill the tab; training is returned as a job."""
    st.markdown("Paste a text, or take the one that ships with Python, and read what the network makes of it.")
    pasted = st.text_area("Text", placeholder="Nothing here: the Python language reference.", height=120)
    file = st.file_uploader("or a text file", type=["txt", "md", "csv", "py"], key="txt")
    left, middle, right = st.columns(3)
    cell = left.selectbox("Network", list(CELLS), index=2)
    hidden = middle.number_input("Units", 4, 512, 96, key="text_hidden")
    updates = right.number_input("Updates", 1, 20000, 300, key="text_updates")
    prompt = left.text_input("It goes on from", "The ")
    temperature = middle.slider("Temperature", 0.0, 1.5, 0.7)
    row = buttons()
    started = row.button("Start Reading", type="primary")
    row.button("Stop", key="text_stop", help="Ends training; the model is kept.")
    bar, written, loss = st.empty(), st.empty(), room().empty()
    if not started:
        _last(written, loss)
        return None
    try:
        text = _text(pasted, file)
        vocabulary = Vocabulary.of_characters(text)
        ids = vocabulary.encode(text)
        batches = StreamBatches(ids, batch=min(16, max(1, len(ids) // 40)), time=32)
        vocabulary.encode(prompt)
    except DataError as error:
        tell(error)
        return None

    def train() -> None:
        model, losses = LanguageModel(vocabulary, cell, hidden=int(hidden)), []
        kept = st.session_state
        kept.update(text_model=model, text_losses=losses, text_written="")

        def draw(step: int) -> None:
            pieces = sample(model, prompt, length=200, temperature=temperature, generator=np.random.default_rng(step))
            # Sampling must not starve learning: what there is after a fifth of a second is enough for a look.
            until, shown = time.monotonic() + 0.2, prompt
            for piece in pieces:
                shown += piece
                if time.monotonic() > until:
                    break
            kept["text_written"] = shown
            _last(written, loss)

        watch(_steps(model, batches, int(updates)), int(updates), losses, draw, bar, "Update")

    return train


def _steps(model: LanguageModel, batches: StreamBatches, updates: int) -> Iterator[tuple[int, float]]:
    optimizer = optim.Adam(model.parameters(), lr=4e-3)
    step = 0
    while step < updates:
        state = None
        for batch in batches:
            loss, state = objective(model, batch, state)
            optimizer.zero_grad()
            loss.backward()
            clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            state = tuple(part.detach() for part in state) if isinstance(state, tuple) else state.detach()
            yield step, float(loss.item())
            step += 1
            if step == updates:
                return


def _text(pasted: str, file) -> str:
    """What to learn. Raises DataError for an upload that is no text, and for what is too large."""
    if file is not None:
        if file.size > LARGEST:
            raise DataError(explain(file.name, expected=f"at most {LARGEST:,} bytes", got=f"{file.size:,}"))
        return "".join(decoded([file.getvalue()], file.name, "utf-8"))
    if len(pasted) > LARGEST:
        raise DataError(explain("Text", expected=f"at most {LARGEST:,} characters", got=f"{len(pasted):,}"))
    return pasted or embedded_text()


def _last(written, loss) -> None:
    kept = st.session_state
    if kept.get("text_losses"):
        written.code(kept["text_written"], language=None, wrap_lines=True)
        losses = list(kept["text_losses"])

        def draw(axes) -> None:
            plots.curves(axes, {"loss": (np.arange(1, len(losses) + 1), np.array(losses) / np.log(2))})
            axes.set(xlabel="update", ylabel="bits per character")

        show(loss, draw, height=2.4)
