"""CMA-ES finds what the package finds, and every worker rebuilds the same from the history."""

from __future__ import annotations

import json
import random
import re
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Finished, Suggestion
from orion_k8s.algorithm.cmaes import CMAES
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import run
from orion_k8s.trial import Row, Status, dump_values
from tests.functions import best, ellipsoid, rosenbrock, sphere

REALS = Space.parse({f"x{i}": "uniform(0, 1, precision=None)" for i in range(5)})
MIXED = Space.parse(
    {
        "x": "uniform(0, 1)",
        "n": "randint(0, 30)",
        "layers": "loguniform(1, 512, discrete=True)",
        "c": "choices(['a', 'b', 'c', 'd'])",
    }
)


FUNCTIONS = [sphere, rosenbrock, ellipsoid]


def of_params(function: Callable[[Sequence[float]], float]) -> Callable[[dict[str, Any]], float]:
    return lambda params: function(list(params.values()))


def median_best(
    name: str, space: Space, objective: Callable[[dict[str, Any]], float], **options: Any
) -> float:
    options.setdefault("max_trials", 200)
    return statistics.median(
        best(run(lambda seed=seed: create({name: {}}, space, seed), objective, **options))
        for seed in range(5)
    )


class Loop:
    """Trials one after another, some in flight; what is in flight ends first in, first out."""

    def __init__(self, algorithm: CMAES, objective: Callable[..., float], flight: int = 1) -> None:
        self.algorithm, self.objective, self.flight = algorithm, objective, flight
        self.history = History(algorithm.space)
        self.rows: dict[int, Row] = {}
        self.running: list[int] = []
        self.first = 0

    def go(self, count: int) -> Loop:
        for _ in range(count):
            number = self.first + len(self.rows)
            answer = self.algorithm.suggest(number, 0, self.history)
            assert isinstance(answer, Suggestion)
            text = dump_values(answer.values)
            self.fill(Row(number, "reserved", None, text, f"t{number}", None, answer.decision))
            self.running.append(number)
            if len(self.running) >= self.flight:
                self.end(self.running.pop(0))
        return self

    def end(self, number: int, **changes: Any) -> None:
        row = self.rows[number]
        value = self.objective(row.number, json.loads(row.values))
        self.fill(row._replace(status="completed", objective=float(value))._replace(**changes))

    def fill(self, row: Row) -> None:
        self.rows[row.number] = row
        self.history.fill([row])

    def decisions(self) -> list[str]:
        return [row.decision or "" for _, row in sorted(self.rows.items())]


def looped(space: Space = REALS, flight: int = 1, seed: int = 1, **options: Any) -> Loop:
    return Loop(CMAES(space, seed, **options), lambda _, x: sphere(x), flight)


def history_of(space: Space, rows: Sequence[Row]) -> History:
    history = History(space)
    history.fill(rows)
    return history


# --- what it finds -------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_finds_much_more_than_random_search(
    function: Callable[[Sequence[float]], float], workers: int
) -> None:
    ours = median_best("cmaes", REALS, of_params(function), workers=workers)
    assert ours < median_best("random", REALS, of_params(function)) / 8


@pytest.mark.parametrize("function", FUNCTIONS)
def test_it_finds_what_the_packages_own_loop_finds(
    function: Callable[[Sequence[float]], float],
) -> None:
    from cmaes import CMA

    def theirs(seed: int) -> float:
        optimizer, found = CMA(np.full(5, 0.5), 0.2, np.tile([0.0, 1.0], (5, 1)), seed=seed), []
        while len(found) < 300:
            points = [optimizer.ask() for _ in range(optimizer.population_size)]
            told = [(x, function(x)) for x in points]
            found += [value for _, value in told]
            optimizer.tell(told)
        return min(found[:300])

    def ours(seed: int) -> float:
        loop = Loop(CMAES(REALS, seed), lambda _, x: function(x)).go(300)
        return min(row.objective or 0.0 for row in loop.rows.values())

    distance = abs(
        statistics.median(np.log10(ours(seed)) for seed in range(15))
        - statistics.median(np.log10(theirs(seed)) for seed in range(15))
    )
    assert distance < 0.7  # of some 4 decades between the first point and the best


