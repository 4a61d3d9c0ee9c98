"""The worked answers of the protocol about leases, one interleaving each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orion_k8s.errors import DatabaseUnavailable, LeaseLost, SharedVolume
from orion_k8s.storage import Held, Lease
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import Status, TrialRecord
from orion_k8s.worker.patience import Patience
from tests.unit.worker.simulation import LEASE_S, Cluster, before, got, lease, result


def lose(cluster: Cluster, trial: TrialRecord) -> None:
    """Let the lease run out and the trial be found."""
    cluster.clock.now += LEASE_S + 1
    found = cluster.storage.requeue_lost(trial.experiment, 10)
    assert trial.number in [number for number, _ in found]


# --- 11: tokens ----------------------------------------------------------------------------------


def test_11_the_token_is_new_at_every_reservation(cluster: Cluster) -> None:
    cluster.experiment(max_trials=1)
    worker, tokens = cluster.worker("a"), set()
    for _ in range(4):
        trial = got(worker.acquire())
        tokens.add(trial.token)
        cluster.storage.release(lease(trial), Status.INTERRUPTED, "stopped")
        worker.note(trial, Status.INTERRUPTED)
    assert len(tokens) == 4


def test_11_who_was_presumed_dead_overwrites_nothing(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    dead = got(cluster.worker("dead").acquire())
    lose(cluster, dead)
    heir_worker = cluster.worker("heir")
    heir = got(heir_worker.acquire())
    assert cluster.storage.renew([lease(dead)], LEASE_S) == {dead.id: Held.VOID}
    with pytest.raises(LeaseLost) as error:
        cluster.storage.complete(lease(dead), 9.0, [result(9.0)])
    assert "heir" in str(error.value)
    with pytest.raises(LeaseLost):
        cluster.storage.release(lease(dead), Status.BROKEN, "late")
    cluster.complete(heir_worker, heir, 1.0)
    with pytest.raises(LeaseLost):
        cluster.storage.complete(lease(dead), 9.0, [result(9.0)])
    stored = cluster.storage.trial(record.id, heir.id)
    assert stored is not None and stored.objective == 1.0 and stored.attempt == 2


def test_11_a_lease_that_ran_out_is_its_owners_until_somebody_takes_the_trial(
    cluster: Cluster,
) -> None:
    record = cluster.experiment(max_trials=1)
    worker = cluster.worker("a")
    trial = got(worker.acquire())
    cluster.clock.now += 10 * LEASE_S
    assert cluster.storage.renew([lease(trial)], LEASE_S) == {}  # nobody looked: renewed
    lose(cluster, trial)
    assert cluster.storage.renew([lease(trial)], LEASE_S) == {trial.id: Held.INTERRUPTED}
    cluster.complete(worker, trial, 2.0)
    stored = cluster.storage.trial(record.id, trial.id)
    assert stored is not None and stored.status is Status.COMPLETED


def test_11_repeating_what_was_done_is_content(cluster: Cluster) -> None:
    cluster.experiment(max_trials=2)
    worker = cluster.worker("a")
    done, released = got(worker.acquire()), got(worker.acquire())
    for _ in range(2):
        cluster.storage.complete(lease(done), 1.0, [result(1.0)])
        cluster.storage.release(lease(released), Status.INTERRUPTED, "stopped")
    assert cluster.counts() == {Status.COMPLETED: 1, Status.INTERRUPTED: 1}


def test_11_a_heartbeat_revives_nothing_that_ended(cluster: Cluster) -> None:
    cluster.experiment(max_trials=2)
    worker = cluster.worker("a")
    trial = got(worker.acquire())
    cluster.complete(worker, trial)
    assert cluster.storage.renew([lease(trial)], LEASE_S) == {trial.id: Held.VOID}
    assert cluster.counts() == {Status.COMPLETED: 1}


# --- 12: who finds lost trials -------------------------------------------------------------------


def test_12_only_what_is_over_is_released_and_only_to_interrupted(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=2)
    worker = cluster.worker("a")
    old = got(worker.acquire())
    cluster.clock.now += LEASE_S - 1
    young = got(worker.acquire())
    cluster.clock.now += 2
    assert cluster.storage.requeue_lost(record.id, 3) == [(old.number, Status.INTERRUPTED)]
    stored = cluster.storage.trial(record.id, young.id)
    assert stored is not None and stored.status is Status.RESERVED


def test_12_the_update_repeats_the_test(cluster: Cluster) -> None:
    """The owner renews between the finder's query and its update."""
    record = cluster.experiment(max_trials=1)
    trial = got(cluster.worker("a").acquire())
    cluster.clock.now += LEASE_S + 1
    other = cluster.connect()
    storage: Any = cluster.storage
    with before(storage, "_give_up", lambda: other.renew([lease(trial)], LEASE_S) and None):
        assert cluster.storage.requeue_lost(record.id, 3) == []
    assert cluster.counts() == {Status.RESERVED: 1}
    other.close()


