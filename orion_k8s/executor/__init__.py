"""Where a trial's function runs: the contract and its backends."""

from __future__ import annotations

from orion_k8s.executor.base import Ending, Executor, ExecutorError, Future, Outcome

__all__ = ["Ending", "Executor", "ExecutorError", "Future", "Outcome"]
