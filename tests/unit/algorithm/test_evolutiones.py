"""Evolution with hurdles: who competes with whom, and what becomes of the losers."""

from __future__ import annotations

import json
import math
import re
import statistics
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Finished, Suggestion, Wait
from orion_k8s.algorithm.mutate import Mutation, parse_mutate
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import Trials, Worker, run
from orion_k8s.trial import Row, Status
from tests.functions import best

SPACE = Space.parse(
    {
        "x": "uniform(0, 10)",
        "n": "randint(0, 100)",
        "c": "choices(['a', 'b'])",
        "e": "fidelity(1, 9, base=3)",
    }
)
KEY = re.compile(r"evolutiones repetition (\d+) generation (\d+) member (\d+)")


def _run(function: Any, space: Space = SPACE, **options: Any) -> Trials:
    parameters = options.pop("parameters", {"nums_population": 6})
    return run(lambda: create({"evolutiones": parameters}, space, 1), function, **options)


def _places(trials: Trials) -> dict[tuple[int, int, int], Row]:
    found = {}
    for row in trials.rows.values():
        match = KEY.fullmatch(str(row.decision))
        assert match is not None
        found[int(match[1]), int(match[2]), int(match[3])] = row
    return found


@pytest.mark.parametrize("workers", [1, 5])
def test_losers_are_replaced_by_changed_winners(workers: int) -> None:
    trials = _run(lambda p: abs(p["x"] - 3), max_trials=36, workers=workers,
                  parameters={"nums_population": 6, "repetitions": 2})  # fmt: skip
    places = _places(trials)
    assert len(places) == 36 and {place[0] for place in places} == {0, 1}
    budgets = {json.loads(row.values)[3] for place, row in places.items() if place[1] == 1}
    assert budgets == {3}
    by_id = {row.id: place for place, row in places.items()}
    for repetition in (0, 1):
        for generation in (1, 2):
            before = {m: places[repetition, generation - 1, m] for m in range(6)}
            for member in range(6):
                row = places[repetition, generation, member]
                if row.parent is not None:  # a winner goes on, as itself
                    assert by_id[row.parent] == (repetition, generation - 1, member)
                    assert json.loads(row.values)[:3] == json.loads(before[member].values)[:3]
            winners = [m for m in range(6) if places[repetition, generation, m].parent]
            assert len(winners) == 3
            best = min(range(6), key=lambda m: before[m].objective)  # type: ignore[arg-type, return-value]
            worst = max(range(6), key=lambda m: before[m].objective)  # type: ignore[arg-type, return-value]
            assert best in winners and worst not in winners


def test_the_end_of_all_repetitions() -> None:
    trials = _run(
        lambda p: p["x"], max_trials=1000, parameters={"nums_population": 4, "repetitions": 2}
    )
    assert len(trials.rows) == 2 * 4 * 3
    history = History(SPACE)
    history.fill(trials.rows.values())
    algorithm = create({"evolutiones": {"nums_population": 4, "repetitions": 2}}, SPACE, 1)
    assert isinstance(algorithm.suggest(24, 0, history), Finished)


def test_a_pair_waits_for_its_own_trials_alone() -> None:
    trials = Trials()
    worker = Worker(
        trials, create({"evolutiones": {"nums_population": 4, "repetitions": 1}}, SPACE, 1)
    )
    for _ in range(4):
        assert isinstance(worker.claim(), Suggestion)
    worker.look()
    assert isinstance(worker.claim(), Wait)
    places = _places(trials)
    teams = worker.algorithm._teams  # type: ignore[attr-defined]
    other = teams.opponent(0, 0, 0)
    assert other != 0 and teams.opponent(0, 0, other) == 0
    trials.end(places[0, 0, 0].number, Status.COMPLETED, 1.0)
    worker.look()
    assert isinstance(worker.claim(), Wait)
    trials.end(places[0, 0, other].number, Status.BROKEN)
    worker.look()
    first, second = worker.claim(), worker.claim()
    assert isinstance(first, Suggestion) and isinstance(second, Suggestion)
    assert sorted([first.parent or "", second.parent or ""]) == ["", places[0, 0, 0].id]


def test_where_both_broke_new_draws_follow() -> None:
    trials = _run(lambda p: 1.0, max_trials=40, broken=lambda number: number < 6)
    found = [row for place, row in _places(trials).items() if place[:2] == (0, 1)]
    assert len(found) == 6 and not any(row.parent for row in found)


