"""The layout of the SQLite file, how a foreign one is recognised, and the upgrade."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from orion_k8s.errors import DamagedDatabase, SchemaError
from orion_k8s.storage.base import SCHEMA
from orion_k8s.storage.codec import SETUP, UPGRADE

APPLICATION_ID = 0x6F6B3873
"""Marks the file as ours, in SQLite's own place for that ("ok8s")."""

TABLES = (
    # AUTOINCREMENT: the key of a removed experiment is not used again.
    """CREATE TABLE experiments (
        key INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        version INTEGER NOT NULL,
        space TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        seed TEXT NOT NULL,
        max_trials INTEGER,
        max_broken INTEGER NOT NULL,
        working_dir TEXT NOT NULL,
        generation INTEGER NOT NULL,
        metadata TEXT NOT NULL,
        goal TEXT NOT NULL DEFAULT '{}',
        UNIQUE (name, version)
    )""",
    # Clustered by number: new trials are appended, and a range is read in one go. What may be long
    # comes last, so that reading the other columns does not touch its pages. `point` is what the
    # records call values (a keyword of SQL).
    """CREATE TABLE trials (
        experiment INTEGER NOT NULL,
        number INTEGER NOT NULL,
        id TEXT NOT NULL UNIQUE,
        status TEXT NOT NULL,
        objective REAL,
        point TEXT NOT NULL,
        parent TEXT,
        decision TEXT,
        identity TEXT NOT NULL,
        token TEXT,
        worker TEXT,
        attempt INTEGER NOT NULL DEFAULT 0,
        lost INTEGER NOT NULL DEFAULT 0,
        lease REAL,
        lease_s REAL,
        boot TEXT,
        submit_time REAL,
        start_time REAL,
        end_time REAL,
        reason TEXT,
        story TEXT NOT NULL DEFAULT '[]',
        results TEXT NOT NULL DEFAULT '[]',
        held_by TEXT,
        losses TEXT,
        PRIMARY KEY (experiment, number)
    ) WITHOUT ROWID""",
    "CREATE UNIQUE INDEX trials_identity ON trials (experiment, identity)",
    """CREATE UNIQUE INDEX trials_decision ON trials (experiment, decision)
        WHERE decision IS NOT NULL""",
    "CREATE INDEX trials_reserved ON trials (experiment) WHERE status = 'reserved'",
    "CREATE TABLE machines (boot TEXT PRIMARY KEY, beat INTEGER NOT NULL) WITHOUT ROWID",
)

BESIDE = {
    # By number, as the trials are. The text may be long; revisions are compared without it.
    "curves": """CREATE TABLE curves (
        experiment INTEGER NOT NULL,
        number INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        curve TEXT NOT NULL,
        PRIMARY KEY (experiment, number)
    ) WITHOUT ROWID""",
}
"""Tables that came later and change nothing of the others: made where they are missing, in a file
of any version. Whoever never reports needs none."""

MIGRATIONS: dict[int, tuple[str, ...]] = {
    # Before version 1, nobody wrote down who had suspended a trial: take it for a person.
    0: (
        "ALTER TABLE trials ADD COLUMN held_by TEXT",
        "UPDATE trials SET held_by = 'person' WHERE status = 'suspended'",
    ),
    # Before version 2, every experiment minimised one objective.
    1: (
        "ALTER TABLE experiments ADD COLUMN goal TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE trials ADD COLUMN losses TEXT",
    ),
}
"""Version → the statements that lead to the next one."""

Run = Callable[[str], list[Any]]


def version_of(run: Run, where: str) -> int | None:
    """Return the version of the layout, None where the database is empty.

    Args:
        run: runs one statement and returns its rows.
        where: names the database in errors.

    Raises:
        SchemaError: the tables are somebody else's.
    """
    # In this order: tables that are there are marked, even if somebody made them just now.
    tables = sorted(name for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'table'"))
    ((marked,),) = run("PRAGMA application_id")
    if marked == APPLICATION_ID:
        return int(run("PRAGMA user_version")[0][0])
    if not tables and not marked:
        return None
    names = ", ".join(tables[:5]) or "none yet"
    raise SchemaError(
        f"{where} is a database of another program (its tables: {names}): choose another file."
    )


def check(version: int | None, where: str) -> None:
    """Return if the layout is the one that this code knows.

    Raises:
        SchemaError: it is missing, newer, or older.
    """
    if version == SCHEMA:
        return
    if version is None:
        raise SchemaError(f"{where} holds no history yet: {SETUP}.")
    if version > SCHEMA:
        raise SchemaError(
            f"{where} has schema {version}, made by a newer orion-k8s; this one knows schema "
            f"{SCHEMA}: install the newer orion-k8s."
        )
    raise SchemaError(
        f"{where} has schema {version}, older than {SCHEMA} which this orion-k8s needs: "
        f"stop the workers, then {UPGRADE}."
    )


def missing(run: Run) -> list[str]:
    """Return which of the tables `BESIDE` are not there."""
    rows = run("SELECT name FROM sqlite_master WHERE type = 'table'")
    there = {name for (name,) in rows}
    return [name for name in BESIDE if name not in there]


def add_missing(run: Run) -> None:
    """Make those of the tables `BESIDE` that are missing. To be called inside a transaction."""
    for name in missing(run):
        run(BESIDE[name])


def create(run: Run) -> None:
    """Make the tables. To be called inside a transaction."""
    for statement in (*TABLES, *BESIDE.values()):
        run(statement)
    run(f"PRAGMA application_id = {APPLICATION_ID}")
    run(f"PRAGMA user_version = {SCHEMA}")


def migrate(run: Run, version: int) -> None:
    """Bring older tables to the current version. To be called inside a transaction."""
    for step in range(version, SCHEMA):
        for statement in MIGRATIONS[step]:
            run(statement)
        run(f"PRAGMA user_version = {step + 1}")


def not_a_database(path: str) -> SchemaError:
    """Return the error for a file that is not SQLite's, after a look at what it is."""
    try:
        with open(path, "rb") as file:
            start = file.read(2)
    except OSError:
        start = b""
    if os.fspath(path).endswith((".pkl", ".pickle")) or start[:1] == b"\x80":
        return SchemaError(
            f"{path} is a pickle, as Oríon's PickledDB writes them, which orion-k8s does not "
            "read: choose another file."
        )
    return DamagedDatabase(
        f"{path} is damaged or no SQLite database: restore a copy, or choose another file."
    )
