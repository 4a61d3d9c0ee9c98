"""One experiment on several executors, one after the other and side by side."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import joblib
from distributed import Client

from orion_k8s import build_experiment
from tests.dask_processes import DaskProcesses
from tests.functional.dask.objectives import noted_square, notes

N = 30
SPACE = {"x": "uniform(0, 1)"}


def check(storage: str, folder: Path) -> None:
    """Exactly N trials, each run once, each with its own result."""
    trials = build_experiment("exp", storage=storage).fetch_trials()
    assert Counter(trial.status.value for trial in trials) == {"completed": N}
    assert all(trial.objective == trial.params["x"] ** 2 for trial in trials)
    ran = {trial: float(x) for trial, _, x in notes(folder)}
    assert len(notes(folder)) == N
    assert ran == {trial.id: trial.params["x"] for trial in trials}


def test_in_the_middle_of_an_experiment(dask: DaskProcesses, tmp_path: Path, folder: Path) -> None:
    dask.worker(threads=2)
    storage = str(tmp_path / "db.sqlite")
    executors: list[tuple[str, dict[str, Any]]] = [
        ("joblib", {"n_workers": 2}),
        ("dask", {"address": dask.address}),
        ("singleexecutor", {}),
        ("joblib", {"n_workers": 2, "backend": "threading"}),
        ("dask", {"address": dask.address, "n_workers": 1}),
        ("poolexecutor", {}),
    ]
    processes = []
    with build_experiment("exp", space=SPACE, max_trials=N, storage=storage) as experiment:
        for name, configuration in executors:
            before = len(notes(folder))
            with experiment.tmp_executor(name, **configuration):
                done = experiment.workon(
                    noted_square, max_trials=5, trial_arg="trial", folder=str(folder)
                )
            assert done == 5
            processes.append({pid for _, pid, _ in notes(folder)[before:]})
        assert experiment.is_done
    own = str(os.getpid())
    assert [own in found for found in processes] == [False, False, True, True, False, False]
    check(storage, folder)


def test_side_by_side(dask: DaskProcesses, tmp_path: Path, folder: Path) -> None:
    """Workers of different executors share an experiment."""
    dask.worker(threads=2)
    storage = str(tmp_path / "db.sqlite")
    build_experiment("exp", space=SPACE, max_trials=N, storage=storage).close()
    done: dict[str, int] = {}

    def work(name: str, configuration: dict[str, Any]) -> None:
        with build_experiment("exp", storage=storage) as experiment:
            with experiment.tmp_executor(name, **configuration):
                done[name] = experiment.workon(noted_square, trial_arg="trial", folder=str(folder))

    workers = [
        threading.Thread(target=work, args=one)
        for one in [("joblib", {"n_workers": 2}), ("dask", {"address": dask.address})]
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
    assert sum(done.values()) == N
    check(storage, folder)


def test_joblib_s_own_dask_backend(dask: DaskProcesses, tmp_path: Path, folder: Path) -> None:
    """`parallel_config(backend="dask")` takes the client that is open, as joblib does."""
    dask.worker(threads=2)
    storage = str(tmp_path / "db.sqlite")
    with build_experiment("exp", space=SPACE, max_trials=N, storage=storage) as experiment:
        with Client(dask.address), joblib.parallel_config(backend="dask"):
            with experiment.executor_for() as executor:
                assert executor.slots() == 2
            assert experiment.workon(noted_square, trial_arg="trial", folder=str(folder)) == N
    assert str(os.getpid()) not in {pid for _, pid, _ in notes(folder)}
    check(storage, folder)
