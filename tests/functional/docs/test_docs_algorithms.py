"""The page of the algorithms against their signatures."""

from __future__ import annotations

import inspect

import pytest
import yaml
from docpages import code, page

from orion_k8s.algorithm.lies import Lie, parse_lie
from orion_k8s.algorithm.registry import _OURS, find
from orion_k8s.stopping import registry as stopping

ALGORITHMS = page("docs/algorithms.md")


def test_every_algorithm_is_in_the_table() -> None:
    assert {code(row[0].split()[0]) for row in ALGORITHMS.rows("Algorithms")} == set(_OURS)


@pytest.mark.parametrize("name", sorted(_OURS))
def test_parameters_and_their_defaults(name: str) -> None:
    taken = [
        parameter
        for parameter in inspect.signature(find(name)).parameters.values()
        if parameter.name not in ("space", "seed") and parameter.kind is not parameter.VAR_KEYWORD
    ]
    if not taken:
        return
    told = {code(row[0]): yaml.safe_load(row[1].strip("`")) for row in ALGORITHMS.rows(name)}
    if name == "tpe":  # None, in the signature, is the constant liar
        assert parse_lie(name, told["parallel_strategy"]) == Lie()
        told["parallel_strategy"] = None
    assert told == {parameter.name: parameter.default for parameter in taken}


def test_every_rule_of_early_stopping_and_its_parameters() -> None:
    rows = [row for row in ALGORITHMS.rows("Early stopping") if row[0].startswith("`")]
    told = {code(row[0]): yaml.safe_load(f"{{{row[2].replace('`', '')}}}") for row in rows}
    known = {
        name: {
            p.name: p.default for p in inspect.signature(stopping.find(name)).parameters.values()
        }
        for name in stopping._OURS
    }
    assert told == known
