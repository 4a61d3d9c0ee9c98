"""Running a person's program: the priors in its command, its run, its results."""

from __future__ import annotations

from orion_k8s.script.launch import prepare_run, trial_folder
from orion_k8s.script.parsing import Command
from orion_k8s.script.program import ProgramResult, ProgramRun
from orion_k8s.script.results import check_results, read_results

__all__ = [
    "Command",
    "ProgramResult",
    "ProgramRun",
    "check_results",
    "prepare_run",
    "read_results",
    "trial_folder",
]
