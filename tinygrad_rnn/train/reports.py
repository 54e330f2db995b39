"""What a person sees of a run: a progress bar on a terminal, plain lines elsewhere, or nothing.

Imports nothing of the package; `rich` is imported by the bar alone, when it begins.
"""

import math
import sys
import time
from typing import Any, NamedTuple, Protocol, TextIO

__all__ = ["Bar", "Lines", "Progress", "Quiet", "Report", "suited"]


class Progress(NamedTuple):
    """Where a run stands: loss is the mean since the last line of metrics, rates are per second."""

    step: int
    total: int | None
    epoch: int
    loss: float
    learning_rate: float
    gradient_norm: float | None
    steps_per_second: float

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None if the end is not known in steps."""
        if self.total is None or not self.steps_per_second:
            return None
        return max(self.total - self.step, 0) / self.steps_per_second


class Report(Protocol):
    """What the trainer tells. `step` comes after every step, `line` with every line of metrics."""

    def begin(self, step: int, total: int | None) -> None:
        """A run starts, or goes on, at this step."""

    def step(self, progress: Progress) -> None:
        """A step is done."""

    def line(self, progress: Progress) -> None:
        """Figures worth a line have come together."""

    def evaluated(self, step: int, loss: float, best: bool) -> None:
        """The model was tried on held-out data."""

    def say(self, text: str) -> None:
        """Something happened that the user must read."""

    def end(self) -> None:
        """The run is over, however it ended."""


class Quiet:
    """Says nothing but what the user must read, and that to `stream` (standard error if not given)."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream

    def begin(self, step: int, total: int | None) -> None:
        """Nothing."""

    def step(self, progress: Progress) -> None:
        """Nothing."""

    def line(self, progress: Progress) -> None:
        """Nothing."""

    def evaluated(self, step: int, loss: float, best: bool) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """The text, on a line."""
        print(text, file=self._stream or sys.stderr, flush=True)

    def end(self) -> None:
        """Nothing."""


class Lines(Quiet):
    """A line for every line of metrics: for pipes and logs."""

    def begin(self, step: int, total: int | None) -> None:
        """Whence a resumed run goes on."""
        if step:
            self.say(f"going on after step {step:,}")

    def line(self, progress: Progress) -> None:
        """Step, loss, learning rate, gradient norm, speed, time left."""
        end = "" if progress.total is None else f"/{progress.total:,}"
        parts = [f"step {progress.step:,}{end}, epoch {progress.epoch}: loss {progress.loss:.4f}"]
        parts.append(f"lr {progress.learning_rate:.3g}")
        if progress.gradient_norm is not None:
            parts.append(f"gradient {progress.gradient_norm:.3g}")
        parts.append(f"{progress.steps_per_second:.1f} steps/s")
        if progress.seconds_left is not None:
            parts.append(f"{_clock(progress.seconds_left)} left")
        self.say(", ".join(parts))

    def evaluated(self, step: int, loss: float, best: bool) -> None:
        """The validation loss, and whether it is the lowest yet."""
        self.say(f"step {step:,}: validation loss {loss:.4f}{', the best so far' if best else ''}")

    def say(self, text: str) -> None:
        """The text, on a line of standard output (or of `stream`)."""
        print(text, file=self._stream or sys.stdout, flush=True)


class Bar:
    """One moving line with loss, rate and time left. Needs `rich`; `suited` falls back on Lines without it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        from rich.console import Console

        self._console = Console(file=stream)
        self._bar: Any = None
        self._task: Any = None
        self._drawn = -math.inf

    def begin(self, step: int, total: int | None) -> None:
        """Draw the bar, filled up to the step."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
        self._bar = Progress(*columns, console=self._console, transient=False)
        self._task = self._bar.add_task("", total=total, completed=step)
        self._bar.start()

    def step(self, progress: Progress) -> None:
        """Move the bar, ten times a second at most."""
        now = time.monotonic()
        if now - self._drawn > 0.1 or progress.step == progress.total:
            self._drawn = now
            left = "" if progress.seconds_left is None else f"  {_clock(progress.seconds_left)} left"
            text = f"loss {progress.loss:.4f}  {progress.steps_per_second:.1f} steps/s{left}"
            self._bar.update(self._task, completed=progress.step, description=text)

    def line(self, progress: Progress) -> None:
        """Nothing: the bar shows it."""

    def evaluated(self, step: int, loss: float, best: bool) -> None:
        """The validation loss, on a line above the bar."""
        self.say(f"step {step:,}: validation loss {loss:.4f}{', the best so far' if best else ''}")

    def say(self, text: str) -> None:
        """The text, on a line above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def end(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def suited(stream: TextIO | None = None) -> Report:
    """A Bar if the stream (standard output if not given) is a terminal and `rich` is installed, otherwise Lines."""
    if (stream or sys.stdout).isatty():
        try:
            return Bar(stream)
        except ImportError:
            pass
    return Lines(stream)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
