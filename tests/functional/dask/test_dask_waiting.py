"""A cluster that is there and runs nothing: it is said why, and the work goes on when it can."""

from __future__ import annotations

import logging
import socket
import threading
from collections import Counter
from pathlib import Path

import pytest

from orion_k8s import build_experiment
from orion_k8s.executor.base import Ending
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import until
from orion_k8s.testing.executor.work import add
from tests.dask_processes import DaskProcesses
from tests.functional.dask.objectives import Sleeper, notes, square, worker_name
from tests.functional.dask.refusals import lying

DEADLINE_S = 60.0


@pytest.fixture(autouse=True)
def warnings_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "orion_k8s")


def test_resources_that_no_worker_has(
    dask: DaskProcesses, caplog: pytest.LogCaptureFixture
) -> None:
    dask.worker()
    with create_executor("dask", address=dask.address, resources={"GPU": 2}) as executor:
        future = executor.submit(worker_name)
        said = f"no Dask worker of {dask.address} has the resources that a trial needs"
        assert caplog.text.count(said) == 1 and "--resources 'GPU=2'" in caplog.text
        dask.worker("--resources", "GPU=1", "--name=small")
        assert executor.async_get([future], timeout=3) == []
        dask.worker("--resources", "GPU=3", "--name=big")
        assert future.get(DEADLINE_S) == "big"
        assert caplog.text.count(said) == 1


def test_a_cluster_without_workers(dask: DaskProcesses, caplog: pytest.LogCaptureFixture) -> None:
    with create_executor("dask", address=dask.address) as executor:
        future = executor.submit(add, 1)
        assert caplog.text.count("has no Dask worker: its trials wait for one") == 1
        dask.worker()
        assert future.get(DEADLINE_S) == 2


def test_resources_of_many_workers(dask: DaskProcesses) -> None:
    """More of them than Dask tells of by itself."""
    dask.worker("--nworkers=7", "--resources", "GPU=1")
    with create_executor("dask", address=dask.address, resources={"GPU": 1}) as executor:
        until(lambda: executor.slots() == 7, "all are counted", DEADLINE_S)


def test_a_scheduler_that_hangs(
    dask: DaskProcesses, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is away, and its calls are not lost; the executor can be closed all the same."""
    scheduler = dask.running[0]
    dask.worker(threads=2)
    patient = create_executor("dask", address=dask.address, timeout=1)
    hurried = create_executor("dask", address=dask.address, timeout=1)
    futures = [executor.submit(Sleeper(str(folder))) for executor in (patient, hurried)]
    until(lambda: len(notes(folder)) == 2, "both run")
    dask.stop(scheduler)
    until(lambda: caplog.text.count("is away") == 2, "both say so", DEADLINE_S)
    assert (patient.slots(), hurried.slots()) == (0, 0)
    closing = threading.Thread(target=hurried.close, args=[True])
    closing.start()
    closing.join(DEADLINE_S)
    assert not closing.is_alive()
    assert futures[1].outcome().ending is Ending.CANCELLED
    dask.go_on(scheduler)
    until(lambda: patient.slots() == 2, "it is back", DEADLINE_S)
    assert not futures[0].done()
    futures[0].cancel(DEADLINE_S)
    assert futures[0].get(DEADLINE_S) == "asked to end"
    patient.close()


def test_somebody_else_at_the_scheduler_s_address(
    dask: DaskProcesses, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A peer that accepts and says nothing stops Dask's own client for ever."""
    experiment = build_experiment(
        "exp", space={"x": "uniform(0, 1)"}, max_trials=4, storage=str(tmp_path / "db.sqlite")
    )
    worker = dask.worker()
    with experiment.tmp_executor("dask", address=dask.address, timeout=1):
        assert experiment.workon(square, max_trials=2) == 2
        for process in (worker, dask.running[0]):
            dask.kill(process)
        with socket.create_server(("127.0.0.1", dask.port)):
            until(lambda: "has not answered for 1 s" in caplog.text, "it says so", DEADLINE_S)
        dask.scheduler()
        dask.worker()
        assert experiment.workon(square) == 2
    states = Counter(trial.status.value for trial in experiment.fetch_trials())
    assert states == {"completed": 4}


@pytest.mark.filterwarnings("ignore:Mismatched versions")  # Dask's own, on a new connection
@pytest.mark.parametrize("timeout_s", [1, 60], ids=["a new client", "the same client"])
def test_a_scheduler_that_comes_back_as_another_version(
    dask: DaskProcesses, tmp_path: Path, timeout_s: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A cluster that is upgraded: the worker waits, and says for what."""
    with create_executor("dask", address=dask.address, timeout=timeout_s) as executor:
        kept = dict(dask._environment)
        dask.kill(dask.running[0])
        until(lambda: "is away" in caplog.text, "it is away", DEADLINE_S)
        dask._environment.update(lying(tmp_path / "start", {"distributed": "2019.1.0"}))
        wrong = dask.scheduler()
        until(lambda: "runs distributed 2019.1.0" in caplog.text, "it says why", DEADLINE_S)
        assert executor.slots() == 0
        dask.kill(wrong)
        dask._environment = kept
        dask.scheduler()
        dask.worker()
        until(lambda: executor.slots() == 1, "it is back", DEADLINE_S)
        assert executor.submit(add, 1).get(DEADLINE_S) == 2
