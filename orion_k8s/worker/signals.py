"""SIGTERM and SIGINT while a worker runs: end in order, and on the second SIGINT at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupt(BaseException):
    """Raised by the signal's handler inside a call that runs in the main thread, to end it."""


class Signals:
    """Handles the signals inside a `with` block in the main thread; elsewhere it does nothing.

    Args:
        on_signal: called from the handler with the signal's number and how many there were.

    Attributes:
        received: number of the first signal, None so far.
        inline: while true, the handler raises `Interrupt`: a call is running in this very thread.
    """

    def __init__(self, on_signal: Callable[[int, int], None]) -> None:
        self.received: int | None = None
        self.count = 0
        self.inline = False
        self._on_signal = on_signal
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            # A handler not installed from Python can't be put back: the default is the nearest.
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        self._before.clear()

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
        self.count += 1
        self._on_signal(number, self.count)
        if self.inline:
            self.inline = False
            raise Interrupt
