"""DEHB moves populations at every budget, and learns at high budgets from low ones."""

from __future__ import annotations

import random
import re
import statistics
from collections import defaultdict
from typing import Any

import pytest

from orion_k8s.algorithm import Finished, Suggestion
from orion_k8s.algorithm.dehb import DEHB
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import Trials, run
from orion_k8s.trial import Row

SPACE = Space.parse(
    {**{f"x{i}": "uniform(0, 1)" for i in range(4)}, "epochs": "fidelity(1, 9, base=3)"}
)
SIZES = [[9, 3, 1], [5, 1], [3]]


def objective(params: dict[str, Any]) -> float:
    return sum((params[f"x{i}"] - 0.3) ** 2 for i in range(4)) + 0.01 / params["epochs"]


def rungs_of(trials: Trials) -> dict[tuple[int, ...], list[Row]]:
    """Return the trials of each rung as (repetition, bracket, rung)."""
    found = defaultdict(list)
    for row in trials.rows.values():
        words = (row.decision or "").split()
        found[int(words[2]), int(words[4]), int(words[6])].append(row)
    return found


def best(name: str, seed: int, workers: int) -> float:
    trials = run(lambda: create({name: {}}, SPACE, seed), objective, 300, workers)
    return min(row.objective for row in trials.rows.values() if row.objective is not None)


@pytest.mark.parametrize("workers", [1, 8])
def test_it_finds_more_than_hyperband(workers: int) -> None:
    ours, theirs = (
        statistics.median(best(name, seed, workers) for seed in range(9))
        for name in ("dehb", "hyperband")
    )
    floor = 0.01 / 9
    assert ours - floor < (theirs - floor) / 3


@pytest.mark.parametrize("workers", [1, 7])
def test_every_place_of_every_rung_is_filled_once(workers: int) -> None:
    trials = run(lambda: DEHB(SPACE, 1, repetitions=3), objective, 1000, workers)
    rungs = rungs_of(trials)
    assert {place: len(rows) for place, rows in rungs.items()} == {
        (repetition, bracket, rung): size
        for repetition in range(3)
        for bracket, sizes in enumerate(SIZES)
        for rung, size in enumerate(sizes)
    }
    history = History(SPACE)
    history.fill(trials.rows.values())
    assert isinstance(DEHB(SPACE, 1, repetitions=3).suggest(99, 0, history), Finished)


def test_only_in_the_first_bracket_do_trials_go_on() -> None:
    trials = run(lambda: DEHB(SPACE, 1, repetitions=3), objective, 1000, 4)
    for (repetition, bracket, rung), rows in rungs_of(trials).items():
        halved = (repetition, bracket) == (0, 0) and rung > 0
        assert all((row.parent is not None) == halved for row in rows)


def test_a_budgets_trials_are_for_its_places_one_after_another() -> None:
    algorithm, trials = DEHB(SPACE, 1, repetitions=3), Trials()
    trials = run(lambda: DEHB(SPACE, 1, repetitions=3), objective, 1000, 1)
    history = History(SPACE)
    history.fill(trials.rows.values())
    algorithm.suggest(99, 0, history)
    assert [population.size for population in algorithm._populations] == [9, 5, 3]
    for budget, population in enumerate(algorithm._populations):
        made = [
            row
            for (_, bracket, rung), rows in sorted(rungs_of(trials).items())
            for row in sorted(rows, key=lambda row: int((row.decision or "").split()[-1]))
            if bracket + rung == budget
        ]
        for place in range(population.size):
            rivals = made[place :: population.size]
            winner = min(rivals, key=lambda row: row.objective or 0.0)
            assert history.numbers[population.holders[place]] == winner.number


def test_a_higher_budget_learns_from_the_best_of_the_one_below() -> None:
    trials = run(lambda: DEHB(SPACE, 1, repetitions=3), objective, 1000, 1)
    history, algorithm = History(SPACE), DEHB(SPACE, 1, repetitions=3)
    history.fill(trials.rows.values())
    algorithm.suggest(99, 0, history)
    low, middle, high = (p.ranked(history).tolist() for p in algorithm._populations)
    assert algorithm._parents(1, 1, 5, middle[0], history).tolist() == low[:5]
    assert algorithm._parents(2, 1, 3, high[0], history).tolist() == middle[:3]
    assert algorithm._parents(1, 0, 5, middle[0], history).tolist() == middle[1:]
    # Too few: the others, the highest budget first.
    few = algorithm._parents(2, 2, 1, high[0], history).tolist()
    assert few == [middle[0], *high[1:]][:3]


@pytest.mark.parametrize("workers", [1, 6])
def test_a_new_worker_suggests_the_same_to_the_last_bit(workers: int) -> None:
    trials = run(lambda: DEHB(SPACE, 3), objective, 90, workers)
    rows, old, history = list(trials.rows.values()), DEHB(SPACE, 3), History(SPACE)
    for row in rows:
        old.suggest(row.number, 0, history)
        history.fill([row])
    for number in (200, 201, 220):
        answer = old.suggest(number, 0, history)
        assert isinstance(answer, Suggestion)
        for order in (rows, rows[::-1], random.Random(1).sample(rows, len(rows))):
            fresh = History(SPACE)
            fresh.fill(order)
            assert DEHB(SPACE, 3).suggest(number, 0, fresh) == answer


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"mutation_factor": 3}, "mutation_factor must be a number above 0 and of at most 2"),
        ({"crossover_prob": -1}, "crossover_prob must be a number of at least 0 and of at most 1"),
        ({"strategy": "rand2bin"}, "strategy can't be 'rand2bin': did you mean 'rand1bin'?"),
        ({"mutation": 0.5}, "has no parameter 'mutation': did you mean 'mutation_factor'?"),
    ],
)
def test_a_parameter_that_does_not_fit(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        create({"dehb": parameters}, SPACE, 1)


def test_without_a_fidelity() -> None:
    with pytest.raises(ConfigurationError, match="dehb needs a fidelity dimension"):
        create({"dehb": {}}, Space.parse({"x": "uniform(0, 1)"}), 1)
