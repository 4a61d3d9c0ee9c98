"""TPE: what a suggestion costs as the history grows, and what it leaves of the throughput."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, Status, dump_values
from tests.benchmarks import crowd
from tests.benchmarks.figures import SPACE, median, say, timed

MIXED = {
    **{f"x{i}": "loguniform(1e-5, 1)" for i in range(4)},
    **{f"n{i}": "randint(1, 33)" for i in range(3)},
    **{f"c{i}": "choices(['a', 'b', 'c'])" for i in range(3)},
}
SPACES = {"10 reals": SPACE, "4 reals, 3 integers, 3 categories": MIXED}
GOALS_MS = {1_000: 2, 10_000: 3, 100_000: 5}
SUGGESTIONS = 200
TRIALS = 3_000
PROCESSES = 8


def finished(space: Space, count: int) -> list[Row]:
    """Return completed trials at random points, with one pending at the end."""
    rng = np.random.default_rng(1)
    values = space.decode(rng.random((count, space.width)))
    objectives = rng.random(count).tolist()
    done, running = Status.COMPLETED.value, Status.RESERVED.value
    rows = [
        Row(number, done, objective, dump_values(row), f"trial {number}")
        for number, (row, objective) in enumerate(zip(values, objectives, strict=True))
    ]
    return [*rows[:-1], rows[-1]._replace(status=running, objective=None)]


def suggestions(
    algorithm: dict[str, Any], space: Space, rows: list[Row], count: int = SUGGESTIONS
) -> float:
    """Return the milliseconds of a suggestion and of taking in the trial before it."""
    history, asked = History(space), create(algorithm, space, 1)
    first, more = rows[:-count], rows[-count:]
    history.fill(first)
    asked.suggest(len(first), 0, history)
    began = time.process_time()
    for row in more:
        history.fill([row])
        asked.suggest(row.number + 1, 0, history)
    return (time.process_time() - began) / len(more) * 1e3


@pytest.mark.parametrize("kind", SPACES)
def test_a_suggestion(kind: str) -> None:
    space = Space.parse(SPACES[kind])
    rows = finished(space, max(GOALS_MS) + SUGGESTIONS)
    say(f"TPE, {kind}: a suggestion, ms of the processor", "")
    for count, goal in GOALS_MS.items():
        took = median(
            lambda count=count: suggestions({"tpe": {}}, space, rows[: count + SUGGESTIONS]), 5
        )
        say(f"  at {count:,} trials", f"{took:.2f}", f"goal {goal}")


def test_the_first_suggestion_of_a_new_worker() -> None:
    space = Space.parse(SPACE)
    for count, goal in ((10_000, "goal 0.5"), (100_000, "")):
        rows = finished(space, count)

        def join(rows: list[Row] = rows) -> None:
            history = History(space)
            history.fill(rows)
            create({"tpe": {}}, space, 1).suggest(len(rows), 0, history)

        say(f"TPE: mirror and first suggestion at {count:,}, s",
            f"{median(lambda join=join: timed(join)):.2f}", goal)  # fmt: skip


def test_throughput(tmp_path: Path) -> None:
    ours = statistics.median(
        crowd.ours(tmp_path / f"{repetition}.db", PROCESSES, TRIALS, "tpe")
        for repetition in range(3)
    )
    say(f"SQLite, {PROCESSES} processes with TPE, trials/s", f"{ours:.0f}", "goal 300")
    theirs = crowd.optunas(tmp_path / "optuna.db", PROCESSES, 200, "TPESampler")
    say("  Optuna's TPE beside it", f"{theirs:.0f}", f"{ours / theirs:.0f} times as many")
