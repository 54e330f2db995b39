"""Ctrl-C and SIGTERM noted instead of obeyed, so that a training step can be finished and saved.

Imports nothing of the package.
"""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interruption"]

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interruption:
    """A context within which the first Ctrl-C or SIGTERM is only noted: the object becomes true.

    The second Ctrl-C raises KeyboardInterrupt, for whoever cannot wait. The handlers found are put back at the end.
    Outside the main thread, where Python delivers no signals, it does nothing.
    Attributes: `cause`, "Ctrl-C" or "SIGTERM" or None.
    """

    def __init__(self) -> None:
        self.cause: str | None = None
        self._found: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _NAMES:
                self._found[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._found.items():
            # None is a handler that was not installed by Python and cannot be put back by it.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def __bool__(self) -> bool:
        return self.cause is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.cause is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.cause = _NAMES[signal.Signals(number)]
