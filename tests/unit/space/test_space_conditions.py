"""Dimensions that are there only sometimes."""

from __future__ import annotations

import json
import pickle
from typing import Any

import numpy as np
import pytest

from orion_k8s.errors import InvalidParams, InvalidPrior
from orion_k8s.space import Space, parse_prior
from orion_k8s.trial import dump_values

PRIORS = {
    "lr": "loguniform(1e-5, 1, when=\"optimizer == 'sgd'\")",
    "optimizer": "choices(['sgd', 'adam'])",
    "momentum": "uniform(0, 1, default_value=0.9, when='lr < 0.01')",
    "n": "randint(1, 4)",
    "kind": "choices([None, (1, 2)], when='n in (2, 3) and not n == 3')",
}


@pytest.fixture
def space() -> Space:
    return Space.parse(PRIORS)


def test_what_is_not_active_is_not_there(space: Space) -> None:
    rng = np.random.default_rng(1)
    rows = space.decode(rng.random((500, space.width)))
    assert rows[:5] == [space.decode(point)[0] for point in rng_points(5, space.width)]
    for row in rows:
        params = space.params(row)
        assert ("lr" in params) == (params["optimizer"] == "sgd")
        assert ("momentum" in params) == (params.get("lr", 1) < 0.01)
        assert ("kind" in params) == (params["n"] == 2)
        assert [name in params for name in space] == space.active(row)
        assert all(v is None for v, on in zip(row, space.active(row), strict=True) if not on)
        assert space.values(params) == row
        stored = json.loads(dump_values(row))
        assert space.load(stored) == row
    assert {len(space.params(row)) for row in rows} == {2, 3, 4, 5}


def rng_points(count: int, width: int) -> Any:
    return np.random.default_rng(1).random((count, width))


def test_points_that_differ_in_nothing_else_are_one(space: Space) -> None:
    rng = np.random.default_rng(2)
    points = rng.random((200, space.width))
    rows = space.decode(points)
    again = space.encode(rows)
    assert ((again >= 0) & (again <= 1)).all()
    assert space.decode(again) == rows
    for row, point in zip(rows, again, strict=True):
        for on, unit in zip(space.active(row), point, strict=True):
            assert on or unit == 0.5
    adam = [row for row in rows if row[1] == "adam" and row[3] == 1]
    assert len(adam) > 10 and len({dump_values(row) for row in adam}) == 1


def test_parameters_of_a_person(space: Space) -> None:
    assert space.values({"optimizer": "adam", "n": 1}) == (None, "adam", None, 1, None)
    assert space.values({"optimizer": "sgd", "lr": 0.001, "n": 1})[2] == 0.9  # its default
    with pytest.raises(InvalidParams, match="lr is missing"):
        space.values({"optimizer": "sgd", "n": 1})
    with pytest.raises(InvalidParams, match="lr is there only when optimizer == 'sgd': leave it"):
        space.values({"optimizer": "adam", "lr": 0.1, "n": 1})
    assert space.values({"optimizer": "adam", "n": 2, "kind": None})[4] is None


def test_the_canonical_text(space: Space) -> None:
    prior = parse_prior("uniform(0,1,when='(a==\"x\")   and b<2')").prior
    assert prior == "uniform(0, 1, when=\"a == 'x' and b < 2\")"
    assert parse_prior(prior).prior == prior
    assert Space.parse(space.configuration) == space
    assert pickle.loads(pickle.dumps(space)) == space
    assert Space.parse({**PRIORS, "n": "randint(1, 5)"}) != space
    other = Space.parse({**PRIORS, "lr": "loguniform(1e-5, 1)"})
    assert space.difference(other) == [f"lr: {space['lr'].prior} became loguniform(1e-5, 1)"]


