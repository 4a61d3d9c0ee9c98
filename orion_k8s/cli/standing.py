"""How an experiment stands, for `list` and `status`, from what the database counted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import le
from typing import Any

from orion_k8s.cli.tables import time_text
from orion_k8s.storage import Overview, Storage
from orion_k8s.trial import ExperimentRecord, Goal, Status, TrialRecord
from orion_k8s.trial.goal import INFEASIBLE, reported

STATUSES = tuple(status for status in Status if status is not Status.REMOVED)
"""In the order in which they are shown."""

UNFINISHED = (Status.NEW, Status.RESERVED, Status.INTERRUPTED, Status.SUSPENDED)


@dataclass(frozen=True)
class Standing:
    """How an experiment stands.

    Attributes:
        record: the experiment.
        view: what the database counted of its trials.
        workers: names of the workers that hold a live lease.
        front: where there are several objectives, the trials that no other is better than in all
            of them, ordered by the first one.
        mean: where each point is measured several times, the lowest mean loss of a point and its
            first trial.
    """

    record: ExperimentRecord
    view: Overview
    workers: tuple[str, ...] = ()
    front: tuple[TrialRecord, ...] = ()
    mean: tuple[float, TrialRecord] | None = None

    def count(self, *statuses: Status) -> int:
        """Return how many trials have one of the statuses."""
        return sum(self.view.counts.get(status, 0) for status in statuses)

    @cached_property
    def state(self) -> str:
        """One word: done, broken, running, suspended (only such trials are left), or idle."""
        wanted, completed = self.record.max_trials, self.count(Status.COMPLETED)
        if wanted is not None and completed >= wanted:
            return "done"
        if self._reached():
            return "done"
        if self.count(Status.BROKEN) >= max(1, self.record.max_broken):
            return "broken"
        if self.workers:
            return "running"
        if self.view.held and self.view.held == self.count(*UNFINISHED):
            return "suspended"
        return "done" if self._used_up() else "idle"

    @cached_property
    def goal(self) -> Goal:
        """What the experiment aims at."""
        return Goal.of(self.record.goal)

    @property
    def best(self) -> float | None:
        """The best objective of a trial that breaks no constraint; None without one."""
        return self.goal.value(self.loss)

    @property
    def loss(self) -> float | None:
        """The lowest loss, or mean of losses where each point is measured several times."""
        if self.goal.repetitions > 1:
            return None if self.mean is None else self.mean[0]
        return self.view.best

    def _reached(self) -> bool:
        thresholds = self.goal.thresholds
        if not thresholds or self.loss is None:
            return False
        if not self.goal.several:
            return self.loss <= thresholds[0]
        # Whoever reaches it is on the front, or somebody is that is better still.
        losses = [json.loads(trial.losses or "[]") for trial in self.front]
        return any(all(map(le, found, thresholds)) for found in losses)

    def _used_up(self) -> bool:
        """Whether every point of a finite space was tried."""
        tried = self.count(Status.COMPLETED, Status.BROKEN)
        if not tried or self.count(*UNFINISHED):
            return False
        return bool(tried >= space_of(self.record).cardinality)

    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data, for JSON."""
        record, view = self.record, self.view
        return {
            "name": record.name,
            "version": record.version,
            "id": record.id,
            "status": self.state,
            "algorithm": dict(record.algorithm),
            "max_trials": record.max_trials,
            "max_broken": record.max_broken,
            **self.goal.plain(),
            "trials": {status.value: self.count(status) for status in STATUSES},
            "suspended_by_person": view.held,
            "best_objective": self.best,
            "start_time": time_text(view.start_time),
            "end_time": time_text(view.end_time),
            "workers": list(self.workers),
        }


