"""What holds for every dimension, whatever its prior."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from orion_k8s.space import Dimension, Real, Space, parse_prior
from orion_k8s.space.plain import FloatArray
from orion_k8s.space.precision import precision_of
from tests.unit.space.prior_strategies import PROPERTY, fidelities, numbers, priors, units


def flat(value: object) -> list[object]:
    if isinstance(value, list):
        return [leaf for item in value for leaf in flat(item)]
    return [value]


def leaves(dimension: Dimension, value: object) -> list[object]:
    """The scalars of a value; a category may be a list, so only as deep as the shape."""
    found = [value]
    for _ in dimension.shape:
        found = [leaf for item in found for leaf in item]  # type: ignore[attr-defined]
    return found


def close(dimension: Dimension, left: object, right: object) -> bool:
    """Equal; but to nine digits where SciPy inverts and nothing rounds."""
    if isinstance(dimension, Real) and dimension.tolerance:
        return bool(np.allclose(np.array(left), np.array(right), rtol=1e-9, atol=0))
    return left == right


# --- text ----------------------------------------------------------------------------------------


@PROPERTY
@given(st.one_of(priors, fidelities), st.data())
def test_a_dimension_is_what_its_text_says(text: str, data: st.DataObject) -> None:
    one = parse_prior(text, "x")
    two = parse_prior(one.prior, "x")
    assert two == one and two.prior == one.prior and hash(two) == hash(one)
    assert (two.kind, two.shape, two.interval) == (one.kind, one.shape, one.interval)
    assert two.cardinality == one.cardinality
    points = data.draw(units(3, one.size))
    assert two.decode(points) == one.decode(points)


@PROPERTY
@given(priors, st.data())
def test_a_default_is_kept(text: str, data: st.DataObject) -> None:
    plain = parse_prior(text)
    value = plain.decode(data.draw(units(1, plain.size)))[0]
    one = parse_prior(f"{text[:-1]}, default_value={value!r})")
    assert parse_prior(one.prior).prior == one.prior
    space = Space.parse({"x": one})
    expected = plain.check(value)
    # None as a default says "no default" unless it is a category
    assert space.values({})[0] == expected
    assert Space.parse(space.configuration) == space


@PROPERTY
@given(priors)
def test_a_text_survives_the_spaces_and_prefixes_people_write(text: str) -> None:
    one = parse_prior(text)
    assert Space.parse({"x": f"  orion~{text} "})["x"] == one
    assert Space.parse({"x": f"~{text}"})["x"] == one


# --- coding --------------------------------------------------------------------------------------


@PROPERTY
@given(priors, st.data())
def test_samples_lie_in_the_bounds_and_are_encoded_to_what_decodes_to_them(
    text: str, data: st.DataObject
) -> None:
    dimension = parse_prior(text)
    points = data.draw(units(4, dimension.size))
    values = dimension.decode(points)
    for value in values:
        assert dimension.check(value) == value
        if dimension.interval is not None:
            low, high = dimension.interval
            assert all(low <= leaf <= high for leaf in flat(value))  # type: ignore[operator]
            assert all(math.isfinite(leaf) for leaf in flat(value))  # type: ignore[arg-type]
    encoded = dimension.encode(values)
    assert encoded.shape == points.shape and encoded.dtype == np.float64
    assert ((encoded >= 0) & (encoded <= 1)).all()
    again = dimension.decode(encoded)
    assert all(close(dimension, a, b) for a, b in zip(again, values, strict=True))


@PROPERTY
@given(priors, st.data())
def test_many_are_coded_as_one_by_one(text: str, data: st.DataObject) -> None:
    dimension = parse_prior(text)
    points = data.draw(units(21, dimension.size))
    together = dimension.decode(points)
    alone = [dimension.decode(points[i : i + 1])[0] for i in range(len(points))]
    assert together == alone
    assert [list(map(type, leaves(dimension, v))) for v in together] == [
        list(map(type, leaves(dimension, v))) for v in alone
    ]
    encoded = dimension.encode(together)
    one_by_one = [dimension.encode([value]) for value in together]
    assert (encoded == np.concatenate(one_by_one)).all()


@PROPERTY
@given(numbers, st.data())
def test_a_greater_unit_never_gives_a_lesser_number(text: str, data: st.DataObject) -> None:
    dimension = parse_prior(text)
    ordered = np.sort(data.draw(units(30, 1)), axis=0)
    values = dimension.decode(ordered)
    slack = 1e-9 if isinstance(dimension, Real) and dimension.tolerance else 0.0
    assert all(a <= b or abs(a - b) <= slack * abs(b) for a, b in pairwise(values))


@PROPERTY
@given(st.dictionaries(st.sampled_from("abcd"), priors, min_size=1), st.data())
def test_rows_of_a_space_survive_json_and_coding(
    texts: dict[str, str], data: st.DataObject
) -> None:
    space = Space.parse({**texts, "epochs": "fidelity(1, 9)"})
    assert Space.parse(space.configuration) == space
    points = data.draw(units(12, space.width))
    rows = space.decode(points)
    assert rows == [space.decode(points[i : i + 1])[0] for i in range(len(points))]
    for row in rows:
        stored = json.loads(json.dumps(row, ensure_ascii=False))
        assert space.load(stored) == row
        assert space.values(space.params(row)) == row
        assert row[-1] == 9
    encoded = space.encode(rows)
    assert (encoded == np.concatenate([space.encode([row]) for row in rows])).all()


# --- precision -----------------------------------------------------------------------------------

finite = st.floats(min_value=-1e300, max_value=1e300, allow_subnormal=False).filter(
    lambda x: x == 0 or abs(x) > 1e-300
)


@PROPERTY
@given(finite, st.integers(1, 15))
def test_rounding_is_idempotent_and_has_so_many_digits(x: float, digits: int) -> None:
    rounding = precision_of(digits)
    once = rounding.one(x)
    assert rounding.one(once) == once
    assert float(f"{once:.{digits - 1}e}") == once
    exponent = Decimal(x).adjusted() - digits + 1 if x else 0
    assert abs(Decimal(once) - Decimal(x)) <= Decimal(10) ** exponent * Decimal("0.65")


@PROPERTY
@given(hnp.arrays(np.float64, 20, elements=finite), st.integers(1, 15))
def test_rounding_many_is_rounding_each(x: FloatArray, digits: int) -> None:
    rounding = precision_of(digits)
    assert rounding.many(x).tolist() == [rounding.one(v) for v in x.tolist()]


@PROPERTY
@given(st.floats(1e-290, 1e290), st.integers(1, 15))
def test_ranks_count_the_numbers_of_so_many_digits(x: float, digits: int) -> None:
    rounding = precision_of(digits)
    above, below = rounding.rank_above(x), rounding.rank_below(x)
    assert rounding.member(below) <= x <= rounding.member(above)
    assert above - below in (0, 1)
    assert rounding.member(above + 1) > rounding.member(above)
    assert rounding.floor(x) <= x <= rounding.ceil(x)
    assert rounding.floor(-x) == -rounding.ceil(x)


@PROPERTY
@given(numbers, st.data())
def test_what_was_decoded_is_rounded_already(text: str, data: st.DataObject) -> None:
    dimension = parse_prior(text)
    if not isinstance(dimension, Real):
        return
    values = dimension.decode(data.draw(units(5, 1)))
    assert dimension.as_decoded(values)[1].tolist() == values
    if dimension.precision is not None:
        bounds = set(dimension.interval)
        digits = dimension.precision
        assert all(v in bounds or float(f"{v:.{digits - 1}e}") == v for v in values)


@PROPERTY
@given(st.lists(st.integers(-(10**4), 10**4), min_size=1), st.integers(1, 15))
def test_members_are_counted_together_as_one_by_one(offsets: list[int], digits: int) -> None:
    rounding = precision_of(digits)
    ranks = [offset * 10 ** (digits - 1) // 7 for offset in offsets]
    ranks = [r for r in ranks if abs(r) < 250 * 9 * 10 ** (digits - 1)]
    together = rounding.members(np.array(ranks, dtype=np.int64)).tolist()
    assert together == [rounding.member(rank) for rank in ranks]


def test_bounds_of_more_digits_than_the_precision_have_values_of_their_own() -> None:
    dimension = parse_prior("uniform(256624.94449593071, 262144.42920461606, precision=15)")
    last = np.nextafter(np.ones((400, 1)), 0) - np.arange(400).reshape(-1, 1) * 2.0**-53
    values = dimension.decode(last)
    assert len(set(values)) > 1
    assert dimension.as_decoded(values)[1].tolist() == values
    assert dimension.decode(np.array([[0.0], [1.0]])) == [256624.94449593071, 262144.42920461606]
