"""Suggest, observe, release, insert, reserve."""

from __future__ import annotations

import copy
import gc
import logging
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orion_k8s import (
    BrokenExperiment,
    CompletedExperiment,
    ExperimentClient,
    InvalidResult,
    Status,
    WaitingForTrials,
    build_experiment,
)
from orion_k8s.client import SuggestedTrial
from orion_k8s.errors import (
    DatabaseUnavailable,
    DuplicateTrial,
    ExperimentRemoved,
    InvalidParams,
    InvalidTransition,
    LeaseLost,
    SuspendedExperiment,
    UsageError,
)
from orion_k8s.storage.sqlite import SQLite

SPACE = {"x": "uniform(0, 1)"}
DEADLINE_S = 30.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'history.db'}"


@pytest.fixture
def experiment(url: str) -> Iterator[ExperimentClient]:
    with build_experiment("e", space=SPACE, max_trials=3, storage=url, heartbeat=0.2) as made:
        yield made


@pytest.fixture
def other(url: str, experiment: ExperimentClient) -> Iterator[ExperimentClient]:
    """Somebody else, in another program as it were."""
    with build_experiment("e", storage=url, heartbeat=0.2) as made:
        yield made


def until(condition: Any) -> Any:
    end = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < end
        time.sleep(0.005)
    return value


def counts(experiment: ExperimentClient) -> dict[str, int]:
    return {str(s): n for s, n in experiment.stats.counts.items() if n}


@contextmanager
def held_by_another_thread(lock: Any) -> Iterator[None]:
    taken, over = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            over.wait(DEADLINE_S)

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        assert taken.wait(DEADLINE_S)
        yield
    finally:
        over.set()
        thread.join()


def test_ask_and_tell_until_it_is_done(experiment: ExperimentClient) -> None:
    for _ in range(3):
        trial = experiment.suggest()
        assert isinstance(trial, SuggestedTrial) and experiment.holds(trial)
        assert trial.status is Status.RESERVED and 0 <= trial.params["x"] <= 1
        experiment.observe(trial, trial.params["x"])
        assert not experiment.holds(trial)
    with pytest.raises(CompletedExperiment, match="is done"):
        experiment.suggest()
    assert experiment.is_done


def test_waiting_for_the_trials_of_others(
    experiment: ExperimentClient, other: ExperimentClient
) -> None:
    held = [experiment.suggest() for _ in range(3)]
    with pytest.raises(WaitingForTrials, match="all numbers are taken"):
        other.suggest()
    with pytest.raises(WaitingForTrials):
        other.suggest(timeout=0.1)
    giver = threading.Timer(0.1, experiment.release, [held[0]])
    giver.start()
    assert other.suggest(timeout=DEADLINE_S).id == held[0].id
    giver.join()


def test_too_many_broken(experiment: ExperimentClient) -> None:
    for _ in range(3):
        experiment.release(experiment.suggest(), "broken")
    with pytest.raises(BrokenExperiment):
        experiment.suggest()


def test_only_suspended_ones_are_left(experiment: ExperimentClient) -> None:
    for _ in range(3):
        experiment.release(experiment.suggest(), Status.SUSPENDED, "later")
    with pytest.raises(SuspendedExperiment):
        experiment.suggest()


def test_results(experiment: ExperimentClient) -> None:
    trial = experiment.suggest()
    for bad in ("one", None, float("nan"), [], [{"name": "a", "type": "statistic", "value": 1}]):
        with pytest.raises(InvalidResult):
            experiment.observe(trial, bad)
        assert experiment.holds(trial)
    experiment.observe(trial, [{"name": "loss", "type": "objective", "value": 2}])
    experiment.observe(trial, [{"name": "loss", "type": "objective", "value": 2}])  # content
    assert experiment.get_trial(trial).objective == 2.0


def test_release(experiment: ExperimentClient) -> None:
    trial = experiment.suggest()
    for word in ("completed", "new", "reserved"):
        with pytest.raises(InvalidTransition, match="interrupted, suspended; not to"):
            experiment.release(trial, word)
    with pytest.raises(UsageError, match="no status 'intterupted': did you mean 'interrupted'"):
        experiment.release(trial, "intterupted")
    assert experiment.holds(trial)
    experiment.release(trial, reason="no time")
    assert not experiment.holds(trial)
    assert experiment.get_trial(trial).status is Status.INTERRUPTED
    again = experiment.suggest()
    assert (again.id, again.attempt) == (trial.id, 2)
    with pytest.raises(LeaseLost):
        experiment.observe(trial, 1.0)  # of the attempt before
    experiment.observe(again, 1.0)


def test_only_what_was_reserved_here_can_be_told_of(
    experiment: ExperimentClient, other: ExperimentClient
) -> None:
    held = experiment.suggest()
    (seen,) = other.fetch_trials()
    for act in (lambda: other.observe(seen, 1.0), lambda: other.release(seen)):
        with pytest.raises(LeaseLost, match="not reserved by this program"):
            act()
    assert experiment.get_trial(held).status is Status.RESERVED


