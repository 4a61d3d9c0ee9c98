"""Schedulers and Dask workers that die or leave in the middle of a trial."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from distributed import Client

from orion_k8s import build_experiment
from orion_k8s.client import ExperimentClient
from orion_k8s.executor.base import Ending
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import until
from tests.dask_processes import DaskProcesses, dask_processes
from tests.functional.dask.objectives import Sleeper, deadly, held, notes
from tests.functional.dask.refusals import slow_to_import

DEADLINE_S = 60.0


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentClient:
    return build_experiment(
        "exp", space={"x": "uniform(0, 1)"}, max_trials=5, storage=str(tmp_path / "db.sqlite")
    )


class Meanwhile(threading.Thread):
    """Does something to the cluster while the worker runs; `join` raises what went wrong."""

    def __init__(self, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.work = work
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.work()
        except BaseException as error:
            self.error = error

    def result(self) -> None:
        self.join(DEADLINE_S)
        assert not self.is_alive()
        if self.error is not None:
            raise self.error


def check(experiment: ExperimentClient, folder: Path, interrupted: int) -> None:
    """Exactly N are completed, none is broken, and each attempt began once."""
    statuses = Counter(str(trial.status.value) for trial in experiment.fetch_trials())
    assert statuses == {"completed": 5}
    began = Counter(notes(folder))
    assert set(began.values()) == {1}
    attempts = {trial.id: trial.attempt for trial in experiment.fetch_trials()}
    assert Counter(trial for trial, _ in began) == attempts
    assert sorted(attempts.values()) == [1] * (5 - interrupted) + [2] * interrupted


@pytest.mark.parametrize("timeout_s", [1, 30], ids=["a new client", "the same client"])
def test_scheduler_killed_and_restarted(
    dask: DaskProcesses,
    experiment: ExperimentClient,
    folder: Path,
    timeout_s: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    dask.worker(threads=2)
    (folder / "hold").touch()

    def restart() -> None:
        until(lambda: len(notes(folder)) == 2, "two trials run")
        for process in list(dask.running):
            dask.kill(process)
        until(lambda: "is away" in caplog.text, "the executor says so")
        if timeout_s == 1:
            until(lambda: "The next try comes" in caplog.text, "the client gave up")
        (folder / "hold").unlink()
        dask.scheduler()
        dask.worker(threads=2)

    with caplog.at_level(logging.WARNING, "orion_k8s"):
        meanwhile = Meanwhile(restart)
        with experiment.tmp_executor("dask", address=dask.address, timeout=timeout_s):
            experiment.workon(held, max_trials=5, trial_arg="trial", folder=str(folder))
        meanwhile.result()
    assert "is back after" in caplog.text
    check(experiment, folder, interrupted=2)


@pytest.mark.parametrize("how", ["kill", "leave"])
def test_worker_lost(
    dask: DaskProcesses, experiment: ExperimentClient, folder: Path, how: str
) -> None:
    lost = dask.worker(threads=2)
    (folder / "hold").touch()

    def lose() -> None:
        until(lambda: len(notes(folder)) == 2, "two trials run")
        dask.worker(threads=2)
        if how == "leave":
            threading.Timer(0.5, (folder / "hold").unlink).start()
            dask.leave(lost)
        else:
            dask.kill(lost)
            (folder / "hold").unlink()

    meanwhile = Meanwhile(lose)
    with Client(dask.address, set_as_default=False) as client:
        with experiment.tmp_executor("dask", n_workers=2, client=client):
            experiment.workon(held, max_trials=5, trial_arg="trial", folder=str(folder))
        assert client.status == "running"
    meanwhile.result()
    check(experiment, folder, interrupted=2)


def test_trial_that_kills_its_worker_is_broken(
    dask: DaskProcesses, tmp_path: Path, folder: Path
) -> None:
    """After three of them; whoever ran beside it is not."""
    dask.worker(threads=4)
    experiment = build_experiment(
        "exp",
        space={"x": "uniform(0, 7, discrete=True)"},
        algorithm="gridsearch",
        max_trials=7,
        max_broken=2,
        storage=str(tmp_path / "db.sqlite"),
    )
    with experiment.tmp_executor("dask", address=dask.address):
        experiment.workon(deadly, max_trials=7, trial_arg="trial", folder=str(folder))
    by_x = {trial.params["x"]: trial for trial in experiment.fetch_trials()}
    assert [x for x, t in by_x.items() if t.status.value == "broken"] == [3]
    assert by_x[3].attempt == 3 and "Each of 3 Dask workers died" in str(by_x[3].reason)
    assert sum(t.status.value == "completed" for t in by_x.values()) >= 7
    assert set(Counter(notes(folder)).values()) == {1}


def test_workers_that_leave_blame_no_call(dask: DaskProcesses, folder: Path) -> None:
    """However often; and the call is asked to end before its worker does."""
    worker = dask.worker()
    with create_executor("dask", address=dask.address) as executor:
        for turn in range(1, 4):
            future = executor.submit(Sleeper(str(folder)))
            until(lambda turn=turn: len(notes(folder)) == turn, "the call runs")
            following = dask.worker()
            dask.leave(worker)
            future.wait(DEADLINE_S)
            assert future.outcome().ending is Ending.LOST
            assert "closed" in future.outcome().reason
            assert len(notes(folder, "end")) == turn
            worker = following


CLIENT = """
import sys
from orion_k8s.executor.dask import Dask
from orion_k8s.testing.executor.work import log_line
Dask(address=sys.argv[1]).submit(log_line, sys.argv[2], "began").wait()
"""


def test_a_call_that_nobody_wants_any_more_does_not_begin(tmp_path: Path) -> None:
    """Its client is killed while its Dask worker still imports what it needs."""
    go, log = tmp_path / "go", tmp_path / "log"
    environment = slow_to_import(tmp_path / "start", "orion_k8s.executor.child", go)
    with dask_processes(tmp_path, environment=environment) as dask:
        dask.scheduler()
        dask.worker()
        words = [sys.executable, "-c", CLIENT, dask.address, str(log)]
        with Client(dask.address, set_as_default=False) as client:
            with subprocess.Popen(words) as process:
                until(lambda: any(client.processing().values()), "it runs", DEADLINE_S)
                process.kill()
            until(lambda: not any(client.processing().values()), "it is taken back", DEADLINE_S)
            go.touch()
            # The Dask worker has one thread: it is free again.
            assert client.submit(len, "abc").result(DEADLINE_S) == 3
    assert not log.exists()
