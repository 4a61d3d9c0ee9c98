"""The connection to MongoDB: its client, forks, and the driver's errors in plain words."""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote_plus

import pymongo
from bson.codec_options import CodecOptions
from bson.errors import BSONError
from pymongo import errors as driver
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from orion_k8s.errors import (
    AuthenticationFailed,
    ConfigurationError,
    DatabaseError,
    DatabaseFull,
    DatabaseReadOnly,
    DatabaseUnavailable,
    InvalidResult,
    OrionError,
)

Document = dict[str, Any]

DEFAULT_DATABASE = "orion"

# A half-open connection has to be noticed before a lease of 30 s is over. What the URI says wins.
DEFAULTS: dict[str, Any] = {
    "appname": "orion-k8s",
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 10_000,
    "retryWrites": True,
    "retryReads": True,
}

# Codes of https://www.mongodb.com/docs/manual/reference/error-codes/
BAD_LOGIN = frozenset({18, 8000})
UNAUTHORIZED = 13
FULL = frozenset({14031, 12501})
TOO_LARGE = frozenset({10334, 17419, 17420})
TRY_AGAIN = frozenset(
    {6, 7, 50, 64, 89, 91, 100, 112, 133, 189, 202, 262, 317, 358, 384}
    | {9001, 10058, 10107, 11600, 11602, 13435, 13436}
)
FULL_TEXT = re.compile(r"(?i)no space left|disk is full|out of disk|space quota")

PLACE = re.compile(
    r"^(mongodb(?:\+srv)?)://(?:(.*)@)?([^/?]*)(?:/([^?]*))?(?:\?(.*))?$", re.DOTALL
)


