"""Each point measured several times, with real workers."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from orion_k8s import Status, build_experiment
from orion_k8s.errors import ConfigurationError, GoalChanged

SPACE = {"x": "uniform(0, 1)"}

WORKER = """
import random, sys
from orion_k8s import build_experiment

def noisy(x):
    return (x - 0.3) ** 2 + random.gauss(0, 0.05)

with build_experiment("e", storage=sys.argv[1], heartbeat=0.5) as experiment:
    print(experiment.workon(noisy, n_workers=3))
"""


@pytest.mark.parametrize("algorithm", ["random", "tpe", "asha"])
def test_workers_measure_each_point_as_often(url: str, scripts: Any, algorithm: str) -> None:
    space = {**SPACE, "epochs": "fidelity(1, 9, base=3)"} if algorithm == "asha" else SPACE
    worker = WORKER.replace("def noisy(x)", "def noisy(x, epochs=1)")
    with build_experiment(
        "e", space=space, storage=url, max_trials=60, algorithm=algorithm, repetitions=3, seed=1
    ) as experiment:
        workers = [scripts.start(worker, url) for _ in range(3)]
        outs = [worker.communicate(timeout=120) for worker in workers]
        assert [(w.returncode, err) for w, (_, err) in zip(workers, outs, strict=True)] == [
            (0, "")
        ] * 3
        trials = experiment.fetch_trials()
        assert [t.status for t in trials] == [Status.COMPLETED] * 60  # exactly
        assert [t.number for t in trials] == list(range(60))
        points: dict[int, list[Any]] = {}
        for trial in trials:
            points.setdefault(trial.number // 3, []).append(trial)
        assert all(len({tuple(t.params.items()) for t in p}) == 1 for p in points.values())
        assert len({t.hash_params for t in trials}) == 60
        times = Counter((tuple(p[0].params.items()), p[0].parent) for p in points.values())
        assert set(times.values()) == {1}  # each point once
        means = {n: sum(t.objective for t in p) / 3 for n, p in points.items()}
        best = min(means, key=lambda n: means[n])
        stats = experiment.stats
        assert stats.best_evaluation == pytest.approx(means[best])
        assert stats.best_trials_id == points[best][0].id


def test_the_goal_is_for_the_mean(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, repetitions=2, goal=0.5) as experiment:
        for value in (0.0, 2.0, 0.25, 0.75):
            assert not experiment.is_done
            experiment.observe(experiment.suggest(), value)
        assert experiment.is_done
        assert [t.params for t in experiment.fetch_trials()[:2]] == [
            experiment.fetch_trials()[0].params
        ] * 2


def test_a_broken_measurement_leaves_the_others(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, repetitions=2) as experiment:
        experiment.release(experiment.suggest(), "broken")
        experiment.observe(experiment.suggest(), 3.0)
        assert experiment.stats.best_evaluation == 3.0
        assert len({t.params["x"] for t in experiment.fetch_trials()}) == 1


def test_a_finite_space_is_measured_whole(url: str) -> None:
    with build_experiment(
        "e", space={"n": "randint(0, 4)"}, storage=url, repetitions=3, algorithm="gridsearch"
    ) as experiment:
        assert experiment.workon(lambda n: n, n_workers=2) == 12
        assert Counter(t.params["n"] for t in experiment.fetch_trials()) == dict.fromkeys(
            range(4), 3
        )
        assert experiment.is_done


def test_what_makes_no_sense_is_refused(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, repetitions=2):
        with pytest.raises(GoalChanged, match="measures each point 2 times, not 3"):
            build_experiment("e", storage=url, repetitions=3)
        for wrong in (0, 21, True, 1.5):
            with pytest.raises(ConfigurationError, match="from 1 to 20"):
                build_experiment("f", space=SPACE, storage=url, repetitions=wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match="measured once"):
            build_experiment(
                "f",
                space=SPACE,
                storage=url,
                repetitions=2,
                objectives={"a": "minimize", "b": "minimize"},
            )
