from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from orion_k8s.cli import progress
from orion_k8s.cli.progress import Observer, Snapshot, duration
from orion_k8s.errors import DatabaseUnavailable
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import ExperimentRecord, Goal, Row, Status


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (7500, "2 h 5 min")],
)
def test_durations_are_for_people(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_snapshot_tells_what_is_known() -> None:
    known = Snapshot(12, 40, 0.03217321, 4, 1, workers=2, rate=1.75)
    assert known.parts() == [
        *("12/40 done", "best 0.0321732", "4 running", "1 broken", "1.75/s", "2 workers"),
        "16 s left",
    ]
    assert Snapshot(0, None, None, 1, 0).parts() == ["0 done", "1 running"]
    slow = Snapshot(1, 2, 1e300, 1, 0, workers=1, rate=1 / 3600)
    assert slow.parts()[3:] == ["0.0167/min", "1 worker", "60 min left"]
    assert Snapshot(40, 40, 0.1, 0, 0, rate=1.0).parts()[-1] == "1/s"


class Alive:
    """Counts how often it is asked who lives."""

    def __init__(self) -> None:
        self.asked = 0

    def live_workers(self, experiment: str) -> list[str]:
        self.asked += 1
        if self.asked > 1:
            raise DatabaseUnavailable
        return ["me", "other"]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    now = SimpleNamespace(s=1000.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now.s)
    yield now


def worker_of(storage: Alive) -> Any:
    """Return what the observer looks at of a worker: its mirror, and the way to the database."""
    space = Space.parse({"x": "uniform(0, 1)"})
    record = ExperimentRecord("e1", "e", 1, {}, {"random": {}}, 1, max_trials=10)
    history = History(space)
    claimer = SimpleNamespace(
        history=history,
        points=lambda follow: history,
        goal=Goal(),
        record=record,
        storage=storage,
        experiment="e1",
        worker="me",
    )
    return SimpleNamespace(claimer=claimer, heart=SimpleNamespace(heartbeat_s=15.0))


def complete(worker: Any, numbers: range) -> None:
    worker.claimer.history.fill(
        Row(n, Status.COMPLETED.value, float(n), f"[{n / 100}]", f"t{n}") for n in numbers
    )


def test_the_observer_takes_all_from_the_mirror(clock: SimpleNamespace) -> None:
    storage = Alive()
    worker, observer = worker_of(storage), Observer()
    assert observer.look() is None
    observer.watch(worker)
    assert observer.look() == Snapshot(0, 10, None, 0, 0, workers=2)
    complete(worker, range(1, 5))
    clock.s += 2.0
    assert observer.look() == Snapshot(4, 10, 1.0, 0, 0, workers=2, rate=2.0)
    # The database is asked once a heartbeat, and need not answer.
    clock.s += 12.0
    assert observer.look() == Snapshot(4, 10, 1.0, 0, 0, workers=2, rate=4 / 14)
    assert storage.asked == 1
    clock.s += 2.0
    assert observer.look() == Snapshot(4, 10, 1.0, 0, 0, workers=None, rate=4 / 16)
    assert storage.asked == 2


def test_the_rate_is_that_of_the_last_minutes(clock: SimpleNamespace) -> None:
    worker, observer = worker_of(Alive()), Observer()
    observer.watch(worker)
    observer.look()
    for number in range(1, 9):
        clock.s += 60.0
        complete(worker, range(number, number + 1))
        observer.look()
    snapshot = observer.look()
    assert snapshot is not None and snapshot.rate == pytest.approx(1 / 60)


def test_a_closed_stderr_silences_the_progress_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    monkeypatch.setattr(progress, "LIVE_S", 0.001)
    worker = worker_of(Alive())
    with progress.progress("e v1") as watch:
        watch(worker)
        complete(worker, range(1, 3))


def test_quiet_shows_nothing_and_starts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    import threading

    before = threading.active_count()
    with progress.progress("e v1", quiet=True) as watch:
        watch(worker_of(Alive()))
        assert threading.active_count() == before
    assert capsys.readouterr().err == ""