# --- 13: after an outage -------------------------------------------------------------------------


def test_13_nobody_takes_anything_for_one_lease_after_an_outage(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    owner = got(cluster.worker("owner").acquire())
    heart = cluster.heart()
    heart.beat()
    cluster.clock.now += LEASE_S
    heart.beat()  # well for one lease

    original = cluster.storage.experiment

    def away(_: str) -> None:
        raise DatabaseUnavailable

    cluster.storage.experiment = away  # type: ignore[method-assign, assignment]
    cluster.clock.now += 1
    with pytest.raises(DatabaseUnavailable):
        heart.beat()
    cluster.storage.experiment = original  # type: ignore[method-assign]
    heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}  # its lease is over, but its owner comes first
    assert cluster.storage.renew([lease(owner)], LEASE_S) == {}
    cluster.clock.now += LEASE_S - 1
    heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}
    cluster.clock.now += 2
    heart.beat()
    assert cluster.storage.counts(record.id)[Status.INTERRUPTED] == 1


def test_13_a_new_worker_does_not_know_of_outages_and_waits_too(cluster: Cluster) -> None:
    cluster.experiment(max_trials=1)
    got(cluster.worker("owner").acquire())
    cluster.clock.now += 100 * LEASE_S
    heart = cluster.heart()
    heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}
    cluster.clock.now += LEASE_S
    heart.beat()
    assert cluster.counts() == {Status.INTERRUPTED: 1}


def test_13_a_new_worker_counts_from_its_start(cluster: Cluster) -> None:
    """One that replaces the only worker there was looks for its trials as soon as it may."""
    cluster.experiment(max_trials=1)
    got(cluster.worker("owner").acquire())
    cluster.clock.now += 100 * LEASE_S
    heart = cluster.heart()
    heart.start()
    heart.stop()
    cluster.clock.now += LEASE_S - 1
    heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}
    assert heart._next_s() <= 1 + 0.25 * heart.heartbeat_s
    cluster.clock.now += 1
    heart.beat()
    assert cluster.counts() == {Status.INTERRUPTED: 1}


def test_13_an_outage_that_another_call_met_counts(cluster: Cluster) -> None:
    cluster.experiment(max_trials=1)
    got(cluster.worker("owner").acquire())
    heart = cluster.heart()
    heart.beat()
    cluster.clock.now += LEASE_S - 1
    heart.beat()
    patience = Patience()
    patience.on_outage = heart.unwell
    replies = iter([DatabaseUnavailable()])

    def verb() -> None:
        for error in replies:
            raise error

    patience.call(verb)
    cluster.clock.now += 2
    heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}


def test_13_who_was_stopped_takes_nothing_at_once(cluster: Cluster) -> None:
    """A stop of the whole machine's processes, this worker's and the owner's, is an outage too."""
    cluster.experiment(max_trials=1)
    got(cluster.worker("owner").acquire())
    heart = cluster.heart()
    heart.beat()
    cluster.clock.now += LEASE_S
    heart.beat()
    cluster.clock.now += 2 * LEASE_S
    heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}


