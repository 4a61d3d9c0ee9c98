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


def work(storage: Storage, record: Any, trials: int) -> None:
    """Complete so many trials, with no heartbeat in between."""
    client = ExperimentClient(storage, record, Settings(heartbeat_s=3600.0))
    with Single() as executor:
        client.run_worker(
            FunctionTask(lambda **params: params["x0"]), executor, Limits(max_trials=trials)
        )


@pytest.mark.parametrize("history", [200, 2_000])
def test_a_trial_costs_three_round_trips_however_long_the_history(
    counted: Counted, history: int
) -> None:
    storage, count = counted
    record = replace(filled(storage, history), max_trials=None)
    spent = []
    for trials in (20, 50):
        before = count()
        work(storage, record, trials)
        spent.append(count() - before)
    # What a worker asks for once, at its start and end, is in both.
    assert spent[1] - spent[0] == 3 * 30
