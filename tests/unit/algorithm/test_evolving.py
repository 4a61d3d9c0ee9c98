"""Search distributions: what is drawn, what is told, and what can't be told any more."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest

from orion_k8s.algorithm.axes import Axes
from orion_k8s.algorithm.evolving import Mixed, Smooth, graded, start
from orion_k8s.space import Space

REALS = Axes.of(Space.parse({"x": "uniform(0, 1)", "y": "normal(0, 1)"}))
MIXED = Axes.of(
    Space.parse({"x": "uniform(0, 1)", "n": "randint(0, 6)", "c": "choices({'a': 0.9, 'b': 0.1})"})
)


def drawn(distribution: Smooth | Mixed, count: int, seed: int = 1) -> np.ndarray:
    return np.array(list(islice(distribution.draws([seed]), count)))


def test_what_fits_a_space() -> None:
    assert type(start(REALS, np.full(2, 0.5), 0.2, 6)) is Smooth
    assert type(start(MIXED, np.full(3, 0.5), 0.2, 6)) is Mixed


@pytest.mark.parametrize("axes", [REALS, MIXED])
def test_draws_follow_their_seed_and_change_nothing(axes: Axes) -> None:
    one, two = (start(axes, np.full(axes.width, 0.5), 0.2, 6) for _ in range(2))
    drawn(two, 50, seed=9)
    np.testing.assert_array_equal(drawn(one, 20), drawn(two, 20))
    assert not np.array_equal(drawn(one, 20), drawn(one, 20, seed=2))
    assert ((drawn(one, 500) >= 0) & (drawn(one, 500) <= 1)).all()


@pytest.mark.parametrize("axes", [REALS, MIXED])
def test_what_it_is_told_makes_another(axes: Axes) -> None:
    distribution = start(axes, np.full(axes.width, 0.5), 0.2, 6)
    before, points = drawn(distribution, 20), drawn(distribution, 6, seed=3)
    points[:, 0] = np.linspace(0.1, 0.9, 6)
    told = distribution.told(points, points[:, 0], [1])
    np.testing.assert_array_equal(drawn(distribution, 20), before)
    assert drawn(told, 500)[:, 0].mean() < drawn(distribution, 500)[:, 0].mean()
    np.testing.assert_array_equal(
        drawn(told, 5), drawn(distribution.told(points, points[:, 0], [1]), 5)
    )


def test_categories_begin_with_their_prior() -> None:
    points = drawn(start(MIXED, np.full(3, 0.5), 0.2, 6), 2000)
    share = (MIXED.kinds[0].cells(points[:, 2]) == 0).mean()
    assert abs(share - 0.9) < 0.05


def test_a_whole_number_is_told_as_a_draw_that_has_its_value() -> None:
    distribution = Mixed(MIXED, np.full(3, 0.5), 0.2, 6)
    points = drawn(distribution, 2000)
    raw, step = distribution._raw(points, [1]), MIXED.steps[0]
    middles = (step.units[1:] + step.units[:-1]) / 2
    cells = np.searchsorted(middles, raw[:, 1])
    np.testing.assert_array_equal(cells, step.cells(points[:, 1]))
    assert len(np.unique(raw[:, 1])) > 1900
    assert abs(raw[:, 1].mean() - 0.5) < 0.02 and abs(raw[:, 1].std() - 0.2) < 0.01
    np.testing.assert_array_equal(raw[:, 0], points[:, 0])


def test_objectives_are_all_finite() -> None:
    given = np.array([3.0, np.nan, -1.0, np.inf, -np.inf])
    np.testing.assert_array_equal(graded(given), [3, 3, -1, 3, 3])
    np.testing.assert_array_equal(graded(np.full(3, np.nan)), np.zeros(3))
    assert np.isfinite(graded(np.array([1e308, -1e308])).sum())
    assert np.ptp(graded(np.array([1.7e308, -1.7e308]))) < np.inf


@pytest.mark.parametrize("axes", [REALS, MIXED])
def test_a_flat_objective_is_seen(axes: Axes) -> None:
    distribution, told = start(axes, np.full(axes.width, 0.5), 0.2, 6), 0
    while not distribution.converged():
        points = drawn(distribution, 6, seed=told)
        distribution = distribution.told(points, np.ones(6), [told])
        told += 1
        assert told < 100
    assert told > 10


def test_numbers_that_got_lost_end_it() -> None:
    distribution = start(REALS, np.full(2, 0.5), 0.2, 6)
    told = distribution.told(np.full((6, 2), 1e200), np.arange(6.0), [1])
    assert told.failed and told.converged() and len(drawn(told, 5)) == 0