@pytest.mark.parametrize("verb", ["experiment", "_beat"])
def test_13_a_call_that_was_held_up_is_an_outage(cluster: Cluster, verb: str) -> None:
    """A lock that somebody held for long: all wait, no call fails, and every lease is over.

    The other worker waits while it reads, or (`_beat`) at the search itself.
    """
    cluster.experiment(max_trials=1)
    owner = got(cluster.worker("owner").acquire())
    heart = cluster.heart()
    heart.beat()
    cluster.clock.now += LEASE_S / 2
    cluster.storage.renew([lease(owner)], LEASE_S)
    heart.beat()
    cluster.clock.now += LEASE_S / 2  # it has been well for long enough to look for lost trials

    def hold_up() -> None:
        cluster.clock.now += 2 * LEASE_S

    with before(cluster.storage, verb, hold_up):
        heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}
    cluster.clock.now += LEASE_S / 2
    heart.beat()  # nor at the next beat: owners have one lease length to come back
    assert cluster.counts() == {Status.RESERVED: 1}
    assert cluster.storage.renew([lease(owner)], LEASE_S) == {}


# --- 14: the database's clock jumps --------------------------------------------------------------


def test_14_a_change_of_primary_is_like_an_outage(cluster: Cluster) -> None:
    cluster.experiment(max_trials=1)
    got(cluster.worker("owner").acquire())
    heart = cluster.heart()
    heart.beat()
    cluster.clock.now += LEASE_S - 1
    heart.beat()
    cluster.clock.now += 2
    cluster.storage.epoch = lambda: "another"  # type: ignore[method-assign]
    heart.beat()
    assert cluster.counts() == {Status.RESERVED: 1}