@pytest.mark.parametrize(
    ("priors", "count"),
    [
        ({"c": "choices(['a', 'b'])", "n": "randint(0, 5, when=\"c == 'a'\")"}, 6),
        ({"c": "choices(['a', 'b'])", "n": "randint(0, 5, when=\"c != 'a'\", shape=2)"}, 26),
        (
            {
                "a": "randint(0, 3)",
                "b": "randint(0, 3, when='a > 0')",
                "c": "randint(0, 4, when='b == 1 or a == 0')",
                "d": "randint(0, 2)",
            },
            2 * (4 + 2 * (2 + 4)),
        ),
        ({"x": "uniform(0, 1)", "n": "randint(0, 5, when='x < 0.5')"}, np.inf),
        ({"c": "choices(['a', 'b'])", "x": "uniform(0, 1, when=\"c == 'a'\")"}, np.inf),
    ],
)
def test_points_are_counted_once(priors: dict[str, str], count: float) -> None:
    space = Space.parse(priors)
    assert space.cardinality == count
    if count < np.inf:
        rows = space.decode(np.random.default_rng(1).random((3000, space.width)))
        assert len({dump_values(row) for row in rows}) == count


@pytest.mark.parametrize(
    ("when", "values", "holds"),
    [
        ("a < b <= 3", {"a": 1, "b": 3}, True),
        ("a < b <= 3", {"a": 1, "b": 4}, False),
        ("not (a == 1 or b == 2)", {"a": 2, "b": 1}, True),
        ("c in ['x', 'y'] and a not in {1, 2}", {"a": 3, "b": 1}, True),
        ("c == 'z' or a >= 2**2 - 1", {"a": 3, "b": 1}, True),
        ("t.u-v == True", {"a": 1, "b": 1}, False),
    ],
)
def test_what_a_condition_says(when: str, values: dict[str, Any], holds: bool) -> None:
    priors = {
        **{"a": "randint(0, 5)", "b": "randint(0, 5)", "c": "choices(['x', 'z'])"},
        **{"t.u-v": "choices([1, True])", "y": f"uniform(0, 1, when={when!r})"},
    }
    space = Space.parse(priors)
    row = (values["a"], values["b"], "x", 1, 0.5)
    assert space.active(row)[-1] is holds


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("c == 'x'", None),
        ("d == 'x'", "names d, which is no parameter"),
        ("c == x", "names x, which is no parameter; put quotes around texts, as in 'x'."),
        ("colour == 'x'", "names colour, which is no parameter; did you mean colours?"),
        ("c == 'q'", "never holds; change it."),
        ("a > 4", "never holds"),
        ("3 < a < 4", "never holds"),
        ("b > 0.25 and b < 0.5", None),
        ("b > 0.5 and b < 0.5", "never holds"),
        ("a == 1 and a == 2", "never holds"),
        ("z < 5 and c == 'y'", "never holds"),
        ("y == 1", "depend on each other in a circle"),
        ("w[0] == 1", "is no comparison|not code"),
        ("w == 1", "names w, which is a list of values"),
        ("e > 3", "names e, which is a fidelity"),
        ("c < 3", "asks for an order of c, which has none"),
        ("a < 'x'", "asks for an order of 'x', which has none"),
        ("1 < 2", "compares 1 with no other parameter"),
        ("a", "is no comparison"),
        ("a == 1 if b else 2", "is no comparison"),
        ("a is 1", "compares by =="),
        ("a in 3", "a list must stand behind `in`"),
        ("f(a) == 1", "not code"),
        ("__import__('os').system('ls') == 0", "not code"),
        ("a ==", "can't be read"),
        ("", "can't be read"),
        ("not " * 250 + "a == 1", "1006 characters long"),
        ("(" * 900, "can't be read"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(when: str, said: str | None) -> None:
    priors = {
        **{"c": "choices(['x', 'y'])", "a": "randint(0, 5)", "b": "uniform(0, 1)"},
        **{"z": "randint(0, 9, when=\"c == 'x'\")", "w": "uniform(0, 1, shape=2)"},
        **{"e": "fidelity(1, 9)", "colours": "randint(0, 3)"},
        "y": f"uniform(0, 1, when={when!r})",
    }
    if said is None:
        assert Space.parse(priors)["y"].when == when
        return
    with pytest.raises(InvalidPrior, match=said.replace("?", r"\?").replace("(", r"\(")) as error:
        Space.parse(priors)
    assert "\n" not in str(error.value)


def test_what_has_no_condition() -> None:
    with pytest.raises(InvalidPrior, match="a fidelity is always there"):
        Space.parse({"e": "fidelity(1, 9, when='a == 1')", "a": "randint(0, 3)"})
    with pytest.raises(InvalidPrior, match="when must be a text"):
        parse_prior("uniform(0, 1, when=3)")
    assert parse_prior("uniform(0, 1, when=None)").prior == "uniform(0, 1)"
