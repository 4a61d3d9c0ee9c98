"""Executors on the stand-in, and runs of programs for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orion_k8s.executor import Future, Outcome
from orion_k8s.executor.kubernetes import KubernetesJobs
from orion_k8s.script import ProgramResult, ProgramRun
from orion_k8s.testing.executor.probes import until
from tests.functional.jobs.apiserver import ApiServer

RESULT = '[{"name": "x", "type": "objective", "value": 0.5}]'
"""What a program leaves."""

DEADLINE_S = 30.0


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


def outcome(future: Future) -> Outcome:
    """Wait for a call and return how it ended."""
    future.wait(DEADLINE_S)
    return future.outcome()


def result(future: Future) -> ProgramResult:
    """Wait for a program and return how it ended."""
    value = outcome(future).value
    assert isinstance(value, ProgramResult), outcome(future)
    return value


def pod(server: ApiServer, number: int = 0) -> Any:
    """Return the name of the n-th pod, once there is one."""
    until(lambda: len(server.all("pods")) > number, "there is a pod")
    return server.all("pods")[number]["metadata"]["name"]


def begin(server: ApiServer, executor: KubernetesJobs, name: str) -> None:
    """Let a pod's program run, and the executor see it."""
    server.run_pod(name)
    until(lambda: executor._common.proven, "the executor saw it")
