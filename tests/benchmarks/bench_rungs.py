"""ASHA, Hyperband, DEHB, EvolutionES and PBT: what a suggestion costs as the history grows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from orion_k8s.algorithm import Algorithm, Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, dump_values
from tests.benchmarks.figures import SPACE, say

PRIORS = {**SPACE, "epochs": "fidelity(1, 81, base=3)"}
COUNTS = (1_000, 10_000, 100_000)
SUGGESTIONS = 200
IN_FLIGHT = 8


@pytest.mark.parametrize("name", ["asha", "hyperband", "dehb", "evolutiones"])
def test_a_suggestion(name: str) -> None:
    """One worker of eight slots; objectives are scattered."""
    _measure(name, {}, COUNTS)


@pytest.mark.parametrize("count", COUNTS)
def test_a_suggestion_of_a_population(count: int) -> None:
    """In its last generations, so the population is as much larger as the history is longer."""
    _measure("pbt", {"population_size": count // 8}, [count])


def _measure(name: str, parameters: dict[str, Any], counts: Sequence[int]) -> None:
    """Print what a suggestion costs at so many trials, and the first of a new worker at last."""
    space = Space.parse(PRIORS)
    algorithm, history, number = create({name: parameters}, space, 1), History(space), 0
    rows: list[Row] = []
    for count in counts:
        while number < count - SUGGESTIONS:
            number = _one_more(algorithm, history, number, rows)
        began = time.process_time()
        while number < count:
            number = _one_more(algorithm, history, number, rows)
        took = (time.process_time() - began) / SUGGESTIONS * 1e3
        say(f"{name}: a suggestion at {count:,} trials, ms of the processor", f"{took:.2f}",
            "goal 1")  # fmt: skip
    fresh = History(space)
    fresh.fill(rows)
    began = time.process_time()
    answer = create({name: parameters}, space, 1).suggest(number, 0, fresh)
    took = time.process_time() - began
    assert answer == algorithm.suggest(number, 0, history)
    say(f"{name}: the first suggestion of a new worker at {number:,}, s", f"{took:.2f}")


def _one_more(algorithm: Algorithm, history: History, number: int, rows: list[Row]) -> int:
    answer = algorithm.suggest(number, 0, history)
    assert isinstance(answer, Suggestion)
    text = dump_values(answer.values)
    row = Row(number, "reserved", None, text, f"t{number}", answer.parent, answer.decision)
    history.fill([row])
    rows.append(row)
    if number >= IN_FLIGHT:
        done = rows[number - IN_FLIGHT]
        rows[number - IN_FLIGHT] = done._replace(
            status="completed", objective=done.number * 7919 % 9973
        )
        history.fill([rows[number - IN_FLIGHT]])
    return number + 1
