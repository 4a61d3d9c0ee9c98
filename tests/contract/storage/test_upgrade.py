"""A history of an older schema: refused, upgraded, and gone on with."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pymongo
import pytest

from orion_k8s.errors import SchemaError
from orion_k8s.storage import Storage
from orion_k8s.storage.base import SCHEMA
from orion_k8s.storage.url import open_storage
from orion_k8s.testing.storage.setting import LONG_S, RESULTS, claim_of, lease_of, record_of


def to_version_1_sqlite(path: Path) -> None:
    database = sqlite3.connect(path)
    with database:
        database.execute("ALTER TABLE trials DROP COLUMN losses")
        database.execute("ALTER TABLE experiments DROP COLUMN goal")
        database.execute("PRAGMA user_version = 1")
    database.close()


def to_version_1_mongodb(uri: str, name: str) -> None:
    with pymongo.MongoClient[dict[str, object]](uri) as client:
        database = client[name]
        database.experiments.update_many({}, {"$unset": {"goal": ""}})
        database.meta.update_one({"_id": "schema"}, {"$set": {"version": 1}})


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongo)])
def older(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Storage, Callable[[], None]]]:
    """A storage, and what makes its schema version 1."""
    if request.param == "sqlite":
        path = tmp_path / "history.db"
        with open_storage(f"sqlite:///{path}") as storage:
            yield storage, lambda: to_version_1_sqlite(path)
        return
    uri, name = request.getfixturevalue("mongodb_uri"), request.getfixturevalue("mongodb_name")
    with open_storage(uri, name=name) as storage:
        yield storage, lambda: to_version_1_mongodb(uri, name)


def test_version_1_minimised_one_objective(older: tuple[Storage, Callable[[], None]]) -> None:
    storage, downgrade = older
    storage.setup()
    record = record_of()
    storage.create_experiment(record)
    done, running = claim_of(0), claim_of(1)
    for claim in (done, running):
        assert not storage.claim(record.id, claim, LONG_S)
    storage.complete(lease_of(done), 0.25, RESULTS)
    storage.close()
    downgrade()

    with pytest.raises(SchemaError, match="db upgrade"):
        storage.setup()
    assert storage.upgrade() == (1, SCHEMA)
    assert storage.upgrade() == (SCHEMA, SCHEMA)
    storage.setup()

    assert storage.experiment(record.id) == record
    assert [row.losses for row in storage.read_all(record.id)] == [None, None]
    storage.complete(lease_of(running), 0.5, RESULTS, "[0.5,2.0]")
    storage.update_experiment(record.id, {"goal": {"direction": "maximize"}})
    assert {row.losses for row in storage.read(record.id, [0, 1])} == {None, "[0.5,2.0]"}
    changed = storage.experiment(record.id)
    assert changed is not None and changed.goal == {"direction": "maximize"}
