"""TPE follows what the history says, whoever asks, and whatever the history is."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Finished, Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.algorithm.tpe import TPE
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, dump_values

MIXED = Space.parse(
    {
        "lr": "loguniform(1e-5, 1)",
        "n": "randint(0, 20)",
        "c": "choices(['a', 'b', 'c'])",
        "x": "normal(0, 1)",
    }
)
SQUARE = Space.parse({"x": "uniform(0, 1)", "y": "uniform(0, 1)"})


def bowl(params: dict[str, Any]) -> float:
    return sum((value - 0.7) ** 2 for value in params.values())


def rows_of(space: Space, count: int, seed: int = 0, **changes: Any) -> list[Row]:
    """Return completed trials at random points."""
    rng = np.random.default_rng(seed)
    values = space.decode(rng.random((count, space.width)))
    return [
        Row(n, "completed", float(rng.random()), dump_values(row), f"t{n}")._replace(**changes)
        for n, row in enumerate(values)
    ]


def history_of(space: Space, rows: list[Row]) -> History:
    history = History(space)
    history.fill(rows)
    return history


def values_of(answer: object) -> tuple[Any, ...]:
    assert isinstance(answer, Suggestion)
    return answer.values


def run(
    make: Callable[[Space, int], Any],
    space: Space,
    objective: Callable[[dict[str, Any]], float],
    trials: int,
    seed: int,
) -> list[float]:
    algorithm, history, found = make(space, seed), History(space), []
    for number in range(trials):
        values = values_of(algorithm.suggest(number, 0, history))
        found.append(objective(space.params(values)))
        history.fill([Row(number, "completed", found[-1], dump_values(values), str(number))])
    return found


# --- it learns -----------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"multivariate": False}, {"groups": [["x"]]}])
def test_it_finds_a_minimum_that_random_search_does_not(options: dict[str, Any]) -> None:
    ours, random_search = (
        statistics.median(min(run(make, SQUARE, bowl, 60, seed)) for seed in range(9))
        for make in (
            lambda space, seed: TPE(space, seed, **options),
            lambda space, seed: create({"random": {}}, space, seed),
        )
    )
    assert ours < random_search / 3


def test_it_finds_the_good_category_and_the_good_integer() -> None:
    space = Space.parse({"c": "choices(['a', 'b', 'c', 'd'])", "n": "randint(0, 200)"})
    found = run(TPE, space, lambda p: abs(p["n"] - 150) + 50 * (p["c"] != "c"), 60, 1)
    assert min(found) <= 5
    late = found[40:]
    assert statistics.median(late) < statistics.median(found[:20])


def test_the_first_points_are_draws_from_the_prior_until_enough_trials_are_completed() -> None:
    prior, tpe = create({"random": {}}, MIXED, 7), TPE(MIXED, 7, n_initial_points=5)
    history = history_of(MIXED, rows_of(MIXED, 4))
    for number in (4, 5, 30):
        assert tpe.suggest(number, 0, history) == prior.suggest(number, 0, history)
    history.fill(rows_of(MIXED, 5)[4:])
    assert tpe.suggest(6, 0, history) != prior.suggest(6, 0, history)


def test_broken_trials_and_objectives_that_are_no_number_are_no_initial_points() -> None:
    prior, tpe = create({"random": {}}, MIXED, 7), TPE(MIXED, 7, n_initial_points=5)
    rows = rows_of(MIXED, 20)
    rows = [row._replace(status="broken", objective=None) for row in rows[:10]] + [
        row._replace(objective=math.nan) for row in rows[10:]
    ]
    history = history_of(MIXED, rows)
    assert tpe.suggest(20, 0, history) == prior.suggest(20, 0, history)


def test_a_broken_region_is_avoided() -> None:
    """All that is below 0.5 fails, and nothing else is known of the objective."""
    rows = [
        row._replace(status="broken", objective=None)
        if json.loads(row.values)[0] < 0.5
        else row._replace(objective=1.0)
        for row in rows_of(SQUARE, 60)
    ]
    tpe, history = TPE(SQUARE, 1), history_of(SQUARE, rows)
    found = [values_of(tpe.suggest(number, 0, history))[0] for number in range(60, 100)]
    assert np.mean(np.array(found) > 0.5) > 0.8


# --- many workers --------------------------------------------------------------------------------


def _spread(strategy: Any, in_flight: int = 12) -> float:
    """Return the mean distance to the nearest of the others among suggestions in flight."""
    rows = [
        row._replace(objective=bowl(SQUARE.params(json.loads(row.values))))
        for row in rows_of(SQUARE, 40)
    ]
    tpe, history = TPE(SQUARE, 1, parallel_strategy=strategy), history_of(SQUARE, rows)
    points = []
    for number in range(40, 40 + in_flight):
        values = values_of(tpe.suggest(number, 0, history))
        history.fill([Row(number, "reserved", None, dump_values(values), f"t{number}")])
        points.append(values)
    found = np.array(points)
    apart = np.linalg.norm(found[:, None] - found[None], axis=2) + 9 * np.eye(in_flight)
    return float(apart.min(axis=1).mean())


def test_pending_trials_keep_the_next_ones_away() -> None:
    assert _spread(None) == _spread("max") > 1.2 * _spread("none")
    assert _spread("mean") == _spread("max")  # the mean is not among the best tenth
    good = {"of_type": "StubParallelStrategy", "stub_value": -1.0}
    assert _spread(good) < _spread("max")


# --- a pure function -----------------------------------------------------------------------------


def _history_with_all_kinds(seed: int | None) -> History:
    rows = rows_of(MIXED, 700)
    dice = random.Random(1)
    for i in dice.sample(range(700), 80):
        rows[i] = rows[i]._replace(status="reserved", objective=None)
    for i in dice.sample(range(700), 30):
        rows[i] = rows[i]._replace(status="broken", objective=None)
    rows[5] = Row(5, "removed", None, "", "t5")
    rows.append(Row(-1, "completed", 0.001, '[0.5,3,"b",0.0]', "inserted"))
    if seed is not None:
        random.Random(seed).shuffle(rows)
    return history_of(MIXED, rows)


@pytest.mark.parametrize("options", [{}, {"multivariate": False}, {"equal_weight": False}])
def test_workers_that_read_in_another_order_suggest_the_same(options: dict[str, Any]) -> None:
    plain = _history_with_all_kinds(None)
    wanted = [TPE(MIXED, 3, **options).suggest(number, 0, plain) for number in (700, 701)]
    for seed in range(3):
        other = _history_with_all_kinds(seed)
        assert [TPE(MIXED, 3, **options).suggest(n, 0, other) for n in (700, 701)] == wanted


def test_a_worker_that_was_there_all_along_and_a_new_one_suggest_the_same() -> None:
    old, history = TPE(MIXED, 3), History(MIXED)
    for row in rows_of(MIXED, 120):
        history.fill([row._replace(status="reserved", objective=None)])
        old.suggest(row.number + 1, 0, history)
        history.fill([row])
        answer = old.suggest(row.number + 1, 0, history)
        if row.number % 20 == 0:
            fresh = history_of(MIXED, rows_of(MIXED, 120)[: row.number + 1])
            assert TPE(MIXED, 3).suggest(row.number + 1, 0, fresh) == answer


def test_each_attempt_is_another_point_that_nobody_tried() -> None:
    tpe, history = TPE(MIXED, 1), history_of(MIXED, rows_of(MIXED, 50))
    found = {dump_values(values_of(tpe.suggest(50, attempt, history))) for attempt in range(20)}
    assert len(found) == 20 and not found & history.known_values()


def test_another_seed_is_another_run() -> None:
    history = history_of(MIXED, rows_of(MIXED, 50))
    assert TPE(MIXED, 1).suggest(50, 0, history) != TPE(MIXED, 2).suggest(50, 0, history)


# --- hard histories and spaces -------------------------------------------------------------------


@pytest.mark.parametrize("objective", [0.0, 1e308, -1e308, 5e-324])
def test_objectives_that_are_all_equal(objective: float) -> None:
    history = history_of(MIXED, rows_of(MIXED, 50, objective=objective))
    values = values_of(TPE(MIXED, 1).suggest(50, 0, history))
    assert MIXED.values(MIXED.params(values)) == values


@pytest.mark.parametrize("status", ["broken", "reserved", "removed"])
def test_a_history_without_a_result(status: str) -> None:
    rows = rows_of(MIXED, 50, status=status, objective=None)
    if status == "removed":
        rows = [row._replace(values="") for row in rows]
    history = history_of(MIXED, rows)
    assert isinstance(TPE(MIXED, 1, n_initial_points=1).suggest(50, 0, history), Suggestion)


@pytest.mark.parametrize("prior", ["uniform(0, 1)", "choices(['a', 'b'])", "randint(0, 9)"])
@pytest.mark.parametrize("width", [1, 200])
def test_one_dimension_and_two_hundred(prior: str, width: int) -> None:
    space = Space.parse({f"x{i}": prior for i in range(width)})
    tpe, count = TPE(space, 1, n_initial_points=1), 1 if width == 1 else 60
    history = history_of(space, rows_of(space, count))
    values = values_of(tpe.suggest(count, 0, history))
    assert space.values(space.params(values)) == values
    assert dump_values(values) not in history.known_values()


def test_a_space_of_a_fidelity_alone_has_one_point() -> None:
    space = Space.parse({"epochs": "fidelity(1, 16)"})
    tpe, history = TPE(space, 1, n_initial_points=1), History(space)
    assert values_of(tpe.suggest(0, 0, history)) == (16,)
    history.fill([Row(0, "completed", 1.0, "[16]", "t0")])
    end = tpe.suggest(1, 0, history)
    assert isinstance(end, Finished) and "all 1 points were tried" in end.reason


def test_trials_that_had_less_of_the_fidelity_have_no_say() -> None:
    space = Space.parse({"x": "uniform(0, 1)", "epochs": "fidelity(1, 9, base=3)"})
    rng = np.random.default_rng(0)
    whole = [
        Row(n, "completed", abs(x - 0.7), f"[{x},9]", f"t{n}")
        for n, x in enumerate(rng.random(30))
    ]
    # Good values at another place, at one epoch.
    short = [Row(n, "completed", -9.0, f"[{n / 1000},1]", f"t{n}") for n in range(30, 200)]
    gone = [Row(200, "removed", None, "", "t200")]
    found = [
        [
            values_of(TPE(space, 1).suggest(n, 0, history_of(space, rows)))[0]
            for n in range(201, 221)
        ]
        for rows in (whole + gone, whole + short + gone)
    ]
    assert found[0] == found[1]
    prior = create({"random": {}}, space, 1)
    only_short = history_of(space, short)
    assert TPE(space, 1).suggest(201, 0, only_short) == prior.suggest(201, 0, only_short)


def test_a_point_that_was_removed_is_found_again_at_the_end() -> None:
    space = Space.parse({"n": "randint(0, 8)"})
    rows = [Row(n, "completed", 1.0, f"[{n}]", f"t{n}") for n in range(8)]
    rows[3] = Row(3, "removed", None, "", "t3")
    tpe = TPE(space, 1, n_initial_points=2, max_retry=0)
    assert values_of(tpe.suggest(8, 0, history_of(space, rows))) == (3,)


def test_two_mirrors_of_one_worker_are_not_mixed_up() -> None:
    """A rebuilt mirror may lack points that the one before knew."""
    space = Space.parse({"n": "randint(0, 8)"})
    rows = [Row(n, "completed", 1.0, f"[{n}]", f"t{n}") for n in range(8)]
    tpe = TPE(space, 1, n_initial_points=20)
    assert isinstance(tpe.suggest(8, 0, history_of(space, rows)), Finished)
    rows[6] = Row(6, "removed", None, "", "t6")
    assert values_of(tpe.suggest(8, 0, history_of(space, rows))) == (6,)


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"n_initial_point": 3}, "did you mean 'n_initial_points'"),
        ({"n_initial_points": 0}, "n_initial_points must be a whole number of at least 1"),
        ({"n_ei_candidates": 2.5}, "n_ei_candidates must be a whole number"),
        ({"gamma": 0}, "gamma must be a number above 0 and of at most 1"),
        ({"gamma": 1.5}, "gamma must be"),
        ({"equal_weight": "yes"}, "equal_weight must be true or false"),
        ({"prior_weight": 0}, "prior_weight must be a number above 0"),
        ({"full_weight_num": -1}, "full_weight_num must be a whole number of at least 0"),
        ({"max_retry": None}, "max_retry must be a whole number"),
        ({"parallel_strategy": "men"}, "did you mean 'mean'"),
        ({"multivariate": 1}, "multivariate must be true or false"),
        ({"groups": "lr"}, "groups must be lists of names"),
        ({"groups": ["lr"]}, "groups must be lists of names"),
        ({"groups": [["lrr"]]}, "did you mean 'lr'"),
        ({"groups": [["lr"], ["n", "lr"]]}, "groups name lr twice"),
        ({"groups": [["lr"]], "multivariate": False}, "leave out one of the two"),
        ({"distances": [[0]]}, "distances must give a matrix by the name"),
        ({"distances": {"x": [[0]]}}, "can't be 'x': there are: c"),
        ({"distances": {"c": [[0, 1], [1, 0]]}}, "symmetric matrix of 3 rows"),
        ({"distances": {"c": [[0, 1, 2], [1, 0, 1], [1, 1, 0]]}}, "symmetric"),
        ({"distances": {"c": "near"}}, "symmetric"),
        ({"distances": {"c": [[0, 1, -2], [1, 0, 1], [-2, 1, 0]]}}, "no number below 0"),
    ],
)
def test_a_wrong_parameter_is_refused_in_a_sentence(
    parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create({"tpe": parameters}, MIXED, 1)


def test_orions_parameters_are_taken() -> None:
    parameters = {
        "seed": 1,
        "n_initial_points": 20,
        "n_ei_candidates": 24,
        "gamma": 0.25,
        "equal_weight": False,
        "prior_weight": 1.0,
        "full_weight_num": 25,
        "max_retry": 100,
        "parallel_strategy": {
            "of_type": "StatusBasedParallelStrategy",
            "strategy_configs": {"broken": {"of_type": "MaxParallelStrategy"}},
        },
    }
    tpe = create({"tpe": parameters}, MIXED, 1)
    assert (
        tpe.configuration.items() >= {k: v for k, v in parameters.items() if k != "seed"}.items()
    )


def test_the_priors_weight_and_gamma_and_weights_have_a_say() -> None:
    history = history_of(MIXED, rows_of(MIXED, 200))
    options: list[dict[str, Any]] = [
        {},
        {"gamma": 0.02},
        {"prior_weight": 30.0},
        {"equal_weight": False},
        {"n_ei_candidates": 3},
        {"groups": [["lr", "c"]]},
        {"multivariate": False},
        {"distances": {"c": [[0, 1, 9], [1, 0, 9], [9, 9, 0]]}},
    ]
    found = {
        json.dumps([TPE(MIXED, 1, **one).suggest(n, 0, history).values for n in range(200, 220)])
        for one in options
    }
    assert len(found) == len(options)


def test_groups_of_dimensions_and_the_rest() -> None:
    space = Space.parse(
        {"w": "uniform(0, 1, shape=2)", "n": "randint(0, 9)", "x": "uniform(0, 1)"}
    )
    blocks = TPE(space, 1, groups=[["n"]])._blocks
    assert [(b.smooth, [s.axis for s in b.steps]) for b in blocks] == [((), [2]), ((0, 1, 3), [])]
    assert len(TPE(space, 1, multivariate=False)._blocks) == 4
