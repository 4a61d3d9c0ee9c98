"""ASHA promotes the best of each budget, once each, and never waits."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from typing import Any

import pytest

from orion_k8s.algorithm import Finished, Suggestion, Wait
from orion_k8s.algorithm.asha import ASHA, Rung
from orion_k8s.algorithm.registry import create
from orion_k8s.algorithm.rungs import Rungs
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import run
from orion_k8s.trial import Row, Status, dump_values

SPACE = Space.parse({"x": "uniform(0, 1)", "epochs": "fidelity(1, 9, base=3)"})


def objective(params: dict[str, Any]) -> float:
    return (params["x"] - 0.3) ** 2 + 1 / params["epochs"]


def root(number: int, value: float | None, status: str = "completed", epochs: int = 1) -> Row:
    return Row(number, status, value, f"[{number / 100},{epochs}]", f"t{number}")


def history_of(rows: list[Row], space: Space = SPACE) -> History:
    history = History(space)
    history.fill(rows)
    return history


def claimed(answer: object, number: int) -> Row:
    assert isinstance(answer, Suggestion)
    return Row(number, "reserved", None, dump_values(answer.values), f"t{number}",
               answer.parent, answer.decision)  # fmt: skip


NINE = [root(n, float((n * 5) % 9)) for n in range(9)]  # the best: 0, 2, 4, 6, 8, 1, 3, 5, 7


# --- promotions ----------------------------------------------------------------------------------


def test_the_best_third_goes_on_with_the_next_budget_the_best_first() -> None:
    asha, history = ASHA(SPACE, 1), history_of(NINE)
    found = []
    for number in range(9, 13):
        answer = asha.suggest(number, 0, history)
        assert isinstance(answer, Suggestion)
        found.append((answer.parent, answer.values[1]))
        history.fill([claimed(answer, number)])
    best = sorted(NINE, key=lambda row: row.objective or 0.0)[:3]
    assert found == [(row.id, 3) for row in best] + [(None, 1)]


def test_a_promotion_keeps_the_parameters_and_has_a_key_that_is_unique() -> None:
    first, second = (
        ASHA(SPACE, seed).suggest(n, 0, history_of(NINE)) for seed, n in ((1, 9), (2, 20))
    )
    assert first == second
    assert isinstance(first, Suggestion)
    assert first.values == (0.0, 3)
    assert first.decision == "asha bracket 0 rung 1 from t0"


def test_the_highest_budget_is_the_end() -> None:
    rows = [root(n, float(n), epochs=9) for n in range(9)]
    asha = ASHA(SPACE, 1, num_brackets=3)
    answer = asha.suggest(9, 0, history_of(rows))
    assert isinstance(answer, Suggestion) and answer.parent is None


def test_a_broken_trial_counts_and_goes_no_further() -> None:
    rows = [root(0, None, "broken"), root(1, math.nan), root(2, 5.0)]
    asha, history = ASHA(SPACE, 1), history_of(rows)
    answer = asha.suggest(3, 0, history)
    assert isinstance(answer, Suggestion) and answer.parent == "t2"
    history.fill([claimed(answer, 3)])
    answer = asha.suggest(4, 0, history)
    assert isinstance(answer, Suggestion) and answer.parent is None


def test_trials_at_budgets_of_no_rung_have_no_say() -> None:
    rows = [root(n, float(n), epochs=2) for n in range(9)]
    answer = ASHA(SPACE, 1).suggest(9, 0, history_of(rows))
    assert isinstance(answer, Suggestion) and answer.parent is None


def test_a_removed_trial_goes_no_further() -> None:
    rows = [Row(0, "removed", None, "", "t0"), *NINE[1:]]
    answer = ASHA(SPACE, 1).suggest(9, 0, history_of(rows))
    assert isinstance(answer, Suggestion) and answer.parent == "t2"


@pytest.mark.parametrize("seed", range(20))
def test_what_is_promotable_is_what_the_definition_says(seed: int) -> None:
    dice = random.Random(seed)
    rung, ended, promoted = Rung(), {}, set()
    for number in range(80):
        value = dice.choice([float(dice.randrange(9)), dice.random(), math.inf])
        rung.end(f"t{number}", number, value)
        ended[f"t{number}"] = (value, number)
        order = sorted(ended, key=lambda trial: ended[trial])
        top = [trial for trial in order[: len(ended) // 3] if ended[trial][0] < math.inf]
        wanted = next((trial for trial in top if trial not in promoted), None)
        assert rung.promotable(3.0) == wanted
        if wanted is not None and dice.random() < 0.6:
            promoted.add(wanted)
            rung.promote(wanted)


def test_a_promotion_is_known_before_the_end_of_its_trial_is() -> None:
    rung = Rung()
    rung.promote("t0")
    for number in range(6):
        rung.end(f"t{number}", number, float(number))
    assert rung.promotable(3.0) == "t1"


# --- a pure function -----------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"num_brackets": 2}, {"repetitions": 4}])
def test_a_new_worker_in_any_order_of_reading_suggests_what_an_old_one_does(
    options: dict[str, Any],
) -> None:
    trials = run(lambda: ASHA(SPACE, 1, **options), objective, 30, workers=5, turns=3)
    rows = list(trials.rows.values())
    old, history = ASHA(SPACE, 1, **options), History(SPACE)
    for row in rows:
        history.fill([row._replace(status="reserved", objective=None)])
        old.suggest(900, 0, history)
        history.fill([row])
    answers = [old.suggest(number, 0, history) for number in (900, 901)]
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        fresh = ASHA(SPACE, 1, **options)
        assert [fresh.suggest(n, 0, history_of(rows)) for n in (900, 901)] == answers


def test_with_many_workers_nobody_waits_and_no_trial_goes_on_twice() -> None:
    trials = run(lambda: ASHA(SPACE, 1), objective, 120, workers=16, turns=1)
    parents = [row.parent for row in trials.rows.values() if row.parent]
    assert len(parents) == len(set(parents)) > 20
    budgets = Counter(json.loads(row.values)[1] for row in trials.rows.values())
    assert budgets[1] > 2 * budgets[3] > 4 * budgets[9] > 0


def test_it_finds_the_better_half_with_less_than_random_search_spends() -> None:
    trials = run(lambda: ASHA(SPACE, 1), objective, 100)
    best = min((row for row in trials.rows.values() if row.objective is not None),
               key=lambda row: row.objective or 0.0)  # fmt: skip
    assert json.loads(best.values)[1] == 9
    assert abs(json.loads(best.values)[0] - 0.3) < 0.1
    spent = sum(json.loads(row.values)[1] for row in trials.rows.values())
    assert spent < 9 * 100 / 3


# --- repetitions and brackets --------------------------------------------------------------------


def test_repetitions_end_it() -> None:
    trials = run(lambda: ASHA(SPACE, 1, repetitions=2), objective, 1000, workers=3)
    budgets = Counter(json.loads(row.values)[1] for row in trials.rows.values())
    assert budgets == {1: 18, 3: 6, 9: 2}
    answer = ASHA(SPACE, 1, repetitions=2).suggest(99, 0, history_of(list(trials.rows.values())))
    assert isinstance(answer, Finished)


def test_it_waits_for_what_may_go_on_and_for_nothing_else() -> None:
    rows = [*NINE[:8], root(8, None, "reserved")]
    slots = [row._replace(decision=f"asha root {n}") for n, row in enumerate(rows)]
    asha, history = ASHA(SPACE, 1, repetitions=1), history_of(slots)
    for number in (9, 10):  # two of eight
        history.fill([claimed(asha.suggest(number, 0, history), number)])
    assert isinstance(asha.suggest(11, 0, history), Wait)


def test_each_bracket_begins_a_budget_above_the_one_before() -> None:
    asha = ASHA(SPACE, 1, num_brackets=3)
    history = History(SPACE)
    found = [asha.suggest(number, 0, history) for number in range(26)]
    budgets = Counter(one.values[1] for one in found if isinstance(one, Suggestion))
    assert budgets == {1: 18, 3: 6, 9: 2}


def test_brackets_do_not_mix() -> None:
    # Two good trials at 3 of the bracket that begins there, and one that came up from 1.
    rows = [root(0, 9.0, epochs=3), root(1, 8.0, epochs=3), root(2, 7.0, epochs=3)]
    rows += [root(3, 0.0)]
    up = Row(4, "completed", 1.0, "[0.03,3]", "t4", "t3", "asha bracket 0 rung 1 from t3")
    answer = ASHA(SPACE, 1, num_brackets=2).suggest(5, 0, history_of([*rows, up]))
    assert isinstance(answer, Suggestion)
    assert (answer.parent, answer.decision) == ("t2", "asha bracket 1 rung 2 from t2")


# --- parameters ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prior", "num_rungs", "budgets"),
    [
        ("fidelity(1, 9, base=3)", None, (1, 3, 9)),
        ("fidelity(1, 16)", None, (1, 2, 4, 8, 16)),
        ("fidelity(1, 243, base=3)", None, (1, 3, 9, 27, 81, 243)),
        ("fidelity(1, 100, base=4)", None, (1, 5, 22, 100)),
        ("fidelity(2, 3, base=3)", None, (3,)),
        ("fidelity(5, 5)", None, (5,)),
        ("fidelity(1, 100, base=4)", 3, (1, 10, 100)),
        ("fidelity(1, 100, base=4)", 1, (100,)),
        ("fidelity(1.5, 6.0)", None, (1.5, 3.0, 6)),
    ],
)
def test_the_budgets_of_a_fidelity(
    prior: str, num_rungs: int | None, budgets: tuple[float, ...]
) -> None:
    found = Rungs("asha", Space.parse({"x": "uniform(0, 1)", "e": prior}), num_rungs).budgets
    assert found == pytest.approx(budgets)
    assert [type(budget) for budget in found] == [type(budget) for budget in budgets]


@pytest.mark.parametrize(
    ("space", "parameters", "words"),
    [
        ({"x": "uniform(0, 1)"}, {}, "asha needs a fidelity dimension"),
        ({"e": "fidelity(1, 9, base=1)"}, {}, "base above 1"),
        ({"e": "fidelity(1, 3)"}, {"num_rungs": 9}, "no 9 different budgets"),
        ({"e": "fidelity(1, 9)"}, {"num_rungs": 0}, "num_rungs must be a whole number"),
        ({"e": "fidelity(1, 4)"}, {"num_brackets": 4}, "has 3 budgets: lower it"),
        ({"e": "fidelity(1, 4)"}, {"num_brackets": 0}, "num_brackets must be a whole number"),
        ({"e": "fidelity(1, 4)"}, {"repetitions": 0}, "repetitions must be a whole number"),
        ({"e": "fidelity(1, 4)"}, {"repetition": 1}, "did you mean 'repetitions'"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    space: dict[str, str], parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create({"asha": parameters}, Space.parse(space), 1)


def test_orions_endless_repetitions_are_ours() -> None:
    assert ASHA(SPACE, 1, repetitions=math.inf).configuration["repetitions"] is None  # type: ignore[arg-type]


def test_a_finite_space_ends_with_its_best_at_the_highest_budget() -> None:
    space = Space.parse({"n": "randint(0, 9)", "epochs": "fidelity(1, 9, base=3)"})
    trials = run(lambda: ASHA(space, 1), lambda p: float(p["n"]), 1000, workers=4)
    # A few more than 9 + 3 + 1: some went on before better ones were known.
    assert 13 <= trials.count(Status.COMPLETED) == len(trials.rows) < 20
    highest = [json.loads(row.values) for row in trials.rows.values()]
    assert [0, 9] in highest
