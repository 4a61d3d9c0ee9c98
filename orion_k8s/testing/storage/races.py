"""Tests with 16 workers that want the same thing at the same moment."""

# ruff: noqa: D102  (a test's name says it)

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orion_k8s.errors import LeaseLost
from orion_k8s.storage import Conflict, Lease, Storage
from orion_k8s.testing.racing import Call, race
from orion_k8s.testing.storage.setting import (
    LONG_S,
    RESULTS,
    SHORT_S,
    Setting,
    by_hand,
    claim_of,
    record_of,
    until,
)
from orion_k8s.trial import Status, identity_of, new_token

WORKERS = 16
ROUNDS = 10


class RaceContract(Setting):
    """One winner, whoever takes part."""

    def _race(self, factory: Callable[[], Storage], scripts: list[list[Call]]) -> list[list[Any]]:
        return race(factory, scripts, processes=self.across_processes)

    def test_one_sets_the_database_up(self, storage_factory: Callable[[], Storage]) -> None:
        record = record_of()
        script: list[Call] = [("setup", ()), ("create_experiment", (record,))]
        answers = self._race(storage_factory, [script] * WORKERS)
        assert answers == [[None, None]] * WORKERS
        with storage_factory() as storage:
            assert storage.experiments() == [record]

    def test_a_number_has_one_winner(
        self, storage: Storage, storage_factory: Callable[[], Storage], experiment: str
    ) -> None:
        answers = self._race(
            storage_factory,
            [
                [
                    ("claim", (experiment, claim_of(n, identity=f"{w} {n}"), LONG_S))
                    for n in range(ROUNDS)
                ]
                for w in range(WORKERS)
            ],
        )
        for of_number in zip(*answers, strict=True):
            assert sorted(of_number, key=len) == [
                frozenset(),
                *[frozenset({Conflict.NUMBER})] * (WORKERS - 1),
            ]
        assert storage.counts(experiment) == {Status.RESERVED: ROUNDS}

    def test_an_identity_and_a_decision_have_one_winner(
        self, storage: Storage, storage_factory: Callable[[], Storage], experiment: str
    ) -> None:
        answers = self._race(
            storage_factory,
            [
                [
                    (
                        "claim",
                        (
                            experiment,
                            claim_of(
                                w * ROUNDS + r, identity=identity_of(str(r)), decision=f"slot {r}"
                            ),
                            LONG_S,
                        ),
                    )
                    for r in range(ROUNDS)
                ]
                for w in range(WORKERS)
            ],
        )
        both = frozenset({Conflict.IDENTITY, Conflict.DECISION})
        for of_round in zip(*answers, strict=True):
            assert sorted(of_round, key=len) == [frozenset(), *[both] * (WORKERS - 1)]

    def test_an_interrupted_trial_has_one_winner(
        self, storage: Storage, storage_factory: Callable[[], Storage], experiment: str
    ) -> None:
        for number in range(ROUNDS):
            storage.release(self.claimed(storage, experiment, number), Status.INTERRUPTED)
        answers = self._race(
            storage_factory,
            [
                [
                    ("reserve", (experiment, n, new_token(), f"worker {w}", LONG_S))
                    for n in range(ROUNDS)
                ]
                for w in range(WORKERS)
            ],
        )
        for number, of_number in enumerate(zip(*answers, strict=True)):
            (winner,) = [trial for trial in of_number if trial is not None]
            assert winner == self.get(storage, experiment, number)
            assert winner.attempt == 2

    def test_a_lost_trial_is_requeued_once(
        self, storage: Storage, storage_factory: Callable[[], Storage], experiment: str
    ) -> None:
        for number in range(ROUNDS):
            self.claimed(storage, experiment, number, SHORT_S)
        until(lambda: storage.live_workers(experiment) == [])
        answers = self._race(
            storage_factory, [[("requeue_lost", (experiment, 3))] for _ in range(WORKERS)]
        )
        released = sorted(entry for (answer,) in answers for entry in answer)
        assert released == [(n, Status.INTERRUPTED) for n in range(ROUNDS)]
        assert {trial.lost for trial in storage.trials(experiment)} == {1}

    def test_a_trial_is_completed_once(
        self, storage: Storage, storage_factory: Callable[[], Storage], experiment: str
    ) -> None:
        # The owners come back late, while others requeue, take and complete the same trials.
        late = [self.claimed(storage, experiment, n, SHORT_S) for n in range(ROUNDS)]
        until(lambda: storage.live_workers(experiment) == [])
        tokens = [[lease.token for lease in late]]
        scripts: list[list[Call]] = [[("complete", (lease, 0.0, RESULTS)) for lease in late]]
        for worker in range(1, WORKERS):
            own, script = [], []
            for lease, number in zip(late, range(ROUNDS), strict=True):
                own.append(new_token())
                script += [
                    ("requeue_lost", (experiment, 100)),
                    ("reserve", (experiment, number, own[-1], f"worker {worker}", SHORT_S)),
                    ("complete", (Lease(lease.trial, own[-1]), float(worker), RESULTS)),
                ]
            tokens.append(own)
            scripts.append(script)
        answers = self._race(storage_factory, scripts)
        for number in range(ROUNDS):
            ends = [answers[0][number], *(a[3 * number + 2] for a in answers[1:])]
            winners = [worker for worker, end in enumerate(ends) if end is None]
            assert len(winners) == 1
            assert all(isinstance(e, LeaseLost) for w, e in enumerate(ends) if w not in winners)
            found = self.get(storage, experiment, number)
            assert (found.status, found.objective) == (Status.COMPLETED, float(winners[0]))
            assert found.token == tokens[winners[0]][number]

    def test_people_who_insert_at_once_get_different_numbers(
        self, storage: Storage, storage_factory: Callable[[], Storage], experiment: str
    ) -> None:
        answers = self._race(
            storage_factory,
            [
                [("insert", (experiment, by_hand(experiment, w + r / ROUNDS))) for r in range(3)]
                for w in range(WORKERS)
            ],
        )
        numbers = sorted(trial.number for answer in answers for trial in answer)
        assert numbers == list(range(-3 * WORKERS, 0))

    def test_moves_by_hand_leave_an_even_generation(
        self, storage: Storage, storage_factory: Callable[[], Storage], experiment: str
    ) -> None:
        for number in range(WORKERS):
            self.claimed(storage, experiment, number)
        answers = self._race(
            storage_factory,
            [
                [("set_status", (experiment, str(w), Status.REMOVED, "by hand"))]
                for w in range(WORKERS)
            ],
        )
        assert all(answer[0].status is Status.REMOVED for answer in answers)
        record = storage.experiment(experiment)
        assert record is not None
        assert record.generation >= 2 * WORKERS and record.generation % 2 == 0
        assert storage.counts(experiment) == {}
