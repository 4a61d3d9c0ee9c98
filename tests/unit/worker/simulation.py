"""Several workers on one history in one thread: interleavings by hand, at the storage's verbs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from orion_k8s.algorithm.registry import create
from orion_k8s.client.opening import ensure
from orion_k8s.space import Space
from orion_k8s.storage import Lease, Storage
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import ExperimentRecord, Goal, Loss, Status, TrialRecord
from orion_k8s.worker import Claimer, Heart, Idle
from orion_k8s.worker.patience import Patience

LEASE_S = 30.0


class Clock:
    """A monotonic clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Cluster:
    """One history and its clock; workers are added as they are needed."""

    def __init__(self, path: str, clock: Clock | None = None) -> None:
        self.path = path
        self.clock = clock or Clock()
        self.storage: Storage = self.connect()
        self.storage.setup()
        self.record: ExperimentRecord | None = None

    def connect(self, **options: Any) -> SQLite:
        return SQLite(self.path, monotonic=self.clock, **options)

    def experiment(self, **options: Any) -> ExperimentRecord:
        options.setdefault("space", {"x": "uniform(0, 1)"})
        options.setdefault("seed", 1)
        self.record = ensure(self.storage, "e", **options)
        return self.record

    def worker(self, name: str, storage: Storage | None = None) -> Claimer:
        assert self.record is not None
        record = (storage or self.storage).experiment(self.record.id)
        assert record is not None
        space = Space.parse(record.space)
        return Claimer(
            storage or self.storage,
            record,
            space,
            create(record.algorithm, space, record.seed, 1, Goal.of(record.goal).repetitions),
            name,
            LEASE_S,
            call=Patience().call,
            rng=random.Random(name),
            monotonic=self.clock,
        )

    def heart(self, **options: Any) -> Heart:
        assert self.record is not None
        return Heart(
            self.storage, self.record.id, heartbeat_s=LEASE_S / 2, monotonic=self.clock, **options
        )

    def complete(self, worker: Claimer, trial: TrialRecord, objective: float = 1.0) -> None:
        worker.storage.complete(lease(trial), objective, [result(objective)])
        worker.note(trial, Status.COMPLETED, Loss(objective))

    def break_(self, worker: Claimer, trial: TrialRecord) -> None:
        worker.storage.release(lease(trial), Status.BROKEN, "it failed")
        worker.note(trial, Status.BROKEN)

    def counts(self) -> dict[Status, int]:
        assert self.record is not None
        return {s: n for s, n in self.storage.counts(self.record.id).items() if n}


def lease(trial: TrialRecord) -> Lease:
    assert trial.token is not None
    return Lease(trial.id, trial.token)


def result(objective: float) -> dict[str, Any]:
    return {"name": "objective", "type": "objective", "value": objective}


def got(found: TrialRecord | Idle) -> TrialRecord:
    assert isinstance(found, TrialRecord), found
    return found


@contextmanager
def before(storage: Any, verb: str, act: Callable[[], None]) -> Iterator[None]:
    """Let somebody else act just before the next call of a verb: an interleaving, once."""
    original = getattr(storage, verb)

    def once(*args: Any, **kwargs: Any) -> Any:
        setattr(storage, verb, original)
        act()
        return original(*args, **kwargs)

    setattr(storage, verb, once)
    try:
        yield
    finally:
        setattr(storage, verb, original)


@contextmanager
def after(storage: Any, verb: str, act: Callable[[], None]) -> Iterator[None]:
    """Let something happen just after the next call of a verb; an error replaces the reply."""
    original = getattr(storage, verb)

    def once(*args: Any, **kwargs: Any) -> Any:
        setattr(storage, verb, original)
        reply = original(*args, **kwargs)
        act()
        return reply

    setattr(storage, verb, once)
    try:
        yield
    finally:
        setattr(storage, verb, original)
