"""A trial costs three round trips to the database, however long the history: counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymongo.monitoring
import pytest

from orion_k8s.client.experiment import ExperimentClient
from orion_k8s.client.settings import Settings
from orion_k8s.executor.single import Single
from orion_k8s.storage import Storage
from orion_k8s.storage.mongo import MongoDB
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import Trial
from orion_k8s.worker import FunctionTask, Limits
from tests.benchmarks.figures import filled

ASKED = frozenset({"find", "update", "insert", "findAndModify", "aggregate", "getMore", "delete"})


class Commands(pymongo.monitoring.CommandListener):
    """Counts what the driver sends."""

    def __init__(self) -> None:
        self.count = 0

    def started(self, event: pymongo.monitoring.CommandStartedEvent) -> None:
        self.count += event.command_name in ASKED

    def succeeded(self, event: pymongo.monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: pymongo.monitoring.CommandFailedEvent) -> None:
        pass


Counted = tuple[Storage, Callable[[], int]]


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongo)])
def counted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Counted]:
    """A storage, and how many statements or commands its driver has sent so far."""
    if request.param == "sqlite":
        statements: list[str] = []
        with SQLite(tmp_path / "history.db") as storage:
            storage.setup()
            opened = storage._connection._open
            assert opened is not None
            opened.set_trace_callback(statements.append)
            yield storage, lambda: len(statements)
        return
    commands = Commands()
    with MongoDB(
        request.getfixturevalue("mongodb_uri"), request.getfixturevalue("mongodb_name")
    ) as mongo:
        mongo._connection._options["event_listeners"] = [commands]
        mongo.setup()
        yield mongo, lambda: commands.count


def work(storage: Storage, record: Any, trials: int, reports: bool = False) -> None:
    """Complete so many trials, with no heartbeat in between."""

    def function(trial: Trial, **params: float) -> float:
        if reports:
            trial.report(1.0)
        return params["x0"]

    client = ExperimentClient(storage, record, Settings(heartbeat_s=3600.0))
    with Single() as executor:
        client.run_worker(FunctionTask(function, "trial"), executor, Limits(max_trials=trials))


@pytest.mark.parametrize("stopping", [{}, {"median": {}}])
@pytest.mark.parametrize("history", [200, 2_000])
def test_a_trial_costs_three_round_trips_however_long_the_history(
    counted: Counted, history: int, stopping: dict[str, Any]
) -> None:
    """A function that could report, and does not, costs nothing more, whatever the rule."""
    storage, count = counted
    record = filled(storage, history)
    metadata = {**record.metadata, "stopping": stopping}
    storage.update_experiment(record.id, {"max_trials": None, "metadata": metadata})
    record = replace(record, max_trials=None, metadata=metadata)
    spent = []
    for trials in (20, 50):
        before = count()
        work(storage, record, trials)
        spent.append(count() - before)
    # What a worker asks for once, at its start and end, is in both.
    assert spent[1] - spent[0] == 3 * 30


def test_one_that_reports_costs_one_write_more(counted: Counted, tmp_path: Path) -> None:
    """At its end; while it runs, the trials of a worker share one write a second."""
    storage, count = counted
    record = replace(filled(storage, 200), max_trials=None)
    spent = []
    for trials in (20, 50):
        before = count()
        work(storage, record, trials, reports=True)
        spent.append(count() - before)
    writes = 4 if isinstance(storage, SQLite) else 5  # MongoDB looks at the token first
    # Once a second the other thread may be at the same curve at the same moment.
    assert spent[1] - spent[0] == pytest.approx(writes * 30, abs=5)
