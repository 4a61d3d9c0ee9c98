"""The arithmetic of Gaussian processes: outputs, columns, the process, and what is improved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import approx_fprime
from scipy.stats import norm

from orion_k8s.algorithm.acquisition import Box, improvement, log_h, near, ranked
from orion_k8s.algorithm.axes import FloatArray
from orion_k8s.algorithm.features import Features
from orion_k8s.algorithm.gaussian import Lengths, Posterior, _misfit, fit
from orion_k8s.algorithm.outputs import outputs
from orion_k8s.errors import ConfigurationError
from orion_k8s.space import Space

MIXED = Space.parse(
    {
        "x": "uniform(0, 1)",
        "n": "randint(0, 4)",
        "c": "choices(['a', 'b', 'c'])",
        "y": "normal(0, 1)",
    }
)
PLANE = Features("gp", Space.parse({"x": "uniform(0, 1)", "y": "uniform(0, 1)"}))


def _wave(points: FloatArray) -> FloatArray:
    return np.asarray(np.sin(5 * points[:, 0]) + points[:, 1] ** 2)


def _posterior(pending: FloatArray | None = None) -> tuple[Posterior, FloatArray, FloatArray]:
    points = np.random.default_rng(1).random((30, 2))
    found = outputs(_wave(points))
    lengths = fit(points, found, PLANE.dimension)
    pending = np.empty((0, 2)) if pending is None else pending
    return Posterior(lengths, points, found, pending), points, found


# --- outputs -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "objectives",
    [
        [1e308, -1e308, 0.0, 1.0, 2.0, 3.0],
        [1e-300, 2e-300, 3e-300, 1e308],
        [5.0, 5.0, 5.0, 5.0, 6.0],
        [-1e300, 1.0, 2.0, 3.0],
        list(range(50)),
        [10.0**i for i in range(-150, 150, 7)],
    ],
)
def test_outputs_keep_the_order(objectives: list[float]) -> None:
    found = outputs(np.array(objectives))
    assert np.isfinite(found).all()
    assert abs(found.mean()) < 1e-9 and found.std() == pytest.approx(1.0)
    order = np.argsort(objectives, kind="stable")
    assert (np.diff(found[order]) >= 0).all()
    assert found[order[0]] < found[order[-1]]


def test_outputs_without_difference() -> None:
    assert outputs(np.full(5, 7.0)).tolist() == [0.0] * 5
    assert outputs(np.array([1e308])).tolist() == [0.0]
    assert outputs(np.array([np.nan, np.inf])).tolist() == [0.0, 0.0]


def test_outputs_of_broken_trials_are_the_worst() -> None:
    found = outputs(np.array([1.0, np.nan, 3.0, np.inf, 2.0]))
    assert found[1] == found[3] == found[2] == found.max()


def test_outputs_do_not_depend_on_the_unit() -> None:
    objectives = np.random.default_rng(2).exponential(size=40)
    np.testing.assert_allclose(outputs(objectives), outputs(1e6 * objectives - 3e5), atol=1e-6)


# --- columns -------------------------------------------------------------------------------------


def test_columns_of_every_kind() -> None:
    features = Features("gp", MIXED)
    assert features.smooth == 2 and features.dimension.tolist() == [0, 1, 2, 3, 3, 3]
    points = np.array([[0.25, 0.125, 0.1, 0.5], [0.25, 0.125, 0.9, 0.5]])
    one, other = features.of(points)
    assert one[:3].tolist() == [0.25, 0.5, 0.125]
    assert ((one - other) ** 2).sum() == pytest.approx(1.0)  # as the ends of a number


def test_points_are_moved_to_what_can_be_decoded() -> None:
    points = Features("gp", MIXED).snap(np.random.default_rng(1).random((50, 4)))
    np.testing.assert_allclose(MIXED.encode(MIXED.decode(points))[:, 1:3], points[:, 1:3])


def test_too_many_options_are_refused() -> None:
    space = Space.parse({"c": f"choices({list(range(10_000))})", "x": "uniform(0, 1)"})
    with pytest.raises(ConfigurationError, match=r"gp: the space has 10,001 numbers .* use tpe"):
        Features("gp", space)


# --- the process ---------------------------------------------------------------------------------


def test_the_slope_of_the_likelihood() -> None:
    features, rng = Features("gp", MIXED), np.random.default_rng(3)
    columns = features.of(rng.random((15, 4)))
    found = outputs(rng.random(15))
    theta = np.array([-0.5, 0.3, -1.0, 0.1, math.log(1e-2)])

    def value(at: FloatArray) -> float:
        return _misfit(at, columns, found, features.dimension)[0]

    slope = _misfit(theta, columns, found, features.dimension)[1]
    np.testing.assert_allclose(slope, approx_fprime(theta, value, 1e-7), rtol=1e-4, atol=1e-5)


def test_a_dimension_without_effect_has_a_great_length() -> None:
    points = np.random.default_rng(1).random((40, 2))
    lengths = fit(points, outputs(np.sin(6 * points[:, 0])), PLANE.dimension).columns
    assert lengths[1] > 5 * lengths[0]


def test_noise_is_told_from_a_function() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((80, 2))
    clean, noisy = _wave(points), _wave(points) + 0.5 * rng.standard_normal(80)
    assert fit(points, outputs(clean), PLANE.dimension).noise < 1e-5
    assert fit(points, outputs(noisy), PLANE.dimension).noise > 1e-3


def test_the_posterior_goes_through_what_was_observed() -> None:
    posterior, points, found = _posterior()
    mean, deviation = posterior.at(points)
    np.testing.assert_allclose(mean, found, atol=0.05)
    far = posterior.at(np.array([[3.0, -2.0]]))[1]
    assert deviation.max() < 0.1 * far[0]


def test_pending_points_change_the_deviation_alone() -> None:
    pending, others = np.array([[0.9, 0.1]]), np.random.default_rng(5).random((20, 2))
    without, with_it = _posterior()[0], _posterior(pending)[0]
    np.testing.assert_allclose(without.at(others)[0], with_it.at(others)[0], atol=1e-9)
    assert with_it.at(pending)[1][0] < 0.2 * without.at(pending)[1][0]
    assert (with_it.at(others)[1] <= without.at(others)[1] + 1e-9).all()


def test_the_slopes_of_the_posterior() -> None:
    posterior = _posterior(np.array([[0.9, 0.1]]))[0]
    at = np.array([0.4, 0.7])
    mean, deviation, mean_slope, deviation_slope = posterior.slopes(at)
    assert [mean, deviation] == pytest.approx([float(v[0]) for v in posterior.at(at[None, :])])
    for slope, which in ((mean_slope, 0), (deviation_slope, 1)):
        told = approx_fprime(at, lambda x, w=which: posterior.at(x[None, :])[w][0], 1e-7)
        np.testing.assert_allclose(slope, told, rtol=1e-3, atol=1e-4)


def test_the_same_point_many_times() -> None:
    points = np.full((40, 2), 0.5)
    posterior = Posterior(Lengths(np.ones(2), 1e-7), points, np.zeros(40), points)
    assert all(np.isfinite(part).all() for part in posterior.at(np.random.rand(3, 2)))


# --- improvement ---------------------------------------------------------------------------------


def test_the_logarithm_of_the_improvement() -> None:
    assert float(log_h(40.0)) == pytest.approx(math.log(40.0))
    for z in (-8.0, -3.0, -1.0, -0.999, 0.0, 2.0):
        told = quad(lambda t, z=z: (z - t) * norm.pdf(t), z - 15.0, z, epsabs=0)[0]
        assert float(log_h(z)) == pytest.approx(math.log(told), rel=1e-6), z
    for z in (-50.0, -999.0, -1001.0, -1e8):
        tail = -0.5 * z * z - 0.5 * math.log(2 * math.pi) - 2 * math.log(-z)
        assert float(log_h(z)) == pytest.approx(tail, abs=2e-3), z
    assert (np.diff(log_h(np.linspace(-2000, 10, 5000))) > 0).all()


def test_the_first_of_the_ranked_is_the_best() -> None:
    posterior, points, found = _posterior()
    best = points[np.argsort(found)[:3]]
    box, rng = Box.whole(2), np.random.default_rng(0)
    order = ranked(posterior, PLANE, box, best, rng)
    merits = improvement(posterior, PLANE, order)
    assert (np.diff(merits) <= 1e-9).all()
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 60)] * 2), axis=-1).reshape(-1, 2)
    assert merits[0] >= improvement(posterior, PLANE, grid).max() - 1e-3


def test_all_stay_in_the_box() -> None:
    posterior, points, _ = _posterior()
    box = Box(np.array([0.2, 0.5]), np.array([0.3, 0.9]))
    order = ranked(posterior, PLANE, box, points[:3], np.random.default_rng(0))
    inside = (order >= box.low - 1e-12).all(axis=1) & (order <= box.high + 1e-12).all(axis=1)
    assert inside.all()


def test_some_coordinates_of_a_wide_space_are_changed() -> None:
    wide = Features("gp", Space.parse({f"x{i}": "uniform(0, 1)" for i in range(200)}))
    moved = near(wide, Box.whole(200), np.full((1, 200), 0.5), np.random.default_rng(0))
    changed = (moved != 0.5).sum(axis=1)
    assert 1 <= changed.min() and 15 < changed.mean() < 25
