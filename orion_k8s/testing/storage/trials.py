"""Tests of what workers do with trials: claim, reserve, complete, release, resume, read."""

# ruff: noqa: D102  (a test's name says it)

from __future__ import annotations

import dataclasses
import json
import math
import time

import pytest

from orion_k8s.errors import InvalidResult, InvalidTransition, LeaseLost
from orion_k8s.storage import Conflict, Held, Lease, Storage
from orion_k8s.storage.base import STORY_LIMIT
from orion_k8s.testing.storage.setting import (
    LONG_S,
    RESULTS,
    Setting,
    by_hand,
    claim_of,
    lease_of,
    record_of,
)
from orion_k8s.trial import Row, Status, new_id, new_token


class TrialContract(Setting):
    """What workers do."""

    # --- claim -----------------------------------------------------------------------------------

    def test_a_claim_is_a_reserved_trial(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        claim = claim_of(0, decision="rung 1 slot 2", parent=new_id())
        assert storage.claim(experiment, claim, LONG_S) == frozenset()
        found = other.trial(experiment, claim.id)
        assert found is not None
        for field in dataclasses.fields(claim):
            assert getattr(found, field.name) == getattr(claim, field.name)
        assert (found.experiment, found.status) == (experiment, Status.RESERVED)
        assert (found.attempt, found.lost, found.story, found.results) == (1, 0, (), ())
        assert (found.objective, found.reason, found.held_by) == (None, None, None)
        # The server's clock is not ours, but it is not another century's.
        assert found.submit_time is not None and abs(found.submit_time - time.time()) < 86_400
        assert found.start_time is not None and found.end_time is None

    def test_a_retried_claim_is_content(self, storage: Storage, experiment: str) -> None:
        claim = claim_of(0, decision="d")
        for _ in range(3):
            assert storage.claim(experiment, claim, LONG_S) == frozenset()
        assert storage.counts(experiment) == {Status.RESERVED: 1}
        assert self.get(storage, experiment).attempt == 1

    @pytest.mark.parametrize(
        ("same", "conflicts"),
        [
            ({"number"}, {Conflict.NUMBER}),
            ({"identity"}, {Conflict.IDENTITY}),
            ({"decision"}, {Conflict.DECISION}),
            ({"number", "identity"}, {Conflict.NUMBER, Conflict.IDENTITY}),
            ({"number", "decision"}, {Conflict.NUMBER, Conflict.DECISION}),
            ({"identity", "decision"}, {Conflict.IDENTITY, Conflict.DECISION}),
            ({"number", "identity", "decision"}, set(Conflict)),
        ],
    )
    def test_a_refused_claim_says_all_that_was_taken(
        self, storage: Storage, other: Storage, experiment: str, same: set[str], conflicts: object
    ) -> None:
        first, second = claim_of(1, decision="one"), claim_of(2, decision="two")
        storage.claim(experiment, first, LONG_S)
        copied = {key: getattr(first, key) for key in same}
        assert other.claim(experiment, dataclasses.replace(second, **copied), LONG_S) == conflicts
        assert [row.number for row in storage.read_all(experiment)] == [1]
        assert other.claim(experiment, second, LONG_S) == frozenset()

    def test_what_was_taken_may_be_held_by_several(
        self, storage: Storage, experiment: str
    ) -> None:
        one, two = claim_of(1), claim_of(2)
        storage.claim(experiment, one, LONG_S)
        storage.claim(experiment, two, LONG_S)
        third = claim_of(1, identity=two.identity)
        assert storage.claim(experiment, third, LONG_S) == {Conflict.NUMBER, Conflict.IDENTITY}

    def test_trials_without_a_decision_do_not_meet(
        self, storage: Storage, experiment: str
    ) -> None:
        for number in range(3):
            assert storage.claim(experiment, claim_of(number), LONG_S) == frozenset()

    def test_keys_are_unique_in_an_experiment_only(
        self, storage: Storage, experiment: str
    ) -> None:
        another = record_of(version=2)
        storage.create_experiment(another)
        claim = claim_of(0, decision="d")
        assert storage.claim(experiment, claim, LONG_S) == frozenset()
        twin = dataclasses.replace(claim, id=new_id())
        assert storage.claim(another.id, twin, LONG_S) == frozenset()

    def test_a_claim_that_was_lost_and_taken_meanwhile_is_refused(
        self, storage: Storage, experiment: str
    ) -> None:
        claim = claim_of(0)
        storage.claim(experiment, claim, LONG_S)
        storage.release(lease_of(claim), Status.INTERRUPTED)
        assert storage.reserve(experiment, 0, new_token(), "worker two", LONG_S)
        assert storage.claim(experiment, claim, LONG_S) == {Conflict.NUMBER}
        assert self.get(storage, experiment).worker == "worker two"

    def test_a_late_retry_does_not_reopen_a_completed_trial(
        self, storage: Storage, experiment: str
    ) -> None:
        claim = claim_of(0)
        storage.claim(experiment, claim, LONG_S)
        storage.complete(lease_of(claim), 1.0, RESULTS)
        assert storage.claim(experiment, claim, LONG_S) == {Conflict.NUMBER}
        assert self.get(storage, experiment).status is Status.COMPLETED

    # --- reserve ---------------------------------------------------------------------------------

    def test_reserve_takes_an_interrupted_trial(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        first = self.claimed(storage, experiment)
        storage.release(first, Status.INTERRUPTED, "preempted")
        token = new_token()
        found = other.reserve(experiment, 0, token, "worker two", LONG_S)
        assert found == storage.trial(experiment, first.trial)
        assert found is not None
        assert (found.status, found.attempt, found.token) == (Status.RESERVED, 2, token)
        assert (found.worker, found.reason) == ("worker two", None)
        assert len(found.story) == 1

    def test_reserve_takes_a_new_trial(self, storage: Storage, experiment: str) -> None:
        storage.insert(experiment, by_hand(experiment, 0.5))
        found = storage.reserve(experiment, -1, new_token(), "worker two", LONG_S)
        assert found is not None
        assert (found.status, found.attempt) == (Status.RESERVED, 1)
        assert found.start_time is not None

    def test_reserve_takes_no_other(self, storage: Storage, experiment: str) -> None:
        def refused() -> bool:
            return storage.reserve(experiment, 0, new_token(), "worker two", LONG_S) is None

        assert refused()  # no such trial
        lease = self.claimed(storage, experiment)
        assert refused()
        storage.release(lease, Status.SUSPENDED, held_by="algorithm")
        assert refused()
        storage.resume(experiment, 0)
        assert not refused()
        storage.set_status(experiment, "0", Status.INTERRUPTED, "by hand")
        found = storage.reserve(experiment, 0, new_token(), "worker two", LONG_S)
        assert found is not None and found.token is not None
        storage.complete(Lease(found.id, found.token), 1.0, RESULTS)
        assert refused()
        storage.set_status(experiment, "0", Status.REMOVED, "by hand")
        assert refused()

    def test_a_retried_reserve_finds_itself(self, storage: Storage, experiment: str) -> None:
        storage.release(self.claimed(storage, experiment), Status.INTERRUPTED)
        token = new_token()
        first = storage.reserve(experiment, 0, token, "worker two", LONG_S)
        again = storage.reserve(experiment, 0, token, "worker two", LONG_S)
        assert first is not None and again is not None
        assert (again.attempt, again.token) == (first.attempt, first.token) == (2, token)

    # --- complete --------------------------------------------------------------------------------

    def test_complete(self, storage: Storage, other: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        results = [*RESULTS, {"name": "$t.x", "type": "statistic", "value": [1, 2.5, None, "$"]}]
        storage.complete(lease, 0.25, results)
        found = self.get(other, experiment)
        assert (found.status, found.objective) == (Status.COMPLETED, 0.25)
        assert list(found.results) == results
        assert found.end_time is not None
        assert storage.live_workers(experiment) == []

    def test_several_losses_are_kept_beside_the_first(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        storage.complete(self.claimed(storage, experiment), 0.25, RESULTS, "[0.25,-1e+300]")
        storage.complete(self.claimed(storage, experiment, 1), 0.5, RESULTS)
        done = by_hand(
            experiment,
            0.6,
            status=Status.COMPLETED,
            objective=-1.5,
            results=tuple(RESULTS),
            losses="[-1.5,2.0]",
        )
        assert storage.insert(experiment, done).losses == "[-1.5,2.0]"
        rows = sorted(other.read_all(experiment))
        assert [row.losses for row in rows] == ["[-1.5,2.0]", "[0.25,-1e+300]", None]
        assert [row.losses for row in other.read(experiment, [0])] == ["[0.25,-1e+300]"]
        found = {trial.number: trial.losses for trial in other.trials(experiment)}
        assert found == {row.number: row.losses for row in rows}

    @pytest.mark.parametrize(
        "value",
        [
            {"$ref": "a", "$id": 1, "a.b": {"$oid": "x"}},
            2**80,
            [[1.5, 2.5], [3.5]],
            "ü🦉\ud800 \0",
            True,
            None,
            math.inf,
            {"json": "[]"},
        ],
        ids=repr,
    )
    def test_results_come_back_as_they_were(
        self, storage: Storage, experiment: str, value: object
    ) -> None:
        results = [*RESULTS, {"name": "s", "type": "statistic", "value": value}, {"json": "x"}]
        storage.complete(self.claimed(storage, experiment), -1.5, results)
        found = list(self.get(storage, experiment).results)
        assert found == results
        assert json.dumps(found) == json.dumps(results)  # types too

    def test_results_may_be_large(self, storage: Storage, experiment: str) -> None:
        gradient = [i / 7 for i in range(60_000)]  # 1 MB as text
        results = [*RESULTS, {"name": "g", "type": "gradient", "value": gradient}]
        storage.complete(self.claimed(storage, experiment), 1.0, results)
        assert list(self.get(storage, experiment).results) == results
        assert [row.objective for row in storage.read_all(experiment)] == [1.0]

    @pytest.mark.parametrize("objective", [math.inf, -math.inf, 0.1 + 0.2, -0.0, 5e-324, 7])
    def test_any_objective_that_is_ordered_is_exact(
        self, storage: Storage, experiment: str, objective: float
    ) -> None:
        storage.complete(self.claimed(storage, experiment), objective, RESULTS)
        (row,) = storage.read(experiment, [0])
        assert row.objective == objective and isinstance(row.objective, float)

    def test_what_is_no_number_is_refused(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        with pytest.raises(InvalidResult):
            storage.complete(lease, math.nan, RESULTS)
        with pytest.raises(InvalidResult):
            storage.complete(lease, 1.0, [{"name": "x", "type": "statistic", "value": object()}])
        assert self.get(storage, experiment).status is Status.RESERVED

    def test_completing_once_more_is_content_and_changes_nothing(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        lease = self.claimed(storage, experiment)
        storage.complete(lease, 1.0, RESULTS)
        before = self.get(storage, experiment)
        other.complete(lease, 2.0, [])
        assert self.get(storage, experiment) == before

    def test_an_interrupted_trial_is_completed_under_the_same_token(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.claimed(storage, experiment)
        storage.release(lease, Status.INTERRUPTED, "a lost lease")
        storage.complete(lease, 1.0, RESULTS)
        assert self.get(storage, experiment).status is Status.COMPLETED

    # --- fencing ---------------------------------------------------------------------------------

    def test_an_old_token_is_worth_nothing(self, storage: Storage, experiment: str) -> None:
        old = self.claimed(storage, experiment)
        storage.release(old, Status.INTERRUPTED, "the node was lost")
        found = storage.reserve(experiment, 0, new_token(), "worker two", LONG_S)
        for _ in range(2):
            with pytest.raises(LeaseLost, match=r"the node was lost.*attempt 2 by worker two"):
                storage.complete(old, 1.0, RESULTS)
            for status in (Status.BROKEN, Status.SUSPENDED, Status.INTERRUPTED):
                with pytest.raises(LeaseLost, match="worker two"):
                    storage.release(old, status)
            assert storage.renew([old], LONG_S) == {old.trial: Held.VOID}
        assert self.get(storage, experiment) == found

    @pytest.mark.parametrize("status", [Status.BROKEN, Status.SUSPENDED])
    def test_what_ended_otherwise_cannot_be_completed(
        self, storage: Storage, experiment: str, status: Status
    ) -> None:
        lease = self.claimed(storage, experiment)
        storage.release(lease, status, "segmentation fault")
        with pytest.raises(LeaseLost, match="segmentation fault"):
            storage.complete(lease, 1.0, RESULTS)
        assert self.get(storage, experiment).status is status

    def test_what_is_completed_cannot_be_released(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        storage.complete(lease, 1.0, RESULTS)
        with pytest.raises(LeaseLost):
            storage.release(lease, Status.INTERRUPTED)
        assert self.get(storage, experiment).status is Status.COMPLETED

    def test_what_is_gone_cannot_be_completed(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        storage.remove_experiment(experiment)
        with pytest.raises(LeaseLost, match="gone"):
            storage.complete(lease, 1.0, RESULTS)
        with pytest.raises(LeaseLost, match="gone"):
            storage.release(lease, Status.BROKEN)
        assert storage.renew([lease], LONG_S) == {lease.trial: Held.VOID}

    # --- release and resume ----------------------------------------------------------------------

    @pytest.mark.parametrize("status", [Status.INTERRUPTED, Status.SUSPENDED, Status.BROKEN])
    def test_release_tells_the_story(
        self, storage: Storage, other: Storage, experiment: str, status: Status
    ) -> None:
        lease = self.claimed(storage, experiment)
        reason = 'Traceback:\n  "$x" ü\ud800\0 failed'
        storage.release(lease, status, reason)
        found = self.get(other, experiment)
        assert found.status is status
        assert found.reason is not None and "failed" in found.reason and "ü" in found.reason
        (entry,) = found.story
        assert (entry["attempt"], entry["worker"], entry["status"]) == (1, "worker one", status)
        assert entry["reason"] == found.reason
        assert entry["time"] >= found.start_time
        assert (found.end_time is not None) == (status is Status.BROKEN)
        assert storage.live_workers(experiment) == []

    def test_releasing_once_more_is_content(self, storage: Storage, experiment: str) -> None:
        for number, status in enumerate((Status.INTERRUPTED, Status.SUSPENDED, Status.BROKEN)):
            lease = self.claimed(storage, experiment, number)
            storage.release(lease, status, "once")
            storage.release(lease, status, "twice")
            found = self.get(storage, experiment, number)
            assert (found.reason, len(found.story)) == ("once", 1)

    def test_release_leads_nowhere_else(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        for status in (Status.NEW, Status.RESERVED, Status.COMPLETED, Status.REMOVED):
            with pytest.raises(InvalidTransition):
                storage.release(lease, status)
        assert self.get(storage, experiment).status is Status.RESERVED

    def test_the_story_is_bounded(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        for attempt in range(1, STORY_LIMIT + 4):
            storage.release(lease, Status.INTERRUPTED, f"attempt {attempt}")
            token = new_token()
            assert storage.reserve(experiment, 0, token, "worker one", LONG_S)
            lease = Lease(lease.trial, token)
        story = self.get(storage, experiment).story
        assert [entry["attempt"] for entry in story] == list(range(4, STORY_LIMIT + 4))

    def test_who_suspended_it_decides_who_resumes_it(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        for number, held_by in enumerate(("algorithm", "person")):
            lease = self.claimed(storage, experiment, number)
            storage.release(lease, Status.SUSPENDED, held_by=held_by)
            assert self.get(storage, experiment, number).held_by == held_by
        assert {row.number: row.held_by for row in storage.read_all(experiment)} == {
            0: "algorithm",
            1: "person",
        }
        assert [other.resume(experiment, number) for number in (0, 1, 2)] == [True, False, False]
        assert other.resume(experiment, 0) is False
        found = self.get(storage, experiment)
        assert (found.status, found.held_by) == (Status.INTERRUPTED, None)
        assert self.get(storage, experiment, 1).status is Status.SUSPENDED

    # --- reading ---------------------------------------------------------------------------------

    def test_rows_hold_what_the_mirror_needs(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        claim = claim_of(3, decision="slot 5", parent=new_id())
        storage.claim(experiment, claim, LONG_S)
        wanted = Row(3, "reserved", None, claim.values, claim.id, claim.parent, "slot 5", None)
        assert other.read(experiment, [3]) == list(other.read_all(experiment)) == [wanted]
        storage.complete(lease_of(claim), 0.5, RESULTS)
        done = wanted._replace(status="completed", objective=0.5)
        assert other.read(experiment, [3]) == list(other.read_all(experiment)) == [done]
        assert type(done.status) is str

    def test_read_returns_those_that_exist(self, storage: Storage, experiment: str) -> None:
        another = record_of(version=2)
        storage.create_experiment(another)
        for number in (0, 1, 5):
            self.claimed(storage, experiment, number)
            self.claimed(storage, another.id, number)
        storage.insert(experiment, by_hand(experiment, 0.5))
        rows = storage.read(experiment, [-2, -1, 0, 5, 7, *range(1_000, 3_000)])
        assert sorted(row.number for row in rows) == [-1, 0, 5]
        assert storage.read(experiment, []) == []
        assert sorted(row.number for row in storage.read_all(experiment)) == [-1, 0, 1, 5]
        assert list(storage.read_all("0" * 24)) == storage.read("0" * 24, [0]) == []

    def test_trials_are_ordered_by_number(self, storage: Storage, experiment: str) -> None:
        for number in (2, 0, 10, 1):
            self.claimed(storage, experiment, number)
        for value in (0.1, 0.2):
            storage.insert(experiment, by_hand(experiment, value))
        assert [t.number for t in storage.trials(experiment)] == [-2, -1, 0, 1, 2, 10]
        assert [t.number for t in storage.trials(experiment, Status.NEW)] == [-2, -1]
        assert list(storage.trials(experiment, Status.COMPLETED)) == []
        assert list(storage.trials("0" * 24)) == []

    def test_writes_may_go_on_while_reading(self, storage: Storage, experiment: str) -> None:
        for number in range(10):
            self.claimed(storage, experiment, number)
        for row in storage.read_all(experiment):
            storage.complete(Lease(row.id, self._token(storage, experiment, row)), 1.0, [])
        for trial in storage.trials(experiment):
            storage.set_status(experiment, trial.id, Status.REMOVED, "")
        assert storage.counts(experiment) == {}

    def _token(self, storage: Storage, experiment: str, row: Row) -> str:
        return self.get(storage, experiment, row.number).token or ""
