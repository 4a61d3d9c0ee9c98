"""Tests of leases: renewing them, and what becomes of those that ran out."""

# ruff: noqa: D102  (a test's name says it)

from __future__ import annotations

import pytest

from orion_k8s.errors import LeaseLost
from orion_k8s.storage import Conflict, Held, Lease, Storage
from orion_k8s.testing.storage.setting import (
    LONG_S,
    RESULTS,
    SHORT_S,
    Setting,
    claim_of,
    until,
)
from orion_k8s.trial import Status, new_id, new_token


class LeaseContract(Setting):
    """Leases, by the database's clock."""

    def test_a_lease_that_runs_is_left_alone(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        self.claimed(storage, experiment)
        assert other.requeue_lost(experiment, 3) == []
        assert other.live_workers(experiment) == ["worker one"]

    def test_a_lease_that_ran_out_is_requeued_once(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        lease = self.let_run_out(storage, experiment)
        assert self.get(storage, experiment).status is Status.RESERVED  # nobody looked yet
        assert other.requeue_lost(experiment, 3) == [(0, Status.INTERRUPTED)]
        assert storage.requeue_lost(experiment, 3) == []
        found = self.get(storage, experiment)
        assert (found.status, found.lost, found.token) == (Status.INTERRUPTED, 1, lease.token)
        (entry,) = found.story
        assert (entry["attempt"], entry["status"]) == (1, "interrupted")
        assert "lease" in entry["reason"]
        assert storage.live_workers(experiment) == []

    def test_a_renewed_lease_outlives_its_first_length(
        self, storage: Storage, experiment: str
    ) -> None:
        renewed = self.claimed(storage, experiment, 0, SHORT_S)
        self.claimed(storage, experiment, 1, SHORT_S)
        assert storage.renew([renewed], LONG_S) == {}
        until(lambda: storage.requeue_lost(experiment, 3) == [(1, Status.INTERRUPTED)])
        assert self.get(storage, experiment).status is Status.RESERVED

    def test_a_lease_that_is_over_may_be_renewed_until_somebody_requeues_it(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        lease = self.let_run_out(storage, experiment)
        assert storage.renew([lease], LONG_S) == {}
        assert other.requeue_lost(experiment, 3) == []

    def test_many_leases_are_renewed_at_once(self, storage: Storage, experiment: str) -> None:
        leases = [self.claimed(storage, experiment, n, SHORT_S) for n in range(900)]
        until(lambda: storage.renew(leases, LONG_S) == {})
        assert storage.requeue_lost(experiment, 3) == []
        assert storage.renew([], LONG_S) == {}
        assert storage.renew(iter(leases[:2]), LONG_S) == {}

    def test_renew_tells_what_became_of_the_others(
        self, storage: Storage, experiment: str
    ) -> None:
        names = ("held", "interrupted", "completed", "broken", "taken", "removed")
        leases = {n: self.claimed(storage, experiment, i) for i, n in enumerate(names)}
        storage.release(leases["interrupted"], Status.INTERRUPTED)
        storage.complete(leases["completed"], 1.0, RESULTS)
        storage.release(leases["broken"], Status.BROKEN)
        storage.release(leases["taken"], Status.INTERRUPTED)
        assert storage.reserve(experiment, 4, new_token(), "worker two", LONG_S)
        storage.set_status(experiment, "5", Status.REMOVED, "by hand")
        unknown, stolen = Lease(new_id(), new_token()), leases["held"].token
        crossed = Lease(leases["taken"].trial, stolen)
        given = [*leases.values(), unknown]
        assert storage.renew(given, LONG_S) == {
            leases["interrupted"].trial: Held.INTERRUPTED,
            unknown.trial: Held.VOID,
            **{leases[n].trial: Held.VOID for n in ("completed", "broken", "taken", "removed")},
        }
        # The token of one trial opens no other.
        assert storage.renew([leases["held"], crossed], LONG_S) == {crossed.trial: Held.VOID}

    def test_a_requeued_trial_is_its_owners_until_somebody_takes_it(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.requeued(storage, experiment)
        assert storage.renew([lease], LONG_S) == {lease.trial: Held.INTERRUPTED}
        storage.complete(lease, 1.0, RESULTS)
        found = self.get(storage, experiment)
        assert (found.status, found.objective) == (Status.COMPLETED, 1.0)

    def test_a_requeued_trial_cannot_be_broken_by_its_owner(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.requeued(storage, experiment)
        with pytest.raises(LeaseLost):
            storage.release(lease, Status.BROKEN, "late")
        storage.release(lease, Status.INTERRUPTED, "as it is already")
        assert self.get(storage, experiment).status is Status.INTERRUPTED

    def test_a_trial_lost_too_often_is_broken(self, storage: Storage, experiment: str) -> None:
        self.claimed(storage, experiment, 0, SHORT_S)
        for lost in (1, 2):
            until(lambda: storage.requeue_lost(experiment, 3) == [(0, Status.INTERRUPTED)])
            assert self.get(storage, experiment).lost == lost
            assert storage.reserve(experiment, 0, new_token(), "worker two", SHORT_S)
        until(lambda: storage.requeue_lost(experiment, 3) == [(0, Status.BROKEN)])
        found = self.get(storage, experiment)
        assert (found.status, found.lost, found.attempt) == (Status.BROKEN, 3, 3)
        assert found.reason is not None and "lost 3 times" in found.reason
        assert [e["status"] for e in found.story] == ["interrupted", "interrupted", "broken"]
        assert found.end_time is not None

    def test_a_release_is_no_loss(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        for _ in range(5):
            storage.release(lease, Status.INTERRUPTED, "SIGTERM")
            token = new_token()
            assert storage.reserve(experiment, 0, token, "worker one", LONG_S)
            lease = Lease(lease.trial, token)
        assert self.get(storage, experiment).lost == 0

    def test_a_retried_claim_renews_its_lease(self, storage: Storage, experiment: str) -> None:
        claim = claim_of(0)
        storage.claim(experiment, claim, SHORT_S)
        assert storage.claim(experiment, claim, LONG_S) == frozenset()
        self.claimed(storage, experiment, 1, SHORT_S)
        until(lambda: storage.requeue_lost(experiment, 3) == [(1, Status.INTERRUPTED)])

    def test_a_retried_claim_that_was_requeued_is_refused(
        self, storage: Storage, experiment: str
    ) -> None:
        claim = claim_of(0)
        storage.claim(experiment, claim, SHORT_S)
        until(lambda: storage.requeue_lost(experiment, 3))
        assert storage.claim(experiment, claim, LONG_S) == {Conflict.NUMBER}

    def test_a_retried_reserve_renews_its_lease(self, storage: Storage, experiment: str) -> None:
        storage.release(self.claimed(storage, experiment), Status.INTERRUPTED)
        token = new_token()
        assert storage.reserve(experiment, 0, token, "worker one", SHORT_S)
        assert storage.reserve(experiment, 0, token, "worker one", LONG_S)
        self.claimed(storage, experiment, 1, SHORT_S)
        until(lambda: storage.requeue_lost(experiment, 3) == [(1, Status.INTERRUPTED)])

    def test_experiments_do_not_meddle(self, storage: Storage, experiment: str) -> None:
        self.let_run_out(storage, experiment)
        assert storage.requeue_lost("0" * 24, 3) == []
        assert storage.requeue_lost(experiment, 3) == [(0, Status.INTERRUPTED)]

    def test_live_workers_are_those_with_a_lease(self, storage: Storage, experiment: str) -> None:
        for number, worker in enumerate(("b", "a", "b")):
            assert not storage.claim(experiment, claim_of(number, worker=worker), LONG_S)
        assert not storage.claim(experiment, claim_of(3, worker="gone"), SHORT_S)
        until(lambda: storage.live_workers(experiment) == ["a", "b"])
        assert storage.live_workers("0" * 24) == []
