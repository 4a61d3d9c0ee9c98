"""Early stopping with Dask: on this machine, and why not in a cluster elsewhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from orion_k8s import build_experiment
from orion_k8s.cli import main
from orion_k8s.errors import ConfigurationError
from tests.dask_processes import DaskProcesses
from tests.functional.dask.objectives import learns

SPACE = {"x": "uniform(0, 1)"}


def test_in_a_cluster_of_this_machine(tmp_path: Path) -> None:
    with build_experiment(
        "e",
        space=SPACE,
        max_trials=6,
        storage=str(tmp_path / "history.db"),
        stopping={"threshold": {"upper": 0.5}},
        seed=1,
    ) as experiment:
        with experiment.tmp_executor("dask", n_workers=2, processes=False):
            assert experiment.workon(learns, trial_arg="trial") == 6
        trials = experiment.fetch_trials()
        assert [t.objective for t in trials] == [t.params["x"] for t in trials]
        assert [t.stopped is not None for t in trials] == [t.params["x"] > 0.5 for t in trials]
        assert any(t.stopped for t in trials)


def test_elsewhere_it_is_refused(dask: DaskProcesses, tmp_path: Path) -> None:
    dask.worker()
    with build_experiment(
        "e", space=SPACE, max_trials=2, storage=str(tmp_path / "history.db"), stopping="median"
    ) as experiment:
        with experiment.tmp_executor("dask", address=dask.address):
            with pytest.raises(ConfigurationError, match="'dask' runs them where this worker"):
                experiment.workon(learns, trial_arg="trial")


REPORTS = """
import sys, time
from orion_k8s.client import report_objective, should_stop
for step in range(3):
    report_objective(float(sys.argv[1]) - step, step=step)
    assert not should_stop()
"""


def test_a_program_elsewhere_has_its_last_report(dask: DaskProcesses, tmp_path: Path) -> None:
    """Its folder is seen there, and that is where its result is read."""
    dask.worker()
    program = tmp_path / "p.py"
    program.write_text(REPORTS)
    storage, words = str(tmp_path / "history.db"), ["--executor", "dask", "--max-trials", "2"]
    configuration = f'{{"address": "{dask.address}"}}'
    words += ["--executor-configuration", configuration, "--storage", storage]
    code = main(["hunt", "-n", "e", "-q", *words, sys.executable, str(program), "x~uniform(0, 1)"])
    assert code == 0
    with build_experiment("e", storage=storage) as experiment:
        trials = experiment.fetch_trials()
        assert [t.objective for t in trials] == [t.params["x"] - 2 for t in trials]


def test_elsewhere_with_a_folder_that_is_shared(dask: DaskProcesses, tmp_path: Path) -> None:
    """Functions, whose trials need a folder; and a program that does not listen."""
    dask.worker(threads=2)
    storage, shared = str(tmp_path / "history.db"), {"address": dask.address, "shared_files": True}
    options = {"space": SPACE, "storage": storage, "stopping": {"threshold": {"upper": 0.5}}}
    with build_experiment("bare", max_trials=1, **options) as experiment:  # type: ignore[arg-type]
        with experiment.tmp_executor("dask", **shared):
            with pytest.raises(ConfigurationError, match="working_dir"):
                experiment.workon(learns, trial_arg="trial")
    with build_experiment(
        "e",
        max_trials=6,
        seed=1,
        working_dir=str(tmp_path / "work"),
        **options,  # type: ignore[arg-type]
    ) as experiment:
        with experiment.tmp_executor("dask", **shared):
            assert experiment.workon(learns, trial_arg="trial") == 6
        trials = experiment.fetch_trials()
        assert [t.objective for t in trials] == [t.params["x"] for t in trials]
        assert [t.stopped is not None for t in trials] == [t.params["x"] > 0.5 for t in trials]
    program = tmp_path / "p.py"
    program.write_text(REPORTS.replace("assert not should_stop()", "time.sleep(60)"))
    words = ["--executor", "dask", "--executor-configuration", json.dumps(shared), "-q"]
    words += ["--max-trials", "1", "--storage", storage, "--stop-grace", "0.1"]
    words += ["--stopping", '{"threshold": {"upper": -1}}', sys.executable, str(program)]
    assert main(["hunt", "-n", "deaf", *words, "x~uniform(0, 1)"]) == 0
    with build_experiment("deaf", storage=storage) as experiment:
        [trial] = experiment.fetch_trials()
        assert trial.stopped is not None and trial.objective == trial.params["x"]