def test_one_after_another_the_distribution_is_the_packages() -> None:
    from cmaes import CMA

    loop = looped().go(82)
    size = 4 + int(3 * np.log(5))
    optimizer = CMA(np.full(5, 0.5), 0.2, np.tile([0.0, 1.0], (5, 1)), seed=0)
    assert optimizer.population_size == size
    generations, points = 80 // size, loop.history.points
    for g in range(generations):
        part = range(g * size, (g + 1) * size)
        optimizer.tell([(points[i], float(loop.history.objectives[i])) for i in part])
    stage = loop.algorithm._stage
    assert stage.generation == generations
    np.testing.assert_array_equal(stage.distribution._optimizer.mean, optimizer.mean)


def test_mixed_spaces_are_searched_too() -> None:
    def objective(params: dict[str, Any]) -> float:
        wrong = params["c"] != "c"
        depth = abs(np.log2(params["layers"]) - 5)
        return (params["x"] - 0.3) ** 2 + (params["n"] - 21) ** 2 / 50 + depth + 2 * wrong

    for workers in (1, 8):
        ours = median_best("cmaes", MIXED, objective, workers=workers)
        assert ours < median_best("random", MIXED, objective) / 4


def test_categories_alone() -> None:
    space = Space.parse({f"c{i}": "choices(['a', 'b', 'c', 'd', 'e'])" for i in range(8)})
    count = lambda params: float(sum(value != "d" for value in params.values()))  # noqa: E731
    assert median_best("cmaes", space, count, max_trials=150) <= 1
    assert median_best("random", space, count, max_trials=150) >= 3


# --- a function of the history -------------------------------------------------------------------


@pytest.mark.parametrize("space", [REALS, MIXED])
@pytest.mark.parametrize("flight", [1, 8])
def test_a_new_worker_suggests_the_same_to_the_last_bit(space: Space, flight: int) -> None:
    loop = Loop(CMAES(space, 3), lambda n, x: (n * 7919 % 9973) / 9973, flight).go(150)
    rows = list(loop.rows.values())
    random.Random(1).shuffle(rows)
    for number in (150, 151, 170):
        answer = loop.algorithm.suggest(number, 0, loop.history)
        for order in (rows, rows[::-1]):
            assert CMAES(space, 3).suggest(number, 0, history_of(space, order)) == answer


def test_another_seed_number_and_attempt_are_other_points() -> None:
    loop = looped().go(30)
    points = {
        CMAES(REALS, seed).suggest(number, attempt, loop.history).values  # type: ignore[union-attr]
        for seed, number, attempt in [(1, 30, 0), (2, 30, 0), (1, 31, 0), (1, 30, 1)]
    }
    assert len(points) == 4


def test_a_generation_begins_as_soon_as_enough_trials_have_ended() -> None:
    loop = looped(population_size=4, flight=3).go(9)
    assert loop.decisions() == [
        *(f"cmaes run 0 trial {n}" for n in range(6)),
        "cmaes generation 1 of run 0 from 0-3",
        *(f"cmaes run 0 trial {n}" for n in (7, 8)),
    ]
    assert loop.go(2).decisions()[-1] == "cmaes generation 2 of run 0 from 4-7"


def test_a_trial_that_never_ends_delays_nobody() -> None:
    loop = looped(population_size=4)
    loop.go(1)
    stuck = loop.rows[0]._replace(status="reserved", objective=None)
    loop.algorithm, loop.history, loop.rows = CMAES(REALS, 1, 4), History(REALS), {}
    loop.fill(stuck)
    loop.go(40)
    assert loop.algorithm._stage.generation == 39 // 4
    loop.end(0)  # and its result counts when it comes
    loop.go(4)
    assert any(re.search(r"from 0,", key) for key in loop.decisions())


def test_broken_trials_count_as_the_worst() -> None:
    def after(**changes: Any) -> Any:
        loop = looped(population_size=6).go(6)
        loop.history = History(REALS)
        rows = dict(loop.rows)
        worst = max(row.objective or 0.0 for row in rows.values())
        rows[5] = rows[5]._replace(objective=worst)._replace(**changes)
        return CMAES(REALS, 1, 6).suggest(6, 0, history_of(REALS, list(rows.values())))

    as_worst = after()
    assert after(status="broken", objective=None) == as_worst
    assert after(objective=float("nan")) == as_worst
    assert after(objective=1e308) == as_worst
    assert after(objective=-1.0) != as_worst


def test_all_trials_broken() -> None:
    trials = run(
        lambda: CMAES(MIXED, 1, population_size=4),
        lambda params: 1.0,
        max_trials=40,
        broken=lambda number: number < 30,
    )
    assert trials.count(Status.COMPLETED) == 40


