"""What the benchmarks share: lines of figures, and histories of any length."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from orion_k8s import ExperimentClient, build_experiment
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.trial import (
    ExperimentRecord,
    Status,
    TrialRecord,
    dump_values,
    identity_of,
    new_id,
    new_token,
)

SPACE = {f"x{i}": "uniform(0, 1)" for i in range(10)}
"""Ten dimensions, as most programs that are tuned have."""


def say(what: str, figure: str, goal: str = "") -> None:
    """Print one figure beside its goal."""
    print(f"{what:58} {figure:>24}   {goal}", flush=True)


def noop(**params: float) -> float:
    """An objective that costs nothing."""
    return params["x0"]


def timed(function: Callable[[], Any]) -> float:
    """Return how many seconds a call takes."""
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def median(function: Callable[[], float], times: int = 3) -> float:
    """Return the median of some repetitions."""
    return statistics.median(function() for _ in range(times))


def filled(storage: Storage, count: int, **options: Any) -> ExperimentRecord:
    """Return an experiment of the storage that has so many completed trials."""
    record = ExperimentRecord(
        id=new_id(), name=f"filled {new_id()}", version=1, space=SPACE, algorithm={"random": {}},
        seed=count + 1,
    )  # fmt: skip
    record = replace(record, **options)
    storage.restore(record, completed(record, count))
    return record


def completed(record: ExperimentRecord, count: int) -> Iterator[TrialRecord]:
    """Yield completed trials with the points that their numbers have."""
    space = Space.parse(record.space)
    algorithm, history = create(record.algorithm, space, record.seed), History(space)
    rng = random.Random(1)
    for number in range(count):
        found: Any = algorithm.suggest(number, 0, history)
        values, objective = dump_values(found.values), rng.random()
        yield TrialRecord(
            id=new_id(), experiment=record.id, number=number, values=values,
            status=Status.COMPLETED, identity=identity_of(values), token=new_token(),
            worker="before", attempt=1, objective=objective,
            results=({"name": "objective", "type": "objective", "value": objective},),
            submit_time=1e9, start_time=1e9, end_time=1e9 + 1,
        )  # fmt: skip


def experiment(path: Path | str, **options: Any) -> ExperimentClient:
    """Return an experiment in a SQLite file, without limit and run inline."""
    options = {"space": SPACE, "executor": "singleexecutor", "seed": 1, **options}
    return build_experiment("bench", storage=str(path), **options)