def test_reserve(experiment: ExperimentClient, other: ExperimentClient) -> None:
    waiting = experiment.insert({"x": 0.5})
    mine = experiment.reserve(waiting)
    assert mine.id == waiting.id and experiment.holds(mine)
    with pytest.raises(LeaseLost, match=r"does not wait \(now reserved"):
        other.reserve(waiting)
    experiment.observe(mine, 1.0)
    with pytest.raises(LeaseLost, match=r"does not wait \(now completed"):
        other.reserve(waiting)


def test_insert(experiment: ExperimentClient) -> None:
    done = experiment.insert({"x": 0.25}, results=0.5)
    assert done.status is Status.COMPLETED and done.objective == 0.5 and done.number == -1
    mine = experiment.insert({"x": 0.75}, reserve=True)
    assert isinstance(mine, SuggestedTrial)
    experiment.observe(mine, 0.25)
    with pytest.raises(DuplicateTrial):
        experiment.insert({"x": 0.25})
    for params in ({"x": 2.0}, {"y": 0.5}, {}):
        with pytest.raises(InvalidParams):
            experiment.insert(params)
    with pytest.raises(InvalidResult):
        experiment.insert({"x": 0.125}, results="good")
    assert experiment.suggest().number == 0  # one is left of three
    with pytest.raises(WaitingForTrials):
        experiment.suggest()


# --- the context manager ---------------------------------------------------------------------


def test_with_suggest_observed(experiment: ExperimentClient) -> None:
    with experiment.suggest() as trial:
        experiment.observe(trial, 1.0)
    assert counts(experiment) == {"completed": 1}


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (None, "interrupted", "not observed"),
        (ValueError("no luck"), "broken", "ValueError: no luck"),
        (KeyboardInterrupt(), "interrupted", "KeyboardInterrupt: "),
        (DatabaseUnavailable("away"), "interrupted", "DatabaseUnavailable: away"),
    ],
)
def test_with_suggest_not_observed(
    experiment: ExperimentClient, error: BaseException | None, status: str, reason: str
) -> None:
    try:
        with experiment.suggest() as trial:
            if error is not None:
                raise error
    except type(error) as raised:  # type: ignore[misc]
        assert raised is error
    after = experiment.get_trial(trial)
    assert (str(after.status), after.reason) == (status, reason)


def test_with_suggest_released_in_the_block(experiment: ExperimentClient) -> None:
    with experiment.suggest() as trial:
        experiment.release(trial, "suspended")
    assert counts(experiment) == {"suspended": 1}


def test_with_suggest_of_a_trial_that_somebody_took(
    experiment: ExperimentClient, caplog: pytest.LogCaptureFixture
) -> None:
    with experiment.suggest() as trial:
        experiment.storage.set_status(experiment.id, trial.id, Status.INTERRUPTED, "by hand")
    assert experiment.get_trial(trial).status is Status.INTERRUPTED


def test_a_trial_travels(experiment: ExperimentClient) -> None:
    trial = experiment.suggest()
    there = pickle.loads(pickle.dumps(trial))
    assert there == trial and there.params == trial.params and experiment.holds(there)
    assert copy.copy(trial) == trial
    with there:
        pass  # nothing is released where there is no client
    assert experiment.get_trial(trial).status is Status.RESERVED
    experiment.observe(there, 1.0)
    assert counts(experiment) == {"completed": 1}


# --- what others do --------------------------------------------------------------------------


def test_a_lowered_limit_is_noticed(experiment: ExperimentClient, other: ExperimentClient) -> None:
    """The heartbeat reads it, so a loop need not ask."""
    experiment.observe(experiment.suggest(), 1.0)
    other.max_trials = 1
    until(lambda: experiment.max_trials == 1)
    with pytest.raises(CompletedExperiment):
        experiment.suggest()


def test_a_removed_trial_is_noticed(experiment: ExperimentClient, other: ExperimentClient) -> None:
    done = [experiment.suggest() for _ in range(3)]
    for trial in done:
        experiment.observe(trial, 1.0)
    other.storage.set_status(other.id, done[0].id, Status.REMOVED, "by hand")
    assert experiment.suggest().number == 3


def test_a_removed_experiment_is_noticed(
    experiment: ExperimentClient, other: ExperimentClient
) -> None:
    experiment.suggest()
    other.storage.remove_experiment(other.id)

    def removed() -> bool:
        try:
            experiment.release(experiment.suggest())
        except ExperimentRemoved:
            return True
        except LeaseLost:
            return False
        return False

    until(removed)
    assert list(other.storage.trials(other.id)) == []


