"""Pods and runs as the tests need them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orion_k8s.script import ProgramRun

Object = dict[str, Any]


def a_run(folder: Path | str, *argv: str, **more: Any) -> ProgramRun:
    """Return the run of attempt 2 of a trial."""
    environment = {
        "ORION_EXPERIMENT_ID": "5f" * 12,
        "ORION_EXPERIMENT_NAME": "Größe & Co",
        "ORION_EXPERIMENT_VERSION": "1",
        "ORION_TRIAL_ID": "0a" * 12,
        "ORION_WORKING_DIR": str(folder),
        "ORION_TRIAL_ATTEMPT": "2",
    }
    return ProgramRun(
        argv or ("train", "-x", "1"), f"{folder}/attempt-2", environment=environment, **more
    )


def a_pod(
    state: Object | None = None,
    *,
    phase: str = "Running",
    reason: str = "",
    message: str = "",
    conditions: list[Object] | None = None,
    init: list[Object] | None = None,
    spec: Object | None = None,
    deleted: bool = False,
) -> Object:
    """Return a pod whose program's container is in a state."""
    metadata: Object = {"name": "pod", "uid": "u1"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    container = {"name": "trial", "image": "i:1"}
    status: Object = {"phase": phase, "conditions": conditions or []}
    if reason:
        status |= {"reason": reason, "message": message}
    if state is not None:
        status["containerStatuses"] = [{**container, "state": state}]
    if init is not None:
        status["initContainerStatuses"] = init
    return {
        "metadata": metadata,
        "spec": {"containers": [container], **(spec or {})},
        "status": status,
    }


def exited(code: int, reason: str = "", message: str = "") -> Object:
    """Return the state of a container that ended."""
    why = reason or ("Completed" if code == 0 else "Error")
    return {"terminated": {"exitCode": code, "reason": why, "message": message}}


def disrupted(reason: str, message: str = "") -> Object:
    """Return the condition of a pod that is ended from outside."""
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
