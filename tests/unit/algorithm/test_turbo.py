"""A trust region, and Bayesian optimisation inside of it."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.algorithm.trust_region import Region, Regions, Rules, key_of
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import Trials, run
from orion_k8s.trial import Row
from tests.functions import best, ellipsoid, sphere

RULES = Rules(initial=2, successes=2, failures=3, first=0.8, least=0.3, most=1.6)
LINE = Space.parse({"x": "uniform(0, 1, precision=None)"})


def _after(*objectives: float, region: Region | None = None) -> Region:
    region = region or Region(0, RULES.first)
    for objective in objectives:
        region = region.after(objective, RULES)
    return region


def _rows(objectives: Sequence[float | None], region: int = 0, start: int = 0) -> list[Row]:
    return [
        Row(
            n, "reserved" if y is None else "completed", y, json.dumps([n / 1000]), f"t{n}",
            None, key_of(region, n),
        )
        for n, y in enumerate(objectives, start)
    ]  # fmt: skip


def _now(rows: Sequence[Row]) -> Region:
    history = History(LINE)
    history.fill(rows)
    return Regions(RULES, history).now()


# --- the region ----------------------------------------------------------------------------------


def test_it_grows_with_successes_and_shrinks_with_failures() -> None:
    start = _after(5.0, 4.0)
    assert (start.length, start.best, start.trials) == (0.8, 4.0, 2)
    assert _after(3.0, region=start).length == 0.8
    assert _after(3.0, 2.0, region=start).length == 1.6
    assert _after(3.0, 2.0, 1.0, 0.5, region=start).length == 1.6  # the most
    assert _after(9.0, 9.0, region=start).length == 0.8
    assert _after(9.0, 9.0, 9.0, region=start).length == 0.4
    assert _after(3.0, 9.0, 2.0, 9.0, region=start).length == 0.8  # none in a row
    assert _after(4.0, 3.999, 3.998, region=start).length == 0.4  # hardly better


def test_a_region_that_is_too_small_is_given_up() -> None:
    assert _after(5.0, 4.0, *[9.0] * 6) == Region(1, 0.8)


def test_broken_trials_are_failures_and_begin_no_region() -> None:
    assert _after(math.inf, 5.0, math.inf).trials == 1
    assert _after(5.0, 4.0, *[math.inf] * 3).length == 0.4


def test_it_follows_numbers_and_not_the_order_of_reading() -> None:
    dice = random.Random(1)
    rows = _rows([dice.random() for _ in range(60)])
    told = _now(rows)
    for _ in range(5):
        dice.shuffle(rows)
        history = History(LINE)
        regions = Regions(RULES, history)
        for row in rows:
            history.fill([row])
            regions.now()
        assert regions.now() == told


def test_a_trial_that_ends_late_is_told_in_its_place() -> None:
    rows = _rows([5.0, 4.0, None, 3.0, 2.0])
    history = History(LINE)
    history.fill(rows)
    regions = Regions(RULES, history)
    assert regions.now().length == 1.6
    history.fill([rows[2]._replace(status="completed", objective=0.0)])
    assert regions.now() == _now(_rows([5.0, 4.0, 0.0, 3.0, 2.0]))
    assert regions.now().length == 0.8


def test_trials_of_another_region_have_no_say() -> None:
    given_up = _rows([5.0, 4.0, *[9.0] * 6])
    late = _rows([0.0, 0.1], region=0, start=8)
    assert _now([*given_up, *late]) == Region(1, 0.8)
    assert _now([*given_up, *late, *_rows([7.0], region=1, start=10)]).best == 7.0


# --- the algorithm -------------------------------------------------------------------------------


def _run(space: Space, function: Any, name: Any = "turbo", **options: Any) -> Trials:
    made = name if isinstance(name, dict) else {name: {}}
    return run(
        lambda: create(made, space, 1), lambda params: function(list(params.values())), **options
    )


@pytest.mark.parametrize("workers", [1, 8])
def test_it_goes_down_a_stretched_bowl_of_twenty_dimensions(workers: int) -> None:
    space = Space.parse({f"x{i}": "uniform(0, 1, precision=None)" for i in range(20)})
    parameters = {"n_initial_points": 20}
    found = best(_run(space, ellipsoid, {"turbo": parameters}, max_trials=150, workers=workers))
    assert found < 0.25 * best(_run(space, ellipsoid, "random", max_trials=1_000))


def test_suggestions_lie_in_the_region() -> None:
    space = Space.parse({"x": "uniform(0, 1, precision=None)", "y": "uniform(0, 1)"})
    parameters = {"length_init": 0.1, "length_min": 0.01, "length_max": 0.1}
    trials = _run(space, sphere, {"turbo": parameters}, max_trials=40)
    history = History(space)
    history.fill(trials.rows.values())
    algorithm = create({"turbo": parameters}, space, 1)
    answer = algorithm.suggest(40, 0, history)
    box = algorithm.box(history)  # type: ignore[attr-defined]
    assert isinstance(answer, Suggestion)
    [point] = space.encode([answer.values])
    assert (box.high - box.low).max() < 0.2
    assert (point >= box.low - 1e-3).all() and (point <= box.high + 1e-3).all()


def test_a_new_region_begins_elsewhere() -> None:
    space = Space.parse({"x": "uniform(0, 1, precision=None)", "y": "uniform(0, 1)"})
    parameters = {"n_initial_points": 5, "failure_tolerance": 2, "length_min": 0.2}
    trials = _run(
        space, lambda v: 1.0 + abs(v[0] - 0.3) ** 0.5, {"turbo": parameters}, max_trials=80
    )
    regions = [str(row.decision).split()[2] for row in trials.rows.values()]
    assert len(set(regions)) > 2
    first = [json.loads(row.values) for row in trials.rows.values()][regions.index("1") :][:5]
    assert np.ptp(np.array(first)[:, 0]) > 0.2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"length_init": 2.0}, "length_min, length_init and length_max must grow"),
        ({"length_min": 0.0}, "turbo: length_min must be a number above 0"),
        ({"failure_tolerance": 0}, "turbo: failure_tolerance must be a whole number"),
        ({"success_tolerance": "3"}, "turbo: success_tolerance must be a whole number"),
        ({"length": 2}, "did you mean 'length_"),
    ],
)
def test_parameters_that_do_not_fit(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        create({"turbo": parameters}, LINE, 1)