def test_reservations_are_renewed(experiment: ExperimentClient, other: ExperimentClient) -> None:
    trial = experiment.suggest()
    first = until(lambda: other.storage.live_workers(other.id))
    end = time.monotonic() + 2.0  # five leases
    while time.monotonic() < end:
        other.storage.requeue_lost(other.id, 3)
        assert other.storage.live_workers(other.id) == first
        time.sleep(0.05)
    experiment.observe(trial, 1.0)


class Flaky(SQLite):
    """Every verb that a loop uses fails twice, as if the server were away."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.left: dict[str, int] = {}
        self.failed: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        if name in ("claim", "reserve", "complete", "release", "insert", "update_experiment"):
            if self.left.setdefault(name, 2):
                self.left[name] -= 1
                self.failed.append(name)
                raise DatabaseUnavailable("The database is away.")
        return super().__getattribute__(name)


def test_a_loop_rides_through_outages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    storage = Flaky(str(tmp_path / "history.db"))
    with storage, build_experiment("e", space=SPACE, storage=storage) as experiment:
        experiment.observe(experiment.suggest(), 1.0)
        experiment.release(experiment.suggest())
        experiment.observe(experiment.reserve(experiment.insert({"x": 0.5})), 1.0)
        experiment.max_trials = 7
        assert len(storage.failed) == 12
        assert counts(experiment) == {"completed": 2, "interrupted": 1}
        assert experiment.max_trials == 7


# --- the end ---------------------------------------------------------------------------------


def test_close(experiment: ExperimentClient, other: ExperimentClient) -> None:
    trial = experiment.suggest()
    experiment.close()
    experiment.close()
    assert counts(other) == {"interrupted": 1}
    assert "orion-heartbeat" not in {t.name for t in threading.enumerate()}
    again = experiment.suggest()  # it may be used again
    assert again.id == trial.id
    experiment.observe(again, 1.0)


def test_the_last_reference(experiment: ExperimentClient, url: str) -> None:
    forgotten = build_experiment("e", storage=url)
    trial = forgotten.suggest()
    del forgotten
    gc.collect()
    assert experiment.get_trial(trial).status is Status.RESERVED  # the trial keeps its client
    uid = trial.id
    del trial
    gc.collect()
    until(lambda: experiment.get_trial(uid).status is Status.INTERRUPTED)
    until(lambda: "orion-give-back" not in {t.name for t in threading.enumerate()})


def test_a_client_that_is_collected_at_an_unlucky_moment(
    experiment: ExperimentClient, url: str
) -> None:
    """The collector runs in whatever thread allocates: nothing may be waited for in it."""
    forgotten = build_experiment("e", storage=url)
    uid = forgotten.suggest().id
    cycle: list[Any] = [forgotten]
    cycle.append(cycle)
    # As if the collector ran in the middle of the storage's own code.
    with held_by_another_thread(forgotten.storage._connection.lock):  # type: ignore[attr-defined]
        del forgotten, cycle
        gc.collect()
        assert experiment.get_trial(uid).status is Status.RESERVED
    until(lambda: experiment.get_trial(uid).status is Status.INTERRUPTED)
    until(lambda: "orion-give-back" not in {t.name for t in threading.enumerate()})


def test_a_person_s_storage_is_left_open(tmp_path: Path) -> None:
    storage = SQLite(str(tmp_path / "history.db"))
    with storage:
        with build_experiment("e", space=SPACE, storage=storage) as experiment:
            experiment.suggest()
        assert storage._connection._open is not None
    with build_experiment("e", storage=storage.path) as experiment:
        experiment.suggest()
    assert experiment.storage._connection._open is None  # type: ignore[attr-defined]


def test_the_end_of_a_program_on_a_memory_is_quiet() -> None:
    source = (
        "from orion_k8s import build_experiment\n"
        "e = build_experiment('e', space={'x': 'uniform(0, 1)'}, storage='memory://')\n"
        "trial = e.suggest()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_forked_child(experiment: ExperimentClient, url: str) -> None:
    """It leaves its parent's trials alone, and may suggest and observe itself."""
    held = experiment.suggest()
    with held_by_another_thread(experiment._lock):
        child = os.fork()
        if child == 0:
            try:
                assert not experiment.holds(held)
                own = experiment.suggest()
                assert own.record.worker != held.record.worker
                experiment.observe(own, 3.0)
                experiment.suggest()
                experiment.close()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert experiment.holds(held)
    assert counts(experiment) == {"reserved": 1, "completed": 1, "interrupted": 1}
    experiment.observe(held, 1.0)


def test_a_forked_child_that_ends_leaves_its_parent_s_trials_alone(url: str) -> None:
    source = f"""
import os, sys
from orion_k8s import build_experiment
e = build_experiment("e", space={SPACE!r}, storage={url!r})
trial = e.suggest()
if os.fork() == 0:
    sys.exit()  # with all that atexit does
assert os.wait()[1] == 0
print(e.get_trial(trial).status, e.holds(trial))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reserved True\n", "")
