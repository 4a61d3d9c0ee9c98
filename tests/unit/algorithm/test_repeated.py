"""Points that are measured several times, and their means."""

from __future__ import annotations

import json

import numpy as np
import pytest

from orion_k8s.algorithm import Suggestion, Wait
from orion_k8s.algorithm.registry import create
from orion_k8s.algorithm.repeated import Points, Repeated
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, Status

SPACE = Space.parse({"x": "uniform(0, 1)"})


def row(number: int, status: Status, loss: float | None = None, x: float = 0.5) -> Row:
    text = "" if status is Status.REMOVED else f"[{x}]"
    return Row(number, status.value, loss, text, f"t{number}", decision=f"d{number}")


def told(points: History) -> dict[int, tuple[str, float | None]]:
    return {
        number: (list(Status)[code].value, None if np.isnan(loss) else loss)
        for number, code, loss in zip(
            points.numbers.tolist(), points.status, points.objectives.tolist(), strict=True
        )
    }


def test_a_point_is_completed_when_all_its_trials_have_ended() -> None:
    trials, points = History(SPACE), Points(3, SPACE)
    trials.fill([row(0, Status.COMPLETED, 1.0), row(1, Status.RESERVED), row(-1, Status.NEW)])
    assert {n: s for n, (s, _) in told(points.follow(trials)).items()} == {
        0: "reserved",
        -1: "reserved",
    }
    trials.fill([row(1, Status.COMPLETED, 4.0)])
    assert told(points.follow(trials))[0][0] == "reserved"  # the third is missing
    trials.fill([row(2, Status.RESERVED), row(-1, Status.COMPLETED, 7.0)])
    points.follow(trials)
    trials.fill([row(2, Status.BROKEN), row(3, Status.BROKEN), row(4, Status.REMOVED)])
    trials.fill([row(5, Status.BROKEN), *(row(n, Status.REMOVED) for n in (6, 7, 8))])
    found = told(points.follow(trials))
    assert (found[0], found[-1]) == (("completed", 2.5), ("completed", 7.0))
    assert (found[1][0], found[2][0]) == ("broken", "removed")
    history = points.history
    first = history.index(0)
    assert first is not None
    assert history.ids[first] == "t0" and history.decisions["d0"] == first
    fresh = Points(3, SPACE)
    assert told(fresh.follow(trials)) == found


@pytest.mark.parametrize("seed", range(20))
def test_points_do_not_depend_on_how_a_worker_came_to_know_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [
        row(n, Status.COMPLETED if rng.random() < 0.8 else Status.BROKEN, float(rng.random()))
        for n in range(-2, 30)
    ]
    at_once, slowly, points = History(SPACE), History(SPACE), Points(4, SPACE)
    at_once.fill(rows)
    for i in rng.permutation(len(rows)):
        slowly.fill([rows[i]._replace(status="reserved", objective=None)])
        if rng.random() < 0.5:
            points.follow(slowly)
        slowly.fill([rows[i]])
    found = told(points.follow(slowly))
    assert found == told(Points(4, SPACE).follow(at_once))


def test_the_first_asks_and_the_others_repeat() -> None:
    algorithm = create({"random": {}}, SPACE, 1, repetitions=3)
    assert isinstance(algorithm, Repeated)
    inner, history = create({"random": {}}, SPACE, 1), History(SPACE)
    assert isinstance(algorithm.suggest(1, 0, history), Wait)
    first = algorithm.suggest(3, 0, history)
    assert first == inner.suggest(1, 0, History(SPACE))
    assert isinstance(first, Suggestion) and first.repetition == 0
    history.fill([Row(3, "reserved", None, json.dumps(first.values), "t3")])
    for number, repetition in ((4, 1), (5, 2)):
        assert algorithm.suggest(number, 0, history) == Suggestion(
            first.values, None, None, repetition
        )
        assert isinstance(algorithm.suggest(number, 1, history), Wait)
    # A first one that was removed leaves the next to ask anew.
    history.fill([Row(6, "removed", None, "", "t6")])
    again = algorithm.suggest(7, 0, history)
    assert isinstance(again, Suggestion) and again.values not in ((), first.values)