def standings(storage: Storage, records: list[ExperimentRecord]) -> list[Standing]:
    """Return how experiments stand: one query counts the trials, one more for each that runs."""
    if not records:
        return []
    views = storage.overview(records[0].id if len(records) == 1 else None)
    found = []
    for record in records:
        view = views.get(record.id, Overview({}))
        workers: tuple[str, ...] = ()
        if view.counts.get(Status.RESERVED):
            workers = tuple(storage.live_workers(record.id))
        front, mean = _front(storage, record), _mean(storage, record)
        found.append(Standing(record, view, workers, front, mean))
    return found


def _front(storage: Storage, record: ExperimentRecord) -> tuple[TrialRecord, ...]:
    if not Goal.of(record.goal).several:
        return ()
    import numpy as np

    from orion_k8s.history.pareto import front

    done = [trial for trial in storage.trials(record.id, Status.COMPLETED) if trial.losses]
    good = [t for t in done if t.objective is not None and t.objective <= INFEASIBLE]
    if not good:
        return ()
    kept = front(np.array([json.loads(trial.losses or "") for trial in good]))
    found = [trial for trial, best in zip(good, kept.tolist(), strict=True) if best]
    return tuple(sorted(found, key=lambda trial: (trial.objective or 0.0, trial.number)))


def _mean(storage: Storage, record: ExperimentRecord) -> tuple[float, TrialRecord] | None:
    times = Goal.of(record.goal).repetitions
    if times == 1:
        return None
    from orion_k8s.algorithm.repeated import mean_of

    points: dict[int, list[TrialRecord]] = {}
    for trial in storage.trials(record.id):
        points.setdefault(min(trial.number, trial.number // times), []).append(trial)
    best: tuple[float, int] | None = None
    for point, trials in points.items():
        ended = [t for t in trials if t.status in (Status.COMPLETED, Status.BROKEN)]
        losses = [t.objective for t in ended if t.objective is not None]
        if losses and (point < 0 or len(ended) == times):
            best = min(best or (math.inf, 0), (mean_of(losses), point))
    return None if best is None else (best[0], points[best[1]][0])


def objectives_text(trial: TrialRecord) -> str:
    """Return the objectives of a trial in one line."""
    return ", ".join(f"{name} {value:.6g}" for name, value in reported(trial.results).items())


def space_of(record: ExperimentRecord) -> Any:
    """Return an experiment's search space. Its import takes a while."""
    from orion_k8s.space import Space

    return Space.parse(record.space)


def params_of(space: Any, trial: TrialRecord) -> dict[str, Any]:
    """Return a trial's parameters by name.

    Raises:
        DamagedDatabase: what is stored is no point of the space.
    """
    from orion_k8s.errors import DamagedDatabase, InvalidParams

    try:
        values = json.loads(trial.values)
        found: dict[str, Any] = space.params(space.load(values))
        return found
    except (ValueError, TypeError, InvalidParams) as error:
        raise DamagedDatabase(
            f"The database is damaged: trial {trial.number} (id {trial.id}) holds no point of the "
            f"experiment's search space ({error})."
        ) from error


def objective_of(trial: TrialRecord) -> float | None:
    """Return the objective of a completed trial as it was reported, the first of several."""
    values = reported(trial.results) if trial.status is Status.COMPLETED else {}
    return next(iter(values.values()), None)


def plain_trial(space: Any, trial: TrialRecord) -> Mapping[str, Any]:
    """Return a trial as plain data, for JSON."""
    return {
        "id": trial.id,
        "number": trial.number,
        "status": trial.status.value,
        "objective": objective_of(trial),
        "objectives": reported(trial.results) if trial.status is Status.COMPLETED else {},
        "params": params_of(space, trial),
        "results": [dict(result) for result in trial.results],
        "attempt": trial.attempt,
        "worker": trial.worker,
        "suspended_by": trial.held_by,
        "reason": trial.reason,
        "submit_time": time_text(trial.submit_time),
        "start_time": time_text(trial.start_time),
        "end_time": time_text(trial.end_time),
    }
