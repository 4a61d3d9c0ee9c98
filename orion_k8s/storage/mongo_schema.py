"""Collections and indexes in MongoDB, how a foreign database is recognised, and the upgrade."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pymongo import IndexModel
from pymongo import errors as driver

from orion_k8s.errors import DamagedDatabase, SchemaError
from orion_k8s.storage.base import SCHEMA
from orion_k8s.storage.codec import UPGRADE
from orion_k8s.storage.mongo_connection import Connection, Document

EXPERIMENT_INDEXES = {
    "name_version": IndexModel([("name", 1), ("version", 1)], name="name_version", unique=True),
}
TRIAL_INDEXES = {
    "number": IndexModel([("experiment", 1), ("number", 1)], name="number", unique=True),
    "identity": IndexModel([("experiment", 1), ("identity", 1)], name="identity", unique=True),
    # Partial: most trials have no decision. It is never stored as null.
    "decision": IndexModel(
        [("experiment", 1), ("decision", 1)],
        name="decision",
        unique=True,
        partialFilterExpression={"decision": {"$exists": True}},
    ),
    "lease": IndexModel([("experiment", 1), ("status", 1), ("lease", 1)], name="lease"),
}

ORION_FIELDS = frozenset({"refers", "heartbeat", "hash_params", "exp_working_dir"})
"""What only the documents of Oríon have (https://github.com/Epistimio/orion)."""


def _tell_who_suspended(connection: Connection) -> None:
    # Before version 1, nobody wrote down who had suspended a trial: take it for a person.
    connection.trials.update_many(
        {"status": "suspended", "held_by": {"$exists": False}}, {"$set": {"held_by": "person"}}
    )


def _tell_goals(connection: Connection) -> None:
    # Before version 2, every experiment minimised one objective.
    connection.experiments.update_many({"goal": {"$exists": False}}, {"$set": {"goal": "{}"}})


MIGRATIONS: dict[int, Callable[[Connection], None]] = {0: _tell_who_suspended, 1: _tell_goals}
"""Version → the step to the next one. Each may be sent again after it was interrupted."""


def version_of(connection: Connection) -> int | None:
    """Return the version of the layout, None where the database holds nothing of ours.

    Raises:
        SchemaError: the collections are somebody else's.
        DamagedDatabase: the version is no number.
    """
    # In this order: documents that are there are marked, even if somebody made them just now.
    strange = None
    for collection in (connection.experiments, connection.trials):
        document = collection.find_one({})
        if document is not None:
            strange = strange or _foreign(connection, collection.name, document)
    found = connection.meta.find_one({"_id": "schema"})
    if found is not None:
        version = found.get("version")
        if not isinstance(version, int):
            raise DamagedDatabase(
                f"The document 'schema' of the collection meta in {connection.where} is damaged."
            )
        return version
    if strange is not None:
        raise strange
    return None


def _foreign(connection: Connection, collection: str, document: Document) -> SchemaError:
    whose = "of another program"
    if ORION_FIELDS & document.keys():
        whose = "of Oríon, whose layout orion-k8s does not read"
    return SchemaError(
        f"The database {connection.name} at {connection.where} holds {collection} {whose}: "
        "choose another database name."
    )


def check(version: int | None, where: str) -> None:
    """Return if the layout is the one that this code knows, or none yet.

    Raises:
        SchemaError: it is newer or older.
    """
    if version is not None and version > SCHEMA:
        raise SchemaError(
            f"{where} has schema {version}, made by a newer orion-k8s; this one knows schema "
            f"{SCHEMA}: install the newer orion-k8s."
        )
    if version is not None and version < SCHEMA:
        raise SchemaError(
            f"{where} has schema {version}, older than {SCHEMA} which this orion-k8s needs: "
            f"stop the workers, then {UPGRADE}."
        )


def create(connection: Connection) -> None:
    """Make the indexes that are missing; a user who may only read passes where none is."""
    for collection, wanted in (
        (connection.experiments, EXPERIMENT_INDEXES),
        (connection.trials, TRIAL_INDEXES),
    ):
        there: Any = collection.index_information()
        missing = [model for name, model in wanted.items() if name not in there]
        if missing:
            collection.create_indexes(missing)


def mark(connection: Connection) -> None:
    """Write the schema's version into a database that has none."""
    try:
        connection.meta.insert_one({"_id": "schema", "version": SCHEMA})
    except driver.DuplicateKeyError:
        pass  # somebody was faster


def migrate(connection: Connection, version: int) -> None:
    """Bring an older layout to the current one, step by step."""
    for step in range(version, SCHEMA):
        MIGRATIONS[step](connection)
        connection.meta.update_one(
            {"_id": "schema", "version": step}, {"$set": {"version": step + 1}}
        )
