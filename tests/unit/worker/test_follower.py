"""Following running trials: what is written and when, who is stopped, and what an end means."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.algorithm.registry import create as create_algorithm
from orion_k8s.client.opening import ensure
from orion_k8s.errors import DatabaseError, DatabaseUnavailable
from orion_k8s.executor import Future, Outcome
from orion_k8s.script.reports import Channel
from orion_k8s.space import Space
from orion_k8s.stopping import create
from orion_k8s.storage import Lease, Storage
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import Curve, Status, Stopped, TrialRecord
from orion_k8s.worker import Claimer
from orion_k8s.worker.follower import Follower
from orion_k8s.worker.others import KEPT, Others
from orion_k8s.worker.task import Verdict

UPPER = {"threshold": {"upper": 10}}


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with SQLite(tmp_path / "history.db") as storage:
        storage.setup()
        yield storage


def claimer_of(storage: Storage, name: str = "a worker") -> Claimer:
    record = ensure(storage, "e", space={"x": "uniform(0, 1)"}, seed=1)
    space = Space.parse(record.space)
    algorithm = create_algorithm(record.algorithm, space, 1)
    return Claimer(storage, record, space, algorithm, name, lease_s=60.0)


class Call(Future):
    """A call that runs until somebody ends it."""

    def __init__(self) -> None:
        self.cancelled: list[float] = []

    def done(self) -> bool:
        return False

    def outcome(self) -> Outcome:
        raise AssertionError

    def cancel(self, grace_s: float = 0.0) -> None:
        self.cancelled.append(grace_s)

    def wait(self, timeout: float | None = None) -> None:
        raise AssertionError


class Running:
    """A trial that runs."""

    def __init__(self, claimer: Claimer, folder: Path) -> None:
        record = claimer.acquire()
        assert isinstance(record, TrialRecord) and record.token is not None
        self.record = record
        self.lease = Lease(record.id, record.token)
        self.call = Call()
        self.channel = Channel.of(str(folder / record.id))
        Path(self.channel.reports).parent.mkdir()

    def report(self, *values: float, first: int = 1) -> None:
        with open(self.channel.reports, "a") as file:
            for step, value in enumerate(values, first):
                file.write(json.dumps({"step": step, "value": value}) + "\n")

    @property
    def asked(self) -> bool:
        return Path(self.channel.stop).exists()


class Bench:
    """A follower whose rounds the test makes, with the trials that it follows."""

    def __init__(self, storage: Storage, folder: Path, **options: Any) -> None:
        self.storage = storage
        self.folder = folder
        self.outages: list[int] = []
        self.claimer = claimer_of(storage)
        rules = create(options.pop("rules", {}))
        options = {"write_s": 0.0, **options}
        self.follower = Follower(
            self.claimer, rules, on_outage=lambda: self.outages.append(1), **options
        )
        self.follower._thread = threading.Thread()  # no rounds but the test's

    def run(self) -> Running:
        one = Running(self.claimer, self.folder)
        record = one.record
        self.follower.watch(one.lease, record.number, record.attempt, one.call, one.channel)
        return one

    def round(self) -> None:
        self.follower._round(list(self.follower._followed.values()))

    def curves(self) -> dict[int, Curve]:
        return {c.number: c for c in self.storage.read_curves(self.claimer.experiment)}


@pytest.fixture
def make(storage: Storage, tmp_path: Path) -> Callable[..., Bench]:
    return lambda **options: Bench(storage, tmp_path, **options)


# --- what is written -----------------------------------------------------------------------------


def test_news_of_all_trials_go_in_one_write(
    make: Callable[..., Bench], statements: list[str]
) -> None:
    bench = make()
    one, two, silent = bench.run(), bench.run(), bench.run()
    one.report(3.0, 2.0)
    two.report(5.0)
    statements.clear()
    bench.round()
    bench.round()
    assert [sql[:18] for sql in statements] == ["INSERT INTO curves"]
    found = bench.curves()
    assert found[one.record.number].values == (3.0, 2.0)
    assert found[two.record.number].values == (5.0,)
    assert silent.record.number not in found


def test_trials_that_report_nothing_have_no_traffic(
    make: Callable[..., Bench], statements: list[str]
) -> None:
    bench = make(rules={"median": {}})
    running = [bench.run() for _ in range(3)]
    statements.clear()
    for _ in range(3):
        bench.round()
    for one in running:
        followed = bench.follower.finish(one.lease)
        assert followed is not None and followed.unwritten is None
        assert followed.settle(Verdict(Status.BROKEN)) == Verdict(Status.BROKEN)
    assert statements == []


def test_it_is_written_once_in_a_while(make: Callable[..., Bench], statements: list[str]) -> None:
    bench = make(write_s=60.0)
    one = bench.run()
    statements.clear()
    for step in range(5):
        one.report(1.0, first=step)
        bench.round()
    assert len(statements) == 1
    followed = bench.follower.finish(one.lease)
    assert followed is not None and followed.unwritten is not None
    assert followed.unwritten.count == 5  # the rest is written with the trial's end


def test_an_outage_is_waited_for(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make()
    one = bench.run()

    def away(*_: object) -> None:
        raise DatabaseUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(bench.storage, "write_curves", away)
        for step in range(3):
            one.report(1.0, first=step)
            bench.round()
    assert bench.outages == [1]  # it does not ask again at once
    bench.follower._next_write = 0.0
    bench.round()
    assert bench.curves()[one.record.number].count == 3


def test_an_error_of_the_database_ends_nothing(
    make: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make(rules=UPPER)
    one = bench.run()

    def fails(*_: object) -> None:
        raise DatabaseError("It is wrong.")

    monkeypatch.setattr(bench.storage, "write_curves", fails)
    for step in range(1, 5):
        one.report(step, first=step)
        bench.round()
        bench.follower._next_write = 0.0
    assert caplog.text.count("It is wrong") == 1
    one.report(11.0, first=9)
    bench.round()
    assert one.asked


# --- who is stopped ------------------------------------------------------------------------------


def test_a_trial_is_asked_to_stop_and_its_last_report_is_its_result(
    make: Callable[..., Bench],
) -> None:
    bench = make(rules=UPPER)
    good, bad = bench.run(), bench.run()
    good.report(9.0)
    bad.report(9.0, 12.0)
    bench.round()
    assert bad.asked and not good.asked and not bad.call.cancelled
    bad.report(11.5, first=3)
    bench.round()
    followed = bench.follower.finish(bad.lease)
    assert followed is not None
    assert followed.stopped == Stopped("threshold", 2, "value 12 > 10")
    for verdict in (
        Verdict(Status.INTERRUPTED, reason="it was ended"),
        Verdict(Status.INTERRUPTED, by_program=True),
    ):
        settled = followed.settle(verdict)
        assert (settled.status, settled.objective) == (Status.COMPLETED, 11.5)
        assert Stopped.of(settled.results) == followed.stopped
        assert settled.results[0] == {"name": "objective", "type": "objective", "value": 11.5}


def test_what_a_stopped_trial_says_at_its_end_counts(make: Callable[..., Bench]) -> None:
    bench = make(rules=UPPER)
    bad = bench.run()
    bad.report(12.0)
    bench.round()
    followed = bench.follower.finish(bad.lease)
    assert followed is not None
    result = {"name": "loss", "type": "objective", "value": 3.0}
    settled = followed.settle(Verdict(Status.COMPLETED, 3.0, [result]))
    assert (settled.objective, settled.results[0]) == (3.0, result)
    assert Stopped.of(settled.results) == followed.stopped
    broken = Verdict(Status.BROKEN, reason="Traceback")
    assert followed.settle(broken) is broken


def test_a_trial_that_does_not_listen_is_ended_once(make: Callable[..., Bench]) -> None:
    bench = make(rules=UPPER, stop_grace_s=0.0, grace_s=7.0)
    bad = bench.run()
    bad.report(12.0)
    for _ in range(4):
        bench.round()
    assert bad.call.cancelled == [7.0]


def test_a_trial_that_has_ended_is_left_alone(make: Callable[..., Bench]) -> None:
    bench = make(rules=UPPER, stop_grace_s=0.0)
    bad = bench.run()
    followed = list(bench.follower._followed.values())
    bad.report(12.0)
    bench.follower.finish(bad.lease)  # while a round has it in hand
    bench.follower._round(followed)
    assert not bad.asked and not bad.call.cancelled


def test_others_curves_are_learned_from_the_history(
    make: Callable[..., Bench], storage: Storage, tmp_path: Path
) -> None:
    """Of trials that are completed, and of those that another worker runs now."""
    elsewhere = claimer_of(storage, "another worker")
    trials = [Running(elsewhere, tmp_path) for _ in range(4)]
    storage.write_curves(
        [(t.lease, Curve(t.record.number, 1, 3, (1, 2, 3), (1, 1, 1))) for t in trials]
    )
    for one in trials[:2]:
        storage.complete(one.lease, 1.0, [])
    bench = make(rules={"median": {"min_steps": 2, "min_trials": 4}})
    bad = bench.run()
    bad.report(5.0, 5.0)
    bench.round()
    assert bad.asked


def test_a_curve_that_has_grown_is_read_again_and_a_completed_one_is_not(
    make: Callable[..., Bench], storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = claimer_of(storage, "another worker")
    done, running, silent = (Running(elsewhere, tmp_path) for _ in range(3))

    def write(one: Running, count: int) -> None:
        steps = tuple(range(count))
        storage.write_curves([(one.lease, Curve(one.record.number, 1, count, steps, steps))])

    write(done, 2)
    write(running, 2)
    storage.complete(done.lease, 1.0, [])
    others = Others(claimer_of(storage))
    asked: list[dict[int, int]] = []
    read = storage.read_curves

    def spy(experiment: str, known: Any = None) -> Any:
        asked.append(dict(known))
        return read(experiment, known)

    monkeypatch.setattr(storage, "read_curves", spy)
    others.refresh(own=set())
    write(running, 5)
    others.refresh(own=set())
    storage.complete(running.lease, 1.0, [])
    others.refresh(own=set())
    others.refresh(own=set())
    numbers = [set(known) for known in asked]
    ids = [one.record.number for one in (done, running, silent)]
    assert numbers == [set(ids), set(ids[1:]), set(ids[1:]), {ids[2]}]
    assert sorted(len(curve) for curve in others.without(ids[0])) == [5]


def test_so_many_are_compared_with_and_no_more(storage: Storage) -> None:
    from tests.benchmarks.figures import filled

    record = filled(storage, 2 * KEPT)
    space = Space.parse(record.space)
    algorithm = create_algorithm(record.algorithm, space, 1)
    claimer = Claimer(storage, record, space, algorithm, "a worker", lease_s=60.0)
    with storage._connection.transaction():  # type: ignore[attr-defined]
        for number in range(2 * KEPT):
            storage._put_curve(record.id, Curve(number, 1, 1, (1,), (1.0,)))  # type: ignore[attr-defined]
    others = Others(claimer)
    others.refresh(own=set())
    assert sorted(c.number for c in others.without(-1)) == list(range(KEPT, 2 * KEPT))


def test_a_mirror_that_is_busy_is_not_waited_for(
    make: Callable[..., Bench], statements: list[str]
) -> None:
    bench = make(rules={"median": {}})
    one = bench.run()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with bench.claimer.lock:
            held.set()
            release.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    one.report(1.0)
    statements.clear()
    bench.round()
    release.set()
    thread.join()
    assert [sql[:6] for sql in statements] == ["INSERT"]


# --- its thread ----------------------------------------------------------------------------------


def test_its_thread_follows_and_ends(storage: Storage, tmp_path: Path) -> None:
    claimer = claimer_of(storage)
    before = threading.active_count()
    follower = Follower(claimer, create(UPPER), stop_grace_s=0.0, pace_s=0.01, write_s=0.01)
    assert threading.active_count() == before  # none before the first trial
    one, two = Running(claimer, tmp_path), Running(claimer, tmp_path)
    follower.watch(one.lease, one.record.number, 1, one.call, one.channel)
    follower.finish(one.lease)
    follower.watch(two.lease, two.record.number, 1, two.call, two.channel)
    two.report(11.0)
    deadline = time.monotonic() + 20
    while not two.call.cancelled:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    assert two.asked
    scratch = Path(follower.scratch())
    assert scratch.is_dir()
    follower.stop()
    follower.stop()
    assert threading.active_count() == before and not scratch.exists()
