"""Several objectives from Python: fronts, goals, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orion_k8s import InvalidResult, Status, build_experiment, get_experiment
from orion_k8s.errors import ConfigurationError, GoalChanged
from orion_k8s.history.pareto import front

SPACE = {"x": "uniform(0, 1)", "y": "uniform(0, 1)"}
BOTH = {"accuracy": "maximize", "latency": "minimize"}

WORKER = """
import sys
from orion_k8s import build_experiment

def measure(x, y):
    return [
        {"name": "latency", "type": "objective", "value": x + y},
        {"name": "accuracy", "type": "objective", "value": x - y},
    ]

with build_experiment("e", storage=sys.argv[1], heartbeat=0.5) as experiment:
    print(experiment.workon(measure, n_workers=2))
"""


def measured(accuracy: float, latency: float, weight: float = 0.0) -> list[dict[str, Any]]:
    return [
        {"name": "accuracy", "type": "objective", "value": accuracy},
        {"name": "latency", "type": "objective", "value": latency},
        {"name": "weight", "type": "constraint", "value": weight},
    ]


@pytest.mark.parametrize("algorithm", ["nsga2", "tpe", "random"])
def test_workers_find_a_front(url: str, scripts: Any, algorithm: str) -> None:
    parameters = {"nsga2": {"population_size": 8}, "tpe": {"n_initial_points": 8}}
    with build_experiment(
        "e",
        space=SPACE,
        storage=url,
        max_trials=40,
        algorithm={algorithm: parameters.get(algorithm, {})},
        objectives=BOTH,
        seed=1,
    ) as experiment:
        workers = [scripts.start(WORKER, url) for _ in range(2)]
        outs = [worker.communicate(timeout=120) for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0], outs
        trials = experiment.fetch_trials()
        assert [t.status for t in trials] == [Status.COMPLETED] * 40  # exactly
        assert all(t.record.losses for t in trials)
        found = experiment.pareto_front()
        told = [(t.objectives["accuracy"], t.objectives["latency"]) for t in found]
        assert told == sorted(told, reverse=True) and 0 < len(found) < 40
        for other in trials:
            a, b = other.objectives["accuracy"], other.objectives["latency"]
            assert not all(a > x and b < y for x, y in told)
            better = [(x, y) for x, y in told if x >= a and y <= b]
            assert better  # on the front itself, or something there is as good
        table = experiment.to_pandas()
        assert (table["objective.accuracy"] == table["x"] - table["y"]).all()
        assert experiment.stats.best_evaluation == max(table["objective.accuracy"])


def test_a_goal_has_to_be_reached_in_all_that_it_names(url: str) -> None:
    with build_experiment(
        "e",
        space=SPACE,
        storage=url,
        objectives=BOTH,
        goal={"accuracy": 0.9, "latency": 5},
    ) as experiment:
        for x, results in enumerate(
            [measured(0.95, 6), measured(0.8, 1), measured(0.99, 1, weight=1)]
        ):
            experiment.insert({"x": x / 4, "y": 0}, results)
            assert not experiment.is_done
        assert [t.objectives["accuracy"] for t in experiment.pareto_front()] == [0.95, 0.8]
        experiment.insert({"x": 1, "y": 1}, measured(0.9, 5))
        assert experiment.is_done
        experiment.goal = {"latency": 0.5}
        assert not experiment.is_done
        with pytest.raises(ConfigurationError, match="mapping"):
            experiment.goal = 3


def test_results_need_each_objective_once(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, objectives=BOTH) as experiment:
        trial = experiment.suggest()
        for wrong in (0.5, measured(1, 2)[:1], [*measured(1, 2), *measured(1, 2)]):
            with pytest.raises(InvalidResult, match="aims at 'accuracy', 'latency'"):
                experiment.observe(trial, wrong)
        experiment.observe(trial, measured(1, 2))
        assert experiment.workon(lambda x, y: measured(x, y), max_trials=2) == 2
        experiment.max_broken = 1
        with pytest.raises(Exception, match="broken"):
            experiment.workon(lambda x, y: x)
        [broken] = experiment.fetch_trials_by_status("broken")
        assert "aims at" in (broken.reason or "")


def test_another_number_of_objectives_is_refused(url: str, tmp_path: Path) -> None:
    with build_experiment("e", space=SPACE, storage=url, objectives=BOTH) as experiment:
        with pytest.raises(GoalChanged, match="is to maximize accuracy, minimize latency, not to"):
            build_experiment("e", storage=url, objectives={**BOTH, "size": "minimize"})
        with pytest.raises(GoalChanged, match="not to minimize: make a new version"):
            build_experiment("e", storage=url, direction="minimize")
        with pytest.raises(ConfigurationError, match="'cmaes' takes one objective"):
            build_experiment("e", storage=url, algorithm="cmaes")
        with pytest.raises(ConfigurationError, match="'de' takes one objective"):
            build_experiment("f", space=SPACE, storage=url, algorithm="de", objectives=BOTH)
        experiment.insert({"x": 0, "y": 0}, measured(1, 2))
    with get_experiment("e", storage=url) as again:
        [trial] = again.pareto_front()
        assert trial.objectives == {"accuracy": 1.0, "latency": 2.0}


def test_a_single_objective_has_a_front_too(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, direction="maximize") as experiment:
        for x, value in ((0.1, 1.0), (0.2, 3.0), (0.3, 3.0)):
            experiment.insert({"x": x, "y": 0}, value)
        assert [t.objective for t in experiment.pareto_front()] == [3.0, 3.0]
        assert front(experiment._claimer.history.losses).sum() == 2
