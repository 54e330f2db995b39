"""What holds in every test: floating-point accidents raise, and nothing global is left changed."""

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest

from tests.architecture import line_counts

# Examples are the same in every run. `make properties` draws fresh ones, and many.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True, max_examples=100, print_blob=True)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))

CORE = ("primitive", "state", "graph", "backward", "tensor")


@pytest.fixture(autouse=True)
def float_errors_raise() -> Iterator[None]:
    """Overflow, invalid and division by zero raise FloatingPointError; a test that means them opens np.errstate."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        yield


@pytest.fixture(autouse=True)
def recording_state_is_restored() -> Iterator[None]:
    """Fail a test that leaves the recording switch, a scope or anomaly detection behind, and spare the next one."""
    try:
        from tinygrad_rnn.state import STATE, current
    except ModuleNotFoundError:  # the parts below the graph are tested before it exists
        yield
        return

    def settings() -> dict[str, object]:
        state = current()
        return {
            "recording": state.recording,
            "recording everything": state.everything,
            "watching for NaN and writes": state.watched,
            "source lines": state.sources,
            "tracing": state.tracing,
            "scope": (state.scope.path, state.scope.t, state.scope.backward),
        }

    before, link = settings(), STATE.get()
    yield
    after = settings()
    STATE.set(link)
    leaked = [f"{name}: {old!r} before, {after[name]!r} after" for name, old in before.items() if old != after[name]]
    if leaked:
        pytest.fail("the test left global state changed; use a `with` block. " + "; ".join(leaked))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Size as a visible number: the lines of the core engine and of the packages."""
    counts = line_counts(Path(__file__).parent.parent)
    core = {name: counts.get(f"tinygrad_rnn/{name}.py", 0) for name in CORE}
    listing = ", ".join(f"{name} {lines}" for name, lines in core.items())
    terminalreporter.write_line(
        f"core engine: {sum(core.values())} lines ({listing}); all: {sum(counts.values())} lines"
    )
