"""What an experiment aims at, from Python: directions, goals, constraints, points to try first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orion_k8s import (
    CompletedExperiment,
    InvalidResult,
    Status,
    build_experiment,
    get_experiment,
)
from orion_k8s.client import workon
from orion_k8s.errors import ConfigurationError, GoalChanged, InvalidParams, UnsupportedOperation
from orion_k8s.storage.portable import DumpFile, write_dump
from orion_k8s.storage.url import open_storage

SPACE = {"x": "uniform(0, 1)"}

WORKER = """
import sys, time
from orion_k8s import build_experiment

def accuracy(x):
    time.sleep(0.02)
    return x

with build_experiment("e", storage=sys.argv[1], heartbeat=0.5) as experiment:
    print(experiment.workon(accuracy, n_workers=2))
"""


def constrained(x: float) -> list[dict[str, Any]]:
    """Large is good, and above a half forbidden."""
    return [
        {"name": "o", "type": "objective", "value": x},
        {"name": "c", "type": "constraint", "value": x - 0.5},
    ]


def test_the_best_is_the_largest_where_that_is_asked_for(url: str) -> None:
    with build_experiment(
        "e", space=SPACE, storage=url, max_trials=8, direction="maximize"
    ) as experiment:
        experiment.workon(lambda x: x)
        trials = experiment.fetch_trials_by_status("completed")
        best = max(trials, key=lambda t: t.params["x"])
        assert experiment.stats.best_trials_id == best.id
        assert experiment.stats.best_evaluation == best.objective == best.params["x"]
        assert [t.objective for t in trials] == [t.params["x"] for t in trials]
        assert sorted(experiment.to_pandas()["objective"]) == sorted(t.params["x"] for t in trials)
        # Storage and algorithms know losses alone.
        assert [t.record.objective for t in trials] == [-t.params["x"] for t in trials]


def test_an_algorithm_goes_up_where_that_is_asked_for() -> None:
    found = workon(
        lambda x: -((x - 0.7) ** 2),
        SPACE,
        algorithm={"tpe": {"n_initial_points": 10}},
        max_trials=40,
        seed=1,
        direction="maximize",
    )
    value = found.stats.best_evaluation
    assert value is not None and -1e-4 < value <= 0


def test_workers_end_when_one_reaches_the_goal(
    url: str, scripts: Any, until: Callable[..., Any]
) -> None:
    with build_experiment(
        "e", space=SPACE, storage=url, max_trials=10_000, direction="maximize", goal=0.97
    ) as experiment:
        workers = [scripts.start(WORKER, url) for _ in range(3)]
        for worker in workers:
            _, err = worker.communicate(timeout=120)
            assert (worker.returncode, err) == (0, "")
        trials = experiment.fetch_trials()
        assert {t.status for t in trials} == {Status.COMPLETED}  # what ran was ended in order
        assert max(t.objective or 0 for t in trials) >= 0.97
        assert len(trials) < 2000
        assert experiment.is_done
        with pytest.raises(CompletedExperiment, match="reached its goal"):
            experiment.suggest()

        # Another goal, and it goes on; without one too.
        experiment.goal = 2.0
        assert not experiment.is_done and experiment.goal == 2.0
        assert experiment.workon(lambda x: x, max_trials=1) == 1
        experiment.goal = 0.9
        assert experiment.workon(lambda x: x, max_trials=1) == 0
        experiment.goal = None
        assert experiment.workon(lambda x: x, max_trials=1) == 1


def test_who_breaks_a_constraint_ranks_behind_all_others(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, direction="maximize") as experiment:
        for x in (0.9, 0.6):
            experiment.insert({"x": x}, constrained(x))
        assert experiment.stats.best_evaluation is None is experiment.stats.best_trials_id
        best = experiment.storage.best(experiment.id)
        assert best is not None and json.loads(best.values) == [0.6]  # the nearest
        for x in (0.1, 0.4, 0.8):
            experiment.insert({"x": x}, constrained(x))
        assert experiment.stats.best_evaluation == 0.4
        told = {t.objective: t.feasible for t in experiment.fetch_trials()}
        assert told == {0.9: False, 0.6: False, 0.1: True, 0.4: True, 0.8: False}
        # A trial that breaks a constraint reaches no goal.
        experiment.goal = 0.7
        assert not experiment.is_done
        trial = experiment.suggest()
        with pytest.raises(InvalidResult, match="constraint 'c' is 'no'"):
            experiment.observe(
                trial, [*constrained(0.1)[:1], {**constrained(1)[1], "value": "no"}]
            )
        experiment.release(trial)


def test_another_direction_is_refused_and_nothing_is_lost(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, direction="maximize", goal=3) as made:
        with pytest.raises(GoalChanged) as error:
            build_experiment("e", storage=url, direction="minimize")
        assert str(error.value) == (
            "'e' version 1 is to maximize, not to minimize: make a new version with -v 2 "
            "(version=2 in Python)."
        )
        with pytest.raises(GoalChanged, match="not to maximize a, minimize b"):
            build_experiment("e", storage=url, objectives={"a": "maximize", "b": "minimize"})
        with pytest.raises(ConfigurationError, match="did you mean maximize"):
            build_experiment("new", space=SPACE, storage=url, direction="maximise")
        for word in ("nothing", {"a": 1}, float("nan")):
            with pytest.raises(ConfigurationError):
                build_experiment("new", space=SPACE, storage=url, goal=word)  # type: ignore[arg-type]
        again = build_experiment("e", storage=url, direction="maximize", goal=4)
        assert (again.direction, again.goal, made.id) == ("maximize", 4.0, again.id)
        again.close()
        with get_experiment("e", storage=url) as reader:
            assert (reader.direction, reader.goal) == ("maximize", 4.0)
            with pytest.raises(UnsupportedOperation):
                reader.goal = 5


def test_a_dump_keeps_the_goal(url: str, tmp_path: Path) -> None:
    with (
        build_experiment("e", space=SPACE, storage=url, direction="maximize", goal=3) as made,
        open(tmp_path / "dump", "w+b") as file,
        open_storage(f"sqlite:///{tmp_path / 'other.db'}") as other,
    ):
        made.insert({"x": 0.25}, 0.5)
        write_dump(made.storage, [made.record], file)
        file.seek(0)
        dump = DumpFile(file, "dump")
        other.setup()
        other.restore(dump.experiments[0].record, dump.trials(dump.experiments[0]))
        with build_experiment("e", storage=other) as copy:
            assert (copy.direction, copy.goal) == ("maximize", 3.0)
            assert copy.stats.best_evaluation == 0.5


def test_points_are_tried_first_in_their_order(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, max_trials=5) as experiment:
        for x in (0.5, 0.25, 0.75):
            assert experiment.enqueue({"x": x}).status is Status.NEW
        tried = []
        for _ in range(5):
            with experiment.suggest() as trial:
                tried.append(trial.params["x"])
                experiment.observe(trial, 1.0)
        assert tried[:3] == [0.5, 0.25, 0.75] and len(set(tried)) == 5
        with pytest.raises(InvalidParams):
            experiment.enqueue({"x": 2})
