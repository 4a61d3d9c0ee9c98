"""A program dies with its worker, also where the worker is killed at once.

Each worker process that runs programs has one small watchdog process, in a session of its own.
It reads the groups that run now from a pipe whose other end the worker alone holds. When the
worker is gone the pipe ends, and the watchdog kills these groups.

A worker may be killed between starting a program and announcing it. So each program carries the
watchdog's mark in its environment, and at the end the watchdog looks for session leaders with
that mark (on Linux; elsewhere that moment stays uncovered).
"""

from __future__ import annotations

import atexit
import logging
import os
import subprocess
import sys
import threading

log = logging.getLogger(__name__)

MARK = "ORION_GUARDIAN"
"""The environment variable that holds the watchdog's mark."""

# Plain text, run by `python -I -S`: no import but these, so that it stays small and starts fast.
_WATCHDOG = r"""
import os, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
mark = sys.argv[1].encode()
groups, rest, lines = set(), b"", []
while True:
    data = os.read(0, 65536)
    if not data:
        break
    *lines, rest = (rest + data).split(b"\n")
    for line in lines:
        if line != b".":
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    if b"." in lines:
        break

def kill(group):
    try:
        os.killpg(group, signal.SIGKILL)
    except OSError:
        pass

def marked():
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open("/proc/" + entry + "/environ", "rb") as file:
                    if mark in file.read().split(b"\0") and os.getsid(int(entry)) == int(entry):
                        yield int(entry)
            except OSError:
                pass

for group in groups:
    kill(group)
if b"." not in lines and os.path.isdir("/proc/self"):
    for _ in range(5):
        for group in marked():
            kill(group)
        time.sleep(0.1)
"""


class Guardian:
    """The watchdog of this process: it learns which groups run, and kills them if we die."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._groups: set[int] = set()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self.mark = os.urandom(8).hex()

    @property
    def environment(self) -> dict[str, str]:
        """Return what must be in the environment of each program."""
        return {MARK: self.mark}

    @property
    def pid(self) -> int | None:
        """Return the watchdog's process id, or None where none runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the watchdog where it does not run. Failing is logged: programs run without it."""
        with self._lock:
            if self._process is None:
                self._start()

    def add(self, group: int) -> None:
        """Announce a group that runs from now on."""
        with self._lock:
            self._groups.add(group)
            self._send(f"+{group}\n")

    def discard(self, group: int) -> None:
        """Announce that a group is to be left alone. Say so before its leader is reaped."""
        with self._lock:
            self._groups.discard(group)
            self._send(f"-{group}\n")

    def close(self) -> None:
        """End the watchdog, which kills the groups it still knows. It starts anew when needed."""
        with self._lock:
            self._stop()

    def abandon(self) -> None:
        """Forget the parent's watchdog in a forked child, which must not keep its pipe open."""
        if self._process is not None:
            os.close(self._pipe)
            self._process.returncode = 0  # it is not our child: no warning, no waiting for it
        self.__init__()  # type: ignore[misc]

    def _hold(self) -> None:
        self._lock.acquire()

    def _let_go(self) -> None:
        self._lock.release()

    def _start(self) -> None:
        read_end, write_end = os.pipe()
        try:
            # A watchdog must not carry the mark of an outer worker's watchdog.
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WATCHDOG, f"{MARK}={self.mark}"],
                stdin=read_end,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={k: v for k, v in os.environ.items() if k != MARK},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            os.close(write_end)
            log.warning("no watchdog: programs outlive a killed worker (%s)", error)
            return
        finally:
            os.close(read_end)
        self._pipe = write_end
        _register_exit()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            os.write(self._pipe, b".\n")  # an orderly end: no search for programs that got away
        except OSError:
            pass
        os.close(self._pipe)
        process.wait()

    def _send(self, line: str) -> None:
        if self._process is None:
            self._start()
            line = "".join(f"+{group}\n" for group in self._groups)
        try:
            if self._process is not None and line:
                os.write(self._pipe, line.encode())
        except BrokenPipeError:
            log.warning("the watchdog was killed: starting another")
            self._stop()
            self._start()
            if self._process is not None and self._groups:
                os.write(self._pipe, "".join(f"+{group}\n" for group in self._groups).encode())


guardian = Guardian()
"""The one of this process; a forked child gets its own."""

# Held over a fork, so that no child inherits a pipe that is just being made.
os.register_at_fork(
    before=guardian._hold, after_in_parent=guardian._let_go, after_in_child=guardian.abandon
)

_exit_registered: set[int] = set()


def _register_exit() -> None:
    if os.getpid() in _exit_registered:
        return
    _exit_registered.add(os.getpid())
    atexit.register(guardian.close)
    # The children of multiprocessing and loky leave without running atexit.
    if util := sys.modules.get("multiprocessing.util"):
        util.Finalize(None, guardian.close, exitpriority=10)
