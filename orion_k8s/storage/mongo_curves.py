"""Learning curves in MongoDB: a document a trial, in a collection beside that of the trials.

Its id is made of the experiment's id and the trial's number: no other index is needed, and nothing
has to be set up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pymongo import ReplaceOne, UpdateOne
from pymongo import errors as driver

from orion_k8s.storage import codec
from orion_k8s.storage.base import Lease, Storage
from orion_k8s.storage.mongo_connection import Connection, Document
from orion_k8s.trial import Curve

BATCH = 200
"""Curves in one write of a restore."""

DUPLICATE_KEY = 11000


class CurveVerbs(Storage):
    """The verbs of trials that report while they run."""

    _connection: Connection

    def write_curves(self, curves: Sequence[tuple[Lease, Curve]]) -> None:
        """Write what trials have reported so far; see the contract.

        Two round trips: which of the tokens are current, and one write of all. A reservation that
        is lost between them does no harm: the next attempt's revisions are higher.
        """
        if not curves:
            return
        trials = {
            "_id": {"$in": [lease.trial for lease, _ in curves]},
            "token": {"$in": [lease.token for lease, _ in curves]},
            "status": {"$ne": "removed"},
        }
        with self._connection.speaking(writes=True):
            found = self._connection.trials.find(trials, {"token": 1, "experiment": 1})
            current = {(d["_id"], d["token"]): d["experiment"] for d in found}
            writes = [
                UpdateOne(
                    {
                        "_id": _key(current[lease.trial, lease.token], curve.number),
                        "revision": {"$lt": curve.revision},
                    },
                    {"$set": _fields(curve)},
                    upsert=True,
                )
                for lease, curve in curves
                if (lease.trial, lease.token) in current
            ]
            if writes:
                self._write(writes)

    def _write(self, writes: list[Any]) -> None:
        try:
            self._connection.curves.bulk_write(writes, ordered=False)
        except driver.BulkWriteError as error:
            details = (error.details or {}).get("writeErrors") or []
            # One that is as new is there, and the upsert would have made a second.
            if not details or any(detail.get("code") != DUPLICATE_KEY for detail in details):
                raise

    def read_curves(
        self, experiment: str, known: Mapping[int, int] | None = None
    ) -> Iterable[Curve]:
        """Yield curves; see the contract."""
        if known is None:
            return self._all_curves(experiment)
        fresh = [_key(experiment, number) for number, revision in known.items() if revision <= 0]
        clauses: list[Document] = [{"_id": {"$in": fresh}}] if fresh else []
        clauses += [
            {"_id": _key(experiment, number), "revision": {"$gt": revision}}
            for number, revision in known.items()
            if revision > 0
        ]
        if not clauses:
            return []
        query = clauses[0] if len(clauses) == 1 else {"$or": clauses}
        with self._connection.speaking():
            return [_curve(document) for document in self._connection.curves.find(query)]

    def _all_curves(self, experiment: str) -> Iterator[Curve]:
        query = {"_id": _range(experiment)}
        with self._connection.speaking():
            found = self._connection.curves.find(query, {"number": 1})
            numbers = iter(sorted(document["number"] for document in found))
            while some := list(islice(numbers, BATCH)):
                keys = {"_id": {"$in": [_key(experiment, number) for number in some]}}
                curves = map(_curve, self._connection.curves.find(keys))
                yield from sorted(curves, key=lambda curve: curve.number)

    def _put_curves(self, experiment: str, curves: Iterable[Curve]) -> None:
        rest = iter(curves)
        while batch := list(islice(rest, BATCH)):
            with self._connection.speaking(writes=True):
                self._connection.curves.bulk_write(
                    [
                        ReplaceOne(
                            {"_id": _key(experiment, curve.number)}, _fields(curve), upsert=True
                        )
                        for curve in batch
                    ],
                    ordered=False,
                )

    def _forget_curves(self, experiment: str, number: int | None = None) -> None:
        which = _range(experiment) if number is None else _key(experiment, number)
        with self._connection.speaking(writes=True):
            self._connection.curves.delete_many({"_id": which})


def _key(experiment: str, number: int) -> str:
    return f"{experiment}/{number}"


def _range(experiment: str) -> Document:
    # All that begins with the id and a slash: the next character is a 0.
    return {"$gte": f"{experiment}/", "$lt": f"{experiment}0"}


def _fields(curve: Curve) -> Document:
    return {
        "number": curve.number,
        "revision": curve.revision,
        "curve": codec.curve_text(curve),
    }


def _curve(document: Document) -> Curve:
    return codec.to_curve(document.get("number", 0), document.get("curve"))
