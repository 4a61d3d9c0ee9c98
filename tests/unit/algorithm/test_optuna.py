"""Optuna's samplers on a study that is made of the history."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from orion_k8s.algorithm import Suggestion
from orion_k8s.algorithm.optuna_study import Cube, Study
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import run
from orion_k8s.trial import Row, dump_values
from tests.functions import best, sphere

MIXED = Space.parse(
    {
        "x": "uniform(0, 1)",
        "lr": "loguniform(1e-5, 1)",
        "n": "randint(0, 9)",
        "c": "choices(['a', 'b', 'c'])",
        "w": "normal(0, 1, shape=2)",
        "one": "randint(4, 5)",
    }
)


def _rows(space: Space, count: int) -> list[Row]:
    rng = np.random.default_rng(1)
    statuses = ["completed"] * 8 + ["reserved", "broken"]
    rows = []
    for number, values in enumerate(space.decode(rng.random((count, space.width)))):
        status = statuses[number % 10]
        objective = float(rng.random()) if status == "completed" else None
        rows.append(Row(number, status, objective, dump_values(values), f"t{number}"))
    return rows


def _history(space: Space, rows: Sequence[Row]) -> History:
    history = History(space)
    history.fill(rows)
    return history


def test_points_in_optunas_words() -> None:
    cube, rng = Cube(MIXED), np.random.default_rng(1)
    assert list(cube.distributions) == ["x", "lr", "n", "c", "w[0]", "w[1]", "one"]
    for point in rng.random((20, MIXED.width)):
        again = cube.point(cube.params(point))
        assert MIXED.decode(again) == MIXED.decode(point)
        assert cube.params(again) == cube.params(point)


@pytest.mark.parametrize(
    "parameters", [{}, {"multivariate": True}, {"multivariate": True, "group": True}]
)
def test_a_sampler_sees_what_it_would_see_in_a_study_of_its_own(
    parameters: dict[str, Any],
) -> None:
    rows, cube = _rows(MIXED, 40), Cube(MIXED)
    history = _history(MIXED, rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one, two = (
            optuna.samplers.TPESampler(seed=3, constant_liar=True, **parameters) for _ in range(2)
        )
        theirs = optuna.create_study(sampler=one)
        for index, row in enumerate(rows):
            states = {"completed": "COMPLETE", "reserved": "RUNNING", "broken": "FAIL"}
            theirs.add_trial(
                optuna.trial.create_trial(
                    state=optuna.trial.TrialState[states[row.status]],
                    value=row.objective,
                    params=cube.params(history.points[index]),
                    distributions=cube.distributions,
                )
            )
        told = theirs.ask(cube.distributions).params
    study = Study(cube, history, None)
    study.follow()
    assert study.sampled(two, 40).tolist() == cube.point(told).tolist()


def test_it_finds_more_than_random_search() -> None:
    space = Space.parse({f"x{i}": "uniform(0, 1)" for i in range(3)})
    for workers in (1, 8):
        found = best(
            run(
                lambda: create({"optuna": {}}, space, 1),
                lambda p: sphere(list(p.values())),
                80,
                workers,
            )
        )
        drawn = best(
            run(lambda: create({"random": {}}, space, 1), lambda p: sphere(list(p.values())), 80)
        )
        assert found < drawn


@pytest.mark.parametrize("sampler", ["TPESampler", "RandomSampler"])
def test_what_was_read_when_has_no_say(sampler: str) -> None:
    rows = _rows(MIXED, 60)
    made = {"optuna": {"sampler": sampler}}
    expected = create(made, MIXED, 1).suggest(60, 0, _history(MIXED, rows))
    grown, history = create(made, MIXED, 1), History(MIXED)
    order = rows.copy()
    random.Random(1).shuffle(order)
    for row in order:  # first all as running, then as they are
        history.fill([row._replace(status="reserved", objective=None)])
        if row.number % 7 == 0:
            grown.suggest(60, 0, history)
    history.fill(order)
    assert grown.suggest(60, 0, history) == expected


def test_removed_trials_and_strange_objectives() -> None:
    rows = _rows(MIXED, 30)
    algorithm, history = create({"optuna": {}}, MIXED, 1), History(MIXED)
    history.fill(rows)
    assert isinstance(algorithm.suggest(30, 0, history), Suggestion)
    rows[8] = Row(8, "removed", None, "", "t8")
    rows[18] = rows[18]._replace(status="completed", objective=float("nan"))
    rows[28] = rows[28]._replace(status="completed", objective=1e308)
    rows.append(rows[0]._replace(number=30, id="t30", status="completed", objective=-1e308))
    history.fill(rows)
    found = algorithm.suggest(31, 0, history)
    assert found == create({"optuna": {}}, MIXED, 1).suggest(31, 0, _history(MIXED, rows))


def test_the_sampler_of_another_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_samplers.py").write_text(
        "from optuna.samplers import RandomSampler\n"
        "class Half(RandomSampler):\n"
        "    def sample_independent(self, study, trial, name, distribution):\n"
        "        return 0.5\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    space = Space.parse({"x": "uniform(0, 10)"})
    algorithm = create({"optuna": {"sampler": "my_samplers:Half"}}, space, 1)
    assert algorithm.suggest(0, 0, History(space)) == Suggestion((5.0,))
    sys.modules.pop("my_samplers")


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"sampler": "TPSampler"}, "did you mean 'TPESampler'"),
        ({"n_startup_trial": 3}, "did you mean 'n_startup_trials'"),
        ({"gamma": lambda n: 3}, "must be plain data"),
        ({"group": True, "multivariate": False}, "TPESampler refuses its parameters: "),
        ({"sampler": "CmaEsSampler"}, "CmaEsSampler needs more than a history has: use cmaes"),
        ({"sampler": "GridSampler"}, "use gridsearch"),
        ({"sampler": "no.such:Sampler"}, "can't be loaded"),
        ({"sampler": "json:JSONDecoder"}, "is no sampler of Optuna's"),
        ({"sampler": 3}, "sampler can't be 3"),
    ],
)
def test_parameters_that_do_not_fit(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        create({"optuna": parameters}, MIXED, 1)


def test_parameters_that_a_sampler_takes_and_can_not_use() -> None:
    algorithm = create({"optuna": {"n_ei_candidates": "many"}}, MIXED, 1)
    with pytest.raises(ConfigurationError, match="TPESampler can't suggest with its parameters"):
        algorithm.suggest(60, 0, _history(MIXED, _rows(MIXED, 60)))


def test_a_package_that_a_sampler_needs_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in [name for name in sys.modules if name.startswith("optuna._gp")]:
        monkeypatch.delitem(sys.modules, module)
    with pytest.raises(MissingExtra, match="GPSampler needs a package that is not installed"):
        algorithm = create({"optuna": {"sampler": "GPSampler"}}, MIXED, 1)
        algorithm.suggest(60, 0, _history(MIXED, _rows(MIXED, 60)))


def test_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtra, match=r"pip install 'orion-k8s\[optuna\]'"):
        create({"optuna": {}}, MIXED, 1)
