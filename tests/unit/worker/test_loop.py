"""The loop of one worker: limits, ends, releases, and what people change while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.algorithm.registry import create
from orion_k8s.client.opening import ensure
from orion_k8s.errors import (
    BrokenExperiment,
    DatabaseUnavailable,
    ExperimentRemoved,
    LazyWorkers,
    SuspendedExperiment,
    UsageError,
)
from orion_k8s.executor import Executor, Future
from orion_k8s.executor.joblib import Joblib
from orion_k8s.executor.single import Single
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import ExperimentRecord, Status, Trial, TrialRecord, new_token
from orion_k8s.worker import Claimer, FunctionTask, Hooks, Idle, Limits, Worker
from orion_k8s.worker.patience import Patience

DEADLINE_S = 20.0
HEARTBEAT_S = 0.2


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with SQLite(tmp_path / "history.db") as storage:
        storage.setup()
        yield storage


def experiment(storage: Storage, **options: Any) -> ExperimentRecord:
    return ensure(storage, "e", space={"x": "uniform(0, 1)"}, seed=1, **options)


def worker(
    storage: Storage,
    record: ExperimentRecord,
    function: Callable[..., Any],
    executor: Executor | None = None,
    on_error: Callable[[Trial, BaseException, int], Any] | None = None,
    **limits: Any,
) -> Worker:
    patience = Patience(last_s=1.0)
    space = Space.parse(record.space)
    claimer = Claimer(
        storage,
        record,
        space,
        create(record.algorithm, space, record.seed),
        "a worker",
        lease_s=2 * HEARTBEAT_S,
        call=patience.call,
    )

    def trial_of(trial: TrialRecord) -> Trial:
        return Trial(trial, {"x": 0.5}, "")

    return Worker(
        claimer,
        executor or Single(),
        FunctionTask(function),
        Hooks(trial_of, on_error),
        Limits(grace_s=1.0, **limits),
        HEARTBEAT_S,
        patience=patience,
    )


def until(condition: Callable[[], Any]) -> Any:
    end = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < end, "not in time"
        time.sleep(0.005)
    return value


def counts(storage: Storage, record: ExperimentRecord) -> dict[Status, int]:
    return {status: n for status, n in storage.counts(record.id).items() if n}


def fails(x: float) -> float:
    raise ValueError("it does not work")


@contextmanager
def working(one: Worker) -> Iterator[threading.Event]:
    """Let a worker work in a thread; raise what ended it, if anything but us did."""
    ended = threading.Event()

    def run() -> None:
        try:
            one.run()
        finally:
            ended.set()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(run)
        try:
            yield ended
        finally:
            one.stop()
        future.result(DEADLINE_S)


# --- how it ends ---------------------------------------------------------------------------------


def test_it_ends_with_exactly_n(storage: Storage) -> None:
    record = experiment(storage, max_trials=7)
    report = worker(storage, record, lambda x: x).run()
    assert (report.completed, report.idle) == (7, Idle.DONE)
    assert counts(storage, record) == {Status.COMPLETED: 7}


def test_it_waits_beyond_the_end_and_goes_on_with_more(storage: Storage) -> None:
    record = experiment(storage, max_trials=2)
    one = worker(storage, record, lambda x: x, stays=True)
    with working(one):
        until(lambda: one.resting is Idle.DONE)
        storage.update_experiment(record.id, {"max_trials": 5})
        until(lambda: one.report.completed == 5)
        until(lambda: one.resting is Idle.DONE)
    assert one.report.idle is None
    assert counts(storage, record) == {Status.COMPLETED: 5}


def test_it_waits_beyond_a_reached_goal_and_goes_on_for_another(storage: Storage) -> None:
    record = experiment(storage, goal={"goal": 1.0}, max_trials=6)
    one = worker(storage, record, lambda x: x, stays=True)
    with working(one):
        until(lambda: one.resting is Idle.GOAL)
        storage.update_experiment(record.id, {"goal": {"goal": -1.0}})
        until(lambda: one.resting is Idle.DONE)
    assert counts(storage, record) == {Status.COMPLETED: 6}


def test_it_waits_beyond_a_broken_end(storage: Storage) -> None:
    record = experiment(storage, max_trials=3, max_broken=2)
    broken: list[float] = []

    def breaks_twice(x: float) -> float:
        if len(broken) < 2:
            broken.append(x)
            raise ValueError("it does not work yet")
        return x

    one = worker(storage, record, breaks_twice, stays=True)
    with working(one):
        until(lambda: one.resting is Idle.BROKEN)
        storage.update_experiment(record.id, {"max_broken": 3})
        until(lambda: one.report.completed == 3)


def test_while_it_waits_the_trials_are_not_read(storage: Storage) -> None:
    record = experiment(storage, max_trials=1)
    one = worker(storage, record, lambda x: x, stays=True)
    with working(one):
        until(lambda: one.resting is Idle.DONE)
        reads, beat = one.claimer.tally.reads, one.heart.last_beat
        until(lambda: one.heart.last_beat > beat + 5 * HEARTBEAT_S)
        assert one.claimer.tally.reads == reads


def test_the_idle_timeout_ends_the_waiting_as_the_experiment_ended(storage: Storage) -> None:
    record = experiment(storage, max_trials=1)
    one = worker(storage, record, lambda x: x, stays=True, idle_timeout_s=0.3)
    assert one.run().idle is Idle.DONE


def test_it_does_not_wait_for_an_experiment_that_was_removed(storage: Storage) -> None:
    record = experiment(storage, max_trials=1)
    one = worker(storage, record, lambda x: x, stays=True)
    with pytest.raises(ExperimentRemoved), working(one) as ended:
        until(lambda: one.resting is Idle.DONE)
        storage.remove_experiment(record.id)
        until(ended.is_set)


def test_slots_together_end_with_exactly_n(storage: Storage) -> None:
    record = experiment(storage, max_trials=50)
    with Joblib(8, backend="threading") as executor:
        report = worker(storage, record, lambda x: x, executor).run()
    assert report.completed == 50
    assert counts(storage, record) == {Status.COMPLETED: 50}


def test_a_broken_experiment_ends_it(storage: Storage) -> None:
    record = experiment(storage, max_trials=7, max_broken=3)
    with pytest.raises(BrokenExperiment, match="3 of its trials failed"):
        worker(storage, record, fails).run()
    assert counts(storage, record) == {Status.BROKEN: 3}


def test_its_own_limit_of_broken_trials_ends_it_at_once(storage: Storage) -> None:
    record = experiment(storage, max_trials=7, max_broken=10)
    with pytest.raises(BrokenExperiment, match="This worker broke 2"):
        worker(storage, record, fails, max_broken=2).run()
    assert counts(storage, record) == {Status.BROKEN: 2}


def test_a_failure_that_on_error_forgives_does_not_count(storage: Storage) -> None:
    record = experiment(storage, max_trials=7, max_broken=4)
    with pytest.raises(BrokenExperiment, match="4 of its trials failed"):
        worker(storage, record, fails, on_error=lambda *_: False, max_broken=2).run()


def test_its_own_limit_of_trials_ends_it(storage: Storage) -> None:
    record = experiment(storage, max_trials=7)
    with Joblib(4, backend="threading") as executor:
        report = worker(storage, record, lambda x: x, executor, max_trials=5).run()
    assert (report.completed, report.idle) == (5, None)
    assert counts(storage, record) == {Status.COMPLETED: 5}


def test_with_nothing_to_do_it_ends_after_its_idle_timeout(storage: Storage) -> None:
    record = experiment(storage, max_trials=1)
    other = worker(storage, record, fails)
    assert isinstance(other.claimer.acquire(), TrialRecord)
    with pytest.raises(LazyWorkers):
        worker(storage, record, lambda x: x, idle_timeout_s=0.0).run()


def test_what_a_person_holds_ends_it(storage: Storage) -> None:
    record = experiment(storage, max_trials=1)
    trial = worker(storage, record, fails).claimer.acquire()
    assert isinstance(trial, TrialRecord)
    storage.set_status(record.id, trial.id, Status.INTERRUPTED, "wait")
    storage.set_status(record.id, trial.id, Status.SUSPENDED, "wait")
    with pytest.raises(SuspendedExperiment):
        worker(storage, record, lambda x: x).run()


# --- what people change while it runs ------------------------------------------------------------


class Running:
    """A worker in a thread whose function waits to be let go."""

    def __init__(self, storage: Storage, record: ExperimentRecord, slots: int = 1) -> None:
        self.storage, self.record = storage, record
        self.go = threading.Event()
        self.started = threading.Semaphore(0)
        self.error: BaseException | None = None
        self.ended = False
        self.executor = Joblib(slots, backend="threading")
        self.worker = worker(storage, record, self.function, self.executor)
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        assert self.started.acquire(timeout=DEADLINE_S)

    def function(self, x: float) -> float:
        self.started.release()
        gone = self.go.wait(DEADLINE_S)
        self.ended = True
        assert gone
        return x

    def _run(self) -> None:
        try:
            with self.executor:
                self.worker.run()
        except BaseException as error:
            self.error = error

    def join(self) -> None:
        self.go.set()
        self.thread.join(DEADLINE_S)
        assert not self.thread.is_alive()


def test_a_raised_bound_is_read_while_it_runs(storage: Storage) -> None:
    record = experiment(storage, max_trials=1)
    running = Running(storage, record)
    storage.update_experiment(record.id, {"max_trials": 4})
    running.join()
    assert running.error is None
    assert counts(storage, record) == {Status.COMPLETED: 4}


def test_a_lowered_bound_is_read_with_the_heartbeat(storage: Storage) -> None:
    record = experiment(storage, max_trials=50)
    running = Running(storage, record)
    storage.update_experiment(record.id, {"max_trials": 1})

    def read() -> bool:
        known = running.worker.claimer.record
        return known is not None and known.max_trials == 1

    until(read)
    running.join()
    assert counts(storage, record) == {Status.COMPLETED: 1}


def test_a_removed_experiment_ends_it(storage: Storage) -> None:
    record = experiment(storage, max_trials=3)
    running = Running(storage, record)
    storage.remove_experiment(record.id)
    running.thread.join(DEADLINE_S)
    assert not running.ended  # it did not wait for the function's end
    running.join()
    assert isinstance(running.error, ExperimentRemoved)
    assert running.worker.report.completed == 0
    assert counts(storage, record) == {}


def test_a_trial_that_a_person_takes_away_is_stopped_and_its_result_refused(
    storage: Storage,
) -> None:
    record = experiment(storage, max_trials=1)
    running = Running(storage, record)
    (one,) = running.worker.running
    storage.set_status(record.id, one.record.id, Status.INTERRUPTED, "I need the machine")
    until(one.future.done)
    assert one.void
    until(lambda: [trial for trial in storage.trials(record.id) if trial.attempt == 2])
    running.join()
    (done,) = storage.trials(record.id, Status.COMPLETED)
    assert done.attempt == 2
    assert done.story[0]["reason"] == "I need the machine"


# --- releases and outages ------------------------------------------------------------------------


class Refusing(Single):
    """An executor that takes nothing."""

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        raise UsageError("this cannot be pickled")


def test_a_trial_that_could_not_be_started_is_given_back(storage: Storage) -> None:
    record = experiment(storage, max_trials=1)
    with pytest.raises(UsageError, match="pickled"):
        worker(storage, record, lambda x: x, Refusing()).run()
    assert counts(storage, record) == {Status.INTERRUPTED: 1}


def test_stop_ends_what_runs_and_releases_it(storage: Storage) -> None:
    record = experiment(storage, max_trials=3)
    running = Running(storage, record, slots=2)
    assert running.started.acquire(timeout=DEADLINE_S)
    running.worker.stop()
    running.thread.join(DEADLINE_S)
    assert counts(storage, record) == {Status.INTERRUPTED: 2}
    running.go.set()


class Program:
    """A call that ends when it is told to, and not at once, as a person's program does."""

    def __init__(self, happened: list[str]) -> None:
        self.happened = happened
        self.started, self.told = threading.Event(), threading.Event()

    def __call__(self, x: float) -> float:
        self.started.set()
        assert self.told.wait(DEADLINE_S)
        time.sleep(0.2)  # its grace: a checkpoint is written
        self.happened.append("ended")
        raise RuntimeError("ended")

    def cancel(self) -> None:
        self.told.set()


