"""Hyperband fills each place of each rung once, halves by merit, and keeps workers busy."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from typing import Any

import pytest

from orion_k8s.algorithm import Finished, Suggestion, Wait
from orion_k8s.algorithm.hyperband import Hyperband, sizes_of
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import Trials, run
from orion_k8s.trial import Row, Status, dump_values

SPACE = Space.parse({"x": "uniform(0, 1)", "epochs": "fidelity(1, 9, base=3)"})
SIZES = [[9, 3, 1], [5, 1], [3]]


def objective(params: dict[str, Any]) -> float:
    return (params["x"] - 0.3) ** 2 + 1 / params["epochs"]


def history_of(rows: list[Row]) -> History:
    history = History(SPACE)
    history.fill(rows)
    return history


def claimed(answer: object, number: int, **changes: Any) -> Row:
    assert isinstance(answer, Suggestion)
    values, parent, decision = dump_values(answer.values), answer.parent, answer.decision
    row = Row(number, "reserved", None, values, f"t{number}", parent, decision)
    return row._replace(**changes)


def rungs_of(trials: Trials) -> dict[tuple[int, ...], list[Row]]:
    """Return the trials of each rung as (repetition, bracket, rung)."""
    found = defaultdict(list)
    for row in trials.rows.values():
        words = (row.decision or "").split()
        found[int(words[2]), int(words[4]), int(words[6])].append(row)
    return found


def test_the_sizes_are_those_of_the_paper() -> None:
    assert sizes_of(5, 3.0) == [[81, 27, 9, 3, 1], [34, 11, 3, 1], [15, 5, 1], [8, 2], [5]]
    assert sizes_of(3, 3.0) == SIZES
    assert sizes_of(1, 3.0) == [[1]]


@pytest.mark.parametrize(("workers", "turns"), [(1, 0), (5, 1), (16, 2)])
def test_every_place_of_every_rung_is_filled_once(workers: int, turns: int) -> None:
    trials = run(
        lambda: Hyperband(SPACE, 1, repetitions=2), objective, 1000, workers=workers, turns=turns
    )
    found = {place: len(rows) for place, rows in rungs_of(trials).items()}
    assert found == {
        (repetition, bracket, rung): size
        for repetition in range(2)
        for bracket, sizes in enumerate(SIZES)
        for rung, size in enumerate(sizes)
    }
    end = Hyperband(SPACE, 1, repetitions=2).suggest(99, 0, history_of(list(trials.rows.values())))
    assert isinstance(end, Finished)


def test_the_best_of_a_rung_go_on() -> None:
    trials = run(lambda: Hyperband(SPACE, 1, repetitions=1), objective, 1000, workers=4)
    rungs = rungs_of(trials)
    for (repetition, bracket, rung), rows in rungs.items():
        if rung:
            before = sorted(rungs[repetition, bracket, rung - 1], key=lambda r: r.objective or 0.0)
            assert {row.parent for row in rows} == {row.id for row in before[: len(rows)]}
            points = {row.id: json.loads(row.values)[0] for row in before}
            assert all(json.loads(row.values)[0] == points[row.parent or ""] for row in rows)
        assert {json.loads(row.values)[1] for row in rows} == {3 ** (bracket + rung)}


def test_the_new_points_are_the_same_for_any_number_of_workers() -> None:
    runs = [
        run(lambda: Hyperband(SPACE, 1, repetitions=1), objective, 1000, workers=workers)
        for workers in (1, 16)
    ]
    one, many = ({r.values for r in t.rows.values() if r.parent is None} for t in runs)
    assert one == many


def test_nobody_waits_for_the_end_of_a_rung() -> None:
    hyperband, history = Hyperband(SPACE, 1), History(SPACE)
    for number in range(17 + 4):
        history.fill([claimed(hyperband.suggest(number, 0, history), number)])
    found = [decision.split()[2:7:2] for decision in history.decisions]
    assert Counter(map(tuple, found)) == {
        ("0", "0", "0"): 9, ("0", "1", "0"): 5, ("0", "2", "0"): 3, ("1", "0", "0"): 4
    }  # fmt: skip


def test_with_one_repetition_there_is_an_end_to_that() -> None:
    hyperband, history = Hyperband(SPACE, 1, repetitions=1), History(SPACE)
    for number in range(17):
        history.fill([claimed(hyperband.suggest(number, 0, history), number)])
    assert isinstance(hyperband.suggest(17, 0, history), Wait)


@pytest.mark.parametrize("status", ["broken", "removed", "suspended"])
def test_one_that_fails_or_is_held_or_removed_stops_nobody(status: str) -> None:
    hyperband, history = Hyperband(SPACE, 1, repetitions=1), History(SPACE)
    rows = []
    for number in range(9):
        row = claimed(hyperband.suggest(0, 0, history), number)
        history.fill([row])
        rows.append(row._replace(status="completed", objective=float(number)))
    rows[0] = rows[0]._replace(status=status, objective=None, held_by="person")
    if status == "removed":
        rows[0] = rows[0]._replace(values="")
    history = history_of(rows)
    for number in range(9, 12):
        history.fill([claimed(hyperband.suggest(0, 0, history), number)])
    assert [history.parents[i] for i in (9, 10, 11)] == ["t1", "t2", "t3"]


def test_all_broken_ends_too() -> None:
    trials = run(
        lambda: Hyperband(SPACE, 1, repetitions=1), objective, 1000, broken=lambda number: True
    )
    assert trials.count(Status.BROKEN) == len(trials.rows) == 9 + 5 + 3


def test_a_trial_that_was_removed_after_others_went_on_does_no_harm() -> None:
    trials = run(lambda: Hyperband(SPACE, 1, repetitions=1), objective, 14, turns=5)
    rows = list(trials.rows.values())
    parents = [row.parent for row in rows if row.parent]
    gone = next(row for row in rows if row.id == parents[0])
    trials.rows[gone.number] = gone._replace(status="removed", values="", objective=None)
    done = run(lambda: Hyperband(SPACE, 1, repetitions=1), objective, 1000, trials=trials)
    promoted = [row.parent for row in done.rows.values() if row.parent]
    assert len(promoted) == len(set(promoted))


def test_a_new_worker_in_any_order_of_reading_suggests_what_an_old_one_does() -> None:
    trials = run(lambda: Hyperband(SPACE, 1), objective, 40, workers=5, turns=3)
    rows = list(trials.rows.values())
    old, history = Hyperband(SPACE, 1), History(SPACE)
    for row in rows:
        history.fill([row._replace(status="reserved", objective=None)])
        old.suggest(900, 0, history)
        history.fill([row])
    answers = [old.suggest(number, 0, history) for number in (900, 901)]
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        fresh = Hyperband(SPACE, 1)
        assert [fresh.suggest(n, 0, history_of(rows)) for n in (900, 901)] == answers


def test_a_space_with_fewer_points_than_places_is_used_up() -> None:
    space = Space.parse({"n": "randint(0, 4)", "epochs": "fidelity(1, 9, base=3)"})
    trials = run(lambda: Hyperband(space, 1), lambda p: float(p["n"]), 1000, workers=3)
    # A point that went up to a budget is no new point at it.
    assert {row.values for row in trials.rows.values()} >= {f"[{n},1]" for n in range(4)}
    assert {row.values for row in trials.rows.values()} >= {f"[{n},9]" for n in range(4)}
    keys = [(row.values, row.parent) for row in trials.rows.values()]
    assert len(keys) == len(set(keys))
    assert any(row.parent for row in trials.rows.values())


@pytest.mark.parametrize(
    ("space", "parameters", "words"),
    [
        ({"x": "uniform(0, 1)"}, {}, "hyperband needs a fidelity dimension"),
        ({"e": "fidelity(1, 9, base=1)"}, {}, "base above 1"),
        ({"e": "fidelity(1, 4)"}, {"repetitions": 1.5}, "repetitions must be a whole number"),
        ({"e": "fidelity(1, 4)"}, {"num_rungs": 3}, "it takes: repetitions, seed"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    space: dict[str, str], parameters: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words):
        create({"hyperband": parameters}, Space.parse(space), 1)