# --- workers that know different things ----------------------------------------------------------


def race() -> tuple[list[Row], Row, Row]:
    """Return eight trials, and two that begin the first generation: 4 of 0-3, 9 of 4-7."""
    loop = looped(population_size=4, flight=9).go(8)
    rows = [row._replace(status="completed", objective=float(n)) for n, row in loop.rows.items()]
    openings = []
    for number, known in ((9, rows[4:]), (8, rows[:4])):
        answer = CMAES(REALS, 1, 4).suggest(number, 0, history_of(REALS, known))
        assert isinstance(answer, Suggestion)
        openings.append(
            Row(number, "reserved", None, dump_values(answer.values), f"t{number}", None,
                answer.decision)
        )  # fmt: skip
    return rows, openings[0], openings[1]


def test_of_two_that_begin_a_generation_the_lower_number_counts() -> None:
    rows, late, early = race()
    assert (late.decision, early.decision) == (
        "cmaes generation 1 of run 0 from 4-7",
        "cmaes generation 1 of run 0 from 0-3",
    )
    seen_late = CMAES(REALS, 1, 4)
    history = history_of(REALS, [*rows, late])
    of_late = seen_late.suggest(10, 0, history)
    assert isinstance(of_late, Suggestion) and of_late.decision is not None
    assert of_late.decision.endswith("generation 2 of run 0 from 0-3")
    history.fill([early])
    answer = seen_late.suggest(10, 0, history)
    assert isinstance(answer, Suggestion)
    assert answer.decision == "cmaes generation 2 of run 0 from 4-7"  # no result is lost
    for order in ([*rows, early, late], [late, early, *rows]):
        assert CMAES(REALS, 1, 4).suggest(10, 0, history_of(REALS, order)) == answer


def test_a_lower_number_counts_also_when_much_was_built_on_the_other() -> None:
    """Further back than distributions are kept."""
    rows, late, early = race()
    loop = looped(population_size=4)
    for row in [*rows, late]:
        loop.fill(row)
    loop.rows[8] = early  # its number is taken
    loop.go(120)
    assert loop.algorithm._stage.generation > 20
    loop.fill(early)
    answer = loop.algorithm.suggest(200, 0, loop.history)
    fresh = CMAES(REALS, 1, 4).suggest(200, 0, history_of(REALS, list(loop.rows.values())))
    assert answer == fresh


def test_a_generation_that_was_read_before_its_last_trial_waits_for_it() -> None:
    loop = looped(population_size=4).go(6)
    rows = [row for _, row in sorted(loop.rows.items())]
    early = [*rows[:3], rows[3]._replace(status="reserved", objective=None), *rows[4:]]
    algorithm, history = CMAES(REALS, 1, 4), history_of(REALS, early)
    answer = algorithm.suggest(6, 0, history)
    assert isinstance(answer, Suggestion)
    history.fill([rows[3]])
    assert algorithm.suggest(6, 0, history) == CMAES(REALS, 1, 4).suggest(6, 0, loop.history)


def test_a_trial_that_was_removed_after_it_made_a_generation() -> None:
    loop = looped(population_size=4).go(20)
    rows = dict(loop.rows)
    for number in (2, 8):  # a member, and the first of a generation
        rows[number] = Row(number, "removed", None, "", f"t{number}")
    answers = {
        CMAES(REALS, 1, 4).suggest(20, 0, history_of(REALS, order))
        for order in (list(rows.values()), list(rows.values())[::-1])
    }
    assert len(answers) == 1 and all(isinstance(answer, Suggestion) for answer in answers)


# --- new runs ------------------------------------------------------------------------------------


def flat(strategy: str) -> Loop:
    options = {"population_size": 4, "restart_strategy": strategy}
    space = Space.parse({"x": "uniform(0, 1, precision=None)"})
    return Loop(CMAES(space, 1, **options), lambda n, x: 1.0, 3)  # type: ignore[arg-type]


