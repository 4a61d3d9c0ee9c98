"""Spaces as mappings: names, nesting, parameters, changes."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from orion_k8s.space import Space, parse_prior

NESTED = {
    "lr": "orion~loguniform(1e-5, 1)",
    "model": {"depth": "randint(1, 9)", "head": {"act": "~choices(['relu', 'tanh'])"}},
    "epochs": "fidelity(1, 16, base=4)",
}


def test_nested_names_get_dots_in_order() -> None:
    space = Space.parse(NESTED)
    assert list(space) == ["lr", "model.depth", "model.head.act", "epochs"]
    assert len(space) == 4 and space.width == 3
    assert space["model.depth"] == parse_prior("randint(1, 9)")
    assert space.fidelity is not None and space.fidelity.high == 16
    assert Space.parse({"model.depth": "randint(1, 9)"}) == Space.parse(
        {"model": {"depth": "randint(1, 9)"}}
    )


def test_the_configuration_makes_the_space_again() -> None:
    space = Space.parse(NESTED)
    stored = json.loads(json.dumps(space.configuration))
    assert Space.parse(stored) == space and hash(Space.parse(stored)) == hash(space)
    assert eval(repr(space), {"Space": Space}) == space
    assert pickle.loads(pickle.dumps(space)) == space


@pytest.mark.parametrize(
    "name", ["-x", "with space", "é$%{}", "a" * 300, "1", "class", "$where", "__x__", "a-b.c_d"]
)
def test_any_name_will_do(name: str) -> None:
    space = Space.parse({name: "uniform(0, 1)"})
    assert list(Space.parse(space.configuration)) == [name]
    assert space.values({name: 0.5}) == (0.5,)


def test_the_order_of_names_counts() -> None:
    one = Space.parse({"a": "uniform(0, 1)", "b": "uniform(0, 2)"})
    two = Space.parse({"b": "uniform(0, 2)", "a": "uniform(0, 1)"})
    assert one != two
    assert one.difference(two) == ["order: a, b became b, a"]


def test_differences_are_told_by_name() -> None:
    one = Space.parse({"a": "uniform(0, 1)", "b": "uniform(0, 2)", "c": "normal(0, 1)"})
    two = Space.parse({"a": "uniform(0.0, 1)", "b": "uniform(0, 3)", "d": "normal(0, 1)"})
    assert one.difference(two) == [
        "b: uniform(0, 2) became uniform(0, 3)",
        "removed: c",
        "added: d",
    ]
    assert one.difference(one) == []


def test_parameters_are_completed_and_put_in_canonical_form() -> None:
    space = Space.parse({**NESTED, "w": "uniform(0, 1, shape=2, default_value=[0, 1])"})
    given = {"lr": np.float64(0.123456), "model": {"depth": 3.0, "head.act": "tanh"}}
    values = space.values(given)
    assert values == (0.123456, 3, "tanh", 16, [0.0, 1.0])
    assert [type(v) for v in values] == [float, int, str, int, list]
    assert space.values({**given, "epochs": 4.0, "w": np.array([0.5, 1])})[3:] == (4, [0.5, 1.0])
    assert space.params(values)["model.head.act"] == "tanh"


def test_a_dict_category_is_not_taken_for_a_group() -> None:
    space = Space.parse({"opt": "choices([{'name': 'sgd'}, {'name': 'adam'}])"})
    assert space.values({"opt": {"name": "adam"}}) == ({"name": "adam"},)


def test_tuples_come_back_from_json() -> None:
    space = Space.parse(
        {
            "c": "choices([(1, (2, 3)), [4]])",
            "s": "choices([(1,), 'x'], shape=2)",
            "n": "randint(0, 3)",
        }
    )
    row = ((1, (2, 3)), [(1,), "x"], 2)
    assert space.load(json.loads(json.dumps(row))) == row


def test_the_fidelity_has_no_coordinate() -> None:
    space = Space.parse({"x": "uniform(0, 1)", "e": "fidelity(1, 9)"})
    assert space.decode(np.array([[0.25]])) == [(0.25, 9)]
    assert space.encode([(0.25, 3), (0.5, 9)]).tolist() == [[0.25], [0.5]]
    alone = Space.parse({"e": "fidelity(1, 9)"})
    assert alone.width == 0 and alone.cardinality == 1
    assert alone.decode(np.zeros((2, 0))) == [(9,), (9,)]


def test_a_measured_value_keeps_its_digits_and_is_encoded_where_it_lies() -> None:
    space = Space.parse({"x": "uniform(0, 10)"})
    assert space.values({"x": 1.23456}) == (1.23456,)
    assert space.encode([(1.23456,)])[0, 0] == pytest.approx(0.123456, abs=1e-4)
