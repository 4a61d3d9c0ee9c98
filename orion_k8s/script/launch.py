"""From a command and a trial to a run that an executor can be given."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from orion_k8s.script.inherit import inherit_folder
from orion_k8s.script.parsing import Command
from orion_k8s.script.program import GRACE_S, INTERRUPT_CODE, ProgramRun
from orion_k8s.trial import ExperimentRecord, Goal


def trial_folder(working_dir: str, trial: str) -> str:
    """Return the folder that all attempts of a trial share."""
    return os.path.join(os.path.abspath(working_dir), trial)


def prepare_run(
    command: Command,
    params: Mapping[str, Any],
    *,
    experiment: ExperimentRecord,
    working_dir: str,
    trial: str,
    hash_params: str,
    attempt: int,
    parent: str | None = None,
    cwd: str | None = None,
    interrupt_code: int = INTERRUPT_CODE,
    grace_s: float = GRACE_S,
) -> ProgramRun:
    """Make the folder of an attempt and return the run of its program.

    Args:
        command: of the experiment.
        params: name → value of the trial.
        experiment: its id, name and version are told to the program.
        working_dir: of the experiment.
        trial: its id.
        hash_params: what `{trial.hash_params}` stands for.
        attempt: 1, 2, …
        parent: id of the trial that this one continues; its folder is begun as a copy of that
            one's.
        cwd: where the program runs; None for where this process is.
        interrupt_code: the exit code that means "run me again".
        grace_s: seconds between SIGTERM and SIGKILL.

    Raises:
        OSError: the folder can't be made or written to.
        UsageError: the parent's folder can't be copied.
    """
    if parent is not None:
        inherit_folder(working_dir, trial, parent, attempt)
    folder = trial_folder(working_dir, trial)
    attempt_folder = os.path.join(folder, f"attempt-{attempt}")
    os.makedirs(attempt_folder, exist_ok=True)
    variables = {
        "trial.id": trial,
        "trial.working_dir": folder,
        "trial.hash_params": hash_params,
        "exp.name": experiment.name,
        "exp.version": experiment.version,
        "exp.working_dir": os.path.abspath(working_dir),
    }
    inherited = {}
    if parent is not None:
        inherited = {
            "ORION_TRIAL_PARENT": parent,
            "ORION_PARENT_WORKING_DIR": trial_folder(working_dir, parent),
        }
    return ProgramRun(
        argv=command.render(params, attempt_folder, variables),
        folder=attempt_folder,
        environment={
            "ORION_EXPERIMENT_ID": experiment.id,
            "ORION_EXPERIMENT_NAME": experiment.name,
            "ORION_EXPERIMENT_VERSION": str(experiment.version),
            "ORION_OBJECTIVES": json.dumps(dict(Goal.of(experiment.goal).directions)),
            "ORION_TRIAL_ID": trial,
            "ORION_WORKING_DIR": folder,
            "ORION_TRIAL_ATTEMPT": str(attempt),
            **inherited,
        },
        cwd=cwd or os.getcwd(),
        interrupt_code=interrupt_code,
        grace_s=grace_s,
        config=command.copy_path(attempt_folder),
    )
