"""What there is to know about a process group: is it gone, how did it end, what did it say."""

from __future__ import annotations

import math
import os
import select
import signal
import subprocess
import time

TAIL_LINES = 20
TAIL_BYTES = 4096

_POLL_S = 0.02
"""Where the kernel has no file descriptor of a process (before Linux 5.3; macOS)."""


def wait_exited(
    process: subprocess.Popen[bytes], woken: int | None, timeout: float | None
) -> bool:
    """Wait until a child has exited, but do not reap it: its number stays taken.

    Args:
        process: the child.
        woken: a pipe; something to read there ends the waiting.
        timeout: seconds; None for no end.

    Returns:
        whether it has exited.
    """
    try:
        watched = os.pidfd_open(process.pid)
    except (AttributeError, OSError):
        return _wait_by_polling(process, woken, timeout)
    try:
        poll = select.poll()
        poll.register(watched, select.POLLIN)
        if woken is not None:
            poll.register(woken, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(_milliseconds(timeout))}
    finally:
        os.close(watched)
    if woken is not None and woken in ready:
        os.read(woken, 4096)
    return watched in ready


def _wait_by_polling(
    process: subprocess.Popen[bytes], woken: int | None, timeout: float | None
) -> bool:
    deadline = None if timeout is None else time.monotonic() + timeout
    while not has_exited(process):
        if deadline is not None and time.monotonic() >= deadline:
            return False
        poll = select.poll()
        if woken is not None:
            poll.register(woken, select.POLLIN)
        if poll.poll(_milliseconds(_POLL_S)) and woken is not None:
            os.read(woken, 4096)
            return has_exited(process)
    return True


def _milliseconds(timeout: float | None) -> int | None:
    # Rounded up: rounding down would spin in the last millisecond.
    return None if timeout is None else math.ceil(timeout * 1000)


def has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has exited; where the system allows it, without reaping it."""
    if process.returncode is not None:
        return True
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill_group(group: int, number: signal.Signals) -> None:
    """Send a signal to a group; one that is gone is fine."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM of a group of zombies
        pass


def group_is_alive(group: int) -> bool:
    """Whether a group has a member that is no zombie. False where there is no /proc to ask."""
    try:
        entries = os.listdir("/proc")
    except OSError:
        return False
    for entry in entries:
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as file:
                # The name, in parentheses, may hold anything: the fields follow the last one.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
            return True
    return False


def exit_text(code: int) -> str:
    """Return an exit code for people: a number, or the name of the signal."""
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name


def tail_of(path: str) -> str:
    """Return the last lines of a text file, read from its end: at most 20 lines and 4 KB."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL_BYTES))
            data = file.read(TAIL_BYTES)
    except OSError:
        return ""
    return "\n".join(data.decode(errors="replace").splitlines()[-TAIL_LINES:]).strip()
