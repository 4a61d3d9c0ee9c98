"""What a worker of this process does, as configuration says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orion_k8s.config import Configuration
from orion_k8s.worker import Limits


@dataclass(frozen=True)
class Settings:
    """What a worker of this process does, apart from the experiment.

    Attributes:
        heartbeat_s: seconds between heartbeats; a trial is lost after two missed ones.
        max_lost: a trial lost so often becomes broken.
        n_workers: slots of the default executor; None where nobody said.
        executor: name of the default executor.
        executor_configuration: its arguments.
        max_trials: trials that one slot completes at most; None for no limit.
        max_broken: broken trials that end this worker; None for no limit of its own.
        idle_timeout_s: seconds without anything to run that end this worker; None for never.
        grace_s: seconds that a program gets between SIGTERM and SIGKILL.
        stop_grace_s: seconds that a trial has to end after it was asked to stop early.
        stays: whether the worker waits where the experiment has ended.
    """

    heartbeat_s: float = 15.0
    max_lost: int = 3
    n_workers: int | None = None
    executor: str = "joblib"
    executor_configuration: Mapping[str, Any] | None = None
    max_trials: int | None = None
    max_broken: int | None = None
    idle_timeout_s: float | None = None
    grace_s: float = 10.0
    stop_grace_s: float = 30.0
    stays: bool = False

    @classmethod
    def of(cls, configuration: Configuration) -> Settings:
        """Return what the configuration says."""
        worker = configuration.section("worker")
        return cls(
            heartbeat_s=worker["heartbeat"],
            max_lost=worker["max_lost"],
            n_workers=worker["n_workers"] if configuration.given("worker.n_workers") else None,
            executor=worker["executor"],
            executor_configuration=worker["executor_configuration"],
            max_trials=worker["max_trials"],
            max_broken=worker["max_broken"],
            idle_timeout_s=worker["idle_timeout"],
            grace_s=worker["grace"],
            stop_grace_s=worker["stop_grace"],
            stays=worker["at_end"] == "wait",
        )

    def limits(
        self,
        slots: int,
        max_trials: int | None = None,
        max_trials_per_worker: int | None = None,
        max_broken: int | None = None,
        idle_timeout_s: float | None = None,
    ) -> Limits:
        """Return the limits of one run: what its caller gives, else what is set here.

        Args:
            slots: of the executor; each counts as one of Oríon's workers.
            max_trials: of the whole run.
            max_trials_per_worker: of each slot.
            max_broken: broken trials that end the run.
            idle_timeout_s: seconds without anything to run that end it.
        """
        each = self.max_trials if max_trials_per_worker is None else max_trials_per_worker
        bounds = [max_trials, None if each is None else each * slots]
        given = [bound for bound in bounds if bound is not None]
        return Limits(
            max_trials=min(given) if given else None,
            max_broken=self.max_broken if max_broken is None else max_broken,
            idle_timeout_s=self.idle_timeout_s if idle_timeout_s is None else idle_timeout_s,
            grace_s=self.grace_s,
            stop_grace_s=self.stop_grace_s,
            stays=self.stays,
        )
