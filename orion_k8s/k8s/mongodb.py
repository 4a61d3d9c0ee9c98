"""Set up the chart's MongoDB: a replica set of its members, and a user for the workers.

Runs beside the first member, again and again: each step looks first at what is there, so it heals
what was half done, follows a changed password, and takes new members in.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pymongo
from pymongo.errors import OperationFailure, PyMongoError

from orion_k8s.backoff import Backoff

log = logging.getLogger(__name__)

# Codes of https://www.mongodb.com/docs/manual/reference/error-codes/
ALREADY_INITIALIZED = 23
NOT_YET_INITIALIZED = 94
USER_NOT_FOUND = 11

TIMEOUT_MS = 5_000

RETRY_S = (0.5, 10.0)
"""The first and the longest wait while a server is away."""


def set_up(wanted: Callable[[], ReplicaSet]) -> None:
    """Bring the servers to what should be, however long it takes them to be there.

    Args:
        wanted: what should be; asked anew for each try, as passwords may change meanwhile.
    """
    backoff, said = Backoff(*RETRY_S), ""
    while True:
        try:
            for change in wanted().set_up():
                log.warning("%s", change)
            return
        except PyMongoError as error:
            why = str(error).partition(", full error")[0]
            if why != said:
                log.warning("MongoDB is not ready, trying again: %s", why)
                said = why
            time.sleep(backoff.next())


@dataclass(frozen=True)
class Login:
    """A user of MongoDB, in the database where it is kept."""

    user: str
    password: str = field(repr=False)
    database: str = "admin"


@dataclass(frozen=True)
class ReplicaSet:
    """A replica set as it should be.

    Attributes:
        name: as mongod's --replSet has it.
        members: HOST:PORT of each, as they find each other.
        near: HOST:PORT of one that is asked first, as this process finds it.
        root: who may change it.
        worker: who may read and write its own database, and nothing else; None to make nobody.
        options: of the driver, such as tls and tlsCAFile.
    """

    name: str
    members: Sequence[str]
    near: str
    root: Login
    worker: Login | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def set_up(self) -> list[str]:
        """Bring the servers to what should be, and return what was changed, in words.

        Raises:
            PyMongoError: a server is away, or refuses; trying again may help.
        """
        changed = []
        with self._client(self.near, directConnection=True) as first:
            if self._initiate(first):
                changed.append(f"the replica set {self.name} is initiated")
        with self._primary() as client:
            changed += self._take_in(client)
            if self.worker is not None:
                changed += self._make_user(client, self.worker)
        return changed

    def _client(
        self, host: str, login: Login | None = None, **options: Any
    ) -> pymongo.MongoClient[dict[str, Any]]:
        login = login or self.root
        return pymongo.MongoClient(
            f"mongodb://{host}/",
            username=login.user,
            password=login.password,
            authSource=login.database,
            serverSelectionTimeoutMS=TIMEOUT_MS,
            appname="orion-k8s setup",
            **{**self.options, **options},
        )

    def _primary(self) -> pymongo.MongoClient[dict[str, Any]]:
        """Return a client that finds the primary, which is elected soon after the initiation."""
        if len(self.members) == 1:
            return self._client(self.near, directConnection=True)
        return self._client(",".join(self.members), replicaSet=self.name)

    def _initiate(self, client: pymongo.MongoClient[dict[str, Any]]) -> bool:
        members = [{"_id": i, "host": host} for i, host in enumerate(self.members)]
        try:
            client.admin.command("replSetGetStatus")
            return False
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
        try:
            client.admin.command("replSetInitiate", {"_id": self.name, "members": members})
        except OperationFailure as error:
            if error.code == ALREADY_INITIALIZED:
                return False
            raise
        return True

    def _take_in(self, client: pymongo.MongoClient[dict[str, Any]]) -> list[str]:
        """Add members that are new, one at a time, as MongoDB wants it; none is ever removed here.

        A member that a person no longer lists may hold the majority's last copy.
        """
        if len(self.members) == 1:
            return []
        config = client.admin.command("replSetGetConfig")["config"]
        known = {member["host"] for member in config["members"]}
        changed = []
        for host in self.members:
            if host in known:
                continue
            number = 1 + max(member["_id"] for member in config["members"])
            config["members"].append({"_id": number, "host": host})
            config["version"] += 1
            client.admin.command("replSetReconfig", config)
            changed.append(f"{host} is a member now")
        return changed

    def _make_user(self, client: pymongo.MongoClient[dict[str, Any]], worker: Login) -> list[str]:
        database = client[worker.database]
        if self._may_log_in(worker):
            return []
        roles = [{"role": "readWrite", "db": worker.database}]
        if database.command("usersInfo", worker.user)["users"]:
            database.command("updateUser", worker.user, pwd=worker.password, roles=roles)
            return [f"the user {worker.user} has a new password"]
        database.command("createUser", worker.user, pwd=worker.password, roles=roles)
        return [f"the user {worker.user} is made"]

    def _may_log_in(self, worker: Login) -> bool:
        """Whether the worker's user is there, with that password."""
        try:
            with self._client(self.near, worker, directConnection=True) as client:
                client[worker.database].command("connectionStatus")
        except OperationFailure:
            return False
        return True
