"""Documents of MongoDB ↔ records, and the pieces of update pipelines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from orion_k8s.errors import DamagedDatabase
from orion_k8s.storage.base import STORY_LIMIT
from orion_k8s.storage.codec import dumps, loads
from orion_k8s.storage.mongo_connection import Document
from orion_k8s.trial import ExperimentRecord, Row, Status, TrialRecord

NOW = "$$NOW"
"""The server's clock, in pipelines."""

ROW = {
    **dict.fromkeys(("_id", "number", "status", "objective", "values"), 1),
    **dict.fromkeys(("parent", "decision", "held_by", "losses"), 1),
}
"""The fields that the mirror reads."""

# Not `$lt` on dates, nor `$add`: one of the servers that we test on gets them silently wrong.
OVER = {"$gt": [{"$dateDiff": {"startDate": "$lease", "endDate": NOW, "unit": "millisecond"}}, 0]}
"""The lease is over."""
LEFT = {"$dateDiff": {"startDate": NOW, "endDate": "$lease", "unit": "millisecond"}}
"""How long the lease still runs."""
TOO_FAR = {"$gt": [LEFT, "$lease_ms"]}
"""The lease runs for longer than its length: the clock jumped back since."""
CUT = {"$dateAdd": {"startDate": NOW, "unit": "millisecond", "amount": "$lease_ms"}}
"""The end of a lease of the same length that begins now."""

PLAIN_FIELDS = frozenset({"name", "type", "value"})

# Even → odd, odd → the next odd: under way. And the next even: done.
UNDER_WAY = [
    {
        "$set": {
            "generation": {"$add": ["$generation", {"$add": [1, {"$mod": ["$generation", 2]}]}]}
        }
    }
]
DONE = [
    {
        "$set": {
            "generation": {
                "$add": ["$generation", {"$subtract": [2, {"$mod": ["$generation", 2]}]}]
            }
        }
    }
]


def literal(value: Any) -> Document:
    """Return an expression for the value itself, whatever characters it begins with."""
    return {"$literal": value}


def lease_ms(lease_s: float) -> int:
    """Return a lease's length as it is stored, in whole milliseconds."""
    return max(1, round(lease_s * 1000))


def leased(lease_s: float) -> Document:
    """Return the fields of a lease that begins now, for `$set`."""
    length = lease_ms(lease_s)
    end = {"$dateAdd": {"startDate": NOW, "unit": "millisecond", "amount": length}}
    return {"lease": end, "lease_ms": length}


def told(status: str, reason: str | None) -> Document:
    """Return the field of a story that is one entry longer, for `$set`."""
    entry = {
        "attempt": "$attempt",
        "worker": "$worker",
        "status": literal(status),
        "reason": literal(reason),
        "time": NOW,
    }
    longer = {"$concatArrays": [{"$ifNull": ["$story", []]}, [entry]]}
    return {"story": {"$slice": [longer, -STORY_LIMIT]}}


LIMITS = ("max_trials", "max_broken", "generation", "goal")
"""Fields of an experiment: where they change, it may go on though it had ended."""

DEMAND: Document = {"$expr": {"$ne": ["$ended", [f"${field}" for field in LIMITS]]}}
"""Finds the experiments that have not ended, or that may go on since. The chart's KEDA asks it."""


def experiment_document(record: ExperimentRecord) -> Document:
    """Return the document of an experiment. Mappings and the seed are text: any key, any size."""
    return {
        "_id": record.id,
        "name": record.name,
        "version": record.version,
        "space": dumps(record.space),
        "algorithm": dumps(record.algorithm),
        "seed": str(record.seed),
        "max_trials": record.max_trials,
        "max_broken": record.max_broken,
        "working_dir": record.working_dir,
        "generation": record.generation,
        "metadata": dumps(record.metadata),
        "goal": dumps(record.goal),
    }


def to_experiment(document: Document) -> ExperimentRecord:
    """Return the record of a document.

    Raises:
        DamagedDatabase: it cannot be read.
    """
    where = f"the document {document.get('_id')!r} of the collection experiments"
    try:
        return ExperimentRecord(
            id=document["_id"],
            name=_is(str, document["name"]),
            version=_is(int, document["version"]),
            space=loads(document["space"], dict, where),
            algorithm=loads(document["algorithm"], dict, where),
            seed=int(document["seed"]),
            max_trials=document["max_trials"],
            max_broken=_is(int, document["max_broken"]),
            working_dir=_is(str, document["working_dir"]),
            generation=_is(int, document["generation"]),
            metadata=loads(document["metadata"], dict, where),
            goal=loads(document.get("goal", "{}"), dict, where),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(where, error) from error


def to_trial(document: Document) -> TrialRecord:
    """Return the record of a document.

    Raises:
        DamagedDatabase: it cannot be read.
    """
    get = document.get
    try:
        return TrialRecord(
            id=document["_id"],
            experiment=document["experiment"],
            number=_is(int, document["number"]),
            values=_is(str, document["values"]),
            status=Status(document["status"]),
            identity=_is(str, document["identity"]),
            token=get("token"),
            worker=get("worker"),
            attempt=_is(int, get("attempt", 0)),
            lost=_is(int, get("lost", 0)),
            held_by=get("held_by"),
            objective=get("objective"),
            results=tuple(_result(entry) for entry in get("results", ())),
            reason=get("reason"),
            decision=get("decision"),
            parent=get("parent"),
            story=tuple({**e, "time": _seconds(e.get("time"))} for e in get("story", ())),
            submit_time=_seconds(get("submit_time")),
            start_time=_seconds(get("start_time")),
            end_time=_seconds(get("end_time")),
            losses=get("losses"),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        where = f"the document {document.get('_id')!r} of the collection trials"
        raise _damaged(where, error) from error


def to_row(document: Document) -> Row:
    """Return the mirror's row of a document.

    Raises:
        DamagedDatabase: it cannot be read.
    """
    get = document.get
    try:
        return Row(
            _is(int, document["number"]),
            _is(str, document["status"]),
            get("objective"),
            _is(str, document["values"]),
            document["_id"],
            get("parent"),
            get("decision"),
            get("held_by"),
            get("losses"),
        )
    except (KeyError, TypeError) as error:
        where = f"the document {document.get('_id')!r} of the collection trials"
        raise _damaged(where, error) from error


def results_field(results: Sequence[Mapping[str, Any]]) -> list[Document]:
    """Return results as they are stored: plain ones as they are, so that people can query them.

    What BSON cannot hold, or would read as something else (mappings with `$ref`, integers beyond
    64 bits, characters that are none), is stored as JSON text.
    """
    stored = []
    for result in results:
        text = dumps(dict(result))
        plain = result.keys() <= PLAIN_FIELDS and all(map(_plain, result.values()))
        stored.append(json.loads(text) if plain else {"json": text})
    return stored


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_plain, value))
    if isinstance(value, str):
        return value.isascii() or value.encode("utf-8", "replace").decode() == value
    if isinstance(value, int):
        return -(2**63) <= value < 2**63
    return value is None or isinstance(value, float)


def _result(stored: Document) -> Document:
    return json.loads(stored["json"]) if stored.keys() == {"json"} else stored


def _is(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r:.100} should be of the type {kind.__name__}")
    return value


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _damaged(where: str, error: Exception) -> DamagedDatabase:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    return DamagedDatabase(f"The database is damaged: {where} cannot be read: {what}.")
