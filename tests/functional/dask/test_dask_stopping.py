"""Early stopping with Dask: on this machine, and why not in a cluster elsewhere."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from orion_k8s import Trial, build_experiment
from orion_k8s.errors import ConfigurationError
from tests.dask_processes import DaskProcesses

SPACE = {"x": "uniform(0, 1)"}


def learns(x: float, trial: Trial) -> float | None:
    trial.report(x, step=1)
    ends = time.monotonic() + 60
    while x > 0.5 and not trial.should_stop():
        assert time.monotonic() < ends, "nobody stopped it"
        time.sleep(0.01)
    return None if x > 0.5 else x


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
import sys
from orion_k8s.client import report_objective, should_stop
for step in range(3):
    report_objective(float(sys.argv[1]) - step, step=step)
    assert not should_stop()
"""


def test_a_program_elsewhere_has_its_last_report(dask: DaskProcesses, tmp_path: Path) -> None:
    """Its folder is seen there, and that is where its result is read."""
    from orion_k8s.cli import main

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
