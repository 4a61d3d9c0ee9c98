"""What values each kind of option takes, as data and as a text."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from orion_k8s.config.kinds import (
    AlgorithmChoice,
    BadValue,
    Boolean,
    Choice,
    Integer,
    Kind,
    Seconds,
    Table,
    Text,
)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Text(), "a b", "a b"),
        (Text(), Path("/x/y"), "/x/y"),
        (Text(optional=True), None, None),
        (Text(empty=True), "", ""),
        (Integer(1), 3, 3),
        (Integer(1), 3.0, 3),
        (Integer(1), np.int64(3), 3),
        (Integer(1, also=-1), -1, -1),
        (Integer(0, optional=True), None, None),
        (Integer(0, optional=True), math.inf, None),
        (Integer(0, optional=True), sys.maxsize, None),
        (Seconds(), 2, 2.0),
        (Seconds(), np.float32(0.5), 0.5),
        (Seconds(zero=True), 0, 0.0),
        (Seconds(endless=True), math.inf, math.inf),
        (Boolean(), False, False),
        (Choice(("exit", "wait")), "wait", "wait"),
        (Table(), {"a": [1]}, {"a": [1]}),
        (AlgorithmChoice(), "tpe", {"tpe": {}}),
        (AlgorithmChoice(), {"tpe": None}, {"tpe": {}}),
        (AlgorithmChoice(), {"tpe": {"seed": 1}}, {"tpe": {"seed": 1}}),
        (AlgorithmChoice(), {"of_type": "tpe", "seed": 1}, {"tpe": {"seed": 1}}),
    ],
)
def test_data_is_taken(kind: Kind, value: object, expected: object) -> None:
    taken = kind.check(value)
    assert taken == expected
    assert type(taken) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Text(), ""),
        (Text(), 2024),
        (Text(), True),
        (Text(), None),
        (Integer(1), 0),
        (Integer(1), "3"),
        (Integer(1), True),
        (Integer(1), 2.5),
        (Integer(1), math.inf),
        (Integer(1), math.nan),
        (Integer(1), None),
        (Integer(1), [1]),
        (Integer(1), 2**63),
        (Integer(1, 255), 256),
        (Integer(1, 65535, optional=True), sys.maxsize),
        (Integer(1, also=-1), -2),
        (Seconds(), 0),
        (Seconds(), -1),
        (Seconds(), math.nan),
        (Seconds(), math.inf),
        (Seconds(), 1e10),
        (Seconds(), 10**400),
        (Seconds(), "15"),
        (Seconds(), True),
        (Seconds(), None),
        (Seconds(zero=True), -0.1),
        (Boolean(), "false"),
        (Boolean(), 0),
        (Choice(("exit", "wait")), "Wait"),
        (Choice(("exit", "wait")), None),
        (Table(), "{}"),
        (Table(), []),
        (Table(), {1: 2}),
        (AlgorithmChoice(), ""),
        (AlgorithmChoice(), {}),
        (AlgorithmChoice(), {"a": {}, "b": {}}),
        (AlgorithmChoice(), {"a": 3}),
        (AlgorithmChoice(), {3: {}}),
        (AlgorithmChoice(), ["a"]),
    ],
)
def test_other_data_is_refused(kind: Kind, value: object) -> None:
    with pytest.raises(BadValue):
        kind.check(value)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Integer(1), " 10 ", 10),
        (Integer(0, optional=True), "none", None),
        (Integer(0, optional=True), "INF", None),
        (Seconds(), "1e-3", 0.001),
        (Seconds(endless=True), "inf", math.inf),
        (Boolean(), "false", False),
        (Boolean(), "False", False),
        (Boolean(), "0", False),
        (Boolean(), "off", False),
        (Boolean(), " TRUE ", True),
        (Table(), '{"processes": false}', {"processes": False}),
        (AlgorithmChoice(), "asha", {"asha": {}}),
        (AlgorithmChoice(), '{"asha": {"seed": 1}}', {"asha": {"seed": 1}}),
        (Text(), "x", "x"),
    ],
)
def test_texts_are_read(kind: Kind, text: str, expected: object) -> None:
    assert kind.read(text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Integer(1), "ten"),
        (Integer(1), "1.5"),
        (Integer(1), "none"),
        (Integer(1), "9" * 5000),
        (Seconds(), "15s"),
        (Seconds(), "nan"),
        (Boolean(), "maybe"),
        (Boolean(), ""),
        (Choice(("exit", "wait")), "waiting"),
        (Table(), "{'a': 1}"),
        (Table(), "[1]"),
        (Table(), "[" * 100_000),
        (AlgorithmChoice(), '{"asha": '),
    ],
)
def test_other_texts_are_refused(kind: Kind, text: str) -> None:
    with pytest.raises(BadValue):
        kind.read(text)


def test_malformed_json_says_where_and_keeps_the_text_to_itself() -> None:
    with pytest.raises(BadValue, match=r"line 1, column \d+") as caught:
        Table().read('{"password": "hunter2", oops')
    assert "hunter2" not in str(caught.value)


def test_a_path_may_start_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert Text(path=True).check("~/runs") == "/home/ada/runs"
