"""Whole experiments in MongoDB: how they stand, what a dump reads, and how it is put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from pymongo import errors as driver

from orion_k8s.errors import OrionError
from orion_k8s.storage import codec
from orion_k8s.storage.base import Overview
from orion_k8s.storage.copies import clash, exists, is_same, restored_record, restored_trials
from orion_k8s.storage.mongo_connection import Connection, Document
from orion_k8s.storage.mongo_curves import CurveVerbs
from orion_k8s.storage.mongo_documents import experiment_document, results_field, to_trial
from orion_k8s.trial import Curve, ExperimentRecord, Status, TrialRecord

BATCH = 500
"""Trials in one insert."""

DUPLICATE_KEY = 11000

PLAIN = (
    *("id", "experiment", "number", "values", "identity", "token", "worker", "attempt", "lost"),
    *("held_by", "objective", "losses", "reason", "decision", "parent"),
)
"""Fields of a trial that are stored as they are; those that are None are not stored."""
TIMES = ("submit_time", "start_time", "end_time")


class WholeVerbs(CurveVerbs):
    """The verbs that speak of whole experiments."""

    _connection: Connection

    def overview(self, experiment: str | None = None) -> dict[str, Overview]:
        """Return how that experiment, or all of them, stand; see the contract."""
        which: Document = {} if experiment is None else {"experiment": experiment}
        key = {"experiment": "$experiment", "status": "$status", "held_by": "$held_by"}
        with self._connection.speaking():
            found = self._connection.trials.aggregate(
                [
                    {"$match": {**which, "status": {"$ne": "removed"}}},
                    {
                        "$group": {
                            "_id": key,
                            "n": {"$sum": 1},
                            "best": {"$min": "$objective"},
                            "start": {"$min": "$start_time"},
                            "end": {"$max": "$end_time"},
                        }
                    },
                ]
            )
            return codec.overviews(_overview_row(document) for document in found)

    def best(self, experiment: str) -> TrialRecord | None:
        """Return the completed trial of the lowest objective; see the contract."""
        return self._first(experiment, Status.COMPLETED, [("objective", 1), ("number", 1)])

    def last_ended(self, experiment: str, status: Status) -> TrialRecord | None:
        """Return the trial of that status that ended last; see the contract."""
        return self._first(experiment, status, [("end_time", -1), ("number", -1)])

    def _first(
        self, experiment: str, status: Status, order: list[tuple[str, int]]
    ) -> TrialRecord | None:
        query = {"experiment": experiment, "status": status.value}
        with self._connection.speaking():
            found = list(self._connection.trials.find(query).sort(order).limit(1))
        return to_trial(found[0]) if found else None

    def dump(self, experiment: str) -> Iterator[TrialRecord]:
        """Yield every trial, tombstones too, ordered by number; see the contract."""
        with self._connection.speaking():
            query = {"experiment": experiment}
            with self._connection.trials.find(query).sort("number", 1) as found:
                for document in found:
                    yield to_trial(document)

    def restore(
        self,
        record: ExperimentRecord,
        trials: Iterable[TrialRecord],
        curves: Iterable[Curve] = (),
    ) -> int:
        """Put the trials back, and then the experiment; see the contract."""
        record = restored_record(record)
        there = self.experiment(record.id)
        if there is not None and is_same(record, there):
            return 0
        if any(other.version == record.version for other in self.experiments(record.name)):
            raise exists(record)
        self._clear(record.id)  # what a call that was killed left
        try:
            return self._put_all(record, restored_trials(record.id, trials), curves)
        except BaseException:
            try:
                if self.experiment(record.id) is None:
                    self._clear(record.id)
            except OrionError:
                pass  # the first error tells more; nobody sees these trials; the next call clears
            raise

    def _put_all(
        self, record: ExperimentRecord, trials: Iterator[TrialRecord], curves: Iterable[Curve]
    ) -> int:
        total = removed = 0
        while batch := list(islice(trials, BATCH)):
            with self._connection.speaking(writes=True):
                try:
                    self._connection.trials.insert_many(map(_document, batch), ordered=False)
                except driver.BulkWriteError as error:
                    if _all_duplicates(error):
                        raise clash(record) from error
                    raise
            total += len(batch)
            removed += sum(trial.status is Status.REMOVED for trial in batch)
        self._put_curves(record.id, curves)
        with self._connection.speaking(writes=True):
            # Somebody else may have restored, or cleared, the same experiment meanwhile.
            if self._connection.trials.count_documents({"experiment": record.id}) != total:
                raise clash(record)
            try:
                self._connection.experiments.insert_one(experiment_document(record))
            except driver.DuplicateKeyError as error:
                if self.experiment(record.id) is None:
                    raise exists(record) from error
        return total - removed

    def _clear(self, experiment: str) -> None:
        with self._connection.speaking(writes=True):
            self._connection.trials.delete_many({"experiment": experiment})
        self._forget_curves(experiment)


def _overview_row(document: Document) -> tuple[Any, ...]:
    key, n, end = document["_id"], document["n"], document["end"]
    return (
        *(key["experiment"], key["status"], n, n if key.get("held_by") == "person" else 0),
        *(document["best"], _seconds(document["start"])),
        _seconds(end) if key["status"] == "completed" else None,
    )


def _document(trial: TrialRecord) -> Document:
    document: Document = {name: getattr(trial, name) for name in PLAIN}
    document |= {name: _date(getattr(trial, name)) for name in TIMES}
    document = {name: value for name, value in document.items() if value is not None}
    document["_id"] = document.pop("id")
    document["status"] = trial.status.value
    if trial.results:
        document["results"] = results_field(trial.results)
    if trial.story:
        document["story"] = [{**entry, "time": _date(entry.get("time"))} for entry in trial.story]
    return document


def _date(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else time.timestamp()


def _all_duplicates(error: driver.BulkWriteError) -> bool:
    details = (error.details or {}).get("writeErrors") or []
    return bool(details) and all(detail.get("code") == DUPLICATE_KEY for detail in details)
