"""Samples follow their priors: against distributions that are written down here anew."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from orion_k8s.space import Space, parse_prior

N = 4000
LEAST_P = 1e-3
"""The seeds are fixed, so the outcome never changes; a right sampler seldom falls below this."""


def sample(text: str, seed: int = 7) -> list[object]:
    dimension = parse_prior(text)
    units = np.random.default_rng(seed).random((N, dimension.size))
    return dimension.decode(units)


REALS = {
    "uniform(-5, 5)": stats.uniform(-5, 10),
    "uniform(1e-3, 1e3, precision=None)": stats.uniform(1e-3, 1e3 - 1e-3),
    "loguniform(1e-5, 1)": stats.loguniform(1e-5, 1),
    "reciprocal(2, 30)": stats.reciprocal(2, 30),
    "normal(3, 0.5)": stats.norm(3, 0.5),
    "gaussian(0, 1)": stats.norm(0, 1),
    "norm()": stats.norm(),
    "normal(0, 1, low=-1, high=2)": stats.truncnorm(-1, 2),
    "normal(0, 1, low=4)": stats.truncnorm(4, np.inf),
    "normal(0, 2, high=-5)": stats.truncnorm(-np.inf, -2.5, scale=2),
    "uniform(0, 10, low=2, high=4)": stats.uniform(2, 2),
    "beta(2, 5)": stats.beta(2, 5),
    "expon(scale=3)": stats.expon(scale=3),
    "gamma(2.5, 1, 4)": stats.gamma(2.5, 1, 4),
    "lognorm(0.7)": stats.lognorm(0.7),
    "t(3)": stats.t(3),
    "cauchy()": stats.cauchy(),
    "halfnorm(1, 2)": stats.halfnorm(1, 2),
    "weibull_min(1.5)": stats.weibull_min(1.5),
    "geninvgauss(2.3, 1.5)": stats.geninvgauss(2.3, 1.5),
    "triang(0.3, 1, 2)": stats.triang(0.3, 1, 2),
    "loggamma(0.4)": stats.loggamma(0.4),
}


@pytest.mark.parametrize("text", REALS)
def test_reals(text: str) -> None:
    assert stats.kstest(sample(text), REALS[text].cdf).pvalue > LEAST_P


INTEGERS = {
    "randint(-3, 4)": stats.randint(-3, 4),
    "uniform(0, 9, discrete=True)": stats.randint(0, 10),
    "binom(20, 0.3)": stats.binom(20, 0.3),
    "poisson(4.5)": stats.poisson(4.5),
    "geom(0.4)": stats.geom(0.4),
    "nbinom(5, 0.5, loc=3)": stats.nbinom(5, 0.5, loc=3),
    "hypergeom(20, 7, 12)": stats.hypergeom(20, 7, 12),
    "dlaplace(0.8)": stats.dlaplace(0.8),
    "bernoulli(0.3)": stats.bernoulli(0.3),
    "skellam(5, 8)": stats.skellam(5, 8),
    "boltzmann(1.4, 19)": stats.boltzmann(1.4, 19),
}


@pytest.mark.parametrize("text", INTEGERS)
def test_integers(text: str) -> None:
    check_counts(Counter(sample(text)), INTEGERS[text].pmf)


def test_a_truncated_discrete_distribution_keeps_its_proportions() -> None:
    law = stats.poisson(4)
    inside = law.cdf(6) - law.cdf(1)
    check_counts(Counter(sample("poisson(4, low=2, high=6)")), lambda k: law.pmf(k) / inside)


@pytest.mark.parametrize(
    ("text", "law", "low", "high"),
    [
        ("normal(3, 2.5, discrete=True)", stats.norm(3, 2.5), -np.inf, np.inf),
        ("normal(3, 2.5, discrete=True, low=0, high=5)", stats.norm(3, 2.5), -0.5, 5.5),
        ("loguniform(1, 12, discrete=True)", stats.loguniform(0.5, 12.5), 0.5, 12.5),
        ("gamma(3, discrete=True, low=1, high=9)", stats.gamma(3), 0.5, 9.5),
    ],
)
def test_a_rounded_distribution_gives_each_integer_what_lies_around_it(
    text: str, law: object, low: float, high: float
) -> None:
    cdf = law.cdf  # type: ignore[attr-defined]
    mass = cdf(high) - cdf(low)
    check_counts(Counter(sample(text)), lambda k: (cdf(k + 0.5) - cdf(k - 0.5)) / mass)


def check_counts(counts: Counter[object], pmf: object) -> None:
    """Chi-square, the rare values taken together."""
    common = [k for k in counts if N * pmf(k) >= 8]  # type: ignore[operator]
    expected = np.array([N * pmf(k) for k in common])  # type: ignore[operator]
    observed = np.array([float(counts[k]) for k in common])
    rest = N - expected.sum()
    if rest >= 8:
        expected, observed = np.append(expected, rest), np.append(observed, N - observed.sum())
    else:
        assert N - observed.sum() < 40
        expected = expected * observed.sum() / expected.sum()
    assert len(expected) > 1
    assert stats.chisquare(observed, expected).pvalue > LEAST_P


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("choices(['a', 'b', 'c', 'd'])", {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}),
        ("choices('a', 'b')", {"a": 0.5, "b": 0.5}),
        ("choices({'a': 0.2, 'b': 0.7, 'c': 0.1})", {"a": 0.2, "b": 0.7, "c": 0.1}),
        ("choices({1: 0.25, (2, 3): 0.75})", {1: 0.25, (2, 3): 0.75}),
    ],
)
def test_categories_have_their_weights(text: str, weights: dict[object, float]) -> None:
    check_counts(Counter(sample(text)), weights.__getitem__)


def test_coordinates_of_a_shape_and_of_a_space_are_independent() -> None:
    space = Space.parse({"w": "uniform(0, 1, shape=(2, 2))", "x": "normal(0, 1)"})
    rows = space.decode(np.random.default_rng(3).random((N, space.width)))
    columns = np.array([[*np.ravel(w), x] for w, x in rows])
    correlation = np.corrcoef(columns.T) - np.eye(space.width)
    assert np.abs(correlation).max() < 0.06


def test_a_rare_end_is_still_reached_and_finite() -> None:
    for text in ("halfnorm()", "cauchy()", "levy()", "normal(0, 1)", "exponweib(2.9, 1.95)"):
        ends = parse_prior(text).decode(np.array([[0.0], [1.0]]))
        assert ends[0] < ends[1] and np.isfinite(ends).all(), text
    low, high = parse_prior("halfnorm(discrete=True)").decode(np.array([[0.0], [1.0]]))
    assert low == 0 and 7 <= high <= 9
