"""Many workers on one history: how busy they are, how fair it is, how often they collide."""

from __future__ import annotations

import heapq
import itertools
import multiprocessing
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orion_k8s.algorithm.registry import create
from orion_k8s.space import Space
from orion_k8s.storage import Lease
from orion_k8s.storage.memory import Memory
from orion_k8s.trial import ExperimentRecord, Loss, Status, TrialRecord, new_id
from orion_k8s.worker import Claimer
from tests.benchmarks.figures import SPACE, experiment, filled, noop, say

WORKERS = 8


def sleeper(**params: float) -> float:
    """An objective of one second."""
    time.sleep(1.0)
    return params["x0"]


def _work(path: str, function: Callable[..., float], started: Any, go: Any) -> None:
    client = experiment(path)
    started.release()
    go.wait()
    client.workon(function)
    client.close()


def _together(path: Path, function: Callable[..., float], trials: int) -> list[TrialRecord]:
    experiment(path, max_trials=trials).close()
    context = multiprocessing.get_context("spawn")
    started, go = context.Semaphore(0), context.Event()
    workers = [
        context.Process(target=_work, args=(str(path), function, started, go))
        for _ in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    for _ in workers:
        started.acquire()
    go.set()
    for worker in workers:
        worker.join()
    with experiment(path) as client:
        return list(client.storage.trials(client.id, Status.COMPLETED))


def test_fairness(tmp_path: Path) -> None:
    shares = Counter(trial.worker for trial in _together(tmp_path / "f.db", noop, 12_000))
    counts = [*shares.values()] + [0] * (WORKERS - len(shares))
    say("8 workers, no-op objective: least/most trials", f"{min(counts) / max(counts):.2f}",
        "goal 0.7")  # fmt: skip


def test_busy(tmp_path: Path) -> None:
    trials = _together(tmp_path / "b.db", sleeper, WORKERS * 20)
    first = min(trial.start_time or 0.0 for trial in trials)
    last = max(trial.end_time or 0.0 for trial in trials)
    busy = len(trials) * 1.0 / (WORKERS * (last - first))
    say("8 workers, objective of 1 s: busy", f"{busy:.1%}", "goal 97 %")


# --- virtual time --------------------------------------------------------------------------------

LATENCY_S = 0.005
SUGGEST_S = 0.005
HORIZON_S = 600.0


class Time:
    """Virtual time: one thread runs at a time, the one whose moment comes next."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, threading.Event]] = []
        self._order = itertools.count()
        self._baton = threading.Event()

    def start(self, function: Callable[[], None]) -> None:
        """Let a function begin at this moment, in a thread of its own."""
        mine = threading.Event()
        heapq.heappush(self._due, (self.now, next(self._order), mine))

        def run() -> None:
            mine.wait()
            function()
            self._baton.set()

        threading.Thread(target=run, daemon=True).start()

    def sleep(self, seconds: float) -> None:
        """Let the others go on for so long."""
        mine = threading.Event()
        heapq.heappush(self._due, (self.now + seconds, next(self._order), mine))
        self._baton.set()
        mine.wait()

    def run(self) -> None:
        """Run until nothing is due."""
        while self._due:
            self.now, _, event = heapq.heappop(self._due)
            self._baton.clear()
            event.set()
            self._baton.wait()


class Distant:
    """A storage that is some milliseconds away: a verb takes effect half-way."""

    def __init__(self, storage: Memory, clock: Time, sizes: list[int]) -> None:
        self._storage, self._clock, self._sizes = storage, clock, sizes

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._storage, name)

        def call(*args: Any) -> Any:
            self._clock.sleep(LATENCY_S / 2 + (SUGGEST_S if name == "claim" else 0.0))
            reply = verb(*args)
            if name == "read":
                self._sizes.append(len(args[1]))
            self._clock.sleep(LATENCY_S / 2)
            return reply

        return call


def _simulate(workers: int) -> tuple[float, float, int]:
    """Return how busy they are, collisions a trial, and numbers asked for in the largest read."""
    clock, sizes, tallies = Time(), [], []
    storage = Memory(new_id())
    storage.setup()
    record = filled(storage, 0)
    busy = [0.0]

    def work(index: int) -> None:
        rng = random.Random(index)
        distant: Any = Distant(storage, clock, sizes)
        claimer = _claimer(distant, record, index)
        tallies.append(claimer.tally)
        while clock.now < HORIZON_S:
            trial = claimer.acquire()
            assert isinstance(trial, TrialRecord)
            duration = rng.uniform(30.0, 90.0)
            began = clock.now
            clock.sleep(duration)
            busy[0] += max(0.0, min(clock.now, HORIZON_S) - min(began, HORIZON_S))
            distant.complete(Lease(trial.id, trial.token or ""), 1.0, [])
            claimer.note(trial, Status.COMPLETED, Loss(1.0))

    for index in range(workers):
        clock.start(lambda index=index: work(index))
    clock.run()
    collisions = sum(tally.collisions for tally in tallies)
    claims = sum(tally.claims for tally in tallies)
    storage.drop()
    return busy[0] / (workers * HORIZON_S), collisions / (claims - collisions), max(sizes)


def _claimer(storage: Any, record: ExperimentRecord, index: int) -> Claimer:
    space = Space.parse(SPACE)
    algorithm = create(record.algorithm, space, record.seed)
    return Claimer(storage, record, space, algorithm, f"w{index}", 30.0, rng=random.Random(index))


def test_many_workers_in_virtual_time() -> None:
    for workers in (1, 8, 64, 500):
        busy, collisions, largest = _simulate(workers)
        goal = "goal 90 %" if workers == 500 else ""
        say(f"{workers} workers, objective of 60 s (simulated): busy", f"{busy:.1%}", goal)
        say("  collisions a trial; numbers in the largest read", f"{collisions:.2f}; {largest}")
