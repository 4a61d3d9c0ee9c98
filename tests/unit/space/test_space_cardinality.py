"""How many points there are, counted in two ways; and their weights."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orion_k8s.space import Space, parse_prior

SMALL = {
    "randint(-3, 4)": 7,
    "randint(0, 1)": 1,
    "uniform(0, 9, discrete=True)": 10,
    "uniform(-2.5, 2.5, discrete=True)": 5,
    "loguniform(1, 32, discrete=True)": 32,
    "normal(0, 2, discrete=True, low=-3, high=3)": 7,
    "choices(['a', 'b', 'c'])": 3,
    "choices({'a': 0.999, 'b': 0.001})": 2,
    "choices([1, True, '1', None])": 4,
    "uniform(1, 2, precision=2)": 11,
    "uniform(-2, -1, precision=2)": 11,
    "uniform(1, 2, precision=3)": 101,
    "uniform(0.95, 1.25, precision=2)": 9,  # 0.95 … 0.99, 1.0, 1.1, 1.2 and the bound 1.25
    "uniform(1.234, 1.236, precision=2)": 2,  # nothing but the bounds
    "loguniform(0.01, 10, precision=1)": 28,
    "loguniform(0.015, 0.1, precision=1)": 10,  # 0.015 itself, 0.02 … 0.09, 0.1
    "beta(2, 3, 1, 1, precision=2)": 11,
    "binom(9, 0.4)": 10,
    "poisson(3, low=1, high=6)": 6,
    "geom(0.5, low=1, high=4)": 4,
    "arcsine(1, 1, precision=2)": 11,
}


@pytest.mark.parametrize("text", SMALL)
def test_as_many_as_can_be_decoded(text: str) -> None:
    dimension = parse_prior(text)
    dense = np.linspace(0.0, 1.0, 40_001).reshape(-1, 1)
    seen = {dimension.key(value) for value in dimension.decode(dense)}
    found = dimension.levels(10_000)
    assert found is not None
    levels, weights = found
    decoded = [dimension.key(value) for value in dimension.decode(levels.reshape(-1, 1))]
    assert len(set(decoded)) == len(decoded) == SMALL[text] == dimension.cardinality
    assert seen <= set(decoded)
    assert len(seen) == len(decoded)
    assert weights.sum() == pytest.approx(1) and (weights > 0).all()
    # the share of the dense units that decode to a value is its weight
    shares = dict.fromkeys(decoded, 0)
    for value in dimension.decode(dense):
        shares[dimension.key(value)] += 1
    counted = np.array([shares[value] for value in decoded]) / len(dense)
    assert np.abs(counted - weights).max() < 2e-4


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("loguniform(1e-5, 1)", 45_001),
        ("uniform(1, 2)", 1001),
        ("uniform(0.5, 1)", 5001),
        ("uniform(1, 10)", 9001),
        ("uniform(-10, -1)", 9001),
        ("randint(0, 2**40)", 2**40),
        ("randint(-2**63, 2**63)", 2.0**64),
        ("uniform(0, 1)", math.inf),
        ("uniform(-1, 1)", math.inf),
        ("uniform(1, 2, precision=None)", math.inf),
        ("normal(0, 1)", math.inf),
        ("lognorm(1)", math.inf),
        ("fidelity(1, 100)", 1),
        ("randint(0, 10, shape=(2, 3))", 10**6),
        ("choices(['a', 'b'], shape=4000)", math.inf),  # more than a float can hold
    ],
)
def test_large_counts(text: str, count: float) -> None:
    assert parse_prior(text).cardinality == count


def test_a_one_dimensional_space_of_some_thousand_points_is_known_to_be_finite() -> None:
    space = Space.parse({"x": "uniform(1, 2)"})
    found = space["x"].levels(2000)
    assert space.cardinality == 1001 and found is not None
    values = [row[0] for row in space.decode(found[0].reshape(-1, 1))]
    assert values == [round(1 + i / 1000, 3) for i in range(1001)]


def test_values_that_no_unit_decodes_to_do_not_count() -> None:
    # around the middle of this distribution, far from both ends, nothing is ever drawn
    hollow = parse_prior("dweibull(60, loc=150, scale=40, low=101, high=199, precision=3)")
    found = hollow.levels(200)
    assert found is not None
    decoded = hollow.decode(found[0].reshape(-1, 1))
    assert len(set(decoded)) == hollow.cardinality < 99
    assert 101.0 in decoded and 147.0 not in decoded


def test_the_product_of_a_space() -> None:
    space = Space.parse(
        {"n": "randint(0, 5)", "c": "choices(['a', 'b'], shape=2)", "e": "fidelity(1, 16)"}
    )
    assert space.cardinality == 20
    assert Space.parse({"n": "randint(0, 5)", "x": "normal(0, 1)"}).cardinality == math.inf


@pytest.mark.parametrize(
    ("text", "n", "values"),
    [
        ("uniform(0, 1)", 3, [0.0, 0.5, 1.0]),
        ("uniform(0, 1)", 1, [0.5]),
        ("loguniform(0.001, 1)", 4, [0.001, 0.01, 0.1, 1.0]),
        ("randint(0, 3)", 100, [0, 1, 2]),
        ("randint(0, 100)", 3, [0, 50, 99]),
        ("choices({'a': 0.9, 'b': 0.1})", 5, ["a", "b"]),
        ("normal(0, 1)", 2, [-0.6745, 0.6745]),  # the quartiles
        ("uniform(1, 1.1, precision=2)", 10, [1.0, 1.1]),
    ],
)
def test_levels_of_a_grid(text: str, n: int, values: list[object]) -> None:
    dimension = parse_prior(text)
    assert dimension.decode(dimension.grid(n).reshape(-1, 1)) == values


@pytest.mark.parametrize("n", range(1, 40))
def test_a_grid_has_no_level_twice_and_no_more_than_asked_for(n: int) -> None:
    for text in ("uniform(0, 1, precision=1)", "binom(30, 0.5)", "choices(list('abc'))"):
        if text.startswith("choices"):
            text = "choices(['a', 'b', 'c', 'd', 'e'])"
        dimension = parse_prior(text)
        decoded = dimension.decode(dimension.grid(n).reshape(-1, 1))
        assert 1 <= len(decoded) == len(set(decoded)) <= n
