"""A history in the memory of one process: for people's own tests, and for trying things out."""

from __future__ import annotations

import atexit
import threading
from typing import ClassVar

from orion_k8s.storage.sqlite import SQLite
from orion_k8s.storage.sqlite_connection import Connection

_SHARED: dict[str, MemoryConnection] = {}
_LOCK = threading.Lock()


class MemoryConnection(Connection):
    """A connection that is never closed, as its data would go with it. A fork copies them."""

    def close(self) -> None:
        """Keep the data."""

    def drop(self) -> None:
        """Give the memory back."""
        super().close()


class Memory(SQLite):
    """A history in memory, shared by name between the instances and the threads of a process.

    It lives until the process ends, or until `drop`. A forked child goes on with its own copy.

    Args:
        name: of the history; another name is another history.
    """

    kind: ClassVar[str] = "memory"

    def __init__(self, name: str = "") -> None:
        self.name = name
        super().__init__(":memory:")
        self.path = self.describe()

    @classmethod
    def from_url(cls, url: str, name: str | None = None) -> Memory:
        """Return the history that `memory://NAME` names; `name` stands in for a missing one."""
        return cls(url.removeprefix("memory:").removeprefix("//") or name or "")

    def _new_connection(self, synchronous: str, busy_s: float) -> Connection:
        with _LOCK:
            return _SHARED.setdefault(self.name, MemoryConnection(":memory:", synchronous, busy_s))

    def schema_version(self) -> int | None:
        """Return the version of the schema that is there, or None where there is none."""
        from orion_k8s.storage import sqlite_schema

        return sqlite_schema.version_of(self._connection.rows, self.path)

    def describe(self) -> str:
        """Return the URL of this history."""
        return f"memory://{self.name}"

    def drop(self) -> None:
        """Forget the history, for all instances of this name."""
        with _LOCK:
            _SHARED.pop(self.name, None)
        if isinstance(self._connection, MemoryConnection):
            self._connection.drop()


@atexit.register
def _drop_all() -> None:
    for connection in _SHARED.values():
        connection.drop()
