"""One connection to a SQLite file: threads, forks, its lock, and errors in plain words.

Threads of a process share the connection, one statement at a time: SQLite lets one writer in
anyway. It is closed before a fork and opened anew on both sides, as SQLite's locks do not survive
one: a child that opens the file while it holds a copy of its parent's open connection takes its
parent's locks for its own (https://www.sqlite.org/howtocorrupt.html, section 2.7).
"""

from __future__ import annotations

import errno
import os
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import quote

from orion_k8s.errors import (
    DatabaseError,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    SchemaError,
)
from orion_k8s.storage.codec import SETUP
from orion_k8s.storage.sqlite_schema import not_a_database

T = TypeVar("T")

BUSY, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB = 5, 8, 10, 11, 13, 14, 15, 26
LOCKED = 6

# Python 3.10 does not tell SQLite's code of an error.
CODE_OF_TEXT = {
    "database is locked": BUSY,
    "database table is locked": LOCKED,
    "locking protocol": PROTOCOL,
    "attempt to write a readonly database": READONLY,
    "disk I/O error": IOERR,
    "database disk image is malformed": CORRUPT,
    "database or disk is full": FULL,
    "unable to open database file": CANTOPEN,
    "file is not a database": NOTADB,
}

FIRST_WAIT_S = 0.002
LONGEST_WAIT_S = 0.02
"""Bounds of the jittered wait for another process' write, which takes some 50 µs."""

NEARLY_FULL = 1 << 20


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary code of an error, 1 where it is not known."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF
    text = str(error)
    return next((code for start, code in CODE_OF_TEXT.items() if text.startswith(start)), 1)


