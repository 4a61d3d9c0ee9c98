"""The density: it is one, its draws follow it, and near points are likely."""

from __future__ import annotations

import numpy as np
import pytest

from orion_k8s.algorithm.axes import Axes
from orion_k8s.algorithm.parzen import Parzen
from orion_k8s.space import Space

SPACES = {
    "smooth": {"x": "uniform(0, 1)", "y": "normal(0, 1)"},
    "integers": {"n": "randint(0, 7)", "k": "loguniform(1, 40, discrete=True)"},
    "categories": {"c": "choices(['a', 'b', 'c'])", "d": "choices({1: 0.9, 2: 0.06, 3: 0.04})"},
    "mixed": {"x": "uniform(0, 1)", "n": "randint(0, 5)", "c": "choices(['a', 'b', 'c', 'd'])"},
}


def model(kind: str, count: int, seed: int = 3, prior_weight: float = 1.0) -> tuple[Parzen, Axes]:
    space = Space.parse(SPACES[kind])
    axes = Axes.of(space)
    rng = np.random.default_rng(seed)
    points = space.encode(space.decode(rng.random((count, space.width)) ** 2))
    return Parzen(axes, points, rng.uniform(0.1, 1.0, count), prior_weight), axes


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("count", [1, 2, 12, 60])
def test_it_integrates_to_one(kind: str, count: int) -> None:
    parzen, axes = model(kind, count)
    uniform = np.random.default_rng(0).random((40_000, axes.width))
    density = np.exp(parzen.log_density(uniform))
    assert density.mean() == pytest.approx(1.0, abs=5 * density.std() / 200)
    assert density.std() > 0.05


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("count", [1, 12])
def test_its_draws_follow_it(kind: str, count: int) -> None:
    parzen, axes = model(kind, count)
    rng = np.random.default_rng(1)
    drawn, uniform = parzen.sample(rng, 40_000), rng.random((40_000, axes.width))
    density = np.exp(parzen.log_density(uniform))
    cells = Axes.of(Space.parse(SPACES[kind]))
    for axis in range(axes.width):
        # Where values are few, uniform draws must be compared by the value that they decode to.
        level = next((one for one in (*cells.steps, *cells.kinds) if one.axis == axis), None)
        edges = np.linspace(0, 1, 9) if level is None else level.edges
        found = np.histogram(drawn[:, axis], bins=edges)[0] / len(drawn)
        wanted = np.histogram(uniform[:, axis], bins=edges, weights=density)[0] / len(uniform)
        np.testing.assert_allclose(found, wanted, atol=0.02)


def test_draws_decode_to_the_value_that_the_density_means() -> None:
    space = Space.parse(
        {"n": "loguniform(1, 40, discrete=True)", "c": "choices({1: 0.9, 2: 0.1})"}
    )
    axes = Axes.of(space)
    assert len(axes.steps) == len(axes.kinds) == 1
    for level in (axes.steps[0], axes.kinds[0]):
        middles = (level.edges[:-1] + level.edges[1:]) / 2
        dimension = space.dimensions[level.axis]
        assert dimension.decode(middles) == dimension.decode(level.units)
        assert level.cells(level.units).tolist() == list(range(len(level.units)))
        assert level.cells(np.array([0.0, 1.0])).tolist() == [0, len(level.units) - 1]


def test_without_points_it_is_the_prior() -> None:
    parzen, axes = model("mixed", 0)
    uniform = np.random.default_rng(0).random((50, axes.width))
    np.testing.assert_allclose(parzen.log_density(uniform), 0.0, atol=1e-12)
    assert len(np.unique(parzen.sample(np.random.default_rng(0), 50)[:, 0])) == 50


def test_the_greater_the_priors_weight_the_flatter() -> None:
    at = np.random.default_rng(0).random((500, 2))
    spread = [np.ptp(model("smooth", 9, prior_weight=w)[0].log_density(at)) for w in (0.1, 1, 50)]
    assert spread[0] > spread[1] > spread[2]


def test_a_heavier_point_is_likelier() -> None:
    axes = Axes.of(Space.parse({"x": "uniform(0, 1)"}))
    points = np.array([[0.1], [0.12], [0.88], [0.9]])
    parzen = Parzen(axes, points, np.array([1.0, 1.0, 5.0, 5.0]), 1.0)
    low, high = parzen.log_density(np.array([[0.11], [0.89]]))
    assert high > low


def test_a_rare_category_that_was_seen_is_raised_above_its_prior() -> None:
    axes = Axes.of(Space.parse({"c": "choices({'a': 0.98, 'b': 0.01, 'c': 0.01})"}))
    kind = axes.kinds[0]
    parzen = Parzen(axes, kind.units[[1]][:, None], np.ones(1), 1.0)
    common, seen, rare = parzen.log_density(kind.units[:, None])
    assert seen > 1.0 and common == pytest.approx(rare) and common < 0


def test_categories_that_are_alike_share_what_is_known_of_one() -> None:
    space = Space.parse({"c": "choices(['sgd', 'momentum', 'adam'])"})
    far = np.array([[0.0, 0.3, 1.0], [0.3, 0.0, 1.0], [1.0, 1.0, 0.0]])
    plain, given = Axes.of(space), Axes.of(space, {"c": far})
    seen = given.kinds[0].units[[0]][:, None]
    with_far = Parzen(given, seen, np.ones(1), 1.0).log_density(given.kinds[0].units[:, None])
    without = Parzen(plain, seen, np.ones(1), 1.0).log_density(given.kinds[0].units[:, None])
    assert with_far[0] > with_far[1] > with_far[2] and without[1] == without[2]
    # Distances that are all alike say nothing.
    same = Axes.of(space, {"c": 1.0 - np.eye(3)})
    alike = Parzen(same, seen, np.ones(1), 1.0).log_density(given.kinds[0].units[:, None])
    np.testing.assert_allclose(alike, without)


def test_many_values_count_as_continuous_and_few_as_steps() -> None:
    priors = {
        "n": "randint(0, 500)",
        "m": "randint(0, 20)",
        "k": "loguniform(1, 500, discrete=True)",
        "x": "uniform(1, 2)",
        "y": "uniform(1, 2, precision=2)",
    }
    axes = Axes.of(Space.parse(priors))
    assert axes.smooth == (0, 3) and [one.axis for one in axes.steps] == [1, 2, 4]


def test_part_of_the_coordinates_has_a_density_of_its_own() -> None:
    _, axes = model("mixed", 5)
    part = axes.only([0, 2])
    assert (part.smooth, part.steps, [one.axis for one in part.kinds]) == ((0,), (), [2])
    assert len(part) == 2 and part.width == 3
    parzen = Parzen(part, np.full((4, 3), 0.3), np.ones(4), 1.0)
    drawn = parzen.sample(np.random.default_rng(0), 9)
    assert drawn.shape == (9, 3) and not drawn[:, 1].any() and drawn[:, 0].all()


@pytest.mark.parametrize(
    "points", [np.full((30, 200), 0.5), np.zeros((25, 200)), np.ones((1, 200))]
)
def test_nothing_overflows_in_many_dimensions(points: np.ndarray) -> None:
    axes = Axes.of(Space.parse({"x": "uniform(0, 1, shape=200)"}))
    parzen = Parzen(axes, points, np.ones(len(points)), 1.0)
    drawn = parzen.sample(np.random.default_rng(0), 24)
    assert ((drawn >= 0) & (drawn <= 1)).all()
    assert np.isfinite(parzen.log_density(drawn)).all()
