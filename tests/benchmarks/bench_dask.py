"""Two hundred Dask slots of one worker: how busy they are, and what the worker weighs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orion_k8s import build_experiment
from tests.benchmarks.figures import SPACE, say
from tests.dask_processes import ROOT, DaskProcesses, dask_processes

SLOTS = 200
ROUNDS = 10


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler and one Dask worker of two hundred threads."""
    with dask_processes(tmp_path_factory.mktemp("dask")) as dask:
        dask.scheduler()
        dask.worker(threads=SLOTS)
        yield dask


def nap(**params: float) -> float:
    """A trial of one second."""
    time.sleep(1.0)
    return params["x0"]


def test_two_hundred_slots(dask: DaskProcesses, tmp_path: Path) -> None:
    from distributed import Client, as_completed

    trials = ROUNDS * SLOTS
    with Client(dask.address, set_as_default=False) as client:
        began = time.perf_counter()
        running = as_completed(
            [client.submit(nap, x0=0.0, pure=False) for _ in range(SLOTS)], loop=client.loop
        )
        left = trials - SLOTS
        for future in running:
            future.result()
            if left > 0:
                running.add(client.submit(nap, x0=0.0, pure=False))
                left -= 1
        alone = ROUNDS / (time.perf_counter() - began)
    experiment = build_experiment(
        "busy", space=SPACE, seed=1, max_trials=trials, storage=f"sqlite:///{tmp_path}/db"
    )
    with experiment, experiment.tmp_executor("dask", address=dask.address):
        began = time.perf_counter()
        assert experiment.workon(nap) == trials
        ours = ROUNDS / (time.perf_counter() - began)
    say(f"{SLOTS} Dask slots, trials of 1 s: busy", f"{ours:.1%}", "goal 95 %")
    say("  a bare loop of client.submit beside it", f"{alone:.1%}")


WORKER = """
import re, sys, time
from pathlib import Path
import distributed
import orion_k8s.executor.dask
from orion_k8s import build_experiment
from orion_k8s.storage.sqlite import SQLite
from tests.benchmarks.bench_dask import SLOTS, nap
from tests.benchmarks.figures import SPACE

def megabytes(what):
    text = Path("/proc/self/status").read_text()
    return int(re.search(rf"{what}:\\s+(\\d+) kB", text)[1]) / 1024

imports = megabytes("VmRSS")
experiment = build_experiment("m", space=SPACE, seed=1, max_trials=5 * SLOTS, storage=sys.argv[2])
with experiment, experiment.tmp_executor("dask", address=sys.argv[1]) as client:
    assert client.executor.slots() == SLOTS
    experiment.workon(nap)
print(megabytes("VmHWM") - imports, imports)
"""


def test_memory_of_the_worker(dask: DaskProcesses, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKER, dask.address, f"sqlite:///{tmp_path}/db"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    above, imports = map(float, done.stdout.split())
    say(f"a worker with {SLOTS} Dask slots: MB above imports", f"{above:.0f}", "goal 100")
    say("  its imports, MB", f"{imports:.0f}")
