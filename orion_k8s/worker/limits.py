"""What one worker may do, what it did, and who wants to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orion_k8s.trial import Trial, TrialRecord
from orion_k8s.worker.claiming import Idle

if TYPE_CHECKING:
    from orion_k8s.worker.loop import Worker


@dataclass(frozen=True)
class Limits:
    """What one worker may do.

    Attributes:
        max_trials: trials that this worker completes at most; None for no limit.
        max_broken: broken trials that end this worker; None for no limit of its own.
        idle_timeout_s: seconds without anything to run that end this worker; None to wait for
            ever.
        grace_s: seconds that a program gets between SIGTERM and SIGKILL.
        stop_grace_s: seconds that a trial has to end after it was asked to stop early.
        stays: whether the worker waits where the experiment has ended: somebody may raise its
            limits.
    """

    max_trials: int | None = None
    max_broken: int | None = None
    idle_timeout_s: float | None = None
    grace_s: float = 10.0
    stop_grace_s: float = 30.0
    stays: bool = False


@dataclass
class Report:
    """What a worker did.

    Attributes:
        idle: why it had nothing more to do; None where a limit of its own or a signal ended it.
        reason: the same in words.
        signal: the number of the signal that ended it, if one did.
    """

    completed: int = 0
    broken: int = 0
    interrupted: int = 0
    idle: Idle | None = None
    reason: str = ""
    signal: int | None = None
    busy_s: float = 0.0


@dataclass
class Hooks:
    """Who wants to know.

    Attributes:
        trial_of: makes the trial that people see from what the history holds.
        on_error: called with (trial, error, how many this worker broke); a false value keeps this
            failure from counting towards the worker's own max_broken.
        on_change: called after every change, for the progress display.
    """

    trial_of: Callable[[TrialRecord], Trial]
    on_error: Callable[[Trial, BaseException, int], Any] | None = None
    on_change: Callable[[Worker], None] | None = None
