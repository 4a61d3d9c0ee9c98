"""Differential evolution: what it finds, and that the trials alone make the population."""

from __future__ import annotations

import random
import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Finished, Suggestion
from orion_k8s.algorithm.axes import Axes
from orion_k8s.algorithm.de import DE
from orion_k8s.algorithm.differential import DONORS, Operators, inside
from orion_k8s.algorithm.population import Population
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import run
from orion_k8s.trial import Row, dump_values
from tests.functions import best, ellipsoid, rosenbrock, sphere

REALS = Space.parse({f"x{i}": "uniform(0, 1, precision=None)" for i in range(5)})
MIXED = Space.parse(
    {"x": "uniform(0, 1)", "n": "randint(0, 30)", "c": "choices(['a', 'b', 'c', 'd'])"}
)


def median_best(
    algorithm: dict[str, Any], space: Space, objective: Callable[..., float], workers: int
) -> float:
    return statistics.median(
        best(run(lambda seed=seed: create(algorithm, space, seed), objective, 300, workers))
        for seed in range(7)
    )


def rows_of(space: Space, count: int, seed: int = 0) -> list[Row]:
    """Return completed trials at random points."""
    rng = np.random.default_rng(seed)
    return [
        Row(n, "completed", float(rng.random()), dump_values(values), f"t{n}")
        for n, values in enumerate(space.decode(rng.random((count, space.width))))
    ]


def history_of(space: Space, rows: Sequence[Row]) -> History:
    history = History(space)
    history.fill(rows)
    return history


# --- what it finds -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("function", [sphere, rosenbrock, ellipsoid])
def test_it_finds_much_more_than_random_search(
    function: Callable[[Sequence[float]], float], workers: int
) -> None:
    def objective(params: dict[str, Any]) -> float:
        return function(list(params.values()))

    ours = median_best({"de": {}}, REALS, objective, workers)
    assert ours < median_best({"random": {}}, REALS, objective, workers) / 8


@pytest.mark.parametrize("strategy", DONORS)
def test_every_strategy_finds_more_than_random_search(strategy: str) -> None:
    def objective(params: dict[str, Any]) -> float:
        return sphere(list(params.values()))

    ours = median_best({"de": {"strategy": strategy, "population_size": 10}}, REALS, objective, 4)
    assert ours < median_best({"random": {}}, REALS, objective, 4) / 5


def test_mixed_spaces_are_searched_too() -> None:
    def objective(params: dict[str, Any]) -> float:
        return (params["x"] - 0.3) ** 2 + (params["n"] - 21) ** 2 / 50 + 2 * (params["c"] != "c")

    ours = median_best({"de": {}}, MIXED, objective, 4)
    assert ours < median_best({"random": {}}, MIXED, objective, 4) / 4


# --- the population ------------------------------------------------------------------------------


def by_number(size: int) -> Population:
    return Population(size, lambda history, indexes: history.numbers[indexes] % size)


def test_a_place_is_held_by_the_best_trial_that_was_made_for_it() -> None:
    rows = rows_of(REALS, 60)
    for order in (rows, rows[::-1], random.Random(1).sample(rows, 60)):
        history, population = History(REALS), by_number(7)
        for row in order:  # one by one, each pending first
            history.fill([row._replace(status="reserved", objective=None)])
            population.follow(history)
            history.fill([row])
            population.follow(history)
        for place in range(7):
            rivals = [row for row in rows if row.number % 7 == place]
            winner = min(rivals, key=lambda row: row.objective or 0.0)
            assert history.numbers[population.holders[place]] == winner.number


def test_of_two_equal_trials_the_newer_holds_the_place() -> None:
    rows = [row._replace(objective=1.0) for row in rows_of(REALS, 20)]
    for order in (rows, rows[::-1]):
        history, population = history_of(REALS, order), by_number(5)
        population.follow(history)
        assert history.numbers[population.holders].tolist() == [15, 16, 17, 18, 19]


def test_broken_trials_and_objectives_that_are_no_number_hold_no_place() -> None:
    rows = rows_of(REALS, 5)
    rows[1] = rows[1]._replace(status="broken", objective=None)
    rows[2] = rows[2]._replace(objective=float("nan"))
    rows[3] = rows[3]._replace(objective=float("-inf"))
    history, population = history_of(REALS, rows), by_number(5)
    population.follow(history)
    assert population.holders.tolist() == [0, -1, -1, -1, 4]


def test_trials_that_a_person_inserted_hold_places() -> None:
    row = rows_of(REALS, 1)[0]._replace(number=-1, objective=-5.0)
    history, population = history_of(REALS, [*rows_of(REALS, 10), row]), by_number(5)
    population.follow(history)
    assert history.numbers[population.holders[4]] == -1


def test_the_first_points_are_draws_from_the_prior() -> None:
    prior, de = create({"random": {}}, REALS, 7), DE(REALS, 7, population_size=5)
    assert de.suggest(3, 0, History(REALS)) == prior.suggest(3, 0, History(REALS))
    history = history_of(REALS, rows_of(REALS, 5))
    assert de.suggest(8, 0, history) != prior.suggest(8, 0, history)
    # and where nothing made for a place came to a result, the next one is such a draw again
    history = history_of(REALS, rows_of(REALS, 4))
    assert de.suggest(9, 0, history) == prior.suggest(9, 0, history)


@pytest.mark.parametrize("space", [REALS, MIXED])
def test_a_new_worker_suggests_the_same_to_the_last_bit(space: Space) -> None:
    rows = rows_of(space, 80)
    old, history = DE(space, 3), History(space)
    for row in rows:
        old.suggest(row.number, 0, history)
        history.fill([row])
    for number in (80, 81, 100):
        answer = old.suggest(number, 0, history)
        assert isinstance(answer, Suggestion)
        for order in (rows, rows[::-1], random.Random(1).sample(rows, 80)):
            assert DE(space, 3).suggest(number, 0, history_of(space, order)) == answer


