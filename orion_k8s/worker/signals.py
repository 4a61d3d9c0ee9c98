"""SIGTERM and SIGINT while a worker runs: end in order, and on the second SIGINT at once."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_NUDGE_S = 0.05
_NUDGES = 20


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
        self._nudger: _Nudger | None = None

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                self._before[number] = signal.signal(number, self._handle)
            self._nudger = _Nudger(lambda: self.count)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._nudger is not None:
            self._nudger.close()
            self._nudger = None
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


class _Nudger:
    """Sees to it that a signal's handler runs soon, whatever the main thread waits for.

    CPython runs handlers in the main thread, between two instructions or when the signal ends a
    call that waits. A signal that arrives after the last look for signals and before the call has
    begun to wait ends nothing: its handler would run when the call ends by itself, which may be
    minutes later. So a thread reads of every signal from the file descriptor that the C handler
    writes to, and ends the main thread's call by a signal without a meaning until the handler ran.

    Args:
        handled: returns how many signals were handled so far.
    """

    def __init__(self, handled: Callable[[], int]) -> None:
        self._handled = handled
        self._main = threading.get_ident()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        # Without a handler it would end no call.
        self._before = signal.signal(signal.SIGURG, lambda *_: None)
        self._thread = threading.Thread(target=self._run, name="orion-signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and put things back as they were."""
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._write)
        self._thread.join()
        os.close(self._read)
        before = self._before
        signal.signal(signal.SIGURG, before if before is not None else signal.SIG_DFL)

    def _run(self) -> None:
        settled = self._handled()
        while numbers := os.read(self._read, 64):
            if not any(number in _SIGNALS for number in numbers):
                continue
            for _ in range(_NUDGES):
                if self._handled() > settled:
                    break
                signal.pthread_kill(self._main, signal.SIGURG)
                time.sleep(_NUDGE_S)
            settled = self._handled()
