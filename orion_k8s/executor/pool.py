"""Processes of the standard library."""

from __future__ import annotations

from concurrent.futures import Executor as Pool_
from typing import ClassVar

from orion_k8s.executor.child import set_environment
from orion_k8s.executor.processes import ProcessExecutor, ProcessSlot

HINT = (
    "A script that uses the executor poolexecutor is imported by its processes: "
    "it needs `if __name__ == '__main__':` around what it does (the executor joblib does not)."
)


class Pool(ProcessExecutor):
    """Runs calls in processes of `concurrent.futures`, one pool of one process a slot.

    Processes are spawned: a fork of a worker that has threads may deadlock.
    """

    name: ClassVar[str] = "poolexecutor"

    def make_slot(self) -> ProcessSlot:
        """Return a slot with a pool of the standard library."""
        return ProcessSlot(self._make_pool, self.max_trials_per_process, HINT)

    def _make_pool(self) -> Pool_:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        return ProcessPoolExecutor(
            1,
            mp_context=get_context("spawn"),
            initializer=set_environment,
            initargs=(self.environment(),),
        )