class Connection:
    """A database of a MongoDB server, connected when it is first used.

    Args:
        uri: mongodb://… or mongodb+srv://…
        name: of the database; else the one that the URI names; else "orion".

    Raises:
        ConfigurationError: the URI cannot be read.
    """

    def __init__(self, uri: str, name: str | None = None) -> None:
        parts = PLACE.match(uri)
        if parts is None or not parts[3]:
            raise ConfigurationError(
                "The MongoDB URI should look like mongodb://HOST:PORT/DATABASE."
            )
        scheme, login, hosts, path, query = parts.groups()
        self.uri = uri
        self.name = name or unquote_plus(path or "").partition(".")[0] or DEFAULT_DATABASE
        user = (login or "").partition(":")[0]
        self.where = f"{scheme}://{user + '@' if user else ''}{hosts}/{self.name}"
        given = {option.partition("=")[0].lower() for option in re.split("[&;]", query or "")}
        self._options = {k: v for k, v in DEFAULTS.items() if k.lower() not in given}
        self._lock = threading.Lock()
        self._epoch: object = None
        self._database: Database[Document] | None = None
        CONNECTIONS.add(self)

    @property
    def database(self) -> Database[Document]:
        """The database: every write waits for the majority's journal, every read sees no less."""
        with self._lock:
            if self._database is None:
                try:
                    client: pymongo.MongoClient[Document] = pymongo.MongoClient(
                        self.uri, connect=False, **self._options
                    )
                except ValueError as error:  # which may quote a piece of an unquoted password
                    raise ConfigurationError(
                        "The MongoDB URI is not valid: check the host, the port and the options, "
                        "and write special characters of the user and the password as %XX."
                    ) from error
                try:
                    self._database = client.get_database(
                        self.name,
                        codec_options=CodecOptions(tz_aware=True),
                        read_preference=ReadPreference.PRIMARY,
                        write_concern=WriteConcern(w="majority", j=True),
                        read_concern=ReadConcern("majority"),
                    )
                except BaseException:
                    client.close()
                    raise
            return self._database

    @property
    def experiments(self) -> Collection[Document]:
        """The collection of the experiments' records."""
        return self.database["experiments"]

    @property
    def trials(self) -> Collection[Document]:
        """The collection of the trials."""
        return self.database["trials"]

    @property
    def curves(self) -> Collection[Document]:
        """The collection of the learning curves, one document a trial."""
        return self.database["curves"]

    @property
    def meta(self) -> Collection[Document]:
        """The collection that holds the schema's version."""
        return self.database["meta"]

    def epoch(self) -> object:
        """Return the primary's address and election, as the driver's monitor last heard.

        While there is no primary the last one is returned: its return changes nothing.
        """
        with self._lock:
            database = self._database
        if database is not None:
            for server in database.client.topology_description.server_descriptions().values():
                if server.is_writable:
                    self._epoch = (server.address, str(server.election_id))
        return self._epoch

    def close(self) -> None:
        """Give back the sockets and threads. The next use connects anew."""
        with self._lock:
            database, self._database = self._database, None
        if database is not None:
            database.client.close()

    def forget(self) -> None:
        """Leave the client to the parent: this is its child, after a fork."""
        self._lock = threading.Lock()
        if self._database is not None:
            _OF_PARENT.append(self._database)
            self._database = None

    @contextmanager
    def speaking(self, writes: bool = False) -> Iterator[None]:
        """Turn the driver's errors in the block into ours.

        Args:
            writes: whether the block writes, so that a user who may only read is told so.
        """
        try:
            yield
        except OrionError:
            raise
        except driver.DuplicateKeyError:
            raise  # the verbs read back what was taken
        except driver.OperationFailure as error:
            raise self._refused(error, writes) from error
        except (driver.ConnectionFailure, driver.WTimeoutError, driver.InvalidOperation) as error:
            raise self._unavailable(error) from error
        except driver.DocumentTooLarge as error:
            raise InvalidResult(TOO_LARGE_TEXT) from error
        except (driver.InvalidURI, driver.ConfigurationError, driver.InvalidName) as error:
            if "DNS" in str(error) or "resolution" in str(error):
                raise self._unavailable(error) from error
            raise ConfigurationError(
                f"The MongoDB URI is not valid: {self._first_words(error)}"
            ) from error
        except OverflowError as error:
            raise DatabaseError("A number is too large for the database.") from error
        except (driver.PyMongoError, BSONError, UnicodeError) as error:
            raise DatabaseError(
                f"MongoDB at {self.where} cannot do this: {self._first_words(error)}"
            ) from error

    def _refused(self, error: driver.OperationFailure, writes: bool) -> OrionError:
        code, text = error.code, str(error)
        if code in BAD_LOGIN and not FULL_TEXT.search(text):
            return AuthenticationFailed(
                f"MongoDB at {self.where} refused the user or the password: check the URI, "
                "ORION_DB_USERNAME, and ORION_DB_PASSWORD or ORION_DB_PASSWORD_FILE."
            )
        if code == UNAUTHORIZED:
            if writes and self._readable():
                return DatabaseReadOnly(
                    f"This user may read {self.where} but not write to it: give it the role "
                    f"readWrite on the database {self.name}."
                )
            return AuthenticationFailed(
                f"This user may not use {self.where}: give a user and a password, and the role "
                f"readWrite on the database {self.name}."
            )
        if code in FULL or FULL_TEXT.search(text):
            return DatabaseFull(
                f"The disk of MongoDB at {self.where} is full: make room, and the worker goes on."
            )
        if code in TOO_LARGE:
            return InvalidResult(TOO_LARGE_TEXT)
        passing = error.has_error_label("RetryableWriteError")
        if code in TRY_AGAIN or passing or isinstance(error, driver.ExecutionTimeout):
            return self._unavailable(error)
        return DatabaseError(
            f"MongoDB at {self.where} refused this (code {code}): {self._first_words(error)}"
        )

    def _readable(self) -> bool:
        try:
            self.meta.find_one({})
        except driver.PyMongoError:
            return False
        return True

    def _unavailable(self, error: Exception) -> DatabaseUnavailable:
        return DatabaseUnavailable(
            f"MongoDB at {self.where} cannot be reached now: {self._first_words(error)}"
        )

    def _first_words(self, error: Exception) -> str:
        """Return what the driver says without its description of the topology, and no password."""
        text = re.split(
            r", full error:|, Timeout:|, Topology Description:| \(configured", str(error)
        )
        parts = PLACE.match(self.uri)
        login = (parts[2] if parts else None) or ""
        words = text[0].strip()
        for secret in (login.partition(":")[2], unquote_plus(login.partition(":")[2])):
            if secret:
                words = words.replace(secret, "***")
        return words[:500]


TOO_LARGE_TEXT = "The results are larger than the 16 MB that MongoDB takes: keep them in a file."

CONNECTIONS: weakref.WeakSet[Connection] = weakref.WeakSet()
_OF_PARENT: list[Database[Document]] = []
"""Clients that a fork copied: neither used nor closed here, as their sockets are the parent's."""


def _after_fork() -> None:
    for connection in list(CONNECTIONS):
        connection.forget()


os.register_at_fork(after_in_child=_after_fork)
