"""What grows with the history, and what does not: one more trial, joining, memory."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from orion_k8s.algorithm.registry import create
from orion_k8s.space import Space
from orion_k8s.storage import Lease, Storage
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import ExperimentRecord, Loss, Status, TrialRecord
from orion_k8s.worker import Claimer
from tests.benchmarks.figures import SPACE, filled, median, say

MORE = 300


def _claimer(storage: Storage, record: ExperimentRecord) -> Claimer:
    space = Space.parse(SPACE)
    algorithm = create(record.algorithm, space, record.seed)
    return Claimer(storage, record, space, algorithm, "bench", 30.0)


def _one_more(storage: Storage, claimer: Claimer) -> float:
    """Return the processor's microseconds of one more trial: read, suggest, claim, complete."""
    began = time.process_time()
    for _ in range(MORE):
        trial = claimer.acquire()
        assert isinstance(trial, TrialRecord)
        storage.complete(Lease(trial.id, trial.token or ""), 1.0, [])
        claimer.note(trial, Status.COMPLETED, Loss(1.0))
    return (time.process_time() - began) / MORE * 1e6


def test_one_more_trial(tmp_path: Path) -> None:
    with SQLite(tmp_path / "a.db") as small, SQLite(tmp_path / "b.db") as large:
        costs = {}
        for name, storage, count in (("100", small, 100), ("10,000", large, 10_000)):
            storage.setup()
            claimer = _claimer(storage, filled(storage, count))
            _one_more(storage, claimer)
            costs[name] = (storage, claimer)
        at = {name: median(lambda one=one: _one_more(*one), 7) for name, one in costs.items()}
    say("one more random trial at 100, µs of the processor", f"{at['100']:.0f}")
    say("one more random trial at 10,000", f"{at['10,000']:.0f}")
    say("  ratio", f"{at['10,000'] / at['100']:.2f}", "goal 1.2")


def test_cold_join(tmp_path: Path) -> None:
    for count, goal in ((10_000, 0.5), (100_000, 3.0)):
        with SQLite(tmp_path / f"{count}.db") as storage:
            storage.setup()
            record = filled(storage, count)

            def join(storage: Storage = storage, record: ExperimentRecord = record) -> float:
                began = time.perf_counter()
                trial = _claimer(storage, record).acquire()
                assert isinstance(trial, TrialRecord)
                return time.perf_counter() - began

            say(f"cold join at {count:,} trials, s", f"{median(join):.2f}", f"goal {goal}")


MEMORY = """
import sys
import orion_k8s.worker, orion_k8s.client.experiment, orion_k8s.storage.sqlite, numpy
from orion_k8s.algorithm import random
from tests.benchmarks.bench_growth import _claimer
from orion_k8s.storage.sqlite import SQLite

def rss():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) / 1024

before = rss()
storage = SQLite(sys.argv[1])
claimer = _claimer(storage, storage.experiments()[0])
claimer.acquire()
claimer.history.points
print(rss() - before)
"""


def test_memory(tmp_path: Path) -> None:
    with SQLite(tmp_path / "m.db") as storage:
        storage.setup()
        filled(storage, 10_000)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path / "m.db")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    say("a worker at 10,000 trials, MB above its imports", f"{float(done.stdout):.1f}", "goal 60")
