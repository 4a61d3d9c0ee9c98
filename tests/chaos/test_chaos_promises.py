"""What is promised in seconds: when a trial is available again, and what an outage does not do."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord
from tests.chaos.backends import Backend, OnMongoDB, OnSQLite
from tests.chaos.chaos import HEARTBEAT_S
from tests.chaos.crew import EXPERIMENT, PROGRAM, Crew, Worker
from tests.chaos.faults import Fault
from tests.chaos.ledger import Log, judge

KILLED_S = 45.0
"""After SIGKILL, with the heartbeat that is the default."""
TERMINATED_S = 1.0
"""After the program's end, on SIGTERM."""
START_S = 60.0
RUNNING = f"{sys.executable} -I -S {PROGRAM} "
"""How the command of a trial's program begins."""
OUTAGE_S = 3.0 * HEARTBEAT_S * 2
"""Three times a lease."""
STALL_S = 12.0
"""The driver's patience with a silent socket, and more: what was sent may arrive after all."""


def until(what: str, condition: Callable[[], bool], seconds: float = START_S) -> None:
    """Wait for a condition."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds:g} s"
        time.sleep(0.01)


class Scene:
    """A crew of one backend, and the history as it sees it."""

    def __init__(
        self, backend: Backend, folder: Path, max_trials: int, mean_ms: int, *options: str
    ) -> None:
        self.backend = backend
        self.crew = Crew(folder, backend.urls, max_trials, mean_ms, options)
        self.crew.init()
        self.storage: Storage = backend.storage()
        (self.record,) = self.storage.experiments(EXPERIMENT)

    def start(self, workers: int) -> list[Worker]:
        """Start workers one by one, until each runs a trial's program."""
        started = []
        for slot in range(workers):
            worker = self.crew.start(slot)
            until("a program starts", partial(self.runs, worker))
            started.append(worker)
        return started

    def runs(self, worker: Worker) -> bool:
        """Whether a worker's program has started; fail where the worker ended."""
        assert worker.code() is None, worker.said()
        started = {trial for trial, _ in self.log().started}
        return any(trial.id in started for trial in self.held(worker))

    def log(self) -> Log:
        """Return what the programs wrote so far."""
        return Log.read(self.crew.log) if self.crew.log.exists() else Log()

    def of(self, worker: Worker) -> TrialRecord:
        """Return the trial that a worker holds."""
        (found,) = self.held(worker)
        return found

    def held(self, worker: Worker) -> list[TrialRecord]:
        """Return the trials that a worker holds."""
        return [
            trial
            for trial in self.storage.trials(self.record.id, Status.RESERVED)
            if f":{worker.pid}:" in str(trial.worker)
        ]

    def available(self, trial: TrialRecord) -> bool:
        """Whether a trial may be reserved anew, or was."""
        now = self.storage.trial(self.record.id, trial.id)
        assert now is not None
        return now.status is Status.INTERRUPTED or now.attempt > trial.attempt

    def close(self) -> None:
        """End it all."""
        self.storage.close()
        self.crew.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Backend]:
    with closing(OnSQLite(tmp_path)) as made:
        yield made


@pytest.fixture
def mongodb(tmp_path: Path) -> Iterator[Backend]:
    with closing(OnMongoDB(tmp_path)) as made:
        yield made


@pytest.mark.mongo
def test_a_killed_workers_trial_is_available_again_in_time(
    sqlite: Backend, mongodb: Backend, tmp_path: Path
) -> None:
    """With default settings. Its program has died with it, and another worker's goes on."""
    with (
        closing(Scene(sqlite, tmp_path / "crew-sqlite", 2, 300_000)) as one,
        closing(Scene(mongodb, tmp_path / "crew-mongodb", 2, 300_000)) as other,
    ):
        scenes = (one, other)
        crews = [scene.start(2) for scene in scenes]
        lost = [scene.of(crew[0]) for scene, crew in zip(scenes, crews, strict=True)]
        killed = time.monotonic()
        for victim, _ in crews:
            victim.send(signal.SIGKILL)
        for scene, trial in zip(scenes, lost, strict=True):
            left_s = KILLED_S - (time.monotonic() - killed)
            until("the lost trial is available", partial(scene.available, trial), left_s)
        for scene, (_, survivor) in zip(scenes, crews, strict=True):
            assert scene.of(survivor).attempt == 1
            assert sum(words.startswith(RUNNING) for _, words in scene.crew.processes()) == 1


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("mongodb", marks=pytest.mark.mongo)])
def test_a_terminated_workers_trial_is_available_at_its_programs_end(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    made: Backend = request.getfixturevalue(backend)
    with closing(Scene(made, tmp_path / "crew", 1, 300_000)) as scene:
        (worker,) = scene.start(1)
        trial = scene.of(worker)
        worker.send(signal.SIGTERM)
        until("the trial is available", lambda: scene.available(trial))
        seen = time.monotonic()
        ended = scene.log().ended[trial.id, 1]  # first the program ends, then it is released
        assert seen - ended <= TERMINATED_S
        until("the worker ends", lambda: worker.code() is not None)
        assert worker.code() == 128 + signal.SIGTERM, worker.said()
        assert not scene.crew.left_over()


OUTAGES = [
    pytest.param("sqlite", ("lock",), id="lock"),
    pytest.param("mongodb", ("crash",), id="crash", marks=pytest.mark.mongo),
    pytest.param("mongodb", ("cut", "cut"), id="cut", marks=pytest.mark.mongo),
    pytest.param("mongodb", ("stall", "stall"), id="stall", marks=pytest.mark.mongo),
]


@pytest.mark.parametrize(("backend", "kinds"), OUTAGES)
def test_after_an_outage_no_live_trial_is_taken_from_its_owner(
    backend: str, kinds: tuple[str, ...], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The outage is much longer than a lease. Programs end meanwhile, others run on."""
    made: Backend = request.getfixturevalue(backend)
    heartbeat = ["--heartbeat", str(HEARTBEAT_S)]
    with closing(Scene(made, tmp_path / "crew", 8, 4_500, *heartbeat)) as scene:
        workers = scene.start(4)
        seconds = STALL_S if "stall" in kinds else OUTAGE_S
        outage = [Fault(0, kind, door, seconds, 0.0, False) for door, kind in enumerate(kinds)]
        for fault in outage:
            made.strike(fault)
        over = time.monotonic() + seconds
        until("the outage is over", lambda: time.monotonic() >= over)
        for fault in outage:
            made.heal(fault)
        until("all is done", lambda: all(worker.code() is not None for worker in workers))
        assert [worker.code() for worker in workers] == [0] * 4, workers[0].said()
        log = scene.log()
        until("the database is back", lambda: not made.away())
        assert not judge(scene.storage, scene.record, log)
        assert not told(scene.storage, scene.record)
        assert {attempt for _, attempt in log.started} == {1}
        assert not scene.crew.left_over()


def told(storage: Storage, record: ExperimentRecord) -> list[str]:
    """Return the stories of trials that were interrupted."""
    trials = storage.trials(record.id)
    return [t.tell() for t in trials if any(e["status"] != "broken" for e in t.story)]
