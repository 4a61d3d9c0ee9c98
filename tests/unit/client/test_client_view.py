"""Reading an experiment: limits, stats, trials, tables."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from orion_k8s import (
    CompletedExperiment,
    ExperimentClient,
    Space,
    Status,
    UnsupportedOperation,
    build_experiment,
    get_experiment,
)
from orion_k8s.errors import (
    ConfigurationError,
    ExperimentRemoved,
    MissingExtra,
    NotFound,
    UsageError,
)
from orion_k8s.storage.sqlite import SQLite

SPACE = {"x": "uniform(0, 1)", "layers.width": "randint(1, 9)"}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'history.db'}"


@pytest.fixture
def experiment(url: str) -> Iterator[ExperimentClient]:
    with build_experiment("e", space=SPACE, max_trials=5, storage=url, seed=1) as made:
        yield made


def run(experiment: ExperimentClient, n: int, objective: float = 1.0) -> None:
    for i in range(n):
        experiment.observe(experiment.suggest(), objective + i)


def test_what_it_is(experiment: ExperimentClient, tmp_path: Path) -> None:
    assert (experiment.name, experiment.version) == ("e", 1)
    assert experiment.max_trials == 5 and experiment.max_broken == 3
    assert experiment.space == Space.parse(SPACE)
    assert experiment.algorithm == {"random": {}}
    assert experiment.working_dir == "" and "user" in experiment.metadata
    assert len(experiment.id) == 24
    assert repr(experiment) == "ExperimentClient(name='e', version=1)"


def test_stats_of_nothing(experiment: ExperimentClient) -> None:
    stats = experiment.stats
    assert stats.trials_completed == 0 and stats.duration == timedelta(0)
    assert stats.best_trials_id is stats.best_evaluation is None
    assert stats.start_time is stats.finish_time is None
    assert set(stats.counts.values()) == {0} and Status.REMOVED not in stats.counts


def test_stats(experiment: ExperimentClient) -> None:
    before = datetime.now(timezone.utc) - timedelta(seconds=1)
    run(experiment, 3, objective=2.0)
    experiment.release(experiment.suggest(), "broken", "no luck")
    held = experiment.suggest()
    stats = experiment.stats
    assert stats.trials_completed == 3
    assert {s: n for s, n in stats.counts.items() if n} == {
        Status.COMPLETED: 3,
        Status.BROKEN: 1,
        Status.RESERVED: 1,
    }
    assert stats.best_evaluation == 2.0
    assert experiment.get_trial(str(stats.best_trials_id)).objective == 2.0
    assert stats.start_time is not None and stats.finish_time is not None
    assert before < stats.start_time <= stats.finish_time
    assert stats.duration == stats.finish_time - stats.start_time
    experiment.release(held)


class Counting(SQLite):
    """Counts how often everything is read."""

    passes = 0

    def trials(self, *args: Any, **kwargs: Any) -> Any:
        self.passes += 1
        return super().trials(*args, **kwargs)


def test_stats_goes_through_the_trials_once(tmp_path: Path) -> None:
    storage = Counting(str(tmp_path / "history.db"))
    with storage, build_experiment("e", space=SPACE, max_trials=5, storage=storage) as experiment:
        run(experiment, 3)
        assert experiment.stats.trials_completed == 3
        assert storage.passes == 1
        assert not experiment.is_done and not experiment.is_broken
        assert storage.passes == 1


def test_is_done_by_number(experiment: ExperimentClient) -> None:
    run(experiment, 4)
    assert not experiment.is_done
    run(experiment, 1)
    assert experiment.is_done
    experiment.max_trials = 6
    assert not experiment.is_done


@pytest.mark.parametrize("algorithm", ["random", "gridsearch"])
def test_is_done_when_nothing_is_left_to_try(url: str, algorithm: str) -> None:
    """A broken trial is not tried again, so a space may be used up with fewer completed."""
    with build_experiment(
        "e", space={"c": "choices(['a', 'b', 'c'])"}, algorithm=algorithm, storage=url
    ) as experiment:
        experiment.release(experiment.suggest(), "broken")
        held = experiment.suggest()
        run(experiment, 1)
        assert not experiment.is_done  # its owner may give it back
        experiment.observe(held, 1.0)
        assert experiment.is_done
        with pytest.raises(CompletedExperiment, match="used up"):
            experiment.suggest()


def test_is_done_when_a_grid_is_used_up(url: str) -> None:
    with build_experiment(
        "e",
        space={"x": "uniform(0, 1)"},
        algorithm={"gridsearch": {"n_values": 3}},
        storage=url,
    ) as experiment:
        run(experiment, 3)
        assert experiment.is_done


def test_is_broken(experiment: ExperimentClient) -> None:
    for number in range(3):
        assert experiment.is_broken is False
        experiment.release(experiment.suggest(), Status.BROKEN, f"reason {number}")
    assert experiment.is_broken is True
    experiment.max_broken = 4
    assert experiment.is_broken is False


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("max_trials", -1),
        ("max_trials", 2.5),
        ("max_trials", "many"),
        ("max_broken", 0),
        ("max_broken", None),
        ("max_broken", True),
    ],
)
def test_limits_that_make_no_sense(experiment: ExperimentClient, limit: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=limit):
        setattr(experiment, limit, value)
    assert (experiment.max_trials, experiment.max_broken) == (5, 3)


def test_no_limit(experiment: ExperimentClient, url: str) -> None:
    experiment.max_trials = None
    run(experiment, 7)
    assert not experiment.is_done
    with get_experiment("e", storage=url) as other:
        assert other.max_trials is None


# --- trials ----------------------------------------------------------------------------------


def test_fetching(experiment: ExperimentClient) -> None:
    run(experiment, 2)
    inserted = experiment.insert({"x": 0.5, "layers.width": 3})
    held = experiment.suggest()  # takes the inserted one
    assert held.id == inserted.id
    trials = experiment.fetch_trials()
    assert [t.number for t in trials] == [-1, 0, 1]
    assert [t.id for t in experiment.fetch_trials_by_status("completed")] == [
        t.id for t in trials[1:]
    ]
    assert experiment.fetch_trials_by_status(Status.BROKEN) == []
    assert [t.id for t in experiment.fetch_noncompleted_trials()] == [held.id]
    with pytest.raises(UsageError, match="did you mean 'completed'"):
        experiment.fetch_trials_by_status("complete")


def test_a_trial_as_people_see_it(url: str, tmp_path: Path) -> None:
    with build_experiment(
        "e", space=SPACE, storage=url, working_dir=str(tmp_path / "work")
    ) as experiment:
        held = experiment.suggest()
        experiment.observe(
            held,
            [
                {"name": "loss", "type": "objective", "value": 0.25},
                {"name": "time", "type": "statistic", "value": 3},
            ],
        )
        trial = experiment.get_trial(held)
    assert trial.params == held.params and set(trial.params) == {"x", "layers.width"}
    assert trial.arguments == {
        "x": trial.params["x"],
        "layers": {"width": trial.params["layers.width"]},
    }
    assert (trial.id, trial.number, trial.attempt) == (held.id, 0, 1)
    assert trial.status is Status.COMPLETED and str(trial.status) == "completed"
    assert trial.objective == 0.25 and trial.results[1]["value"] == 3
    assert trial.hash_params == held.hash_params and len(trial.hash_params) == 32
    assert trial.working_dir == str(tmp_path / "work" / trial.id)
    assert trial.submit_time is not None and trial.end_time is not None
    assert trial.start_time is not None and trial.start_time <= trial.end_time
    assert trial.end_time.tzinfo is timezone.utc and trial.reason is None
    assert trial in {trial} and {trial: 1}[trial] == 1


def test_get_trial(experiment: ExperimentClient) -> None:
    run(experiment, 1)
    (trial,) = experiment.fetch_trials()
    assert experiment.get_trial(trial.id) == experiment.get_trial(trial) == trial
    assert experiment.get_trial(uid=trial.id) == trial
    for missing in ("", "nothing", None):
        with pytest.raises(NotFound, match="has no trial"):
            experiment.get_trial(missing)


def test_to_pandas(experiment: ExperimentClient) -> None:
    empty = experiment.to_pandas()
    run(experiment, 2, objective=0.5)
    experiment.release(experiment.suggest(), "broken")
    table = experiment.to_pandas()
    assert list(empty.columns) == list(table.columns)
    assert len(empty) == 0
    assert list(table.columns) == [
        *("id", "experiment_id", "number", "status", "suggested", "reserved", "completed"),
        *("objective", "stopped", "x", "layers.width"),
    ]
    trials = experiment.fetch_trials()
    assert list(table["id"]) == [t.id for t in trials]
    assert list(table["status"]) == ["completed", "completed", "broken"]
    assert list(table["objective"][:2]) == [0.5, 1.5] and table["objective"].isna()[2]
    assert table["stopped"].isna().all() and table["stopped"].dtype.kind == "f"
    assert table["objective"].dtype.kind == "f" and table["x"].dtype.kind == "f"
    assert list(table["layers.width"]) == [t.params["layers.width"] for t in trials]
    assert (table["completed"] >= table["suggested"])[:2].all()


def test_to_pandas_of_names_that_are_columns(url: str) -> None:
    with build_experiment(
        "e", space={"id": "uniform(0, 1)", "y": "uniform(0, 1)"}, storage=url
    ) as experiment:
        run(experiment, 1)
        table = experiment.to_pandas()
        (trial,) = experiment.fetch_trials()
    assert table["id"][0] == trial.id and table["params.id"][0] == trial.params["id"]


def test_to_pandas_without_pandas(
    experiment: ExperimentClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(MissingExtra, match="pip install pandas"):
        experiment.to_pandas()


def test_pandas_is_imported_by_nothing_else() -> None:
    source = (
        "import sys; from orion_k8s import build_experiment;"
        "build_experiment('e', space={'x': 'uniform(0, 1)'}, storage='memory://');"
        "assert 'pandas' not in sys.modules and 'joblib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", source], check=True, timeout=120)


# --- reading alone ---------------------------------------------------------------------------


def test_an_experiment_for_reading_refuses_to_write(
    experiment: ExperimentClient, url: str
) -> None:
    held = experiment.suggest()
    run(experiment, 2)
    with get_experiment("e", storage=url) as reader:
        assert reader.stats.trials_completed == 2 and len(reader.fetch_trials()) == 3
        assert not reader.is_done and not reader.is_broken and len(reader.to_pandas()) == 3
        waiting = experiment.insert({"x": 0.5, "layers.width": 3})
        refused: list[Any] = [
            reader.suggest,
            lambda: reader.observe(held, 1.0),
            lambda: reader.release(held),
            lambda: reader.reserve(waiting),
            lambda: reader.insert({"x": 0.25, "layers.width": 3}),
            lambda: reader.workon(lambda x, layers: x),
            lambda: setattr(reader, "max_trials", 7),
            lambda: setattr(reader, "max_broken", 7),
        ]
        for write in refused:
            with pytest.raises(UnsupportedOperation, match="reading only and cannot"):
                write()
    assert experiment.max_trials == 5 and experiment.holds(held)
    assert len(experiment.fetch_trials()) == 4


def test_get_experiment_modes(experiment: ExperimentClient, url: str) -> None:
    with get_experiment("e", mode="w", storage=url) as writer:
        assert writer.mode == "w" and writer.suggest().params
    with pytest.raises(ConfigurationError, match="mode must be 'r'"):
        get_experiment("e", mode="x", storage=url)
    with pytest.raises(NotFound, match="did you mean 'e'"):
        get_experiment("ee", storage=url)
    with pytest.raises(NotFound, match="no version 2, only: 1"):
        get_experiment("e", 2, storage=url)


def test_a_removed_experiment(experiment: ExperimentClient, url: str) -> None:
    with get_experiment("e", storage=url) as reader:
        experiment.storage.remove_experiment(experiment.id)
        for read in (lambda: reader.stats, lambda: reader.is_done, lambda: reader.is_broken):
            with pytest.raises(ExperimentRemoved):
                read()
        with pytest.raises(ExperimentRemoved):
            _ = reader.name
        assert repr(reader) == "ExperimentClient(removed)"