def test_another_seed_number_and_attempt_are_other_points() -> None:
    history = history_of(REALS, rows_of(REALS, 40))
    asked = [(1, 40, 0), (2, 40, 0), (1, 60, 0), (1, 40, 1)]
    answers = {DE(REALS, seed).suggest(n, attempt, history) for seed, n, attempt in asked}
    assert len(answers) == 4


def test_trials_with_less_of_the_fidelity_have_no_say() -> None:
    space = Space.parse({"x": "uniform(0, 1)", "epochs": "fidelity(1, 9, base=3)"})
    short = [Row(n, "completed", float(n), dump_values((n / 50, 3)), f"t{n}") for n in range(20)]
    alone = DE(space, 1, population_size=5).suggest(20, 0, History(space))
    assert DE(space, 1, population_size=5).suggest(20, 0, history_of(space, short)) == alone


# --- the operators -------------------------------------------------------------------------------


def offspring(strategy: str, crossover: float = 1.0, space: Space = REALS) -> list[Any]:
    rng = np.random.default_rng(0)
    target, best, *others = rng.uniform(0.45, 0.55, (6, space.width))
    operators = Operators(Axes.of(space), strategy, (0.5, 0.5), crossover)
    made = [
        operators.offspring(np.random.default_rng(seed), target, best, np.array([best, *others]))
        for seed in range(200)
    ]
    return [target, best, others, made]


def test_best1bin_moves_the_best_by_half_a_difference() -> None:
    _, best, others, made = offspring("best1bin")
    pool = [best, *others]
    possible = [best + 0.5 * (a - b) for a in pool for b in pool if a is not b]
    for point in made:
        assert min(np.abs(point - one).max() for one in possible) < 1e-12


def test_rand1bin_takes_three_different_points() -> None:
    _, best, others, made = offspring("rand1bin")
    pool = [best, *others]
    possible = [
        start + 0.5 * (a - b)
        for start in pool for a in pool for b in pool
        if start is not a and start is not b and a is not b
    ]  # fmt: skip
    for point in made:
        assert min(np.abs(point - one).max() for one in possible) < 1e-12


def test_crossover_is_the_share_of_coordinates_that_change_and_one_does_always() -> None:
    target, _, _, made = offspring("rand1bin", crossover=0.0)
    assert all((point != target).sum() == 1 for point in made)
    target, _, _, made = offspring("rand1bin", crossover=0.5)
    changed = np.mean([(point != target).mean() for point in made])
    assert abs(changed - (1 - (1 - 1 / 5) * 0.5)) < 0.05


def test_what_would_lie_outside_lies_between_the_side_and_the_target() -> None:
    mutant, target = np.array([-0.2, 1.7, 0.5]), np.full(3, 0.4)
    drawn = np.array([inside(np.random.default_rng(n), mutant, target) for n in range(200)])
    low, high, kept = drawn.T
    assert 0 <= low.min() < 0.05 and 0.35 < low.max() <= 0.4
    assert 0.4 <= high.min() < 0.45 and 0.95 < high.max() <= 1
    assert (kept == 0.5).all()


def test_a_new_category_is_one_of_the_parents() -> None:
    space = Space.parse({"c": "choices(['a', 'b', 'c', 'd', 'e', 'f'])"})
    operators = Operators(Axes.of(space), "rand1bin", (0.7, 0.7), 1.0)
    pool = space.encode([("a",), ("b",), ("c",), ("f",)])
    made = [
        space.decode(operators.offspring(np.random.default_rng(seed), pool[0], pool[0], pool[1:]))
        for seed in range(300)
    ]
    counts = {value: sum(one[0][0] == value for one in made) for value in "abcdef"}
    assert counts["a"] == counts["d"] == counts["e"] == 0
    assert min(counts[value] for value in "bcf") > 50
    best = Operators(Axes.of(space), "best1bin", (0.7, 0.7), 1.0)
    kept = sum(
        space.decode(best.offspring(np.random.default_rng(seed), pool[1], pool[0], pool[1:]))[0]
        == ("a",)
        for seed in range(1000)
    )
    assert abs(kept / 1000 - 0.3) < 0.05  # else it is the one of the first of two that differ


# --- what was asked for --------------------------------------------------------------------------


def test_where_there_is_nothing_to_search() -> None:
    space = Space.parse({"n": "randint(4, 5)", "epochs": "fidelity(1, 9)"})
    algorithm, history = DE(space, 1), History(space)
    assert algorithm.suggest(0, 0, history) == Suggestion((4, 9))
    history.fill([Row(0, "completed", 1.0, dump_values((4, 9)), "t0")])
    assert isinstance(algorithm.suggest(1, 0, history), Finished)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"population_size": 4}, "population_size must be a whole number of at least 5, not 4."),
        ({"mutation": 0}, "mutation must be a number above 0 and of at most 2, not 0."),
        ({"mutation": [0.9, 0.5]}, "mutation must give the least number first, not [0.9, 0.5]."),
        ({"mutation": [1, 1, 1]}, "mutation must be a number, or the least and the greatest, not"),
        ({"mutation": "big"}, "mutation must be a number above 0 and of at most 2, not 'big'."),
        ({"crossover": 1.5}, "crossover must be a number of at least 0 and of at most 1, not 1.5"),
        ({"strategy": "best1exp"}, "strategy can't be 'best1exp': did you mean 'best1bin'?"),
        ({"mutations": 1}, "has no parameter 'mutations': did you mean 'mutation'?"),
    ],
)
def test_a_parameter_that_does_not_fit(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        create({"de": parameters}, REALS, 1)
