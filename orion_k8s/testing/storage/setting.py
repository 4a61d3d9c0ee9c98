"""What the tests of the suite share: fixtures, and makers of claims, records and leases."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import pytest

from orion_k8s.storage import Lease, Storage
from orion_k8s.trial import (
    Claim,
    ExperimentRecord,
    Status,
    TrialRecord,
    dump_values,
    identity_of,
    new_id,
    new_token,
)

LONG_S = 60.0
"""A lease that does not run out during a test."""
SHORT_S = 0.2
"""One that does; tests wait for it on a condition."""
DEADLINE_S = 20.0

RESULTS: list[Mapping[str, Any]] = [{"name": "loss", "type": "objective", "value": 0.25}]


def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> Any:
    """Return what the condition returns once that is true, or fail."""
    end = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            pytest.fail(f"not within {deadline_s:g} s")
        time.sleep(0.01)


def record_of(**changes: Any) -> ExperimentRecord:
    """Return the record of some experiment."""
    fields: dict[str, Any] = {
        "id": new_id(),
        "name": "some experiment",
        "version": 1,
        "space": {"x": "uniform(0, 1)", "layers.width": "randint(1, 9)"},
        "algorithm": {"random": {"seed": 3}},
        "seed": 1234567890123456789,
        "max_trials": 10,
        "working_dir": "/tmp/somewhere",
        "metadata": {"user": "ada", "command": ["./train.py", "-x~uniform(0, 1)"]},
    }
    return ExperimentRecord(**(fields | changes))


def claim_of(number: int, **changes: Any) -> Claim:
    """Return a claim of a number, with a point of its own."""
    values = dump_values([number / 7, number])
    fields: dict[str, Any] = {
        "id": new_id(),
        "number": number,
        "values": values,
        "identity": identity_of(values),
        "token": new_token(),
        "worker": "worker one",
    }
    return Claim(**(fields | changes))


def by_hand(experiment: str, value: float, **changes: Any) -> TrialRecord:
    """Return a trial that a person inserts."""
    values = dump_values([value, 0])
    fields: dict[str, Any] = {
        "id": new_id(),
        "experiment": experiment,
        "number": 0,
        "values": values,
        "status": Status.NEW,
        "identity": identity_of(values),
    }
    return TrialRecord(**(fields | changes))


def lease_of(claim: Claim) -> Lease:
    """Return the lease that a claim holds."""
    return Lease(claim.id, claim.token)


class Setting:
    """Fixtures and small helpers. The subclass gives `storage_factory`."""

    across_processes: ClassVar[bool] = True
    """Whether other processes see the same history; else the races use threads."""

    @pytest.fixture
    def storage_factory(self) -> Callable[[], Storage]:
        """Return a picklable callable whose storages share one empty database of the test."""
        raise NotImplementedError("Give a fixture storage_factory.")

    @pytest.fixture
    def storage(self, storage_factory: Callable[[], Storage]) -> Iterator[Storage]:
        """A storage that is set up."""
        with storage_factory() as storage:
            storage.setup()
            yield storage

    @pytest.fixture
    def other(self, storage: Storage, storage_factory: Callable[[], Storage]) -> Iterator[Storage]:
        """Another storage on the same database, as another worker has it."""
        with storage_factory() as other:
            yield other

    @pytest.fixture
    def experiment(self, storage: Storage) -> str:
        """The id of an experiment that is there."""
        record = record_of()
        storage.create_experiment(record)
        return record.id

    def claimed(
        self, storage: Storage, experiment: str, number: int = 0, lease_s: float = LONG_S
    ) -> Lease:
        """Claim a number and return the lease."""
        claim = claim_of(number)
        assert storage.claim(experiment, claim, lease_s) == frozenset()
        return lease_of(claim)

    def get(self, storage: Storage, experiment: str, number: int = 0) -> TrialRecord:
        """Return the trial of a number, which must be there."""
        found = storage.trial(experiment, str(number))
        assert found is not None
        return found

    def let_run_out(self, storage: Storage, experiment: str, number: int = 0) -> Lease:
        """Claim a number and return its lease when it is over."""
        lease = self.claimed(storage, experiment, number, SHORT_S)
        until(lambda: storage.live_workers(experiment) == [])
        return lease

    def requeued(self, storage: Storage, experiment: str, number: int = 0) -> Lease:
        """Claim a number and return its lease after it ran out and the trial was requeued."""
        lease = self.let_run_out(storage, experiment, number)
        until(lambda: storage.requeue_lost(experiment, 3) == [(number, Status.INTERRUPTED)])
        return lease
