"""What the tabs share: the loop that trains in view of the user, and sentences for what goes wrong."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import streamlit as st

from tinygrad_rnn import plots

__all__ = ["Job", "literal", "show", "tell", "watch"]

Job = Callable[[], None]
"""What a tab wants done after all tabs are on the page, so that none stays empty meanwhile."""

_EVERY = 0.4


def show(place: Any, draw: Callable[[Any], None], width: float = 9.0, height: float = 3.2) -> None:
    """Draw a figure of one pair of axes into a place of the page."""
    made, (axes,) = plots.figure(width, height)
    draw(axes)
    place.pyplot(made)


def watch(
    steps: Iterator[tuple[int, float]],
    total: int,
    losses: list[float],
    draw: Callable[[int], None],
    bar: Any,
    word: str,
) -> bool:
    """Run a generator of (step, loss) to its end, drawing after the first step and then a few times a second.

    A click anywhere ends the script inside a drawing call, which is how Stop works; `losses` has what was done by then.
    Returns whether the loss stayed finite.
    """
    began, drawn, pause = time.monotonic(), 0.0, 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for step, loss in steps:
            losses.append(loss)
            if not np.isfinite(loss):
                bar.progress(1.0, text=f"{word} {step + 1}: the loss is no number any more")
                return False
            now = time.monotonic()
            if now - drawn > pause or step + 1 == total:
                draw(step)
                # On a slow machine fewer pictures: at most a fifth of the time goes into them.
                pause = max(_EVERY, 4 * (time.monotonic() - now))
                rate = (step + 1) / max(time.monotonic() - began, 1e-9)
                left = (total - step - 1) / rate
                text = f"{word} {step + 1} of {total}, loss {loss:.4f}, {rate:.0f} a second, {left:.0f} s left"
                bar.progress((step + 1) / total, text=text)
                drawn = time.monotonic()
    return True


def tell(error: Exception) -> None:
    """An error as a sentence on the page."""
    st.error(literal(str(error)))


def literal(text: str) -> str:
    """A text from a file, or its name, as Markdown shows it sign by sign: no link, no picture, no formula."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)
