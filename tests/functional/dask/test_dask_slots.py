"""How many calls run at once, whose client it is, and what is left behind."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import joblib
import pytest
from distributed import Client

from orion_k8s import build_experiment
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import leftovers, until
from orion_k8s.testing.executor.work import add, pid
from tests.dask_processes import DaskProcesses
from tests.functional.dask.objectives import (
    Sleeper,
    held,
    note,
    notes,
    square,
    tasks_and_flags,
    tasks_there,
    worker_name,
)

DEADLINE_S = 60.0


def test_slots_follow_the_cluster(dask: DaskProcesses, folder: Path) -> None:
    """They grow and shrink with it, whoever waits is told, and n_workers is the limit."""
    first = dask.worker(threads=1)
    with (
        create_executor("dask", address=dask.address) as whole,
        create_executor("dask", 2, address=dask.address) as limited,
    ):
        assert (whole.slots(), limited.slots()) == (1, 1)
        waiting = [whole.submit(Sleeper(str(folder))) for _ in range(4)]
        until(lambda: len(notes(folder)) == 1, "the first call runs")
        dask.worker(threads=3)
        assert whole.async_get(waiting, timeout=DEADLINE_S) == []  # woken before the timeout
        until(lambda: (whole.slots(), limited.slots()) == (4, 2), "the slots grow")
        until(lambda: len(notes(folder)) == 4, "and calls that wait run in them")
        for future in waiting:
            future.cancel()
        dask.kill(first)
        until(lambda: (whole.slots(), limited.slots()) == (3, 2), "the slots shrink")


def test_resources_are_asked_for(dask: DaskProcesses, folder: Path) -> None:
    dask.worker(threads=4)
    dask.worker("--resources", "GPU=2", "--name=gpu", threads=4)
    with create_executor("dask", address=dask.address, resources={"GPU": 1}) as executor:
        assert executor.slots() == 2
        futures = [executor.submit(worker_name) for _ in range(6)]
        assert executor.wait(futures) == ["gpu"] * 6


def test_priorities(dask: DaskProcesses, folder: Path) -> None:
    """A call of higher priority overtakes those that wait in the cluster."""
    dask.worker(threads=1)
    (folder / "hold").touch()
    with (
        Client(dask.address, set_as_default=False) as client,
        create_executor("dask", client=client, priority=10) as urgent,
    ):
        gate = client.submit(held, 1.0, None, str(folder), pure=False)
        until(lambda: len(notes(folder)) == 1, "the only thread is taken")
        patient = client.submit(note, str(folder), "ran", "patient", pure=False)
        future = urgent.submit(note, str(folder), "ran", "urgent")
        until(lambda: [*client.run(tasks_there).values()] == [3], "the worker has them all")
        (folder / "hold").unlink()
        future.get(DEADLINE_S)
        assert (gate.result(DEADLINE_S), patient.result(DEADLINE_S)) == (1.0, None)
    assert notes(folder, "ran") == [("urgent",), ("patient",)]


def test_a_client_that_is_given_stays_open(dask: DaskProcesses) -> None:
    dask.worker()
    with Client(dask.address, set_as_default=False) as client:
        for _ in range(2):
            with create_executor("dask", client=client) as executor:
                assert executor.submit(add, 1).get(DEADLINE_S) == 2
        assert client.submit(add, 1).result(timeout=DEADLINE_S) == 2


def test_nothing_is_left_at_the_scheduler(dask: DaskProcesses) -> None:
    """Neither tasks nor the flags that say which calls began."""
    dask.worker(threads=2)
    with Client(dask.address, set_as_default=False) as client:
        with create_executor("dask", address=dask.address) as executor:
            executor.wait([executor.submit(add, i) for i in range(20)])
        until(lambda: client.run_on_scheduler(tasks_and_flags) == (0, 0), "nothing is left")


@pytest.mark.parametrize("processes", [True, False])
def test_cluster_of_its_own(processes: bool) -> None:
    """Without an address; its processes and threads end with the executor."""
    before = leftovers()
    with create_executor("dask", 3, processes=processes) as executor:
        assert executor.slots() == 3
        found = set(executor.wait([executor.submit(pid) for _ in range(9)]))
        assert (len(found) > 1) is processes

    def left() -> set[object]:
        # One thread of Dask's stays, for as long as this process lives.
        return {o for o in leftovers() - before if "Dask-Offload" not in str(o)}

    until(lambda: not left(), f"left behind: {left()}")


def test_joblib_on_dask(dask: DaskProcesses, tmp_path: Path) -> None:
    """The executor joblib honours an outer context of joblib."""
    dask.worker(threads=2)
    experiment = build_experiment(
        "exp", space={"x": "uniform(0, 1)"}, max_trials=6, storage=str(tmp_path / "db.sqlite")
    )
    with Client(dask.address) as client, joblib.parallel_backend("dask", client=client):
        experiment.workon(square, max_trials=6)
        done = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.transition_counter)
    assert done > 0
    assert [t.status.value for t in experiment.fetch_trials()] == ["completed"] * 6


def test_dask_is_imported_when_it_is_asked_for() -> None:
    script = (
        "import sys, orion_k8s, orion_k8s.cli\n"
        "from orion_k8s.executor.registry import create_executor\n"
        "create_executor('joblib').close()\n"
        "print(sorted({'dask', 'distributed'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_threads_of_the_worker_do_not_grow_with_slots(dask: DaskProcesses, folder: Path) -> None:
    dask.worker(threads=50)
    with create_executor("dask", address=dask.address) as executor:
        executor.submit(add, 1).get(DEADLINE_S)
        before = threading.active_count()
        futures = [executor.submit(Sleeper(str(folder))) for _ in range(50)]
        until(lambda: len(notes(folder)) == 50, "all run")
        assert threading.active_count() <= before
        for future in futures:
            future.cancel(DEADLINE_S)
        assert executor.wait(futures) == ["asked to end"] * 50
