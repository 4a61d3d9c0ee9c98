"""A call as bytes: what travels to the process that runs it, what it does there, what comes back.

A child process imports this module alone; whatever else it needs comes with the call.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from orion_k8s.errors import UsageError
from orion_k8s.executor.base import Ending, Outcome

REASON_LIMIT = 4096
"""Characters of a traceback that are kept, from its end."""


class Reply(NamedTuple):
    """What a child sends back. It can always be pickled.

    Attributes:
        value: the pickled value of a call that returned, else None.
        reason: why the call failed.
        error: the pickled exception, where it survives that.
        unread: why the call itself could not be read here; then it did not run.
    """

    value: bytes | None
    reason: str = ""
    error: bytes | None = None
    unread: str = ""


def pack(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """Return a call as bytes; functions and classes of `__main__` go by value.

    Raises:
        UsageError: something in it can't be pickled.
    """
    import cloudpickle

    try:
        return bytes(cloudpickle.dumps((function, args, kwargs)))
    except Exception as error:
        raise UsageError(
            f"The function {_name(function)} or its arguments cannot be sent to another process "
            f"({_one_line(error)}): open files, locks and connections must be made inside the "
            "function."
        ) from error


def run_packed(
    call: bytes, parent: int | None = None, begin: Callable[[Any], None] | None = None
) -> Reply:
    """Run a packed call here and return how it ended. Raises nothing.

    Args:
        call: from `pack`.
        parent: see `enter`; None where the process belongs to somebody else (a Dask worker).
        begin: called with the function before it runs; what it raises ends the call.
    """
    import cloudpickle

    try:
        if parent is not None:
            enter(parent)
        try:
            function, args, kwargs = pickle.loads(call)
        except BaseException as error:
            return Reply(None, describe(error), _survivor(error), _one_line(error))
        if begin is not None:
            begin(function)
        with _sigterm_cancels(function):
            value = function(*args, **kwargs)
    except BaseException as error:  # SystemExit too: it would end the pool's process
        return Reply(None, describe(error), _survivor(error))
    try:
        return Reply(bytes(cloudpickle.dumps(value)))
    except BaseException as error:
        return Reply(
            None,
            f"The value that the function returned cannot be sent back ({_one_line(error)}): "
            "return numbers, strings, lists, dictionaries or arrays.",
        )


def unpack(reply: Reply) -> Outcome:
    """Return the outcome that a reply tells of."""
    if reply.value is None:
        error = None
        if reply.error is not None:
            try:
                error = pickle.loads(reply.error)
            except Exception:  # its class may exist in the child alone: the reason tells enough
                error = None
        return Outcome(Ending.FAILED, reason=reply.reason, error=error)
    try:
        return Outcome(Ending.RETURNED, pickle.loads(reply.value))
    except Exception as error:
        return Outcome(
            Ending.FAILED,
            reason=f"The value that the function returned cannot be read here "
            f"({_one_line(error)}).",
            error=error,
        )


def describe(error: BaseException) -> str:
    """Return the end of the traceback, without this package's own frame at its top."""
    try:
        below = error.__traceback__.tb_next if error.__traceback__ else None
        text = "".join(traceback.format_exception(type(error), error, below)).strip()
    except Exception:  # a __str__ or a __cause__ that raises
        text = _one_line(error)
    if len(text) <= REASON_LIMIT:
        return text
    head = _one_line(error)
    return f"{head}\n…{text[len(head) + 2 - REASON_LIMIT :]}"


def _survivor(error: BaseException) -> bytes | None:
    """Return the exception pickled, if it comes out of that as what it was."""
    import cloudpickle

    try:
        dumped = bytes(cloudpickle.dumps(error))
        if len(dumped) <= 1 << 20 and type(pickle.loads(dumped)) is type(error):
            return dumped
    except BaseException:  # a __reduce__ or an __init__ of a person's own class
        return None
    return None


def _one_line(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:
        text = "(its message cannot be printed)"
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


# --- in the child --------------------------------------------------------------------------------

_entered = False


def set_environment(variables: dict[str, str]) -> None:
    """Set environment variables, before any library that reads them is imported."""
    os.environ.update(variables)


def enter(parent: int) -> int:
    """Make this process one that can be ended whole, and that dies with its parent.

    It leads a process group of its own: what it starts can be ended with it, and a Ctrl-C in the
    terminal reaches only the worker, who decides.

    Args:
        parent: id of the process that started this one.

    Returns:
        The id of this process.
    """
    global _entered
    if not _entered:
        _entered = True
        try:
            os.setpgid(0, 0)
        except OSError:
            pass  # it leads a session already, and so a group too
        _unblock_sigint()
        threading.Thread(target=_die_with, args=(parent,), name="parent", daemon=True).start()
    return os.getpid()


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Let the processes that this thread starts begin with SIGINT blocked.

    Until a process has entered a group of its own, a Ctrl-C in the terminal reaches it, too; it
    would die of it, and its call would count as crashed.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _unblock_sigint() -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # which forgets one that is pending
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if before is not None:
        signal.signal(signal.SIGINT, before)


def _die_with(parent: int) -> None:
    try:
        watch = os.pidfd_open(parent)
    except (AttributeError, OSError):  # not Linux, an old kernel, or the parent is dead already
        while os.getppid() == parent:
            time.sleep(1.0)
    else:
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        # The parent may have died before it was opened, and its number be somebody else's.
        while os.getppid() == parent and not poll.poll():
            pass
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _sigterm_cancels(function: Any) -> Iterator[None]:
    """While the call runs, let SIGTERM call the function's `cancel()`, where it has one."""
    cancel = getattr(function, "cancel", None)
    if not callable(cancel) or threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_sigterm(*_: object) -> None:
        # In a thread: the handler interrupted the very code that `cancel` may have to wait for.
        threading.Thread(target=cancel, name="cancel", daemon=True).start()

    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