def test_14_a_lease_further_ahead_than_its_length_is_cut(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    cluster.clock.now += 3600
    got(cluster.worker("owner").acquire())
    cluster.clock.now -= 3600
    assert cluster.storage.requeue_lost(record.id, 3) == []
    cluster.clock.now += LEASE_S + 1
    assert cluster.storage.requeue_lost(record.id, 3) == [(0, Status.INTERRUPTED)]


# --- 15: SQLite, one machine ---------------------------------------------------------------------


def test_15_the_date_has_no_say(tmp_path: Path) -> None:
    """A worker whose wall clock is an hour wrong neither loses nor takes a trial."""
    import time

    cluster = Cluster(str(tmp_path / "h.db"))
    record = cluster.experiment(max_trials=2)
    wrong = cluster.connect(wall=lambda: time.time() + 3600)
    trial = got(cluster.worker("fast", wrong).acquire())
    assert cluster.storage.requeue_lost(record.id, 3) == []
    cluster.clock.now += LEASE_S + 1
    assert wrong.requeue_lost(record.id, 3) == [(trial.number, Status.INTERRUPTED)]
    wrong.close()
    cluster.storage.close()


def test_15_after_a_reboot_leases_are_over_but_not_at_once(tmp_path: Path) -> None:
    cluster = Cluster(str(tmp_path / "h.db"))
    record = cluster.experiment(max_trials=1)
    before_boot = cluster.connect(boot_id=lambda: "boot 1")
    got(cluster.worker("a", before_boot).acquire())
    before_boot.close()
    cluster.clock.now = 5.0
    rebooted = cluster.connect(boot_id=lambda: "boot 2")
    assert rebooted.requeue_lost(record.id, 3) == []
    cluster.clock.now += LEASE_S + 1
    assert rebooted.requeue_lost(record.id, 3) == [(0, Status.INTERRUPTED)]
    rebooted.close()
    cluster.storage.close()


def test_15_a_lease_of_before_a_reboot_is_not_read_by_the_clock_of_after(tmp_path: Path) -> None:
    """The machine may have been up for longer this time, or the lease be another machine's."""
    cluster = Cluster(str(tmp_path / "h.db"))
    record = cluster.experiment(max_trials=1)
    other = cluster.connect(boot_id=lambda: "boot 1")
    got(cluster.worker("a", other).acquire())
    cluster.clock.now += 1_000_000
    rebooted = cluster.connect(boot_id=lambda: "boot 2")
    assert rebooted.requeue_lost(record.id, 3) == []
    rebooted.close()
    other.close()
    cluster.storage.close()


def test_15_a_shared_volume_is_refused(tmp_path: Path) -> None:
    cluster = Cluster(str(tmp_path / "h.db"))
    record = cluster.experiment(max_trials=2)
    here, there = (cluster.connect(boot_id=lambda b=b: b) for b in ("here", "there"))
    trial = got(cluster.worker("far", there).acquire())
    assert here.requeue_lost(record.id, 3) == []
    there.renew([lease(trial)], LEASE_S)
    with pytest.raises(SharedVolume, match="MongoDB"):
        here.requeue_lost(record.id, 3)
    for one in (here, there, cluster.storage):
        one.close()


# --- 16: a program that kills its worker ---------------------------------------------------------


def test_16_a_trial_lost_too_often_is_broken_with_the_reason(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    worker = cluster.worker("a")
    for attempt in (1, 2, 3):
        trial = got(worker.acquire())
        assert trial.attempt == attempt
        cluster.clock.now += LEASE_S + 1
        ended = cluster.storage.requeue_lost(record.id, 3)
        worker.refresh()
    assert ended == [(0, Status.BROKEN)]
    stored = cluster.storage.trial(record.id, trial.id)
    assert stored is not None and stored.lost == 3 and "3" in (stored.reason or "")
    assert len(stored.story) == 3


def test_16_an_orderly_release_does_not_count_as_lost(cluster: Cluster) -> None:
    record = cluster.experiment(max_trials=1)
    worker = cluster.worker("a")
    for _ in range(5):
        trial = got(worker.acquire())
        cluster.storage.release(lease(trial), Status.INTERRUPTED, "SIGTERM")
        worker.note(trial, Status.INTERRUPTED)
    stored = cluster.storage.trial(record.id, trial.id)
    assert stored is not None and stored.lost == 0 and stored.status is Status.INTERRUPTED


# --- the heart -----------------------------------------------------------------------------------


def test_one_beat_renews_all_leases_in_one_write(cluster: Cluster) -> None:
    cluster.experiment(max_trials=10)
    worker, heart = cluster.worker("a"), cluster.heart()
    for _ in range(5):
        heart.hold(lease(got(worker.acquire())))
    calls: list[int] = []
    original = cluster.storage.renew

    def counted(leases: Any, lease_s: float) -> Any:
        calls.append(len(leases))
        return original(leases, lease_s)

    cluster.storage.renew = counted  # type: ignore[method-assign]
    heart.beat()
    assert calls == [5]


def test_a_void_lease_is_told_once_and_dropped(cluster: Cluster) -> None:
    cluster.experiment(max_trials=1)
    told: list[Lease] = []
    heart = cluster.heart(on_void=told.append)
    mine = got(cluster.worker("a").acquire())
    heart.hold(lease(mine))
    lose(cluster, mine)
    heart.beat()
    assert told == [] and heart.leases() == [lease(mine)]  # nobody took it yet: go on
    got(cluster.worker("b").acquire())
    heart.beat()
    heart.beat()
    assert told == [lease(mine)]
    assert heart.leases() == []


def test_a_trial_that_ends_during_the_beat_is_not_void(cluster: Cluster) -> None:
    cluster.experiment(max_trials=1)
    told: list[Lease] = []
    heart = cluster.heart(on_void=told.append)
    worker = cluster.worker("a")
    trial = got(worker.acquire())
    heart.hold(lease(trial))

    def end() -> None:
        cluster.complete(worker, trial)
        heart.drop(lease(trial))

    with before(cluster.storage, "renew", end):
        heart.beat()
    assert told == []


def test_the_heart_beats_by_itself_and_stops(tmp_path: Path) -> None:
    import threading

    storage = SQLite(str(tmp_path / "h.db"))
    cluster = Cluster(str(tmp_path / "h.db"))
    cluster.experiment(max_trials=1)
    seen = threading.Event()
    from orion_k8s.worker import Heart

    heart = Heart(storage, cluster.record.id, 0.05, on_record=lambda record: seen.set())  # type: ignore[union-attr]
    heart.start()
    heart.start()
    assert seen.wait(10)
    heart.stop()
    heart.stop()
    assert "orion-heartbeat" not in [thread.name for thread in threading.enumerate()]
    storage.close()
    cluster.storage.close()
