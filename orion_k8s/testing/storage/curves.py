"""Tests of learning curves: who may write one, which one stays, and what is read again."""

# ruff: noqa: D102  (a test's name says it)

from __future__ import annotations

import random

from orion_k8s.storage import Lease, Storage
from orion_k8s.testing.storage.setting import LONG_S, RESULTS, Setting, record_of
from orion_k8s.trial import Curve, CurveBuilder, Status


def curve_of(number: int, reports: int = 3, attempt: int = 1, value: float = 0.5) -> Curve:
    """Return a curve of so many reports."""
    builder = CurveBuilder(number, attempt)
    for step in range(reports):
        builder.add(step, value / (step + 1), {"accuracy.top-1 $": step / 7} if step % 2 else None)
    return builder.curve()


class CurveContract(Setting):
    """Learning curves."""

    def _curves(self, storage: Storage, experiment: str) -> list[Curve]:
        return list(storage.read_curves(experiment))

    def _again(self, storage: Storage, experiment: str, number: int = 0) -> Lease:
        """Let a trial be interrupted and reserved by somebody else."""
        token = f"{random.getrandbits(64):016x}"
        trial = storage.reserve(experiment, number, token, "worker two", LONG_S)
        assert trial is not None
        return Lease(trial.id, token)

    # --- writing ---------------------------------------------------------------------------------

    def test_what_was_written_is_read(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        assert self._curves(storage, experiment) == []
        leases = [self.claimed(storage, experiment, number) for number in range(12)]
        curves = [curve_of(number, number + 1) for number in range(12)]
        storage.write_curves(list(zip(leases, curves, strict=True)))
        assert self._curves(other, experiment) == curves
        assert storage.trial(experiment, "3") == other.trial(experiment, "3")

    def test_a_longer_curve_replaces_a_shorter_one_and_never_the_other_way(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.claimed(storage, experiment)
        for reports in (2, 5, 4, 5, 1):
            storage.write_curves([(lease, curve_of(0, reports))])
        assert self._curves(storage, experiment) == [curve_of(0, 5)]

    def test_a_write_that_is_sent_again_is_content(
        self, storage: Storage, experiment: str
    ) -> None:
        leases = [self.claimed(storage, experiment, number) for number in range(2)]
        given = [(lease, curve_of(number)) for number, lease in enumerate(leases)]
        storage.write_curves(given)
        storage.write_curves([*given, (leases[1], curve_of(1, 9))])
        assert self._curves(storage, experiment) == [curve_of(0), curve_of(1, 9)]
        storage.write_curves([])

    def test_numbers_are_kept_exactly(self, storage: Storage, experiment: str) -> None:
        builder = CurveBuilder(0, 1)
        values = [0.1 + 0.2, 1e308, -5e-324, 1 / 3, float(2**53 + 2), 0.0]
        for step, value in zip((-1e9, 0.1, 1, 2**40, 2.0**70, 1e300), values, strict=True):
            builder.add(step, value)
        lease = self.claimed(storage, experiment)
        storage.write_curves([(lease, builder.curve())])
        assert self._curves(storage, experiment) == [builder.curve()]

    def test_a_trial_that_was_requeued_is_still_its_owners(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.requeued(storage, experiment)
        storage.write_curves([(lease, curve_of(0))])
        assert self._curves(storage, experiment) == [curve_of(0)]

    def test_a_trial_that_is_completed_may_say_the_rest(
        self, storage: Storage, experiment: str
    ) -> None:
        lease = self.claimed(storage, experiment)
        storage.write_curves([(lease, curve_of(0, 2))])
        storage.complete(lease, 0.5, RESULTS)
        storage.write_curves([(lease, curve_of(0, 3))])
        assert self._curves(storage, experiment) == [curve_of(0, 3)]

    # --- fencing ---------------------------------------------------------------------------------

    def test_another_token_writes_nothing(self, storage: Storage, experiment: str) -> None:
        lease, good = self.claimed(storage, experiment, 0), self.claimed(storage, experiment, 1)
        storage.write_curves(
            [
                (Lease(lease.trial, "f" * 16), curve_of(0)),
                (Lease("f" * 24, lease.token), curve_of(7)),
                (Lease(lease.trial, good.token), curve_of(0)),
                (good, curve_of(1)),
            ]
        )
        assert self._curves(storage, experiment) == [curve_of(1)]

    def test_an_older_attempt_never_mixes_with_a_newer_one(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        first = self.claimed(storage, experiment)
        storage.write_curves([(first, curve_of(0, 50))])
        storage.release(first, Status.INTERRUPTED, "drained")
        second = self._again(other, experiment)
        storage.write_curves([(first, curve_of(0, 60))])  # it did not hear of it yet
        assert self._curves(other, experiment) == [curve_of(0, 50)]
        other.write_curves([(second, curve_of(0, 1, attempt=2, value=0.1))])
        storage.write_curves([(first, curve_of(0, 70))])
        assert self._curves(other, experiment) == [curve_of(0, 1, attempt=2, value=0.1)]

    def test_what_was_removed_stays_away(
        self, storage: Storage, other: Storage, experiment: str
    ) -> None:
        leases = [self.claimed(storage, experiment, number) for number in range(3)]
        given = [(lease, curve_of(number)) for number, lease in enumerate(leases)]
        storage.write_curves(given)
        other.set_status(experiment, "1", Status.REMOVED, "wrong data")
        storage.write_curves([(lease, curve_of(c.number, 9)) for lease, c in given])
        assert self._curves(storage, experiment) == [curve_of(0, 9), curve_of(2, 9)]
        other.remove_experiment(experiment)
        storage.write_curves(given)
        assert self._curves(storage, experiment) == []
        assert list(storage.read_curves(experiment, {0: 0, 1: 0, 2: 0})) == []

    # --- reading ---------------------------------------------------------------------------------

    def test_only_what_is_newer_is_read_again(self, storage: Storage, experiment: str) -> None:
        leases = [self.claimed(storage, experiment, number) for number in range(6)]
        curves = [curve_of(number) for number in range(6)]
        storage.write_curves(list(zip(leases, curves, strict=True)))
        known = {curve.number: curve.revision for curve in curves}
        assert list(storage.read_curves(experiment, known)) == []
        assert list(storage.read_curves(experiment, {})) == []
        assert list(storage.read_curves(experiment, {77: 0})) == []
        storage.write_curves([(leases[n], curve_of(n, 4)) for n in (1, 4)])
        known[2], known[99] = 0, 0
        found = {curve.number: curve for curve in storage.read_curves(experiment, known)}
        assert found == {1: curve_of(1, 4), 2: curve_of(2), 4: curve_of(4, 4)}

    def test_many_are_read_in_order(self, storage: Storage, experiment: str) -> None:
        numbers = list(range(450))
        random.Random(1).shuffle(numbers)
        leases = {number: self.claimed(storage, experiment, number) for number in numbers}
        storage.write_curves([(leases[number], curve_of(number, 1)) for number in numbers])
        assert [curve.number for curve in self._curves(storage, experiment)] == sorted(numbers)
        known = dict.fromkeys(numbers, 0)
        assert len(list(storage.read_curves(experiment, known))) == 450

    def test_each_experiment_has_its_own(self, storage: Storage, experiment: str) -> None:
        another = record_of(version=2)
        storage.create_experiment(another)
        mine, theirs = self.claimed(storage, experiment), self.claimed(storage, another.id)
        storage.write_curves([(mine, curve_of(0, 1)), (theirs, curve_of(0, 2))])
        assert self._curves(storage, experiment) == [curve_of(0, 1)]
        storage.remove_experiment(experiment)
        assert self._curves(storage, another.id) == [curve_of(0, 2)]

    # --- copies ----------------------------------------------------------------------------------

    def test_they_are_put_back_with_their_trials(self, storage: Storage, experiment: str) -> None:
        lease = self.claimed(storage, experiment)
        storage.write_curves([(lease, curve_of(0))])
        record = storage.experiment(experiment)
        assert record is not None
        trials, curves = list(storage.dump(experiment)), self._curves(storage, experiment)
        storage.remove_experiment(experiment)
        assert storage.restore(record, iter(trials), iter(curves)) == 1
        assert self._curves(storage, experiment) == [curve_of(0)]
        second = self._again(storage, experiment)
        storage.write_curves([(second, curve_of(0, 1, attempt=2))])
        assert self._curves(storage, experiment) == [curve_of(0, 1, attempt=2)]
