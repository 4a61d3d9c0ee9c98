"""The two databases of the chaos runs: what goes wrong with each, and what it holds, read raw."""

from __future__ import annotations

import json
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pymongo

from orion_k8s.storage import Storage
from orion_k8s.storage.mongo import MongoDB
from orion_k8s.storage.sqlite import SQLite
from tests.chaos import faults
from tests.chaos.proxy import Proxy
from tests.chaos.server import Server


class Backend(ABC):
    """A database that suffers.

    Attributes:
        urls: by which workers reach it, each on a road of its own.
        weights: of the faults that it knows.
        watches: it can write down what happens, in an experiment that is there.
    """

    urls: list[str]
    weights: Mapping[str, int]
    watches = False

    @abstractmethod
    def storage(self) -> Storage:
        """Return the history, on a road that no fault touches."""

    @abstractmethod
    def strike(self, fault: faults.Fault) -> None:
        """Begin a fault of the database."""

    @abstractmethod
    def heal(self, fault: faults.Fault) -> None:
        """End it."""

    @abstractmethod
    def away(self) -> bool:
        """Whether some worker can't reach the database now."""

    @abstractmethod
    def raw(self) -> list[dict[str, Any]]:
        """Return what the database holds of each trial, by its own means."""

    @abstractmethod
    def close(self) -> None:
        """End all that was started."""

    def watch(self) -> None:
        """Begin to write down what happens in the database."""
        raise NotImplementedError

    def seen(self) -> list[str]:
        """Return what is wrong with what was written down."""
        return []


class OnSQLite(Backend):
    """A file, which triggers watch."""

    weights = faults.ON_SQLITE
    watches = True

    def __init__(self, folder: Path) -> None:
        self.path = folder / "history.db"
        self.urls = [f"sqlite:///{self.path}"]
        self._held: dict[faults.Fault, sqlite3.Connection] = {}

    def storage(self) -> Storage:
        return SQLite(self.path)

    def strike(self, fault: faults.Fault) -> None:
        held = self._connect()
        held.execute("BEGIN IMMEDIATE")
        self._held[fault] = held

    def heal(self, fault: faults.Fault) -> None:
        self._held.pop(fault).close()

    def away(self) -> bool:
        return bool(self._held)

    def watch(self) -> None:
        made = self._connect()
        made.execute(
            """CREATE TABLE watched (at INTEGER PRIMARY KEY AUTOINCREMENT, trial TEXT,
                before TEXT, after TEXT, attempt INTEGER, token TEXT)"""
        )
        made.execute(
            """CREATE TRIGGER watch_insert AFTER INSERT ON trials BEGIN
                INSERT INTO watched (trial, before, after, attempt, token)
                VALUES (NEW.id, NULL, NEW.status, NEW.attempt, NEW.token); END"""
        )
        made.execute(
            """CREATE TRIGGER watch_update AFTER UPDATE OF status ON trials BEGIN
                INSERT INTO watched (trial, before, after, attempt, token)
                VALUES (NEW.id, OLD.status, NEW.status, NEW.attempt, NEW.token); END"""
        )
        made.close()

    def seen(self) -> list[str]:
        read = self._connect()
        rows = read.execute(
            "SELECT trial, before, after, attempt, token FROM watched ORDER BY at"
        ).fetchall()
        read.close()
        allowed = {
            (None, "reserved"),
            ("reserved", "completed"),
            ("reserved", "interrupted"),
            ("reserved", "broken"),
            ("interrupted", "completed"),
            ("interrupted", "reserved"),
        }
        wrong = [f"{row} is no step of a trial's life" for row in rows if row[1:3] not in allowed]
        finished = Counter(trial for trial, _, after, *_ in rows if after == "completed")
        wrong += [
            f"trial {trial} was completed {n} times" for trial, n in finished.items() if n > 1
        ]
        tokens = [token for _, _, after, _, token in rows if after == "reserved"]
        attempts = [(trial, n) for trial, _, after, n, _ in rows if after == "reserved"]
        if len(set(tokens)) < len(tokens):
            wrong.append("a token was used for two reservations")
        if len(set(attempts)) < len(attempts):
            wrong.append("an attempt was reserved twice")
        return wrong

    def raw(self) -> list[dict[str, Any]]:
        read = self._connect()
        read.row_factory = sqlite3.Row
        found = [
            {**row, "results": json.loads(row["results"])}
            for row in map(dict, read.execute("SELECT * FROM trials ORDER BY number"))
        ]
        read.close()
        return found

    def close(self) -> None:
        for held in self._held.values():
            held.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self.path, isolation_level=None, timeout=30, check_same_thread=False
        )


class OnMongoDB(Backend):
    """A server of its own, behind a proxy with two doors."""

    weights = faults.ON_MONGODB
    name = "chaos"

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder / "server")
        try:
            self.proxy = Proxy(self.server.port, doors=2)
        except BaseException:
            self.server.kill()
            raise
        self.urls = [Server.uri_of(port, self.name) for port in self.proxy.ports]
        self._lasting: list[faults.Fault] = []
        self._lock = threading.Lock()
        self._starting: list[threading.Thread] = []

    def storage(self) -> Storage:
        return MongoDB(self.server.uri, self.name)

    def strike(self, fault: faults.Fault) -> None:
        self._lasting.append(fault)
        if fault.kind == "crash":
            for thread in self._starting:
                thread.join()
            self.server.kill()
        else:
            self.proxy.set(fault.kind, fault.slot % 2)

    def heal(self, fault: faults.Fault) -> None:
        self._lasting.remove(fault)
        if fault.kind == "crash":
            # It takes a second: others strike meanwhile.
            if not any(other.kind == "crash" for other in self._lasting):
                self._starting.append(threading.Thread(target=self._start))
                self._starting[-1].start()
        elif not any(self._same_door(fault, other) for other in self._lasting):
            self.proxy.set("pass", fault.slot % 2)

    def _start(self) -> None:
        with self._lock:
            self.server.start()

    @staticmethod
    def _same_door(one: faults.Fault, other: faults.Fault) -> bool:
        return other.kind in ("cut", "stall") and one.slot % 2 == other.slot % 2

    def away(self) -> bool:
        return bool(self._lasting) or any(thread.is_alive() for thread in self._starting)

    def raw(self) -> list[dict[str, Any]]:
        client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(self.server.uri)
        with client:
            found = client[self.name]["trials"].find({}).sort("number", 1)
            return [{**document, "id": document["_id"]} for document in found]

    def close(self) -> None:
        for thread in self._starting:
            thread.join()
        self.proxy.close()
        self.server.kill()
