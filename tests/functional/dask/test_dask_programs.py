"""Programs on a Dask cluster: `hunt --executor dask`, and calls that nobody waits for any more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from orion_k8s import get_experiment
from orion_k8s.executor.base import Ending
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import gone, until
from tests.dask_processes import DaskProcesses
from tests.functional.dask.objectives import Sleeper, notes

DEADLINE_S = 60.0

PROGRAM = """\
import os, pathlib, sys, time
from orion_k8s.client import report_objective

folder = pathlib.Path(sys.argv[1])
log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
line = f"start {os.environ['ORION_TRIAL_ID']} {os.environ['ORION_TRIAL_ATTEMPT']} {os.getpid()}"
os.write(log, (line + "\\n").encode())
os.fsync(log)
while (folder / "hold").exists():
    time.sleep(0.01)
report_objective(float(sys.argv[-1].rpartition("=")[2]))
"""


@contextmanager
def hunt(tmp_path: Path, folder: Path, address: str) -> Iterator[subprocess.Popen[str]]:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    environment = {
        **os.environ,
        "ORION_DB_TYPE": "sqlite",
        "ORION_DB_ADDRESS": str(tmp_path / "db.sqlite"),
        "ORION_EXECUTOR_CONFIGURATION": json.dumps({"address": address}),
    }
    command = [
        *(sys.executable, "-m", "orion_k8s", "hunt", "-n", "exp", "--max-trials", "4"),
        *("--working-dir", str(tmp_path / "trials"), "--executor", "dask"),
        *(sys.executable, str(script), str(folder), "--x~uniform(0, 1)"),
    ]
    with subprocess.Popen(
        command,
        env=environment,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


def statuses(tmp_path: Path) -> Counter[str]:
    experiment = get_experiment("exp", storage=str(tmp_path / "db.sqlite"))
    return Counter(trial.status.value for trial in experiment.fetch_trials())


def test_hunt_over_a_restarted_scheduler(
    dask: DaskProcesses, tmp_path: Path, folder: Path
) -> None:
    """Exactly N programs complete, each attempt started once, and none is left running."""
    dask.worker(threads=2)
    (folder / "hold").touch()
    with hunt(tmp_path, folder, dask.address) as worker:
        until(lambda: len(notes(folder)) == 2 or worker.poll() is not None, "two programs run")
        for process in list(dask.running):
            dask.kill(process)
        for _, _, number in notes(folder):
            until(partial(gone, int(number)), "programs die with their Dask worker")
        (folder / "hold").unlink()
        dask.scheduler()
        dask.worker(threads=2)
        out, err = worker.communicate(timeout=DEADLINE_S)
    assert worker.returncode == 0, (out, err)
    assert statuses(tmp_path) == {"completed": 4}
    began = Counter((trial, attempt) for trial, attempt, _ in notes(folder))
    assert set(began.values()) == {1}
    assert Counter(attempt for _, attempt in began) == {"1": 4, "2": 2}


def test_sigterm_ends_programs_first(dask: DaskProcesses, tmp_path: Path, folder: Path) -> None:
    dask.worker(threads=2)
    (folder / "hold").touch()
    with hunt(tmp_path, folder, dask.address) as worker:
        until(lambda: len(notes(folder)) == 2 or worker.poll() is not None, "two programs run")
        worker.terminate()
        out, err = worker.communicate(timeout=DEADLINE_S)
        assert worker.returncode == 143, (out, err)
        assert all(gone(int(number)) for _, _, number in notes(folder))
    assert statuses(tmp_path) == {"interrupted": 2}


def test_programs_die_with_their_worker(dask: DaskProcesses, tmp_path: Path, folder: Path) -> None:
    """A worker that is killed leaves no program running on the cluster."""
    dask.worker(threads=2)
    (folder / "hold").touch()
    with hunt(tmp_path, folder, dask.address) as worker:
        until(lambda: len(notes(folder)) == 2 or worker.poll() is not None, "two programs run")
        worker.kill()
        for _, _, number in notes(folder):
            until(partial(gone, int(number)), "the program is gone")


@pytest.mark.parametrize("answers", [True, False], ids=["cancelled", "the worker hangs"])
def test_cancel_is_bounded(dask: DaskProcesses, folder: Path, answers: bool) -> None:
    """A call that is cancelled ends within its grace and a moment, whatever its worker does."""
    dask_worker = dask.worker(threads=2)
    with create_executor("dask", address=dask.address) as executor:
        futures = [executor.submit(Sleeper(str(folder))) for _ in range(2)]
        until(lambda: len(notes(folder)) == 2, "the calls run")
        if not answers:
            dask.stop(dask_worker)
        for future in futures:
            future.cancel(grace_s=5.0 if answers else 0.0)
        for future in futures:
            future.wait(DEADLINE_S)
        if answers:
            assert [f.get() for f in futures] == ["asked to end"] * 2
        else:
            assert [f.outcome().ending for f in futures] == [Ending.CANCELLED] * 2
            dask.go_on(dask_worker)
            until(lambda: len(notes(folder, "end")) == 2, "the worker ends them when it can")
