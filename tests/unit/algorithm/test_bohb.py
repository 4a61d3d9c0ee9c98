"""BOHB is Hyperband with a model of the trials that had the most budget."""

from __future__ import annotations

import json
import random
import statistics
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Suggestion
from orion_k8s.algorithm.bohb import BOHB
from orion_k8s.algorithm.hyperband import Hyperband
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import run
from orion_k8s.trial import Row

SPACE = Space.parse(
    {"x": "uniform(0, 1)", "y": "uniform(0, 1)", "epochs": "fidelity(1, 9, base=3)"}
)


def objective(params: dict[str, Any]) -> float:
    return (params["x"] - 0.3) ** 2 + (params["y"] - 0.8) ** 2 + 1 / params["epochs"]


def at_budget(budget: int, centre: float, first: int, count: int = 30) -> list[Row]:
    """Return trials at random points of a line, the better the nearer to the centre."""
    xs = np.random.default_rng(budget).random(count)
    return [
        Row(n, "completed", abs(x - centre), f"[{x},{x},{budget}]", f"t{n}")
        for n, x in enumerate(xs.tolist(), start=first)
    ]


def new_points(bohb: BOHB, rows: list[Row], count: int = 40) -> list[float]:
    history = History(SPACE)
    history.fill(rows)
    found = []
    for number in range(1000, 1000 + count):
        answer = bohb.suggest(number, 0, history)
        assert isinstance(answer, Suggestion) and answer.parent is None
        decision = answer.decision
        history.fill(
            [Row(number, "reserved", None, json.dumps(answer.values), "", None, decision)]
        )
        found.append(answer.values[0])
    return found


def best(kind: type[Hyperband], seed: int) -> float:
    trials = run(lambda: kind(SPACE, seed), objective, 200, turns=seed)
    return min(row.objective or 9.0 for row in trials.rows.values()) - 1 / 9


def test_it_finds_more_than_hyperband() -> None:
    ours, theirs = (
        statistics.median(best(kind, s) for s in range(5)) for kind in (BOHB, Hyperband)
    )
    assert ours < theirs / 3


def test_the_highest_budget_with_trials_enough_is_what_it_learns_from() -> None:
    bohb = BOHB(SPACE, 1, random_fraction=0.0)
    low = at_budget(1, 0.2, 0)
    assert abs(statistics.median(new_points(bohb, low)) - 0.2) < 0.1
    few = at_budget(9, 0.8, 100, count=4)  # too few for three coordinates' worth of good ones
    assert abs(statistics.median(new_points(bohb, [*low, *few])) - 0.2) < 0.1
    many = at_budget(9, 0.8, 100)
    assert abs(statistics.median(new_points(bohb, [*low, *many])) - 0.8) < 0.1


def test_a_part_of_the_new_points_is_drawn_from_the_prior() -> None:
    rows = at_budget(1, 0.2, 0)
    share = [
        np.mean(np.abs(np.array(new_points(BOHB(SPACE, 1, random_fraction=f), rows)) - 0.2) < 0.2)
        for f in (0.0, 0.5)
    ]
    assert share[0] > share[1] + 0.15
    without_model = Hyperband(SPACE, 1)
    prior = new_points(BOHB(SPACE, 1, random_fraction=1.0), rows)
    assert prior == new_points(without_model, rows)  # type: ignore[arg-type]


def test_until_there_are_trials_enough_it_is_hyperband() -> None:
    rows = at_budget(1, 0.2, 0, count=4)
    assert new_points(BOHB(SPACE, 1), rows) == new_points(Hyperband(SPACE, 1), rows)  # type: ignore[arg-type]


def test_a_new_worker_in_any_order_of_reading_suggests_what_an_old_one_does() -> None:
    trials = run(lambda: BOHB(SPACE, 1), objective, 60, workers=5, turns=3)
    rows = list(trials.rows.values())
    old, history = BOHB(SPACE, 1), History(SPACE)
    for row in rows:
        history.fill([row._replace(status="reserved", objective=None)])
        old.suggest(900, 0, history)
        history.fill([row])
    answers = [old.suggest(number, 0, history) for number in (900, 901)]
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        fresh, other = BOHB(SPACE, 1), History(SPACE)
        other.fill(rows)
        assert [fresh.suggest(n, 0, other) for n in (900, 901)] == answers


@pytest.mark.parametrize(
    ("space", "parameters", "words"),
    [
        ({"x": "uniform(0, 1)"}, {}, "needs a fidelity dimension"),
        ({}, {"min_points_in_model": 0}, "min_points_in_model must be a whole number"),
        ({}, {"top_n_percent": 101}, "top_n_percent must be a number above 0 and of at most 100"),
        ({}, {"num_samples": 0}, "num_samples must be a whole number"),
        ({}, {"random_fraction": -0.1}, "random_fraction must be a number of at least 0"),
        ({}, {"bandwidth_factor": 0}, "bandwidth_factor must be a number above 0"),
        ({}, {"min_bandwidth": "a"}, "min_bandwidth must be a number"),
        ({}, {"bandwith_factor": 3}, "did you mean 'bandwidth_factor'"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    space: dict[str, str], parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create({"bohb": parameters}, Space.parse(space) if space else SPACE, 1)
