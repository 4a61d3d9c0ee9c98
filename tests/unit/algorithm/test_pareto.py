"""Fronts, room on a front, and who survives."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from orion_k8s.algorithm.survivors import Survivors
from orion_k8s.history import History
from orion_k8s.history.pareto import best_first, crowding, front, ranks
from orion_k8s.space import Space
from orion_k8s.trial import Row

LOSSES = st.integers(1, 4).flatmap(
    lambda k: st.integers(0, 30).flatmap(
        lambda n: arrays(np.float64, (n, k), elements=st.integers(0, 5).map(float))
    )
)


def dominates(a: Any, b: Any) -> bool:
    return bool((a <= b).all() and (a < b).any())


@given(LOSSES)
def test_the_front_is_what_no_other_dominates(losses: Any) -> None:
    expected = [not any(dominates(b, a) for b in losses) for a in losses]
    assert front(losses).tolist() == expected
    assert (ranks(losses) == 0).tolist() == expected


@given(LOSSES)
def test_fronts_are_taken_away_one_by_one(losses: Any) -> None:
    found, left, rank = ranks(losses), np.arange(len(losses)), 0
    while len(left):
        first = front(losses[left])
        assert (found[left[first]] == rank).all()
        left, rank = left[~first], rank + 1


def test_the_front_of_many_points_takes_blocks() -> None:
    losses = np.random.default_rng(1).random((3000, 2))
    best = losses[front(losses)]
    assert not any(dominates(a, b) for a, b in itertools.permutations(best, 2))
    assert all(any(dominates(a, b) for a in best) for b in losses[~front(losses)])


def test_room_is_the_distance_between_the_neighbours() -> None:
    losses = np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0], [3.5, 0.5]])
    assert crowding(losses).tolist() == [np.inf, 3 / 4 + 3 / 4, 2.5 / 4 * 2, np.inf, 0.5]
    assert np.isfinite(crowding(np.array([[1e308, -1e308], [-1e308, 1e308], [0, 0]]))[2])
    assert crowding(np.ones((3, 2))).tolist() == [np.inf, 0.0, np.inf]
    order, fronts, _ = best_first(np.vstack([losses, [5, 5]]), np.arange(6))
    assert order.tolist() == [0, 3, 1, 2, 4, 5] and fronts.tolist() == [0] * 5 + [1]


@pytest.mark.parametrize("seed", range(20))
def test_survivors_do_not_depend_on_how_a_worker_came_to_know_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    space = Space.parse({"x": "uniform(0, 1)"})
    rows = [
        Row(n, "completed", 0.0, f"[{n / 100}]", f"t{n}", losses=str(rng.random(2).tolist()))
        for n in range(-2, 40)
    ]
    at_once = History(space, objectives=2)
    at_once.fill(rows)
    expected = Survivors(7)
    expected.follow(at_once)
    slowly, survivors = History(space, objectives=2), Survivors(7)
    for i in rng.permutation(len(rows)):
        if rng.random() < 0.5:  # it was seen running first
            slowly.fill([rows[i]._replace(status="reserved", losses=None, objective=None)])
            survivors.follow(slowly)
        slowly.fill([rows[i]])
        survivors.follow(slowly)
    assert slowly.numbers[survivors.best].tolist() == at_once.numbers[expected.best].tolist()
    assert survivors.fronts.tolist() == expected.fronts.tolist()
    assert survivors.room.tolist() == expected.room.tolist()
