"""Early stopping of functions: each executor, what a trial reports, and where it is refused."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orion_k8s import ExperimentClient, Trial, build_experiment
from orion_k8s.errors import ConfigurationError
from orion_k8s.executor import Executor, Future
from orion_k8s.executor.single import Single
from orion_k8s.testing.executor.probes import leftovers
from orion_k8s.trial import Stopped

SPACE = {"x": "uniform(0, 1)"}
UPPER = {"threshold": {"upper": 0.5}}


@pytest.fixture(autouse=True)
def nothing_left(until: Callable[..., Any]) -> Any:
    before = leftovers()
    yield
    until(lambda: leftovers() <= before, "threads and processes of the executor are gone")


def learns(x: float, trial: Trial) -> float | None:
    """Report three steps; a bad one then waits for the word to stop."""
    for step in range(1, 4):
        trial.report(x + 1 / step - 1 / 3, step=step, metrics={"twice": 2 * x})
    ends = time.monotonic() + 60
    while x > 0.5 and not trial.should_stop():
        assert time.monotonic() < ends, "nobody stopped it"
        time.sleep(0.01)
    return None if x > 0.5 else x


def deaf(x: float, trial: Trial) -> float:
    trial.report(x + 1, step=1)
    time.sleep(120)
    return -1.0


def check(experiment: ExperimentClient, count: int) -> None:
    trials = experiment.fetch_trials()
    assert [str(t.status) for t in trials] == ["completed"] * count
    assert any(t.stopped for t in trials) and not all(t.stopped for t in trials)
    for trial in trials:
        x = trial.params["x"]
        assert trial.objective == pytest.approx(x)
        # A first step above the bound is one that a good trial has, too.
        if x > 0.5:
            assert isinstance(trial.stopped, Stopped) and trial.stopped.rule == "threshold"
        curve = experiment.curve(trial)
        assert curve.steps == (1, 2, 3) and curve.values[-1] == pytest.approx(x)
        assert curve.metrics == {"twice": (2 * x,) * 3}
    assert list(experiment.curves()) == [t.number for t in trials]


EXECUTORS: list[tuple[str, dict[str, Any]]] = [
    ("joblib", {}),
    ("joblib", {"backend": "threading"}),
    ("poolexecutor", {}),
    ("singleexecutor", {}),
]


@pytest.mark.parametrize(("name", "configuration"), EXECUTORS)
@pytest.mark.parametrize("folder", ["", "work"])
def test_on_each_executor(
    sqlite_url: str, tmp_path: Path, name: str, configuration: dict[str, Any], folder: str
) -> None:
    where = str(tmp_path / folder) if folder else None
    with build_experiment(
        "e",
        space=SPACE,
        max_trials=10,
        storage=sqlite_url,
        working_dir=where,
        stopping={"threshold": {"upper": 0.5, "min_steps": 3}},
        seed=1,
    ) as experiment:
        with experiment.tmp_executor(name, n_workers=2, **configuration):
            assert experiment.workon(learns, trial_arg="trial") == 10
        check(experiment, 10)
        table = experiment.to_pandas()
        stops = [t.stopped.step if t.stopped else None for t in experiment.fetch_trials()]
        assert table["stopped"].tolist() == pytest.approx(
            [float("nan") if s is None else s for s in stops], nan_ok=True
        )


def test_a_function_that_does_not_listen_is_ended(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORION_STOP_GRACE", "0.1")
    with build_experiment(
        "e", space=SPACE, max_trials=2, storage=sqlite_url, stopping=UPPER
    ) as experiment:
        assert experiment.workon(deaf, n_workers=2, trial_arg="trial") == 2
        for trial in experiment.fetch_trials():
            assert trial.objective == trial.params["x"] + 1
            assert trial.stopped is not None and trial.stopped.step == 1


def test_without_a_rule_curves_are_kept(sqlite_url: str) -> None:
    def reports(x: float, trial: Trial) -> None:
        trial.report(x + 1)
        trial.report(x)

    with build_experiment("e", space=SPACE, max_trials=3, storage=sqlite_url) as experiment:
        assert experiment.stopping == {}
        experiment.workon(reports, trial_arg="trial")
        for trial in experiment.fetch_trials():
            x = trial.params["x"]
            assert (trial.objective, trial.stopped) == (x, None)
            assert list(experiment.curve(trial)) == [(1, x + 1), (2, x)]


def test_nothing_said_and_nothing_returned_is_no_result(sqlite_url: str) -> None:
    with build_experiment(
        "e", space=SPACE, max_trials=1, max_broken=1, storage=sqlite_url, stopping="median"
    ) as experiment:
        with pytest.raises(Exception, match="broken"):
            experiment.workon(lambda x, trial: None, trial_arg="trial")
        [trial] = experiment.fetch_trials()
        assert str(trial.status) == "broken" and experiment.curve(trial).steps == ()
        assert experiment.curves() == {}


def test_outside_of_workon_reports_are_printed(
    sqlite_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with build_experiment("e", space=SPACE, max_trials=1, storage=sqlite_url) as experiment:
        with experiment.suggest() as trial:
            trial.report(0.5, step=3)
            assert not trial.should_stop()
            experiment.observe(trial, 0.5)
    assert capsys.readouterr().out == "{'step': 3.0, 'value': 0.5}\n"


def test_the_rule_may_change_and_is_kept(sqlite_url: str) -> None:
    def open_it(**more: Any) -> ExperimentClient:
        return build_experiment("e", space=SPACE, max_trials=1, storage=sqlite_url, **more)

    with open_it(stopping="median") as experiment:
        assert experiment.stopping == {"median": {}}
    with open_it() as experiment:
        assert experiment.stopping == {"median": {}}
    with open_it(stopping={"asha": {"min_steps": 3}}) as experiment:
        assert experiment.stopping == {"asha": {"min_steps": 3}}
        assert experiment.metadata["user"]
    with open_it(stopping="none") as experiment:
        assert experiment.stopping == {}
    with pytest.raises(ConfigurationError, match="did you mean 'median'"):
        open_it(stopping="medan")


class Elsewhere(Single):
    """Where this worker sees no files."""

    name = "elsewhere"
    files_here = False

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future:
        raise AssertionError("nothing should run")


def test_an_executor_whose_files_are_elsewhere_is_refused(sqlite_url: str) -> None:
    elsewhere: Executor = Elsewhere()
    with build_experiment(
        "e", space=SPACE, max_trials=1, storage=sqlite_url, stopping="median", executor=elsewhere
    ) as experiment:
        with pytest.raises(ConfigurationError, match="'elsewhere' runs them where"):
            experiment.workon(learns, trial_arg="trial")
        assert experiment.fetch_trials() == []


def grows(x: float, trial: Trial) -> float:
    """Report x at three steps; a low one goes on between the last two until it is stopped."""
    steps = [1.0, 2.0, 3.0]
    for step in steps[:2] if x < 0.1 else steps:
        trial.report(x, step=step)
    ends = time.monotonic() + 60
    step = 2.0
    while x < 0.1 and not trial.should_stop():
        assert time.monotonic() < ends, "nobody stopped it"
        step += 1e-4
        trial.report(x, step=step)
        time.sleep(0.01)
    return x


def test_the_low_ones_are_stopped_where_high_values_are_better(tmp_path: Path) -> None:
    experiment = build_experiment(
        "up",
        space=SPACE,
        max_trials=8,
        direction="maximize",
        stopping={"percentile": {"percentile": 90, "min_steps": 1, "min_trials": 3}},
        storage=f"sqlite:///{tmp_path}/db",
    )
    with experiment:
        for x in (0.5, 0.6, 0.7, 0.05, 0.9):
            experiment.enqueue({"x": x})
        with experiment.tmp_executor("singleexecutor"):
            assert experiment.workon(grows, max_trials=5, trial_arg="trial") == 5
        trials = {trial.params["x"]: trial for trial in experiment.fetch_trials()}
        assert trials[0.05].stopped is not None and trials[0.05].objective == 0.05
        assert trials[0.9].stopped is None
        best = experiment.stats.best_trials_id
        assert best == trials[0.9].id


def test_several_objectives_have_no_one_curve(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="judges one objective, and the experiment has 2"):
        build_experiment(
            "two",
            space=SPACE,
            algorithm="nsga2",
            objectives={"a": "minimize", "b": "maximize"},
            stopping="median",
            storage=f"sqlite:///{tmp_path}/db",
        )
