"""The worked answers of the protocol about claiming and reading, one interleaving each.

Each test names the answer it proves and fails without it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from orion_k8s.errors import DatabaseUnavailable
from orion_k8s.history import History
from orion_k8s.storage import Conflict
from orion_k8s.trial import Claim, Status, TrialRecord, dump_values, identity_of, new_id, new_token
from orion_k8s.worker import Idle
from tests.unit.worker.simulation import LEASE_S, Cluster, after, before, got, lease, result


def person(cluster: Cluster, x: float, objective: float | None = None) -> TrialRecord:
    assert cluster.record is not None
    values = dump_values((x,))
    record = TrialRecord(new_id(), cluster.record.id, 0, values, Status.NEW, identity_of(values))
    if objective is not None:
        record = replace(
            record, status=Status.COMPLETED, objective=objective, results=(result(objective),)
        )
    return cluster.storage.insert(cluster.record.id, record)


# --- 1: N is exact when trials break -------------------------------------------------------------


def test_1_broken_trials_are_replaced_and_n_is_exact(cluster: Cluster) -> None:
    cluster.experiment(max_trials=3, max_broken=10)
    a, b = cluster.worker("a"), cluster.worker("b")
    broken = [got(a.acquire()), got(b.acquire())]
    for worker, trial in zip((a, b), broken, strict=True):
        cluster.break_(worker, trial)
    numbers = []
    while isinstance(trial := a.acquire(), TrialRecord):
        numbers.append(trial.number)
        cluster.complete(a, trial)
    assert trial is Idle.DONE
    assert numbers == [2, 3, 4]
    assert b.acquire() is Idle.DONE
    assert cluster.counts() == {Status.COMPLETED: 3, Status.BROKEN: 2}


def test_1_a_worker_with_an_old_mirror_does_not_go_too_far(cluster: Cluster) -> None:
    cluster.experiment(max_trials=2)
    a, b = cluster.worker("a"), cluster.worker("b")
    a.refresh()
    b.refresh()
    first = got(a.acquire())
    with before(cluster.storage, "claim", lambda: cluster.complete(a, first)):
        second = got(b.acquire())
    assert {first.number, second.number} == {0, 1}
    assert a.acquire() is Idle.WAIT
    cluster.complete(b, second)
    assert a.acquire() is Idle.DONE
    assert b.acquire() is Idle.DONE


def test_1_inserted_trials_count_towards_n_and_keep_numbers_of_their_own(cluster: Cluster) -> None:
    cluster.experiment(
        max_trials=4, algorithm={"gridsearch": {"n_values": 4}}, space={"x": "uniform(0, 3)"}
    )
    worker = cluster.worker("a")
    inserted = person(cluster, 0.5)
    assert inserted.number == -1
    seen = []
    while isinstance(trial := worker.acquire(), TrialRecord):
        seen.append((trial.number, trial.values))
        cluster.complete(worker, trial)
    assert seen == [(-1, "[0.5]"), (0, "[0.0]"), (1, "[1.0]"), (2, "[2.0]")]
    assert cluster.counts() == {Status.COMPLETED: 4}


def test_1_an_inserted_grid_cell_does_not_hide_another_cell(cluster: Cluster) -> None:
    cluster.experiment(algorithm={"gridsearch": {"n_values": 4}}, space={"x": "uniform(0, 3)"})
    worker = cluster.worker("a")
    person(cluster, 1.0, objective=7.0)
    values = []
    while isinstance(trial := worker.acquire(), TrialRecord):
        values.append(trial.values)
        cluster.complete(worker, trial)
    assert trial is Idle.USED_UP
    assert values == ["[0.0]", "[2.0]", "[3.0]"]
    assert worker.tally.collisions == 0  # it is passed over, not run into


# --- 2: which key was hit ------------------------------------------------------------------------


def test_2_a_taken_number_means_a_new_suggestion_for_a_new_number(cluster: Cluster) -> None:
    cluster.experiment(max_trials=10)
    a, b, alone = (cluster.worker(name) for name in ("a", "b", "alone"))
    a.refresh()
    with before(cluster.storage, "claim", lambda: got(b.acquire()) and None):
        second = got(a.acquire())
    assert second.number > 0
    # Not the point of number 0 under another number: that would lose a draw.
    expected = alone.algorithm.suggest(second.number, 0, alone.history)
    assert second.values == dump_values(expected.values)  # type: ignore[union-attr]
    assert a.tally.collisions == 1


def test_2_taken_parameters_mean_the_next_draw_of_the_same_number(cluster: Cluster) -> None:
    cluster.experiment(max_trials=10)
    worker, alone = cluster.worker("a"), cluster.worker("alone")
    first = alone.algorithm.suggest(0, 0, alone.history)
    x = first.values[0]  # type: ignore[union-attr]
    with before(cluster.storage, "claim", lambda: person(cluster, x) and None):
        trial = got(worker.acquire())
    assert trial.number == 0
    assert trial.values != dump_values((x,))
    assert cluster.counts() == {Status.NEW: 1, Status.RESERVED: 1}


def test_2_a_point_that_another_number_has_is_passed_over(cluster: Cluster) -> None:
    """An inserted point shifts the sequence; removed again, it has left a number ahead of it."""
    record = cluster.experiment(max_trials=10)
    worker = cluster.worker("a")
    first = worker.algorithm.suggest(0, 0, worker.history)
    inserted = person(cluster, first.values[0], objective=1.0)  # type: ignore[union-attr]
    shifted = got(worker.acquire())
    cluster.storage.set_status(record.id, inserted.id, Status.REMOVED, "a mistake")
    late = cluster.worker("b")
    trial = got(late.acquire())
    assert (shifted.number, trial.number) == (0, 1)
    assert trial.values not in (shifted.values, inserted.values)
    assert late.tally.collisions == 1


def test_2_both_keys_may_be_hit_at_once(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=10)
    trial = got(cluster.worker("a").acquire())
    claim = Claim(new_id(), trial.number, trial.values, trial.identity, new_token(), "b")
    assert cluster.storage.claim(record.id, claim, 30.0) == {Conflict.NUMBER, Conflict.IDENTITY}


# --- 3: a reply that never came ------------------------------------------------------------------


def test_3_a_retried_claim_finds_itself_and_renews_its_lease_first(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=10)
    claim = Claim(new_id(), 0, "[0.5]", identity_of("[0.5]"), new_token(), "a")
    assert not cluster.storage.claim(record.id, claim, 30.0)
    cluster.clock.now += 29.0
    assert not cluster.storage.claim(record.id, claim, 30.0)
    cluster.clock.now += 29.0
    assert cluster.storage.requeue_lost(record.id, 3) == []
    assert cluster.counts() == {Status.RESERVED: 1}


def test_3_a_retried_claim_that_was_taken_meanwhile_is_not_ours(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=10)
    claim = Claim(new_id(), 0, "[0.5]", identity_of("[0.5]"), new_token(), "a")
    assert not cluster.storage.claim(record.id, claim, 30.0)
    cluster.clock.now += 31.0
    assert cluster.storage.requeue_lost(record.id, 3) == [(0, Status.INTERRUPTED)]
    assert got(cluster.worker("b").acquire()).number == 0
    assert cluster.storage.claim(record.id, claim, 30.0) == {Conflict.NUMBER}


def test_3_a_retried_claim_never_reopens_a_completed_trial(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=10)
    claim = Claim(new_id(), 0, "[0.5]", identity_of("[0.5]"), new_token(), "a")
    cluster.storage.claim(record.id, claim, 30.0)
    held = cluster.storage.trial(record.id, claim.id)
    assert held is not None
    cluster.storage.complete(lease(held), 1.0, [result(1.0)])
    assert cluster.storage.claim(record.id, claim, 30.0) == {Conflict.NUMBER}
    assert cluster.counts() == {Status.COMPLETED: 1}


def test_3_an_outage_after_the_insert_costs_no_trial(cluster: Cluster) -> None:
    """The reply is lost; the worker rides the outage through and gets a trial; nobody owns two."""
    cluster.experiment(max_trials=10)
    worker = cluster.worker("a")

    def cut() -> None:
        raise DatabaseUnavailable("cut")

    with after(cluster.storage, "claim", cut):
        trial = got(worker.acquire())
    assert cluster.counts()[Status.RESERVED] == 1
    stored = cluster.storage.trial(cluster.record.id, trial.id)  # type: ignore[union-attr]
    assert stored is not None and stored.token == trial.token


# --- 4: collisions -------------------------------------------------------------------------------


def test_4_one_worker_never_leaves_the_order(cluster: Cluster) -> None:
    cluster.experiment(max_trials=20)
    worker = cluster.worker("a")
    numbers = []
    while isinstance(trial := worker.acquire(), TrialRecord):
        numbers.append(trial.number)
        cluster.complete(worker, trial)
    assert numbers == list(range(20))
    assert worker.tally.collisions == 0


def test_4_collisions_spread_the_workers(cluster: Cluster) -> None:
    cluster.experiment(max_trials=10_000)
    workers = [cluster.worker(f"w{i}") for i in range(64)]
    for _ in range(6):
        # The worst case: all of them read the same history before any of them writes.
        for worker in workers:
            worker.refresh()
        for worker in workers:
            before_claims = worker.tally.claims
            while worker._claim_new() is None and worker.tally.claims < before_claims + 50:
                worker.refresh()
    late = sum(worker._choices for worker in workers) / len(workers)
    assert late > 4


def test_4_the_spread_shrinks_again(cluster: Cluster) -> None:
    cluster.experiment(max_trials=10_000)
    worker = cluster.worker("a")
    worker._choices = 50.0
    for _ in range(100):
        got(worker.acquire())
    assert worker._choices == 1.0


class Farthest(random.Random):
    def choice(self, seq: Any) -> Any:
        return seq[-1]


def test_4_a_number_beyond_the_window_is_read_after_a_collision(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1000)
    far = Claim(new_id(), 900, "[0.5]", identity_of("[0.5]"), new_token(), "far ahead")
    assert not cluster.storage.claim(record.id, far, LEASE_S)
    worker = cluster.worker("a")
    worker.refresh()  # a rebuild reads all; what comes after it, only through the window
    worker.history = History(worker.space, worker.history.generation)
    worker._choices, worker._rng = 901.0, Farthest()
    trial = got(worker.acquire())
    assert worker.tally.collisions == 1
    assert worker.history.index(900) is not None
    assert trial.number != 900


# --- 5: the same set for any number of workers ---------------------------------------------------


@pytest.mark.parametrize("space", [{"x": "uniform(0, 1)"}, {"x": "uniform(1, 2, precision=2)"}])
@pytest.mark.parametrize("algorithm", ["random", "sobol", "gridsearch"])
def test_5_one_worker_and_sixteen_find_the_same_set(
    cluster: Cluster, space: dict[str, str], algorithm: str
) -> None:
    sets = []
    for version, count in ((1, 1), (2, 16)):
        cluster.experiment(version=version, space=space, algorithm=algorithm, max_trials=9)
        workers = [cluster.worker(f"w{i}") for i in range(count)]
        found, running, turn = set(), [], 0
        while len(found) < 9:
            worker = workers[turn % count]
            turn += 1
            trial = worker.acquire()
            if isinstance(trial, TrialRecord):
                running.append((worker, trial))
                found.add(trial.values)
            if running and (turn % 3 == 0 or trial is Idle.WAIT):
                cluster.complete(*running.pop(0))
        sets.append(found)
    assert sets[0] == sets[1]


def test_5_a_finite_space_ends_with_a_plain_message(cluster: Cluster) -> None:
    cluster.experiment(space={"n": "randint(0, 3)"}, max_trials=100)
    a, b = cluster.worker("a"), cluster.worker("b")
    trials = [got(a.acquire()), got(b.acquire()), got(a.acquire())]
    # Used up, but not ended: the owner of a running trial may die.
    assert b.acquire() is Idle.WAIT
    for worker, trial in zip((a, b, a), trials, strict=True):
        cluster.complete(worker, trial)
    assert b.acquire() is Idle.USED_UP
    assert "all 3 points were tried" in b.reason


# --- 6 and 7: identity ---------------------------------------------------------------------------


def test_6_identity_knows_parent_and_repetition(cluster: Cluster) -> None:
    assert identity_of("[1]") == identity_of("[1]", None, 0)
    assert (
        len(
            {
                identity_of("[1]"),
                identity_of("[1]", "p"),
                identity_of("[1]", "q"),
                identity_of("[1]", None, 1),
            }
        )
        == 4
    )


def test_7_a_decision_is_made_once(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=10)
    first, second = (
        Claim(
            new_id(),
            n,
            f"[0.{n}]",
            identity_of(f"[0.{n}]"),
            new_token(),
            "a",
            decision="rung 1 slot 0",
        )
        for n in (1, 2)
    )
    assert not cluster.storage.claim(record.id, first, 30.0)
    assert cluster.storage.claim(record.id, second, 30.0) == {Conflict.DECISION}


# --- 8 and 9: reading, and the end ---------------------------------------------------------------


def test_9_a_reached_goal_ends_it_for_all_and_another_goal_reopens(cluster: Cluster) -> None:
    record = cluster.experiment(goal={"goal": 0.5})
    a, b = cluster.worker("a"), cluster.worker("b")
    mine, other = got(a.acquire()), got(b.acquire())
    cluster.complete(a, mine, 0.75)
    more = got(a.acquire())
    cluster.complete(b, other, 0.5)
    assert b.acquire() is Idle.GOAL
    assert a.acquire() is Idle.GOAL
    cluster.complete(a, more, 9.0)  # what runs is ended in order
    # Another goal, which neither knows of yet: the end is confirmed by a look at the record.
    cluster.storage.update_experiment(record.id, {"goal": {"goal": 0.25}})
    got(b.acquire())
    cluster.storage.update_experiment(record.id, {"goal": {}})
    a.reread_record()
    got(a.acquire())


def test_9_a_trial_that_breaks_a_constraint_reaches_no_goal(cluster: Cluster) -> None:
    cluster.experiment(goal={"direction": "maximize", "goal": 0.5})
    a = cluster.worker("a")
    broken = [result(1.0), {"name": "c", "type": "constraint", "value": 0.001}]
    for results, reached in ((broken, False), ([result(1.0)], True)):
        trial = got(a.acquire())
        loss = a.goal.loss(1.0, results)
        a.storage.complete(lease(trial), loss.objective, results)
        a.note(trial, Status.COMPLETED, loss)
        assert (a.acquire() is Idle.GOAL) is reached


def test_enqueued_trials_are_taken_in_order_by_one_worker(cluster: Cluster) -> None:
    cluster.experiment(first=[{"x": 0.5}, {"x": 0.25}, {"x": 0.75}])
    a = cluster.worker("a")
    assert [got(a.acquire()).values for _ in range(3)] == ["[0.5]", "[0.25]", "[0.75]"]
    assert got(a.acquire()).number == 0
    # Said once more, they are passed over.
    cluster.experiment(first=[{"x": 0.25}, {"x": 0.125}])
    a.refresh()
    assert got(a.acquire()).values == "[0.125]"


def test_repetitions_are_claimed_by_several_workers_without_waiting(cluster: Cluster) -> None:
    cluster.experiment(goal={"repetitions": 3}, max_trials=7)
    workers = [cluster.worker(name) for name in "abc"]
    trials = [got(worker.acquire()) for worker in workers for _ in range(2)]
    assert sorted(trial.number for trial in trials) == list(range(6))
    points = {trial.number: trial.values for trial in trials}
    assert points[0] == points[1] == points[2] != points[3] == points[4] == points[5]
    assert len({trial.identity for trial in trials}) == 6


def test_8_a_persons_change_rebuilds_every_mirror(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=2)
    a, b = cluster.worker("a"), cluster.worker("b")
    for worker in (a, b):
        cluster.complete(worker, got(worker.acquire()))
    assert a.acquire() is Idle.DONE
    gone = next(iter(cluster.storage.trials(record.id, Status.COMPLETED)))
    cluster.storage.set_status(record.id, gone.id, Status.REMOVED, "by hand")
    for worker in (a, b):
        worker.reread_record()
    trial = got(a.acquire())
    assert trial.number == 2  # the tombstone's number is not used again
    cluster.complete(a, trial)
    assert b.acquire() is Idle.DONE
    assert cluster.counts() == {Status.COMPLETED: 2}


def test_8_a_change_under_way_is_looked_at_again(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=2)
    worker = cluster.worker("a")
    worker.refresh()
    rebuilds = worker.tally.rebuilds
    for _ in range(2):
        worker.look_at_record(replace(record, generation=1))
        worker.refresh()
    assert worker.tally.rebuilds == rebuilds + 2
    worker.look_at_record(replace(record, generation=2))
    worker.refresh()
    worker.refresh()
    assert worker.tally.rebuilds == rebuilds + 3


def test_9_finished_is_confirmed_and_a_raised_bound_reopens(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    worker = cluster.worker("a")
    cluster.complete(worker, got(worker.acquire()))
    cluster.storage.update_experiment(record.id, {"max_trials": 2})
    # The worker's record still says 1: the confirming look finds 2.
    assert got(worker.acquire()).number == 1


def test_9_no_free_number_is_not_the_end(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    a, b = cluster.worker("a"), cluster.worker("b")
    trial = got(a.acquire())
    assert b.acquire() is Idle.WAIT
    cluster.clock.now += 31.0
    assert cluster.storage.requeue_lost(record.id, 3) == [(0, Status.INTERRUPTED)]
    again = got(b.acquire())
    assert (again.id, again.attempt) == (trial.id, 2)
    assert again.token != trial.token


def test_9_interrupted_trials_come_before_new_ones_before_suggestions(cluster: Cluster) -> None:
    cluster.experiment(max_trials=10)
    worker = cluster.worker("a")
    first = got(worker.acquire())
    cluster.storage.release(lease(first), Status.INTERRUPTED, "stopped")
    worker.note(first, Status.INTERRUPTED)
    person(cluster, 0.123)
    order = [got(worker.acquire()).number for _ in range(3)]
    assert order == [0, -1, 1]


def test_10_suspended_says_by_whom(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    worker = cluster.worker("a")
    trial = got(worker.acquire())
    cluster.storage.release(lease(trial), Status.SUSPENDED, "paused", held_by="person")
    other = cluster.worker("b")
    assert other.acquire() is Idle.SUSPENDED
    assert not cluster.storage.resume(record.id, trial.number)


def test_10_what_an_algorithm_suspended_any_worker_may_resume(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    trial = got(cluster.worker("a").acquire())
    cluster.storage.release(lease(trial), Status.SUSPENDED, "paused", held_by="algorithm")
    other = cluster.worker("b")
    assert other.acquire() is Idle.WAIT
    assert cluster.storage.resume(record.id, trial.number)
    assert got(other.acquire()).id == trial.id


def test_20_lowering_the_bound_removes_nothing(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=10)
    a, b = cluster.worker("a"), cluster.worker("b")
    trials = [got(a.acquire()) for _ in range(4)]
    cluster.storage.update_experiment(record.id, {"max_trials": 2})
    for worker in (a, b):
        worker.reread_record()
    assert b.acquire() is Idle.WAIT
    for trial in trials:
        cluster.complete(a, trial)
    assert b.acquire() is Idle.DONE
    assert cluster.counts() == {Status.COMPLETED: 4}


def test_21_a_removed_experiment_ends_its_workers(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=10)
    worker = cluster.worker("a")
    got(worker.acquire())
    cluster.storage.remove_experiment(record.id)
    worker.reread_record()
    assert worker.acquire() is Idle.REMOVED


def test_i6_a_trial_costs_three_verbs_however_long_the_history(cluster: Cluster) -> None:
    cluster.experiment(max_trials=1000)
    worker = cluster.worker("a")
    calls: list[str] = []
    for verb in ("read", "read_all", "claim", "complete", "experiment", "trial", "reserve"):
        original = getattr(cluster.storage, verb)

        def counted(
            *args: object, _verb: str = verb, _original: object = original, **kw: object
        ) -> object:
            calls.append(_verb)
            return _original(*args, **kw)  # type: ignore[operator]

        setattr(cluster.storage, verb, counted)
    for _ in range(50):
        cluster.complete(worker, got(worker.acquire()))
    assert calls[-9:] == ["read", "claim", "complete"] * 3
    assert len(calls) <= 3 * 50 + 1
