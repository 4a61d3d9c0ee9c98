"""Tests of whole experiments: how they stand, dumps, and what is put back."""

# ruff: noqa: D102  (a test's name says it)

from __future__ import annotations

import dataclasses
import multiprocessing
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orion_k8s.errors import DuplicateTrial, ExperimentExists, LeaseLost, OrionError
from orion_k8s.storage import Conflict, Lease, Storage
from orion_k8s.testing.storage.setting import (
    DEADLINE_S,
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
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord, new_id


def _restore_halfway(
    factory: Callable[[], Storage], record: ExperimentRecord, trials: list[TrialRecord], flag: str
) -> None:
    def halfway() -> Iterator[TrialRecord]:
        yield from trials[:-1]
        Path(flag).touch()
        threading.Event().wait()

    with factory() as storage:
        storage.restore(record, halfway())


class WholeContract(Setting):
    """Whole experiments."""

    def _lived(self, storage: Storage, experiment: str) -> None:
        """Give the experiment a trial of every status, numbers 0 to 5, and two inserted ones."""
        claims = [claim_of(n, decision=f"slot {n}" if n % 2 else None) for n in range(6)]
        claims[4] = claim_of(4, parent=claims[0].id)
        for claim in claims:
            assert not storage.claim(experiment, claim, LONG_S)
        storage.complete(lease_of(claims[0]), 0.25, RESULTS, "[0.25,3.0]")
        storage.release(lease_of(claims[1]), Status.BROKEN, "Traceback\nValueError: ü 🦉")
        storage.release(lease_of(claims[2]), Status.INTERRUPTED, "drained")
        storage.release(lease_of(claims[3]), Status.SUSPENDED, held_by="algorithm")
        storage.set_status(experiment, "5", Status.REMOVED, "wrong data")
        storage.insert(experiment, by_hand(experiment, 0.5))
        done = by_hand(
            experiment, 0.6, status=Status.COMPLETED, objective=-1.5, results=tuple(RESULTS)
        )
        storage.insert(experiment, done)

    # --- how it stands ---------------------------------------------------------------------------

    def test_an_overview_counts_what_is_there(self, storage: Storage, experiment: str) -> None:
        another = record_of(name="another")
        storage.create_experiment(another)
        assert storage.overview() == {} == storage.overview(experiment)
        self._lived(storage, experiment)
        self.claimed(storage, another.id)
        found = storage.overview()
        assert found.keys() == {experiment, another.id}
        view = found[experiment]
        assert view.counts == storage.counts(experiment)
        assert (view.held, view.best) == (0, -1.5)
        trials = list(storage.trials(experiment))
        assert view.start_time == min(t.start_time for t in trials if t.start_time)
        done = [t.end_time for t in trials if t.status is Status.COMPLETED and t.end_time]
        assert view.end_time == max(done)
        assert found[another.id].counts == {Status.RESERVED: 1}
        assert found[another.id].best is None
        assert storage.overview(another.id) == {another.id: found[another.id]}

    def test_an_overview_tells_what_a_person_holds(
        self, storage: Storage, experiment: str
    ) -> None:
        for number, held_by in enumerate(("person", "algorithm", "person")):
            lease = self.claimed(storage, experiment, number)
            storage.release(lease, Status.SUSPENDED, held_by=held_by)
        view = storage.overview(experiment)[experiment]
        assert (view.counts, view.held) == ({Status.SUSPENDED: 3}, 2)

    def test_the_best_is_the_lowest_of_the_lowest_number(
        self, storage: Storage, experiment: str
    ) -> None:
        assert storage.best(experiment) is None
        leases = [self.claimed(storage, experiment, number) for number in range(4)]
        for number, objective in ((3, 1.0), (2, -2.0), (1, -2.0)):
            storage.complete(leases[number], objective, RESULTS)
        assert storage.best(experiment) == self.get(storage, experiment, 1)
        assert storage.best("0" * 24) is None

    def test_the_last_one_that_ended(self, storage: Storage) -> None:
        record = record_of()
        ends = (30.0, 50.0, 50.0, 10.0)
        trials = [self._done(record.id, n, end_time=end) for n, end in enumerate(ends)]
        trials.append(
            self._done(record.id, 4, end_time=40.0, status=Status.BROKEN, objective=None)
        )
        storage.restore(record, trials)
        for status, number in ((Status.COMPLETED, 2), (Status.BROKEN, 4)):
            last = storage.last_ended(record.id, status)
            assert last == self.get(storage, record.id, number)
        assert storage.last_ended("0" * 24, Status.BROKEN) is None

    # --- dump ------------------------------------------------------------------------------------

    def test_a_dump_has_tombstones_too(self, storage: Storage, experiment: str) -> None:
        self._lived(storage, experiment)
        found = list(storage.dump(experiment))
        assert [trial.number for trial in found] == [-2, -1, 0, 1, 2, 3, 4, 5]
        assert [t for t in found if t.status is not Status.REMOVED] == list(
            storage.trials(experiment)
        )
        assert found[-1] == storage.trial(experiment, "5")
        assert list(storage.dump("0" * 24)) == []

    # --- restore ---------------------------------------------------------------------------------

    def _taken(
        self, storage: Storage, experiment: str
    ) -> tuple[ExperimentRecord, list[TrialRecord]]:
        """Return what a dump of the experiment holds, and remove it."""
        record = storage.experiment(experiment)
        assert record is not None
        trials = list(storage.dump(experiment))
        storage.remove_experiment(experiment)
        return record, trials

    def test_what_was_dumped_is_put_back(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        self._lived(storage, experiment)
        record, trials = self._taken(storage, experiment)
        counts = {t.status: 1 for t in trials} | {Status.COMPLETED: 2, Status.INTERRUPTED: 2}
        for gone in (Status.REMOVED, Status.RESERVED):
            del counts[gone]
        assert other.restore(record, iter(trials)) == 7
        assert storage.experiment(experiment) == record
        assert storage.counts(experiment) == counts
        for before, after in zip(trials, storage.dump(experiment), strict=True):
            if before.status is Status.RESERVED:
                continue
            assert after == dataclasses.replace(before, token=after.token)
            assert storage.trial(experiment, before.id) == after
            assert (after.token is None) == (before.attempt == 0)
            assert after.token is None or after.token != before.token

    def test_a_reserved_trial_is_put_back_as_interrupted(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.claimed(storage, experiment)
        record, trials = self._taken(storage, experiment)
        storage.restore(record, trials)
        found = self.get(storage, experiment)
        assert (found.status, found.attempt, found.lost) == (Status.INTERRUPTED, 1, 0)
        assert found.reason and found.story[-1]["status"] == "interrupted"
        with pytest.raises(LeaseLost):
            storage.complete(lease, 1.0, RESULTS)
        again = storage.reserve(experiment, 0, "a" * 16, "worker two", LONG_S)
        assert again is not None and again.attempt == 2
        storage.complete(Lease(again.id, "a" * 16), 1.0, RESULTS)

    def test_work_goes_on_after_it_was_put_back(self, storage: Storage, experiment: str) -> None:
        self._lived(storage, experiment)
        record, trials = self._taken(storage, experiment)
        storage.restore(record, trials)
        assert Conflict.NUMBER in storage.claim(experiment, claim_of(5), LONG_S)
        kept = {trial.number: trial for trial in trials}
        assert storage.claim(experiment, claim_of(6, identity=kept[0].identity), LONG_S)
        assert storage.claim(experiment, claim_of(6, decision="slot 1"), LONG_S)
        assert storage.insert(experiment, by_hand(experiment, 0.7)).number == -3
        assert storage.resume(experiment, 3)
        assert storage.requeue_lost(experiment, 3) == []
        storage.set_status(experiment, "0", Status.REMOVED, "")
        self.claimed(storage, experiment, 7, SHORT_S)
        until(lambda: storage.requeue_lost(experiment, 3) == [(7, Status.INTERRUPTED)])

    def test_a_tombstone_that_was_put_back_holds_its_number_alone(
        self, storage: Storage, experiment: str
    ) -> None:
        self._lived(storage, experiment)
        storage.restore(*self._taken(storage, experiment))
        keys = {"identity": claim_of(5).identity, "decision": "slot 5"}
        assert storage.claim(experiment, claim_of(5, **keys), LONG_S) == {Conflict.NUMBER}
        assert storage.claim(experiment, claim_of(6, **keys), LONG_S) == frozenset()

    def test_a_change_that_was_under_way_is_over(self, storage: Storage) -> None:
        record = record_of(generation=5)
        storage.restore(record, [])
        found = storage.experiment(record.id)
        assert found is not None and found.generation == 6

    def test_putting_it_back_once_more_is_content(self, storage: Storage, experiment: str) -> None:
        self._lived(storage, experiment)
        record, trials = self._taken(storage, experiment)
        storage.restore(record, trials)
        lease = self.claimed(storage, experiment, 9)
        assert storage.restore(record, trials) == 0
        storage.complete(lease, 1.0, RESULTS)

    def test_a_name_that_is_there_is_refused(self, storage: Storage, experiment: str) -> None:
        self.claimed(storage, experiment)
        with pytest.raises(ExperimentExists, match="some experiment"):
            storage.restore(record_of(), [])
        with pytest.raises(ExperimentExists, match="some experiment"):
            storage.restore(record_of(id=experiment, version=2), [])
        assert storage.counts(experiment) == {Status.RESERVED: 1}

    def test_a_trial_of_another_experiment_is_not_taken(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.claimed(storage, experiment)
        trials = [self.get(storage, experiment)]
        record = record_of(name="another")
        with pytest.raises(DuplicateTrial, match="another"):
            storage.restore(record, trials)
        assert storage.experiment(record.id) is None
        assert storage.counts(record.id) == {}
        storage.complete(lease, 1.0, RESULTS)

    @pytest.mark.parametrize("key", ["number", "identity", "decision", "id"])
    def test_two_of_a_kind_leave_nothing_behind(self, storage: Storage, key: str) -> None:
        record = record_of()
        trials = [self._done(record.id, n, decision=str(n)) for n in range(3)]
        twice = dataclasses.replace(trials[2], **{key: getattr(trials[0], key)})
        with pytest.raises(DuplicateTrial):
            storage.restore(record, [*trials[:2], twice])
        assert storage.experiments() == []
        assert list(storage.read_all(record.id)) == []
        assert storage.restore(record, trials) == 3

    def test_a_source_that_fails_leaves_nothing_behind(self, storage: Storage) -> None:
        record = record_of()
        trials = [self._done(record.id, number) for number in range(1200)]

        def cut_off() -> Iterator[TrialRecord]:
            yield from trials[:1100]
            raise OrionError("the file ends here")

        with pytest.raises(OrionError, match="ends here"):
            storage.restore(record, cut_off())
        assert storage.experiments() == []
        assert list(storage.read_all(record.id)) == []
        assert storage.restore(record, iter(trials)) == 1200
        assert storage.counts(record.id) == {Status.COMPLETED: 1200}

    def test_nobody_sees_it_before_all_of_it_is_there(
        self, storage: Storage, storage_factory: Callable[[], Storage]
    ) -> None:
        record = record_of()
        seen: list[object] = []

        def watched() -> Iterator[TrialRecord]:
            for number in range(1200):
                yield self._done(record.id, number)
                if number % 400 == 399 and self.across_processes:  # else all share a connection
                    with storage_factory() as visitor:
                        seen.extend([*visitor.experiments(), visitor.experiment(record.id)])

        assert storage.restore(record, watched()) == 1200
        assert set(seen) <= {None}
        assert storage.counts(record.id) == {Status.COMPLETED: 1200}

    def test_what_a_killed_one_left_is_taken_away(
        self, storage: Storage, storage_factory: Callable[[], Storage], tmp_path: Path
    ) -> None:
        record, count = record_of(), 1100
        trials = [self._done(record.id, number) for number in range(count)]
        if self.across_processes:  # else nobody can be killed alone
            spawn = multiprocessing.get_context("spawn")
            flag = tmp_path / "halfway"
            killed = spawn.Process(
                target=_restore_halfway, args=(storage_factory, record, trials, str(flag))
            )
            killed.start()
            until(flag.exists)
            killed.kill()
            killed.join(DEADLINE_S)
            assert killed.exitcode == -signal.SIGKILL
            assert storage.experiments() == []
        # Of a later dump: one trial less, and another one has the point of the first.
        later = [dataclasses.replace(trials[0], number=count, id=new_id()), *trials[1:]]
        assert storage.restore(record, later) == count
        assert sorted(row.number for row in storage.read_all(record.id)) == list(
            range(1, count + 1)
        )

    def _done(self, experiment: str, number: int, **changes: object) -> TrialRecord:
        claim = claim_of(number)
        fields: dict[str, object] = {
            "id": new_id(),
            "experiment": experiment,
            "number": number,
            "values": claim.values,
            "status": Status.COMPLETED,
            "identity": claim.identity,
            "worker": "worker one",
            "attempt": 1,
            "objective": float(number),
            "results": tuple(RESULTS),
            "submit_time": 1_700_000_000.125,
            "start_time": 1_700_000_000.25,
            "end_time": 1_700_000_001.5,
        }
        return TrialRecord(**(fields | changes))  # type: ignore[arg-type]

    def test_times_and_stories_are_kept(self, storage: Storage) -> None:
        record = record_of()
        entry = {
            "attempt": 1,
            "worker": "worker one",
            "status": "interrupted",
            "reason": "drained $x",
            "time": 1_700_000_000.5,
        }
        odd = {"name": "$ref", "type": "statistic", "value": {"$ref": 2**70, "a.b": [None, "ü"]}}
        given = self._done(
            record.id,
            0,
            attempt=2,
            lost=1,
            story=(entry,),
            results=(*RESULTS, odd),
            parent="p" * 24,
        )
        storage.restore(record, [given])
        found = self.get(storage, record.id)
        assert found == dataclasses.replace(given, token=found.token)