def test_18_a_program_is_ended_before_its_trial_is_released(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = experiment(storage, max_trials=1)
    happened: list[str] = []
    release = storage.release

    def released(*args: Any) -> None:
        happened.append("released")
        release(*args)

    monkeypatch.setattr(storage, "release", released)
    program = Program(happened)
    with Joblib(1, backend="threading") as executor:
        running = worker(storage, record, program, executor)
        thread = threading.Thread(target=running.run)
        thread.start()
        assert program.started.wait(DEADLINE_S)
        running.stop()
        thread.join(DEADLINE_S)
    assert happened == ["ended", "released"]
    assert counts(storage, record) == {Status.INTERRUPTED: 1}


def test_results_are_kept_in_hand_through_an_outage(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = experiment(storage, max_trials=2)
    failures = iter([DatabaseUnavailable("away")] * 3)
    original = storage.complete

    def complete(*args: Any) -> None:
        for error in failures:
            raise error
        original(*args)

    monkeypatch.setattr(storage, "complete", complete)
    calls = []

    def function(x: float) -> float:
        calls.append(x)
        return x

    assert worker(storage, record, function).run().completed == 2
    assert len(calls) == 2
    assert [trial.attempt for trial in storage.trials(record.id)] == [1, 1]


def test_a_result_whose_trial_was_taken_is_refused_and_the_worker_goes_on(
    storage: Storage,
) -> None:
    record = experiment(storage, max_trials=1)
    taken = []

    def function(x: float) -> float:
        if not taken:
            (trial,) = storage.trials(record.id)
            storage.set_status(record.id, trial.id, Status.INTERRUPTED, "taken")
            taken.append(
                storage.reserve(record.id, trial.number, new_token(), "another", HEARTBEAT_S)
            )
        return x

    report = worker(storage, record, function).run()
    # The other one never completes it: its lease runs out, and this worker runs it again.
    assert report.completed == 1
    (trial,) = storage.trials(record.id, Status.COMPLETED)
    assert trial.attempt == 3


def test_a_full_disk_is_waited_for_with_the_results_in_hand(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with SQLite(tmp_path / "full.db") as storage:
        storage.setup()
        record = experiment(storage, max_trials=1)
        opened = storage._connection._open
        assert opened is not None

        def pages(pragma: str) -> int:
            return int(opened.execute(f"PRAGMA {pragma}").fetchone()[0])

        calls = []

        def function(x: float) -> Any:
            calls.append(x)
            # From here on, SQLite finds no room for one page more.
            opened.execute(f"PRAGMA max_page_count = {pages('page_count')}").fetchone()
            threading.Timer(0.5, pages, ["max_page_count = 1000000"]).start()
            big = {"name": "curve", "type": "statistic", "value": [0.5] * 50_000}
            return [{"name": "loss", "type": "objective", "value": x}, big]

        report = worker(storage, record, function).run()
        assert "is full: make room" in caplog.text
        assert report.completed == 1
        assert len(calls) == 1
        (trial,) = storage.trials(record.id)
        assert (trial.status, trial.attempt) == (Status.COMPLETED, 1)
