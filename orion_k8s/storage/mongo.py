"""The shared history in MongoDB (5.0 to 8): for any number of machines.

Every write is one update of one document by a condition; its clock is the server's `$$NOW`.
Writes wait for the majority, reads see what a majority has. A claim is an upsert, as an insert
cannot carry `$$NOW`; its filter matches no document that is there, so it never changes one.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from pymongo import ReturnDocument
from pymongo import errors as driver

from orion_k8s.storage import codec, mongo_schema
from orion_k8s.storage.base import SCHEMA, Conflict, Held, Lease
from orion_k8s.storage.mongo_connection import Connection, Document
from orion_k8s.storage.mongo_documents import (
    CUT,
    NOW,
    OVER,
    ROW,
    TOO_FAR,
    leased,
    literal,
    results_field,
    to_row,
    to_trial,
    told,
)
from orion_k8s.storage.mongo_people import PeopleVerbs
from orion_k8s.storage.mongo_whole import WholeVerbs
from orion_k8s.trial import Claim, Row, Status, TrialRecord

WAITING = {"$in": ["new", "interrupted"]}
COMPLETABLE = {"$in": ["reserved", "interrupted"]}


class MongoDB(PeopleVerbs, WholeVerbs):
    """A history in a MongoDB database.

    Args:
        uri: mongodb://… or mongodb+srv://…; its options win over ours, except write and read
            concern, which are majority.
        name: of the database; else the one that the URI names; else "orion".
    """

    kind: ClassVar[str] = "mongodb"

    def __init__(self, uri: str, name: str | None = None) -> None:
        self._connection = Connection(uri, name)

    @classmethod
    def from_url(cls, url: str, name: str | None = None) -> MongoDB:
        """Return the history that the URL names."""
        return cls(url, name)

    # --- the database ----------------------------------------------------------------------------

    def setup(self) -> None:
        """Make the indexes where they are missing, and check the schema's version."""
        with self._connection.speaking(writes=True):
            version = mongo_schema.version_of(self._connection)
            mongo_schema.check(version, self._connection.where)
            mongo_schema.create(self._connection)
            if version is None:
                mongo_schema.mark(self._connection)

    def schema_version(self) -> int | None:
        """Return the version of the schema that is there, or None where there is none."""
        with self._connection.speaking():
            return mongo_schema.version_of(self._connection)

    def upgrade(self) -> tuple[int, int]:
        """Bring an older schema up to date; return (before, after)."""
        before = self.schema_version()
        if before is not None and before < SCHEMA:
            with self._connection.speaking(writes=True):
                mongo_schema.migrate(self._connection, before)
        self.setup()  # which refuses a newer one
        return SCHEMA if before is None else before, SCHEMA

    def describe(self) -> str:
        """Return where this history is, without the password."""
        return self._connection.where

    def close(self) -> None:
        """Close the client."""
        self._connection.close()

    def epoch(self) -> object:
        """Return which server is the primary and which election made it so, as last heard."""
        return self._connection.epoch()

    # --- what workers do -------------------------------------------------------------------------

    def claim(self, experiment: str, claim: Claim, lease_s: float) -> frozenset[Conflict]:
        """Insert a new trial, already reserved; see the contract."""
        fields = {
            "experiment": experiment,
            "number": claim.number,
            "values": claim.values,
            "identity": claim.identity,
            "token": claim.token,
            "worker": claim.worker,
            "status": "reserved",
        }
        fields |= {k: v for k in ("decision", "parent") if (v := getattr(claim, k)) is not None}
        document: Document = {k: literal(v) for k, v in fields.items()}
        document |= {"attempt": 1, "lost": 0, "submit_time": NOW, "start_time": NOW}
        document |= leased(lease_s)
        for _ in range(codec.CLAIM_TRIES):
            with self._connection.speaking(writes=True):
                try:
                    self._connection.trials.update_one(
                        {"_id": claim.id, "token": {"$exists": False}},
                        [{"$set": document}],
                        upsert=True,
                    )
                    return frozenset()
                except driver.DuplicateKeyError:
                    taken = self._taken(experiment, claim, lease_s)
            if taken is not None:
                return taken  # otherwise what stood in the way was removed meanwhile
        raise codec.keys_without_holder(self._connection.where)

    def _taken(self, experiment: str, claim: Claim, lease_s: float) -> frozenset[Conflict] | None:
        trials, only_id = self._connection.trials, {"_id": 1}
        if trials.find_one({"_id": claim.id}, only_id):
            mine = not self.renew([Lease(claim.id, claim.token)], lease_s)
            return frozenset() if mine else frozenset({Conflict.NUMBER})
        keys: dict[Conflict, Any] = {
            Conflict.NUMBER: claim.number,
            Conflict.IDENTITY: claim.identity,
        }
        if claim.decision is not None:
            keys[Conflict.DECISION] = claim.decision
        # Exact finds, one a key: each uses its own index, on every server.
        return (
            frozenset(
                conflict
                for conflict, value in keys.items()
                if trials.find_one({"experiment": experiment, conflict.value: value}, only_id)
            )
            or None
        )

    def reserve(
        self, experiment: str, number: int, token: str, worker: str, lease_s: float
    ) -> TrialRecord | None:
        """Reserve a waiting trial under a new token; see the contract."""
        fields = {
            "status": "reserved",
            "token": literal(token),
            "worker": literal(worker),
            "attempt": {"$add": ["$attempt", 1]},
            "start_time": NOW,
            **leased(lease_s),
        }
        key = {"experiment": experiment, "number": number}
        with self._connection.speaking(writes=True):
            found = self._connection.trials.find_one_and_update(
                {**key, "status": WAITING},
                [{"$set": fields}, {"$unset": ["end_time", "reason", "held_by"]}],
                return_document=ReturnDocument.AFTER,
            )
            if found is None:  # or an earlier attempt did it, and its reply was lost
                found = self._connection.trials.find_one({**key, "token": token})
                if found is None or self.renew([Lease(found["_id"], token)], lease_s):
                    return None
        return to_trial(found)

    def renew(self, leases: Iterable[Lease], lease_s: float) -> dict[str, Held]:
        """Renew leases; see the contract."""
        wanted = {lease.trial: lease.token for lease in leases}
        if not wanted:
            return {}
        query = {
            "_id": {"$in": list(wanted)},
            "token": {"$in": list(wanted.values())},
            "status": "reserved",
        }
        update = [{"$set": leased(lease_s)}]
        with self._connection.speaking(writes=True):
            try:
                renewed = self._connection.trials.update_many(query, update).matched_count
            except driver.AutoReconnect:  # the driver does not repeat this one itself
                renewed = self._connection.trials.update_many(query, update).matched_count
            if renewed == len(wanted):
                return {}
            found = self._connection.trials.find(
                {"_id": {"$in": list(wanted)}}, {"token": 1, "status": 1}
            )
            state = {d["_id"]: (d.get("token"), d.get("status")) for d in found}
        return codec.not_renewed(wanted, state)

    def complete(
        self,
        lease: Lease,
        objective: float,
        results: Sequence[Mapping[str, Any]],
        losses: str | None = None,
    ) -> None:
        """Complete a trial; see the contract."""
        fields = {
            "status": "completed",
            "objective": literal(codec.check_objective(objective)),
            "results": literal(results_field(results)),
            "end_time": NOW,
        }
        if losses is not None:
            fields["losses"] = literal(losses)
        with self._connection.speaking(writes=True):
            done = self._connection.trials.update_one(
                {"_id": lease.trial, "token": lease.token, "status": COMPLETABLE},
                [{"$set": fields}, {"$unset": ["lease", "lease_ms", "reason"]}],
            ).matched_count
        if not done:
            self._content_with(lease, Status.COMPLETED)

    def release(
        self, lease: Lease, status: Status, reason: str | None = None, held_by: str | None = None
    ) -> None:
        """Release a reserved trial; see the contract."""
        word = codec.check_released(status)
        held = {"held_by": literal(held_by)} if word == "suspended" else {}
        with self._connection.speaking(writes=True):
            done = self._connection.trials.update_one(
                {"_id": lease.trial, "token": lease.token, "status": "reserved"},
                self._out(word, codec.clean(reason), held),
            ).matched_count
        if not done:
            self._content_with(lease, status)

    def _out(self, word: str, reason: str | None, more: Document) -> list[Document]:
        """Return the update of a reservation that ends without a result."""
        fields = {"status": word, "reason": literal(reason), **told(word, reason), **more}
        if word == "broken":
            fields["end_time"] = NOW
        return [{"$set": fields}, {"$unset": ["lease", "lease_ms"]}]

    def _content_with(self, lease: Lease, status: Status) -> None:
        found = self._own(lease.trial)
        if found is None or found.token != lease.token or found.status is not status:
            raise codec.lease_lost(lease.trial, found)

    def requeue_lost(
        self, experiment: str, max_lost: int, within_s: float = math.inf
    ) -> list[tuple[int, Status]]:
        """Release the trials whose lease is over; see the contract."""
        reserved = {"experiment": experiment, "status": "reserved"}
        lost = []
        asked = time.monotonic()
        with self._connection.speaking(writes=True):
            found = list(
                self._connection.trials.find(
                    {**reserved, "$expr": {"$or": [OVER, TOO_FAR]}},
                    {"number": 1, "token": 1, "lost": 1},
                )
            )
            if time.monotonic() - asked > within_s:
                return []
            if found:
                self._connection.trials.update_many(
                    {**reserved, "$expr": TOO_FAR}, [{"$set": {"lease": CUT}}]
                )
            for document in found:
                times = document.get("lost", 0) + 1
                status = Status.BROKEN if times >= max_lost else Status.INTERRUPTED
                reason = codec.lost_for_good(times) if status is Status.BROKEN else codec.LOST
                released = self._connection.trials.update_one(
                    {
                        **{"_id": document["_id"], "token": document["token"]},
                        **{"status": "reserved", "$expr": OVER},
                    },
                    self._out(status.value, reason, {"lost": times}),
                ).matched_count
                if released:
                    lost.append((document["number"], status))
        return lost

    def resume(self, experiment: str, number: int) -> bool:
        """Set a trial that an algorithm suspended to interrupted; see the contract."""
        with self._connection.speaking(writes=True):
            return bool(
                self._connection.trials.update_one(
                    {
                        **{"experiment": experiment, "number": number},
                        **{"status": "suspended", "held_by": "algorithm"},
                    },
                    {"$set": {"status": "interrupted"}, "$unset": {"held_by": ""}},
                ).matched_count
            )

    # --- what the mirror reads -------------------------------------------------------------------

    def read_all(self, experiment: str) -> Iterable[Row]:
        """Yield a row for every trial of the experiment, tombstones too."""
        with (
            self._connection.speaking(),
            self._connection.trials.find({"experiment": experiment}, ROW) as found,
        ):
            for document in found:
                yield to_row(document)

    def read(self, experiment: str, numbers: Sequence[int]) -> list[Row]:
        """Return the rows of those numbers that exist."""
        query = {"experiment": experiment, "number": {"$in": [int(n) for n in numbers]}}
        with self._connection.speaking():
            return [to_row(document) for document in self._connection.trials.find(query, ROW)]
