"""The contract of an executor: where a trial's function runs. It computes, and nothing else.

Ownership, leases and results stay with the worker and the shared history. An executor gets a
picklable callable and its arguments (never the storage, never credentials) and says how the call
ended.

How a call ends (`Outcome`)
---------------------------
*returned*: with a value. *failed*: the callable raised; the error is a text that can always be
pickled. *crashed*: the process that ran it died under it (segfault, os._exit, killed for memory):
the trial is broken, the other slots go on.
*lost*: the executor itself went away (a scheduler restarted, a node was lost): the trial runs
again, it is no failure.
*cancelled*: `Future.cancel` ended it.

Calls that run in the worker's own process (threads, inline) can't be ended from outside: an
executor that runs them so calls the callable's `cancel()` method where it has one
(`orion_k8s.script` has: it ends the program's group).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar


class Ending(str, Enum):
    """How a call ended."""

    RETURNED = "returned"
    FAILED = "failed"
    CRASHED = "crashed"
    LOST = "lost"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Outcome:
    """How a call ended, and with what.

    Attributes:
        value: what the callable returned.
        reason: for people: the last lines of the traceback, the signal that killed the process, …
        error: the exception itself, where it could be brought back.
    """

    ending: Ending
    value: Any = None
    reason: str = ""
    error: BaseException | None = None

    def unwrap(self) -> Any:
        """Return the value, or raise what ended the call.

        Raises:
            ExecutorError: the call did not return; its cause is the callable's own exception,
                where known.
        """
        if self.ending is Ending.RETURNED:
            return self.value
        raise ExecutorError(f"The call {self.ending.value}: {self.reason}") from self.error


class ExecutorError(Exception):
    """A call did not return a value."""


class Future(ABC):
    """A call that was submitted."""

    @abstractmethod
    def done(self) -> bool:
        """Whether the call has ended."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Return how the call ended. Only where `done()`; else an error."""

    @abstractmethod
    def cancel(self, grace_s: float = 0.0) -> None:
        """End the call: at once where it did not start, else by ending its process.

        The process gets SIGTERM, and SIGKILL after `grace_s` seconds; without a grace, SIGKILL.
        Returns at once; the future is done within the grace and a moment. A call that ended
        already stays as it ended. A call in a thread without a `cancel()` method goes on in the
        background: its result is dropped, and the future is done as cancelled.
        """

    def get(self, timeout: float | None = None) -> Any:
        """Wait and return the value (`Outcome.unwrap`).

        Raises:
            TimeoutError: `timeout` seconds passed.
        """
        self.wait(timeout)
        if not self.done():
            raise TimeoutError(f"The call did not end within {timeout} s.")
        return self.outcome().unwrap()

    @abstractmethod
    def wait(self, timeout: float | None = None) -> None:
        """Return when the call has ended, or after `timeout` seconds."""


class Executor(ABC):
    """A place with slots. See the module's docstring for what is owed."""

    name: ClassVar[str]
    """The word in configuration."""

    inline: ClassVar[bool] = False
    """Whether calls run in the thread that waits: then a signal's exception reaches them."""

    runs_here: ClassVar[bool] = True
    """Whether a person's program runs where the files of this machine are. Else the program is
    not looked for here."""

    files_here: bool = True
    """Whether running calls and this worker see the same files: then what they report is followed,
    and they can be asked to stop."""

    shared_files: bool = False
    """Where not: whether they share the folder of the trials at least, as a person says."""

    def __init__(self, n_workers: int = 1) -> None:
        self.n_workers = n_workers

    def slots(self) -> int:
        """Return how many calls can run at once now. It may change while the executor runs."""
        return self.n_workers

    @abstractmethod
    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        """Start a call, or queue it where no slot is free.

        Raises:
            UsageError: the callable or its arguments can't be pickled, and this executor must
                pickle them.
        """

    @abstractmethod
    def async_get(self, futures: Iterable[Future], timeout: float | None = None) -> list[Future]:
        """Return those of `futures` that have ended, waiting for the first of them.

        It waits up to `timeout` seconds; None for no end.

        `wake()` from another thread or a signal handler ends the waiting early.
        """

    @abstractmethod
    def wake(self) -> None:
        """Let `async_get` return now. May be called from a signal handler and from any thread."""

    def wait(self, futures: Iterable[Future]) -> list[Any]:
        """Wait for all and return their values in order.

        Raises:
            ExecutorError: one of them did not return.
        """
        return [future.get() for future in futures]

    @abstractmethod
    def close(self, cancel: bool = False) -> None:
        """End the executor: no process, thread or socket of it is left. Twice is content.

        Args:
            cancel: end running calls instead of waiting for them.
        """

    def __enter__(self) -> Executor:
        """Return the executor itself; it is closed at the end of the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Close the executor; running calls are ended if the block raised."""
        self.close(cancel=kind is not None)
