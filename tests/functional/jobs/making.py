"""Executors on the stand-in, and runs of programs for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orion_k8s.executor.kubernetes import KubernetesJobs
from orion_k8s.script import ProgramRun

RESULT = '[{"name": "x", "type": "objective", "value": 0.5}]'
"""What a program leaves."""


class Jobs:
    """Makes executors and runs.

    Args:
        kubeconfig: path of the file.
        folder: for the trials' folders.
    """

    def __init__(self, kubeconfig: str, folder: Path) -> None:
        self.kubeconfig, self.folder = kubeconfig, folder
        self.made: list[KubernetesJobs] = []

    def make(self, n_workers: int = 2, **configuration: Any) -> KubernetesJobs:
        """Return a new executor; it is closed at the end of the test."""
        configuration.setdefault("image", "i:1")
        made = KubernetesJobs(n_workers, kubeconfig=self.kubeconfig, **configuration)
        self.made.append(made)
        return made

    def run(self, trial: str = "a", attempt: int = 1, **more: Any) -> ProgramRun:
        """Return the run of a trial's attempt."""
        folder = self.folder / trial / f"attempt-{attempt}"
        folder.mkdir(parents=True, exist_ok=True)
        environment = {
            "ORION_EXPERIMENT_ID": "e",
            "ORION_EXPERIMENT_NAME": "test",
            "ORION_TRIAL_ID": trial,
            "ORION_TRIAL_ATTEMPT": str(attempt),
        }
        return ProgramRun(["train"], str(folder), environment=environment, **more)