class Connection:
    """A connection that is opened when it is needed.

    Args:
        path: of the file, absolute; or ":memory:".
        synchronous: SQLite's pragma: "normal" survives a crash of every process, and a power cut
            with the last moments lost; "full" survives a power cut.
        busy_s: how many seconds to wait for the writes of other processes.
    """

    def __init__(self, path: str, synchronous: str = "normal", busy_s: float = 60.0) -> None:
        self.path = path
        self.synchronous = synchronous
        self.busy_s = busy_s
        self.lock = threading.RLock()
        self._open: sqlite3.Connection | None = None
        CONNECTIONS.add(self)

    def rows(self, sql: str, parameters: Any = ()) -> list[Any]:
        """Run one statement and return its rows, fetched at once: no transaction stays open."""
        return self._run(sql, parameters)[0]

    def write(self, sql: str, parameters: Any = ()) -> int:
        """Run one statement that writes and return how many rows it touched.

        Raises:
            sqlite3.IntegrityError: a unique key is taken; nothing was written.
        """
        return self._run(sql, parameters)[1]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in one transaction. For what people do: it blocks other writers."""
        with self.lock:
            self._run("BEGIN IMMEDIATE", ())
            try:
                yield
                self._run("COMMIT", ())
            except BaseException:
                if self._open is not None and self._open.in_transaction:
                    self._open.rollback()
                raise

    def create(self) -> None:
        """Open the file, made where it is missing, its folders too, and put it into WAL mode."""
        try:
            if self.path != ":memory:":
                os.makedirs(os.path.dirname(self.path), exist_ok=True)
        except OSError as error:
            raise self._unusable_folder(error) from error
        with self.lock:
            if self._open is None:
                self._open = self._waiting(lambda: self._connect("rwc"))
        ((mode,),) = self.rows("PRAGMA journal_mode = WAL")
        if mode not in ("wal", "memory"):
            raise DatabaseError(
                f"{self.path} is on a file system that SQLite cannot share between processes: "
                "choose a folder on a local disk, or MongoDB."
            )

    def close(self) -> None:
        """Close the connection. It is opened again when it is needed."""
        with self.lock:
            if self._open is not None:
                self._last.detach()
                self._open.close()
                self._open = None

    def before_fork(self) -> None:
        """Hold the lock and let go of the file."""
        self.lock.acquire()
        self.close()

    def after_fork(self) -> None:
        """Let threads in again, in the parent and in the child."""
        self.lock.release()

    def _run(self, sql: str, parameters: Any) -> tuple[list[Any], int]:
        def once() -> tuple[list[Any], int]:
            with self.lock:
                if self._open is None:
                    self._open = self._connect("rw")
                cursor = self._open.execute(sql, parameters)
                return cursor.fetchall(), cursor.rowcount

        return self._waiting(once)

    def _waiting(self, once: Callable[[], T]) -> T:
        """Call `once` until no other process is in its way.

        SQLite's own busy handler sleeps longer and longer, up to 100 ms, so that the latecomer
        starves; short waits with jitter share better.
        """
        deadline, wait_s = 0.0, FIRST_WAIT_S
        while True:
            try:
                return once()
            except sqlite3.IntegrityError:
                raise
            except OverflowError as error:
                raise DatabaseError("A number is too large for the database.") from error
            except sqlite3.Error as error:
                if code_of(error) not in (BUSY, LOCKED, PROTOCOL):
                    raise self._translated(error) from error
                now = time.monotonic()
                deadline = deadline or now + self.busy_s
                if now > deadline:
                    raise DatabaseUnavailable(
                        f"{self.path} was locked by another process for {self.busy_s:g} s."
                    ) from error
            time.sleep(random.uniform(0.2, 1.0) * wait_s)
            wait_s = min(wait_s * 1.5, LONGEST_WAIT_S)

    def _connect(self, mode: str) -> sqlite3.Connection:
        target = self.path if self.path == ":memory:" else f"file:{quote(self.path)}?mode={mode}"
        made = sqlite3.connect(
            target, uri=True, timeout=0.0, isolation_level=None, check_same_thread=False
        )
        try:
            made.execute(f"PRAGMA synchronous = {self.synchronous}").fetchall()
        except BaseException:
            made.close()
            raise
        # Nobody need close what a program leaves open at its end, or forgets.
        self._last = weakref.finalize(self, made.close)
        return made

    def _translated(self, error: sqlite3.Error) -> DatabaseError:
        code, path = code_of(error), self.path
        if code == FULL or (code == IOERR and self._nearly_full()):
            return DatabaseFull(f"The disk of {path} is full: make room, and the worker goes on.")
        if code == READONLY:
            return DatabaseReadOnly(
                f"{path} cannot be written to: check the permissions of the file and its folder."
            )
        if code in (CORRUPT, NOTADB):
            return not_a_database(path)
        if code == CANTOPEN:
            return self._cannot_open()
        if str(error).startswith(("no such table", "no such column")):
            return SchemaError(f"{path} holds no history of this version ({error}): {SETUP}.")
        return DatabaseError(f"SQLite cannot use {path}: {error}.")

    def _cannot_open(self) -> DatabaseError:
        folder = os.path.dirname(self.path)
        if os.path.isdir(self.path):
            return DatabaseError(f"{self.path} is a folder: name a file in it.")
        if not os.path.isdir(folder):
            return DatabaseError(f"There is no folder {folder}: {SETUP} to make it.")
        if not os.path.exists(self.path) and os.access(folder, os.W_OK):
            return DatabaseError(f"There is no database {self.path} yet: {SETUP}.")
        if not os.access(folder, os.W_OK):
            return DatabaseReadOnly(
                f"The folder {folder} cannot be written to: SQLite keeps files beside {self.path}."
            )
        return DatabaseReadOnly(f"{self.path} cannot be opened: check its permissions.")

    def _unusable_folder(self, error: OSError) -> DatabaseError:
        folder = os.path.dirname(self.path)
        if error.errno == errno.ENOSPC:
            return DatabaseFull(f"The disk of {folder} is full: make room.")
        kind = DatabaseReadOnly if error.errno in (errno.EACCES, errno.EROFS) else DatabaseError
        return kind(f"The folder {folder} cannot be made: {error.strerror}.")

    def _nearly_full(self) -> bool:
        try:
            stat = os.statvfs(os.path.dirname(self.path))
        except OSError:
            return False
        return stat.f_bavail * stat.f_frsize < NEARLY_FULL


CONNECTIONS: weakref.WeakSet[Connection] = weakref.WeakSet()
_FORKING = threading.RLock()
_HELD: list[Connection] = []


def _before_fork() -> None:
    _FORKING.acquire()
    _HELD[:] = list(CONNECTIONS)
    for connection in _HELD:
        connection.before_fork()


def _after_fork() -> None:
    for connection in _HELD:
        connection.after_fork()
    _HELD.clear()
    _FORKING.release()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
