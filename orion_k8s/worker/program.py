"""A person's program as what a worker runs: the trial's own command, and what its end means."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from orion_k8s.errors import UsageError
from orion_k8s.executor import Ending, Outcome
from orion_k8s.script import Command, ProgramResult, ProgramRun, prepare_run, trial_folder
from orion_k8s.script.program import GRACE_S, INTERRUPT_CODE
from orion_k8s.script.reports import Channel
from orion_k8s.trial import ExperimentRecord, Status, Trial
from orion_k8s.worker.task import Call, Task, Verdict


class ProgramTask(Task):
    """Runs the command of an experiment.

    Args:
        command: with priors, which a trial's parameters replace.
        experiment: its id, name and version are told to the program.
        working_dir: holds the trials' folders.
        cwd: where the program runs; None for where this process is.
        interrupt_code: the exit code by which a program says that it was interrupted.
        grace_s: seconds that a program gets between SIGTERM and SIGKILL.
    """

    def __init__(
        self,
        command: Command,
        experiment: ExperimentRecord,
        working_dir: str,
        cwd: str | None = None,
        interrupt_code: int = INTERRUPT_CODE,
        grace_s: float = GRACE_S,
    ) -> None:
        self.command = command
        self.experiment = experiment
        self.working_dir = working_dir
        self.cwd = cwd
        self.interrupt_code = interrupt_code
        self.grace_s = grace_s

    def call(self, trial: Trial) -> Call:
        """Return the run of the trial's program; its folder is made here.

        Raises:
            UsageError: the folder can't be made or written to, or the parent's not be copied.
        """
        try:
            run = prepare_run(
                self.command,
                trial.params,
                experiment=self.experiment,
                working_dir=self.working_dir,
                trial=trial.id,
                hash_params=trial.hash_params,
                attempt=trial.attempt,
                parent=trial.parent,
                cwd=self.cwd,
                interrupt_code=self.interrupt_code,
                grace_s=self.grace_s,
            )
        except OSError as error:
            raise UsageError(
                f"The trial's folder in {self.working_dir} cannot be written ({error.strerror}): "
                "make room or give another one with --working-dir."
            ) from error
        return run, (), {}

    def channel(self, trial: Trial, scratch: Callable[[], str] | None) -> Channel | None:
        """Return the files in the attempt's folder."""
        folder = trial_folder(self.working_dir, trial.id)
        return Channel.of(os.path.join(folder, f"attempt-{trial.attempt}"))

    def judge(
        self, outcome: Outcome, function: Callable[..., Any], last: float | None = None
    ) -> Verdict:
        """Return what the end means, also where a result is there and nobody saw the program end.

        A call that was cancelled, or whose process died under it, has ended its program too; a
        result that the program had left by then counts. A call that is lost may still run.
        """
        if outcome.ending in (Ending.CANCELLED, Ending.CRASHED) and isinstance(
            function, ProgramRun
        ):
            left = function.collect()
            if left.kind == "completed":
                return self.judge_value(left)
        return super().judge(outcome, function, last)

    def judge_value(self, value: Any) -> Verdict:
        """Return the verdict on how a program ended."""
        assert isinstance(value, ProgramResult)
        if value.kind == "completed":
            assert value.objective is not None
            return Verdict(Status.COMPLETED, objective=value.objective, results=value.results)
        if value.kind == "broken":
            return Verdict(Status.BROKEN, reason=value.reason)
        # One that asked for it is left alone for a while; one that was ended may run at once.
        return Verdict(Status.INTERRUPTED, reason=value.reason, by_program=value.asked)
