"""Tests of what people do: inserts, moves by hand, tombstones, counts."""

# ruff: noqa: D102  (a test's name says it)

from __future__ import annotations

import itertools

import pytest

from orion_k8s.errors import DuplicateTrial, InvalidTransition, LeaseLost, NotFound
from orion_k8s.storage import Conflict, Held, Lease, Storage
from orion_k8s.testing.storage.setting import (
    LONG_S,
    RESULTS,
    SHORT_S,
    Setting,
    by_hand,
    claim_of,
    lease_of,
    record_of,
    until,
)
from orion_k8s.trial import Status, new_token
from orion_k8s.trial.states import BY_HAND


class PeopleContract(Setting):
    """What people do."""

    # --- insert ----------------------------------------------------------------------------------

    def test_inserted_trials_have_numbers_of_their_own(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        self.claimed(storage, experiment)
        found = [
            s.insert(experiment, by_hand(experiment, v))
            for s, v in zip((storage, other, storage), (0.1, 0.2, 0.3), strict=True)
        ]
        assert [trial.number for trial in found] == [-1, -2, -3]
        assert found[0] == storage.trial(experiment, "-1")
        assert (found[0].status, found[0].attempt, found[0].token) == (Status.NEW, 0, None)
        assert found[0].submit_time is not None and found[0].end_time is None

    def test_a_completed_trial_may_be_inserted(self, storage: Storage, experiment: str) -> None:
        given = by_hand(
            experiment, 0.5, status=Status.COMPLETED, objective=0.25, results=tuple(RESULTS)
        )
        found = storage.insert(experiment, given)
        assert (found.status, found.objective) == (Status.COMPLETED, 0.25)
        assert list(found.results) == RESULTS
        assert found.end_time is not None
        assert [row.objective for row in storage.read(experiment, [-1])] == [0.25]

    def test_a_point_that_is_there_is_not_inserted(
        self, storage: Storage, experiment: str
    ) -> None:
        claim = claim_of(0)
        storage.claim(experiment, claim, LONG_S)
        with pytest.raises(DuplicateTrial):
            storage.insert(experiment, by_hand(experiment, 0.5, identity=claim.identity))
        storage.insert(experiment, by_hand(experiment, 0.5))
        with pytest.raises(DuplicateTrial):
            storage.insert(experiment, by_hand(experiment, 0.5))
        assert storage.counts(experiment) == {Status.RESERVED: 1, Status.NEW: 1}

    def test_a_worker_does_not_claim_an_inserted_point(
        self, storage: Storage, experiment: str
    ) -> None:
        given = by_hand(experiment, 0.5)
        storage.insert(experiment, given)
        refused = storage.claim(experiment, claim_of(0, identity=given.identity), LONG_S)
        assert refused == {Conflict.IDENTITY}

    def test_inserting_once_more_is_content(self, storage: Storage, experiment: str) -> None:
        given = by_hand(experiment, 0.5)
        first = storage.insert(experiment, given)
        assert storage.insert(experiment, given) == first
        assert storage.counts(experiment) == {Status.NEW: 1}

    def test_insert_needs_an_experiment(self, storage: Storage) -> None:
        with pytest.raises(NotFound):
            storage.insert("0" * 24, by_hand("0" * 24, 0.5))

    # --- one trial -------------------------------------------------------------------------------

    def test_a_trial_is_found_by_id_and_by_number(self, storage: Storage, experiment: str) -> None:
        digits = "123456789012345678901234"  # an id may look like a number
        storage.claim(experiment, claim_of(7, id=digits), LONG_S)
        another = record_of(version=2)
        storage.create_experiment(another)
        for name in (digits, "7"):
            found = storage.trial(experiment, name)
            assert found is not None and (found.id, found.number) == (digits, 7)
            assert storage.trial(another.id, name) is None
        for name in ("8", "-7", "", "seven", "9" * 30, "0x7"):
            assert storage.trial(experiment, name) is None

    # --- moves by hand ---------------------------------------------------------------------------

    def _bring(self, storage: Storage, experiment: str, status: Status) -> str:
        """Return the id of a trial that stands there."""
        if status is Status.NEW:
            return storage.insert(experiment, by_hand(experiment, 0.5)).id
        lease = self.claimed(storage, experiment)
        if status is Status.COMPLETED:
            storage.complete(lease, 1.0, RESULTS)
        elif status is Status.REMOVED:
            storage.set_status(experiment, lease.trial, status, "")
        elif status is not Status.RESERVED:
            storage.release(lease, status, held_by="algorithm")
        return lease.trial

    @pytest.mark.parametrize(("start", "target"), list(itertools.product(Status, Status)))
    def test_a_person_moves_as_the_table_allows(
        self, storage: Storage, other: Storage, experiment: str, start: Status, target: Status
    ) -> None:
        trial = self._bring(storage, experiment, start)
        before = other.trial(experiment, trial)
        generation = self._generation(storage, experiment)
        assert before is not None
        if target not in BY_HAND[start]:
            with pytest.raises(InvalidTransition, match=start.value):
                storage.set_status(experiment, trial, target, "by hand")
            assert other.trial(experiment, trial) == before
            assert self._generation(storage, experiment) == generation
            return
        after = storage.set_status(experiment, trial, target, "by hand")
        assert after == other.trial(experiment, trial)
        assert (after.status, after.reason) == (target, "by hand")
        assert after.held_by == ("person" if target is Status.SUSPENDED else None)
        assert (after.token != before.token) == (start is Status.RESERVED)
        told = len(after.story) - len(before.story)
        assert told == (1 if start is Status.RESERVED else 0)
        assert self._generation(storage, experiment) >= generation + 2
        assert self._generation(storage, experiment) % 2 == 0

    def _generation(self, storage: Storage, experiment: str) -> int:
        record = storage.experiment(experiment)
        assert record is not None
        return record.generation

    def test_an_unknown_trial_is_not_moved(self, storage: Storage, experiment: str) -> None:
        for trial in ("0", "0" * 24):
            with pytest.raises(NotFound):
                storage.set_status(experiment, trial, Status.REMOVED, "")
        assert self._generation(storage, experiment) == 0

    def test_the_owner_of_a_moved_trial_stops(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        storage.set_status(experiment, "0", Status.INTERRUPTED, "it hangs")
        assert storage.renew([lease], LONG_S) == {lease.trial: Held.VOID}
        with pytest.raises(LeaseLost, match="it hangs"):
            storage.complete(lease, 1.0, RESULTS)
        assert storage.reserve(experiment, 0, new_token(), "worker two", LONG_S)

    def test_a_broken_trial_gets_all_its_chances_anew(
        self, storage: Storage, experiment: str
    ) -> None:
        self.claimed(storage, experiment, 0, SHORT_S)
        until(lambda: storage.requeue_lost(experiment, 1) == [(0, Status.BROKEN)])
        found = storage.set_status(experiment, "0", Status.INTERRUPTED, "more memory now")
        assert (found.lost, found.end_time) == (0, None)
        assert storage.reserve(experiment, 0, new_token(), "worker one", LONG_S)

    # --- tombstones ------------------------------------------------------------------------------

    def test_a_tombstone_keeps_its_number_and_gives_up_its_keys(
        self, storage: Storage, experiment: str
    ) -> None:
        claim = claim_of(0, decision="slot 1")
        storage.claim(experiment, claim, LONG_S)
        storage.complete(lease_of(claim), 1.0, RESULTS)
        storage.set_status(experiment, "0", Status.REMOVED, "wrong data")
        assert storage.counts(experiment) == {}
        assert list(storage.trials(experiment)) == []
        assert list(storage.trials(experiment, Status.REMOVED)) == []
        for rows in (storage.read(experiment, [0]), list(storage.read_all(experiment))):
            assert [(row.number, row.status, row.decision) for row in rows] == [
                (0, "removed", None)
            ]
        same = {"identity": claim.identity, "decision": "slot 1"}
        assert storage.claim(experiment, claim_of(0, **same), LONG_S) == {Conflict.NUMBER}
        assert storage.claim(experiment, claim_of(1, **same), LONG_S) == frozenset()

    def test_an_inserted_tombstone_keeps_its_number(
        self, storage: Storage, experiment: str
    ) -> None:
        first = storage.insert(experiment, by_hand(experiment, 0.5))
        storage.set_status(experiment, first.id, Status.REMOVED, "")
        assert storage.insert(experiment, by_hand(experiment, 0.5)).number == -2

    def test_the_owner_of_a_removed_trial_stops(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        storage.set_status(experiment, "0", Status.REMOVED, "not wanted")
        with pytest.raises(LeaseLost):
            storage.complete(lease, 1.0, RESULTS)
        assert storage.renew([lease], LONG_S) == {lease.trial: Held.VOID}
        current = self.get(storage, experiment).token or ""
        with pytest.raises(LeaseLost):
            storage.complete(Lease(lease.trial, current), 1.0, RESULTS)

    # --- counts ----------------------------------------------------------------------------------

    def test_counts(self, storage: Storage, experiment: str) -> None:
        assert storage.counts(experiment) == {}
        leases = [self.claimed(storage, experiment, n) for n in range(7)]
        storage.complete(leases[0], 1.0, RESULTS)
        storage.complete(leases[1], 1.0, RESULTS)
        storage.release(leases[2], Status.BROKEN)
        storage.release(leases[3], Status.INTERRUPTED)
        storage.release(leases[4], Status.SUSPENDED, held_by="person")
        storage.set_status(experiment, "5", Status.REMOVED, "")
        storage.insert(experiment, by_hand(experiment, 0.5))
        counts = storage.counts(experiment)
        assert counts == {
            Status.COMPLETED: 2,
            Status.BROKEN: 1,
            Status.INTERRUPTED: 1,
            Status.SUSPENDED: 1,
            Status.RESERVED: 1,
            Status.NEW: 1,
        }
        assert all(type(status) is Status for status in counts)
        assert storage.counts("0" * 24) == {}
