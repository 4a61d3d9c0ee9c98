"""Gaussian processes: what a suggestion costs as the history grows, and a new worker's first."""

from __future__ import annotations

from typing import Any

import pytest

from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row
from tests.benchmarks.bench_tpe import SPACES, finished, suggestions
from tests.benchmarks.figures import median, say, timed

COUNTS = (100, 1_000, 10_000, 100_000)
SUGGESTIONS = 50
ALGORITHMS: dict[str, dict[str, Any]] = {"gp": {}, "turbo": {"failure_tolerance": 10**6}}
"""The histories are random: nothing else keeps a region of all their trials."""


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_suggestion(name: str, kind: str) -> None:
    space = Space.parse(SPACES[kind])
    rows = finished(space, max(COUNTS) + SUGGESTIONS)[:-1]
    say(f"{name}, {kind}: a suggestion, ms of the processor", "")
    for count in COUNTS:
        took = suggestions(
            {name: ALGORITHMS[name]}, space, rows[: count + SUGGESTIONS], SUGGESTIONS
        )
        say(f"  at {count:,} trials", f"{took:.1f}", "goal 100")


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_first_suggestion_of_a_new_worker(name: str) -> None:
    space = Space.parse(SPACES["10 reals"])
    for count, goal in ((10_000, "goal 0.5"), (100_000, "")):
        rows = finished(space, count)

        def join(rows: list[Row] = rows) -> None:
            history = History(space)
            history.fill(rows)
            create({name: ALGORITHMS[name]}, space, 1).suggest(len(rows), 0, history)

        say(f"{name}: mirror and first suggestion at {count:,}, s",
            f"{median(lambda join=join: timed(join)):.2f}", goal)  # fmt: skip
