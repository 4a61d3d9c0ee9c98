"""Bayesian optimisation with a Gaussian process."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Finished, Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.algorithm.surrogate import MOST_FITTED, Surrogate
from orion_k8s.algorithm.threads import one_thread
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import Trials, run
from orion_k8s.trial import Row, Status, dump_values
from tests.functions import best, sphere

CUBE = Space.parse({f"x{i}": "uniform(0, 1, precision=None)" for i in range(4)})


def _run(
    space: Space, function: Callable[[Sequence[Any]], float], name: str = "gp", **options: Any
) -> Trials:
    return run(
        lambda: create({name: {}}, space, 1),
        lambda params: function(list(params.values())),
        **options,
    )


def _rows(space: Space, count: int) -> list[Row]:
    rng = np.random.default_rng(1)
    values = space.decode(rng.random((count, space.width)))
    return [
        Row(n, "completed", sphere(row), dump_values(row), f"t{n}") for n, row in enumerate(values)
    ]


def _history(space: Space, rows: Sequence[Row]) -> History:
    history = History(space)
    history.fill(rows)
    return history


@pytest.mark.parametrize("workers", [1, 8])
def test_it_finds_the_bottom_of_a_bowl(workers: int) -> None:
    found = best(_run(CUBE, sphere, max_trials=40, workers=workers))
    at_random = best(_run(CUBE, sphere, "random", max_trials=1_000))
    assert found < 0.01 * at_random


def test_it_finds_the_best_of_a_mixed_space() -> None:
    space = Space.parse(
        {"x": "uniform(0, 1)", "n": "randint(1, 65)", "c": f"choices({list(range(8))})"}
    )
    trials = _run(
        space, lambda v: (v[0] - 0.3) ** 2 + ((v[1] - 40) / 64) ** 2 + (v[2] != 5), max_trials=50
    )
    assert best(trials) < 1e-3


def test_what_was_read_when_has_no_say() -> None:
    rows = _rows(CUBE, 700)
    rows[650:] = [row._replace(status="reserved", objective=None) for row in rows[650:]]
    shuffled = rows.copy()
    random.Random(1).shuffle(shuffled)
    at_once = create({"gp": {}}, CUBE, 1).suggest(700, 0, _history(CUBE, rows))
    other = create({"gp": {}}, CUBE, 1).suggest(700, 0, _history(CUBE, shuffled))
    grown, history = create({"gp": {}}, CUBE, 1), History(CUBE)
    for row in rows:
        history.fill([row])
        if row.number % 50 == 49:
            last = grown.suggest(row.number + 1, 0, history)
    assert at_once == other == last


def test_the_fit_is_kept_until_there_is_a_tenth_more() -> None:
    surrogate = create({"gp": {}}, CUBE, 1)._surrogate  # type: ignore[attr-defined]
    assert isinstance(surrogate, Surrogate)
    rows, history, fits = _rows(CUBE, 2 * MOST_FITTED - 1), History(CUBE), set()
    for row in rows:
        history.fill([row])
        surrogate.follow(history)
        with one_thread():
            fits.add(id(surrogate.lengths(history)))
        kept = surrogate._fitted
        assert kept is not None and len(kept[0]) > 0.9 * len(history)
    assert len(fits) < len(rows) / 2


def test_what_is_pending_is_kept_away_from() -> None:
    rows = _rows(CUBE, 30)
    points = []
    for number in range(30, 36):
        answer = create({"gp": {}}, CUBE, 1).suggest(number, 0, _history(CUBE, rows))
        assert isinstance(answer, Suggestion)
        points.append(answer.values)
        rows.append(Row(number, "reserved", None, dump_values(answer.values), f"t{number}"))
    apart = [np.abs(np.subtract(a, b)).max() for i, a in enumerate(points) for b in points[:i]]
    assert min(apart) > 0.01


def test_what_breaks_is_avoided() -> None:
    space = Space.parse({"x": "uniform(0, 1)", "y": "uniform(0, 1)"})
    rows = []
    for row in _rows(space, 40):
        bad = _history(space, [row]).points[0, 0] < 0.5
        rows.append(row._replace(status="broken", objective=None) if bad else row)
    history = _history(space, rows)
    algorithm = create({"gp": {}}, space, 1)
    for number in range(40, 45):
        answer = algorithm.suggest(number, 0, history)
        assert isinstance(answer, Suggestion) and answer.values[0] > 0.4


@pytest.mark.parametrize("value", [7.0, 1e308, -1e308])
def test_objectives_that_are_all_equal(value: float) -> None:
    rows = [row._replace(objective=value) for row in _rows(CUBE, 20)]
    algorithm = create({"gp": {}}, CUBE, 1)
    assert isinstance(algorithm.suggest(20, 0, _history(CUBE, rows)), Suggestion)


def test_a_history_in_which_all_broke() -> None:
    rows = [row._replace(status="broken", objective=None) for row in _rows(CUBE, 20)]
    algorithm = create({"gp": {"n_initial_points": 1}}, CUBE, 1)
    assert isinstance(algorithm.suggest(20, 0, _history(CUBE, rows)), Suggestion)


def test_a_history_of_one_point() -> None:
    algorithm = create({"gp": {"n_initial_points": 1}}, CUBE, 1)
    assert isinstance(algorithm.suggest(1, 0, _history(CUBE, _rows(CUBE, 1))), Suggestion)


@pytest.mark.parametrize("name", ["gp", "turbo"])
@pytest.mark.parametrize("width", [1, 200])
def test_few_dimensions_and_many(width: int, name: str) -> None:
    space = Space.parse({f"x{i}": "uniform(0, 1)" for i in range(width)})
    algorithm = create({name: {"n_initial_points": 10}}, space, 1)
    answer = algorithm.suggest(20, 0, _history(space, _rows(space, 20)))
    assert isinstance(answer, Suggestion) and len(answer.values) == width


def test_a_small_space_is_searched_whole() -> None:
    space = Space.parse({"n": "randint(0, 30)", "m": "randint(0, 30)"})
    trials = _run(space, lambda v: (v[0] - 17) ** 2 + (v[1] - 4) ** 2, max_trials=30)
    assert best(trials) == 0


def test_less_than_the_whole_fidelity_has_no_say() -> None:
    space = Space.parse({"x": "uniform(0, 1)", "e": "fidelity(1, 9)"})
    rows = [Row(n, "completed", -float(n), dump_values((n / 40, 1)), f"t{n}") for n in range(30)]
    answer = create({"gp": {}}, space, 1).suggest(30, 0, _history(space, rows))
    assert answer == create({"random": {}}, space, 1).suggest(30, 0, _history(space, rows))
    assert isinstance(answer, Suggestion) and answer.values[1] == 9


def test_the_end_of_a_space() -> None:
    space = Space.parse({"n": "randint(0, 12)"})
    trials = _run(space, lambda v: v[0], max_trials=100)
    assert trials.count(Status.COMPLETED) == 12
    algorithm = create({"gp": {}}, space, 1)
    assert isinstance(algorithm.suggest(12, 0, _history(space, [*trials.rows.values()])), Finished)


def test_parameters_that_do_not_fit() -> None:
    with pytest.raises(ConfigurationError, match="gp: n_initial_points must be a whole number"):
        create({"gp": {"n_initial_points": 0}}, CUBE, 1)
    with pytest.raises(ConfigurationError, match="did you mean 'n_initial_points'"):
        create({"gp": {"n_initial_point": 4}}, CUBE, 1)
    space = Space.parse({"c": f"choices({list(range(10_000))})"})
    for name in ("gp", "turbo"):
        with pytest.raises(ConfigurationError, match=f"{name}: the space has 10,000 numbers"):
            create({name: {}}, space, 1)