def test_an_odd_member_goes_on() -> None:
    trials = _run(
        lambda p: p["x"], max_trials=9, parameters={"nums_population": 3, "repetitions": 1}
    )
    assert sum(row.parent is not None for row in trials.rows.values()) == 4


def test_it_finds_more_than_random_search_of_the_same_budget() -> None:
    """Twelve budgets, so that the losers of one population become better for long."""
    space = Space.parse(
        {"x": "uniform(0, 10)", "n": "randint(0, 100)", "e": "fidelity(1, 12, base=1)"}
    )

    def error(params: dict[str, Any]) -> float:
        return (params["x"] - 3) ** 2 + ((params["n"] - 40) / 10) ** 2 + 1 / params["e"]

    def median(name: str, count: int) -> float:
        found = []
        for seed in range(7):
            trials = run(lambda s=seed: create({name: {}}, space, s), error, count)
            found.append(best(trials))
        return statistics.median(found)

    # What goes on from its parent trains one epoch more; a changed copy all of them.
    assert median("evolutiones", 240) < median("random", 100)


def test_every_whole_budget_where_the_base_is_one() -> None:
    space = Space.parse({"x": "uniform(0, 10)", "e": "fidelity(2, 5, base=1)"})
    trials = _run(
        lambda p: p["x"], space, max_trials=16, parameters={"nums_population": 4, "repetitions": 1}
    )
    assert sorted({json.loads(row.values)[1] for row in trials.rows.values()}) == [2, 3, 4, 5]


def test_a_mutation_changes_a_few_genes_by_little() -> None:
    space = Space.parse(
        {
            "x": "uniform(0, 10, shape=4)",
            "n": "randint(0, 100, shape=(2, 2))",
            "c": "choices(['a', 'b'], shape=2)",
            "e": "fidelity(1, 9)",
        }
    )
    values = ([5.0] * 4, [[50, 50], [50, 50]], ["a", "a"], 3)
    rng, changes = np.random.default_rng(1), []
    for _ in range(200):
        x, n, c, budget = Mutation().mutated(rng, space, values)
        assert budget == 9  # a rung gives it its own
        steps = np.ravel(n) - 50
        assert set(steps.tolist()) <= {-1, 0, 1}
        assert all(5 / 3 - 0.01 <= v <= 10 for v in x)
        changes.append(
            sum(v != 5.0 for v in x) + np.count_nonzero(steps) + sum(v == "b" for v in c)
        )
    assert max(changes) == 3 and np.mean(changes) > 1.5


@pytest.mark.parametrize("value", [0.0, 10.0, 9.999])
def test_a_mutation_stays_inside(value: float) -> None:
    space, rng = Space.parse({"x": "uniform(0, 10)"}), np.random.default_rng(1)
    found = [Mutation().mutated(rng, space, (value,))[0] for _ in range(100)]
    assert all(0 <= v <= 10 and math.isfinite(v) for v in found)


def test_parse_mutate() -> None:
    orions = "orion.algo.mutate_functions.default_mutate"
    assert parse_mutate(None) == parse_mutate(orions) == Mutation(3.0, 1, 0.001)
    assert parse_mutate({"function": orions, "multiply_factor": 2, "add_factor": 4}) == Mutation(
        2.0, 4
    )


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"mutate": {"multiply_facto": 2}}, "did you mean 'multiply_factor'"),
        ({"mutate": {"multiply_factor": 1}}, "mutate.multiply_factor must be a number above 1"),
        ({"mutate": {"add_factor": 0}}, "mutate.add_factor must be a whole number"),
        ({"mutate": "mine.mutate"}, "takes no function of yours"),
        ({"mutate": 3}, "must be a mapping"),
        ({"nums_population": 1}, "nums_population must be a whole number of at least 2"),
        ({"repetitions": 0}, "repetitions must be"),
        ({"max_retries": -1}, "max_retries must be"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit(parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        create({"evolutiones": parameters}, SPACE, 1)


def test_spaces_that_do_not_fit() -> None:
    with pytest.raises(ConfigurationError, match="evolutiones needs a fidelity"):
        create({"evolutiones": {}}, Space.parse({"x": "uniform(0, 1)"}), 1)
    with pytest.raises(ConfigurationError, match="evolutiones takes every whole budget"):
        create(
            {"evolutiones": {}},
            Space.parse({"x": "uniform(0, 1)", "e": "fidelity(1.5, 4, base=1)"}),
            1,
        )
