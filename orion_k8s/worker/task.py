"""What a worker runs for a trial, and how it judges the end of it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from orion_k8s.errors import InvalidResult
from orion_k8s.executor import Ending, Outcome
from orion_k8s.script.reports import Channel
from orion_k8s.trial import Status, Trial


@dataclass(frozen=True)
class Verdict:
    """What a trial's end means.

    Attributes:
        status: completed, interrupted or broken.
        objective: of a completed trial, as it was reported; of several the first.
        results: of a completed trial.
        reason: of the others, for people.
        error: the exception that broke it, where there is one.
        by_program: the program itself asked to be interrupted.
    """

    status: Status
    objective: float = 0.0
    results: Sequence[Mapping[str, Any]] = ()
    reason: str = ""
    error: BaseException | None = None
    by_program: bool = False


Call = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Task(ABC):
    """What is done with a trial's parameters. It knows the executor's outcome, and no database."""

    def channel(self, trial: Trial, scratch: Callable[[], str] | None) -> Channel | None:
        """Return the files by which the running trial reports; None where it can't.

        Args:
            trial: that is to run.
            scratch: returns a folder of the worker's own, for trials that have none; None where
                they run on other machines.
        """
        return None

    @abstractmethod
    def call(self, trial: Trial) -> Call:
        """Return the callable and its arguments, all of which can be pickled."""

    @abstractmethod
    def judge_value(self, value: Any) -> Verdict:
        """Return what the value means that the callable returned.

        Raises:
            InvalidResult: it is no result.
        """

    def judge(
        self, outcome: Outcome, function: Callable[..., Any], last: float | None = None
    ) -> Verdict:
        """Return what the end of the call means.

        Args:
            outcome: what the executor says of it.
            function: what `call` returned for it; it may know more.
            last: the value that it reported last while it ran; None where it reported nothing.
        """
        if outcome.ending is Ending.RETURNED:
            try:
                return self.judge_value(outcome.value)
            except InvalidResult as error:
                return Verdict(Status.BROKEN, reason=str(error), error=error)
        if outcome.ending in (Ending.LOST, Ending.CANCELLED):
            reason = outcome.reason or f"the call was {outcome.ending.value}"
            return Verdict(Status.INTERRUPTED, reason=reason)
        return Verdict(Status.BROKEN, reason=outcome.reason, error=outcome.error)


class FunctionTask(Task):
    """A Python function of the parameters, by name, that returns the objective or results.

    Args:
        function: the objective function.
        trial_arg: name of an argument that is given the trial itself, if any.
        fixed: further keyword arguments, the same for all trials.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        trial_arg: str | None = None,
        fixed: Mapping[str, Any] | None = None,
    ) -> None:
        self.function = function
        self.trial_arg = trial_arg
        self.fixed = dict(fixed or {})

    def channel(self, trial: Trial, scratch: Callable[[], str] | None) -> Channel | None:
        """Return the files of a function that is given its trial."""
        if self.trial_arg is None:
            return None
        if trial.working_dir:
            return Channel.of(os.path.join(trial.working_dir, f"attempt-{trial.attempt}"))
        if scratch is None:
            return None
        return Channel.of(os.path.join(scratch(), f"{trial.id}-{trial.attempt}"))

    def judge(
        self, outcome: Outcome, function: Callable[..., Any], last: float | None = None
    ) -> Verdict:
        """Return what the end means; a function that returns nothing but reported has its last."""
        if outcome.ending is Ending.RETURNED and outcome.value is None and last is not None:
            outcome = replace(outcome, value=last)
        return super().judge(outcome, function, last)

    def call(self, trial: Trial) -> Call:
        """Return the function with the trial's parameters.

        One that is given the trial finds in its folder what the trial's parent left.

        Raises:
            UsageError: the parent's folder can't be copied.
        """
        arguments = {**trial.arguments, **self.fixed}
        if self.trial_arg is not None:
            arguments[self.trial_arg] = trial
            if trial.parent is not None and trial.working_dir:
                from orion_k8s.script.inherit import inherit_folder

                working_dir = os.path.dirname(trial.working_dir)
                inherit_folder(working_dir, trial.id, trial.parent, trial.attempt)
        return self.function, (), arguments

    def judge_value(self, value: Any) -> Verdict:
        """Return the verdict on what the function returned: a number, or a list of results."""
        from orion_k8s.script.results import check_results

        objective, results = check_results(value)
        return Verdict(Status.COMPLETED, objective=objective, results=results)
