"""Texts of valid priors, for property tests: every kind, every keyword, and hard numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orion_k8s.space.plain import FloatArray

PROPERTY = settings(max_examples=120, derandomize=True, deadline=None)
"""The same examples at every run, and no clock."""


def number(value: float) -> str:
    return repr(value)


def _magnitudes(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log10(low), math.log10(high)).map(lambda e: float(10.0**e))


positive = st.one_of(_magnitudes(1e-6, 1e6), _magnitudes(1e-290, 1e290))
reals = st.one_of(
    st.just(0.0),
    st.integers(-100, 100).map(float),
    positive,
    positive.map(lambda x: -x),
)
precision = st.one_of(
    st.just(""),
    st.just(", precision=None"),
    st.integers(1, 15).map(lambda p: f", precision={p}"),
)
shape = st.one_of(
    st.just(""),
    st.integers(1, 4).map(lambda n: f", shape={n}"),
    st.tuples(st.integers(1, 3), st.integers(1, 3)).map(lambda s: f", shape={s}"),
)


@st.composite
def _two(draw: st.DrawFn, numbers: st.SearchStrategy[float]) -> tuple[str, str]:
    low, high = sorted(draw(st.lists(numbers, min_size=2, max_size=2, unique=True)))
    # closer than some thousand floats apart there is no room for a distribution
    if high - low < 1e-9 * max(abs(low), abs(high)):
        low, high = -1.0, 3.0
    return number(low), number(high)


@st.composite
def _log_two(draw: st.DrawFn) -> tuple[str, str]:
    low, factor = draw(positive), draw(_magnitudes(1.0001, 1e9))
    return number(low), number(low * factor)


uniform = st.builds(lambda b, p: f"uniform({b[0]}, {b[1]}{p}", _two(reals), precision)
loguniform = st.builds(lambda b, p: f"loguniform({b[0]}, {b[1]}{p}", _log_two(), precision)


@st.composite
def normal(draw: st.DrawFn) -> str:
    loc, scale = draw(st.floats(-1e6, 1e6)) + 0.5, draw(_magnitudes(1e-3, 1e6))
    z = sorted(draw(st.lists(st.floats(-4, 4), min_size=2, max_size=2)))
    low = f", low={loc + scale * z[0]!r}" if draw(st.booleans()) else ""
    high = f", high={loc + scale * (z[1] + 0.5)!r}" if draw(st.booleans()) else ""
    name = draw(st.sampled_from(["normal", "gaussian", "norm"]))
    return f"{name}({loc!r}, {scale!r}{draw(precision)}{low}{high}"


SCIPY = (
    "beta(2, 5",
    "expon(scale=3.5",
    "gamma(2.5, 1, 4",
    "lognorm(0.7, low=0.2, high=9",
    "t(4",
    "truncnorm(-1.5, 2, loc=10, scale=0.1",
    "triang(0.3, 1, 2",
    "halfnorm(5, 2",
    "arcsine(1, 3",
    "dweibull(9, loc=100, scale=40, low=20, high=180",
)
scipy_real = st.builds(lambda law, p: f"{law}{p}", st.sampled_from(SCIPY), precision)

integers = st.one_of(st.integers(-50, 50), st.integers(-(2**60), 2**60))


@st.composite
def integer(draw: st.DrawFn) -> str:
    low, gap = draw(integers), draw(st.one_of(st.integers(2, 60), st.integers(2, 2**50)))
    kind = draw(
        st.sampled_from(["randint", "uniform", "loguniform", "normal", "binom", "poisson"])
    )
    if kind == "randint":
        return f"randint({low}, {low + gap}"
    if kind == "uniform":
        return f"uniform({low}, {low + gap}, discrete=True"
    if kind == "loguniform":
        return f"loguniform({draw(st.integers(1, 50))}, {50 + gap}, discrete=True"
    if kind == "normal":
        small = draw(st.integers(-1000, 1000))
        return f"normal({small}, {draw(st.integers(1, 500))}, discrete=True"
    if kind == "binom":
        return f"binom({draw(st.integers(1, 80))}, {draw(st.floats(0.05, 0.95))!r}"
    return f"poisson({draw(st.floats(0.1, 300))!r}, low=0, high=400"


texts = st.text(st.characters(exclude_categories=["Cs"], codec="utf-8"), max_size=12)
plain = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63),
    texts,
    st.floats(allow_nan=False, allow_infinity=False),
)
categories = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(texts, inner, max_size=3),
    ),
    max_leaves=5,
)


def _distinct(values: list[Any]) -> list[Any]:
    from orion_k8s.space.plain import frozen

    return list({frozen(value): value for value in values}.values())


@st.composite
def choices(draw: st.DrawFn) -> str:
    spelling = draw(st.sampled_from(["list", "arguments", "weights"]))
    if spelling == "weights":
        keys = _distinct(draw(st.lists(plain, min_size=1, max_size=6)))
        raw = draw(st.lists(st.integers(1, 100), min_size=len(keys), max_size=len(keys)))
        pairs = ", ".join(f"{k!r}: {w / sum(raw)!r}" for k, w in zip(keys, raw, strict=True))
        return f"choices({{{pairs}}}"
    values = _distinct(draw(st.lists(categories, min_size=2, max_size=8)))
    if spelling == "list" or len(values) == 1:
        return f"choices({values!r}"
    # a single container or a leading dict would be read as the other spellings
    return f"choices({', '.join(map(repr, values))}"


scalar_texts = st.one_of(uniform, loguniform, normal(), scipy_real, integer(), choices())


@st.composite
def _shaped(draw: st.DrawFn) -> str:
    return f"{draw(scalar_texts)}{draw(shape)})"


priors = _shaped()
"""Every kind of dimension with coordinates."""

numbers = st.one_of(uniform, loguniform, normal(), scipy_real, integer()).map(lambda t: f"{t})")
"""Scalar dimensions of numbers."""

fidelities = st.builds(
    lambda low, gap, base: f"fidelity({low}, {low + gap}, base={base})",
    st.integers(1, 100),
    st.integers(0, 1000),
    st.integers(1, 10),
)


def units(n: int, width: int) -> st.SearchStrategy[FloatArray]:
    """Points of the unit cube, (n, width); corners are likely."""
    coordinate = st.one_of(
        st.sampled_from([0.0, 1.0, 0.5, 1e-300, float(np.nextafter(1.0, 0.0))]),
        st.floats(0.0, 1.0),
    )
    return hnp.arrays(np.float64, (n, width), elements=coordinate)
