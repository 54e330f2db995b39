"""What the tabs share: the loop that trains in view of the user, and sentences for what goes wrong."""

import io
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import streamlit as st

from tinygrad_rnn import plots

__all__ = ["Job", "buttons", "figure", "literal", "room", "show", "tell", "watch"]

Job = Callable[[], None]
"""What a tab wants done after all tabs are on the page, so that none stays empty meanwhile."""

_PICTURES, _WORDS = 0.4, 0.1
"""Seconds between two of them, at least."""


def room() -> Any:
    """A place for one figure: as wide as the page where that is narrow, and no wider than its letters can bear."""
    return st.container(width=900)


def buttons() -> Any:
    """A place for buttons side by side."""
    return st.container(horizontal=True)


def show(place: Any, draw: Callable[[Any], None], width: float = 7.0, height: float = 2.8) -> None:
    """Draw a figure of one pair of axes into a place of the page, as sharp as the screen.

    width, height: in inches, which set the size of its letters against the place's width.
    """
    made, (axes,) = plots.figure(width, height)
    draw(axes)
    text = io.StringIO()
    made.savefig(text, format="svg")
    place.image(text.getvalue()[text.getvalue().index("<svg") :], width="stretch")


def watch(
    steps: Iterator[tuple[int, float]],
    total: int,
    losses: list[float],
    draw: Callable[[int], None],
    bar: Any,
    word: str,
) -> bool:
    """Run a generator of (step, loss) to its end, drawing after the first step and then a few times a second.

    A click anywhere ends the script inside a call to the page, which is how Stop works: the bar therefore moves more
    often than the pictures. `losses` has what was done by then. Returns whether the loss stayed finite.
    """
    began, told, drawn, pause = time.monotonic(), 0.0, 0.0, _PICTURES
    with np.errstate(over="ignore", invalid="ignore"):
        for step, loss in steps:
            losses.append(loss)
            if not np.isfinite(loss):
                bar.progress(1.0, text=f"{word} {step + 1}: the loss is no number any more")
                return False
            now, last = time.monotonic(), step + 1 == total
            if now - drawn > pause or last:
                draw(step)
                if drawn:  # the first picture of a server takes long, and is no measure
                    # On a slow machine fewer pictures: at most a third of the time goes into them.
                    pause = max(_PICTURES, 2 * (time.monotonic() - now))
                drawn = time.monotonic()
            if now - told > _WORDS or last:
                rate = (step + 1) / max(time.monotonic() - began, 1e-9)
                left = (total - step - 1) / rate
                text = f"{word} {step + 1} of {total}, loss {figure(loss)}, {rate:.0f} a second, {left:.0f} s left"
                bar.progress((step + 1) / total, text=text)
                told = time.monotonic()
    return True


def tell(error: Exception) -> None:
    """An error as a sentence on the page."""
    st.error(literal(str(error)))


def literal(text: str) -> str:
    """A text from a file, or its name, as Markdown shows it sign by sign: no link, no picture, no formula."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def figure(loss: float) -> str:
    """A loss with four decimals, or few digits where it has grown beyond all bounds: 300 of them leave no room."""
    return f"{loss:.4f}" if abs(loss) < 1e6 else f"{loss:.1e}"