def test_a_run_that_found_all_is_followed_by_a_larger_one() -> None:
    loop = flat("ipop").go(600)
    first = next(n for n, key in enumerate(loop.decisions()) if "of run 1" in key)
    key = loop.decisions()[first]
    runs = [int(re.search(r"run (\d+)", key)[1]) for key in loop.decisions()]  # type: ignore[index]
    assert runs == sorted(runs) and runs[-1] >= 2
    assert re.fullmatch(r"cmaes generation \d+ of run 1 from [\d,-]+", key)
    # Trials of the first run that still ran have no say in the second.
    second = next(k for k in loop.decisions()[first + 1 :] if "of run 1 from" in k)
    told = [int(n) for n in re.findall(r"\d+", second.split("from")[1])]
    assert min(told) == first
    sizes = [run.population for run, _ in loop.algorithm._stage.past]
    assert sizes[:2] == [4, 8]
    fresh = History(loop.algorithm.space)
    fresh.fill(list(loop.rows.values()))
    again = Loop(CMAES(loop.algorithm.space, 1, population_size=4), loop.objective).algorithm
    assert again.suggest(600, 0, fresh) == loop.algorithm.suggest(600, 0, loop.history)
    assert again._stage.past == loop.algorithm._stage.past


def test_without_restarts_there_is_one_run() -> None:
    assert all("run 0" in key for key in flat("none").go(600).decisions())


def test_a_run_that_draws_only_what_was_tried_is_followed_by_another() -> None:
    space = Space.parse({"n": "randint(0, 500)"})
    loop = Loop(CMAES(space, 1, population_size=4), lambda n, x: abs(x[0] - 77))
    loop.go(200)
    assert any("of run 1" in key for key in loop.decisions())
    assert min(row.objective or 0 for row in loop.rows.values()) == 0
    assert len({row.values for row in loop.rows.values()}) == 200


def test_a_run_that_was_begun_too_early_for_a_lower_number_goes_on() -> None:
    """Of a run that seemed to be over, a new worker computed nothing: now it has to."""
    loop = flat("ipop")
    loop.first = 1
    while "of run 1" not in loop.go(1).decisions()[-1]:
        pass
    loop.go(2)
    opening = next(key for key in loop.decisions() if "of run 1" in key)
    rows = list(loop.rows.values())
    algorithm, history = CMAES(loop.algorithm.space, 1, 4), history_of(loop.algorithm.space, rows)
    algorithm.suggest(999, 0, history)
    assert algorithm._stage.run.index == 1
    lower = Row(0, "reserved", None, "[0.5]", "t0", None, opening.replace("run 1", "run 0"))
    history.fill([lower])
    answer = algorithm.suggest(999, 0, history)
    assert algorithm._stage.run.index == 0
    fresh = CMAES(loop.algorithm.space, 1, 4)
    assert answer == fresh.suggest(999, 0, history_of(loop.algorithm.space, [*rows, lower]))


# --- what was asked for --------------------------------------------------------------------------


def test_a_run_goes_on_with_the_population_that_it_began_with() -> None:
    loop = looped(population_size=6).go(30)
    loop.algorithm = CMAES(REALS, 1, population_size=12)
    loop.go(32)
    assert loop.algorithm._stage.generation == 60 // 6
    assert loop.algorithm._stage.run.population == 6


def test_trials_of_another_algorithm_have_no_say() -> None:
    rows = [
        Row(n, "completed", float(n), dump_values(values), f"t{n}")
        for n, values in enumerate(REALS.decode(np.random.default_rng(1).random((20, 5))))
    ]
    alone, after = CMAES(REALS, 1), CMAES(REALS, 1)
    answer = after.suggest(20, 0, history_of(REALS, rows))
    assert answer == alone.suggest(20, 0, History(REALS))


def test_where_there_is_nothing_to_search() -> None:
    space = Space.parse({"n": "randint(4, 5)", "epochs": "fidelity(1, 9)"})
    algorithm, history = CMAES(space, 1), History(space)
    assert algorithm.suggest(0, 0, history) == Suggestion((4, 9))
    history.fill([Row(0, "completed", 1.0, dump_values((4, 9)), "t0")])
    assert isinstance(algorithm.suggest(1, 0, history), Finished)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"population_size": 3}, "population_size must be a whole number of at least 4, not 3."),
        ({"sigma": 0}, "sigma must be a number above 0 and of at most 1, not 0."),
        ({"restart_strategy": "ipo"}, "can't be 'ipo': did you mean 'ipop'?"),
        ({"inc_popsize": 1}, "inc_popsize must be a whole number of at least 2, not 1."),
        ({"popsize": 10}, "has no parameter 'popsize': did you mean"),
    ],
)
def test_a_parameter_that_does_not_fit(parameters: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)):
        create({"cmaes": parameters}, REALS, 1)


def test_without_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cmaes", None)
    with pytest.raises(MissingExtra, match=r"pip install 'orion-k8s\[cmaes\]'"):
        create({"cmaes": {}}, REALS, 1)
