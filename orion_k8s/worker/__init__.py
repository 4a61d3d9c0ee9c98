"""One worker: mirror → suggest → claim → execute → complete; leases and signals."""

from __future__ import annotations

from orion_k8s.worker.claiming import Claimer, Idle
from orion_k8s.worker.leases import Heart
from orion_k8s.worker.limits import Hooks, Limits, Report
from orion_k8s.worker.loop import Worker, worker_name
from orion_k8s.worker.task import FunctionTask, Task, Verdict

__all__ = [
    "Claimer",
    "FunctionTask",
    "Heart",
    "Hooks",
    "Idle",
    "Limits",
    "Report",
    "Task",
    "Verdict",
    "Worker",
    "worker_name",
]
