"""What pending trials are taken for, in our words and in Oríon's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm.lies import Lie, parse_lie
from orion_k8s.errors import ConfigurationError

OBJECTIVES = np.array([1.0, np.nan, 3.0, np.inf, 5.0])
MAX = {"of_type": "MaxParallelStrategy"}
MEAN = {"of_type": "MeanParallelStrategy", "default_result": None}


@pytest.mark.parametrize(
    ("strategy", "objective"),
    [
        (None, math.inf),
        ("max", math.inf),
        ("mean", 3.0),
        ("none", None),
        ("NoParallelStrategy", None),
        (MAX, math.inf),
        (MEAN, 3.0),
        ({"of_type": "StubParallelStrategy", "stub_value": 7}, 7.0),
        ({"of_type": "StubParallelStrategy"}, math.inf),
        ({"of_type": "StatusBasedParallelStrategy", "default_strategy": MEAN}, 3.0),
        (
            {
                "of_type": "StatusBasedParallelStrategy",
                "strategy_configs": {"broken": MAX, "reserved": {"of_type": "NoParallelStrategy"}},
                "default_strategy": MEAN,
            },
            None,
        ),
        (
            {"of_type": "StatusBasedParallelStrategy", "strategy_configs": {"broken": MAX}},
            math.inf,
        ),
    ],
)
def test_a_strategy_has_its_lie(strategy: Any, objective: float | None) -> None:
    assert parse_lie("tpe", strategy).objective(OBJECTIVES) == objective


def test_a_mean_of_nothing_and_of_what_is_too_large_is_bad() -> None:
    assert Lie("mean").objective(np.array([np.nan])) == math.inf
    assert Lie("mean").objective(np.array([1.7e308, 1.7e308, -1.0])) == math.inf


def test_a_mean_does_not_depend_on_the_order() -> None:
    values = np.array([1e16, 1.0, -1e16, 3.0] * 5)
    assert Lie("mean").objective(values) == Lie("mean").objective(np.sort(values)) == 1.0


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ("maximum", "did you mean 'max'"),
        ("stub", "there are: max, mean, none"),
        (3, "can't be 3"),
        ({"of_type": "MeanParalelStrategy"}, "did you mean 'MeanParallelStrategy'"),
        ({"type": "max"}, "of_type can't be None"),
        ({"of_type": "StubParallelStrategy", "stub_valu": 3}, "did you mean 'stub_value'"),
        ({"of_type": "StubParallelStrategy", "stub_value": "a"}, "must be a number"),
        ({"of_type": "StatusBasedParallelStrategy", "strategy_configs": [1]}, "by status"),
        ({"of_type": "StatusBasedParallelStrategy", "strategies": {}}, "strategy_configs"),
    ],
)
def test_nonsense_is_refused_in_a_sentence(strategy: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        parse_lie("tpe", strategy)
