"""What people do with a history in MongoDB: experiments, inserts, moves by hand, lists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pymongo import ReturnDocument
from pymongo import errors as driver

from orion_k8s.errors import DatabaseUnavailable, DuplicateTrial, ExperimentExists
from orion_k8s.storage import codec
from orion_k8s.storage.mongo_connection import Connection, Document
from orion_k8s.storage.mongo_curves import CurveVerbs
from orion_k8s.storage.mongo_documents import (
    DONE,
    LEFT,
    LIMITS,
    NOW,
    UNDER_WAY,
    experiment_document,
    literal,
    results_field,
    to_experiment,
    to_trial,
    told,
)
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord, new_token, set_by_hand


class PeopleVerbs(CurveVerbs):
    """The verbs that are not on a worker's path."""

    _connection: Connection

    # --- experiments -----------------------------------------------------------------------------

    def create_experiment(self, record: ExperimentRecord) -> None:
        """Insert an experiment; see the contract."""
        with self._connection.speaking(writes=True):
            try:
                self._connection.experiments.insert_one(experiment_document(record))
            except driver.DuplicateKeyError as error:
                if self.experiment(record.id) is None:
                    raise ExperimentExists(
                        f"An experiment {record.name!r}, version {record.version}, exists already."
                    ) from error

    def experiments(self, name: str | None = None) -> list[ExperimentRecord]:
        """Return all experiments (of that name), ordered by name and version."""
        query = {} if name is None else {"name": {"$eq": name}}
        with self._connection.speaking():
            found = self._connection.experiments.find(query).sort([("name", 1), ("version", 1)])
            return [to_experiment(document) for document in found]

    def experiment(self, experiment: str) -> ExperimentRecord | None:
        """Return the experiment of that id, or None."""
        with self._connection.speaking():
            found = self._connection.experiments.find_one({"_id": experiment})
        return to_experiment(found) if found else None

    def update_experiment(self, experiment: str, changes: Mapping[str, Any]) -> None:
        """Set some of what may change; see the contract."""
        fields = codec.check_changes(changes)
        with self._connection.speaking(writes=True):
            if fields:
                found = self._connection.experiments.update_one(
                    {"_id": experiment}, {"$set": fields}
                ).matched_count
            else:
                found = self._connection.experiments.count_documents({"_id": experiment})
        if not found:
            raise codec.no_experiment(experiment)

    def mark_ended(self, record: ExperimentRecord) -> None:
        """Leave word that an experiment has ended; `DEMAND` is the query that looks for it."""
        ended = [experiment_document(record)[field] for field in LIMITS]
        with self._connection.speaking(writes=True):
            self._connection.experiments.update_one({"_id": record.id}, {"$set": {"ended": ended}})

    def remove_experiment(self, experiment: str) -> int:
        """Remove an experiment and its trials; return how many trials there were."""
        with self._connection.speaking(writes=True):
            self._connection.experiments.delete_one({"_id": experiment})
            count = sum(self.counts(experiment).values())
            self._connection.trials.delete_many({"experiment": experiment})
        self._forget_curves(experiment)
        return count

    # --- trials ----------------------------------------------------------------------------------

    def insert(self, experiment: str, trial: TrialRecord, max_tries: int = 1000) -> TrialRecord:
        """Insert a person's trial under the next negative number; see the contract."""
        codec.check_insertable(trial)
        if self.experiment(experiment) is None:
            raise codec.no_experiment(experiment)
        fields: Document = {
            "experiment": experiment,
            "status": trial.status.value,
            "values": trial.values,
            "identity": trial.identity,
            "attempt": 0,
            "lost": 0,
        }
        fields |= {k: v for k in ("decision", "parent") if (v := getattr(trial, k)) is not None}
        times = {"submit_time": NOW}
        if trial.status is Status.COMPLETED:
            fields |= {"objective": trial.objective, "results": results_field(trial.results)}
            fields |= {} if trial.losses is None else {"losses": trial.losses}
            times["end_time"] = NOW
        for _ in range(max_tries):
            fields["number"] = self._next_by_hand(experiment)
            update = {k: literal(v) for k, v in fields.items()} | times
            with self._connection.speaking(writes=True):
                try:
                    self._connection.trials.update_one(
                        {"_id": trial.id, "status": {"$exists": False}},
                        [{"$set": update}],
                        upsert=True,
                    )
                except driver.DuplicateKeyError as error:
                    if self._own(trial.id) is None:
                        self._check_new(experiment, trial, error)
                        continue  # the number was taken meanwhile
            found = self._own(trial.id)
            if found is None:
                raise codec.no_trial(trial.id)
            return found
        raise DatabaseUnavailable("Too many trials are being inserted at once: try again.")

    def _next_by_hand(self, experiment: str) -> int:
        with self._connection.speaking():
            lowest = list(
                self._connection.trials.find({"experiment": experiment}, {"number": 1})
                .sort("number", 1)
                .limit(1)
            )
        return min([0, *(int(document["number"]) for document in lowest)]) - 1

    def _check_new(self, experiment: str, trial: TrialRecord, error: Exception) -> None:
        keys: list[Document] = [{"identity": trial.identity}]
        keys += [{"decision": trial.decision}] if trial.decision is not None else []
        with self._connection.speaking():
            for key in keys:
                if self._connection.trials.find_one({"experiment": experiment, **key}, {"_id": 1}):
                    raise DuplicateTrial() from error

    def trial(self, experiment: str, trial: str) -> TrialRecord | None:
        """Return the trial of that id (or of that number, as a text), or None."""
        found = self._own(trial)
        if found is not None and found.experiment == experiment:
            return found
        number = codec.number_of(trial)
        if number is None:
            return None
        with self._connection.speaking():
            document = self._connection.trials.find_one(
                {"experiment": experiment, "number": number}
            )
        return to_trial(document) if document else None

    def _own(self, trial: str) -> TrialRecord | None:
        with self._connection.speaking():
            document = self._connection.trials.find_one({"_id": trial})
        return to_trial(document) if document else None

    def trials(self, experiment: str, status: Status | None = None) -> Iterator[TrialRecord]:
        """Yield the trials, ordered by number, tombstones left out."""
        wanted = {"$ne": "removed"} if status is None else {"$eq": status.value, "$ne": "removed"}
        with self._connection.speaking():
            query = {"experiment": experiment, "status": wanted}
            with self._connection.trials.find(query).sort("number", 1) as found:
                for document in found:
                    yield to_trial(document)

    def set_status(self, experiment: str, trial: str, status: Status, reason: str) -> TrialRecord:
        """Move a trial by a person's hand; see the contract."""
        record = {"_id": experiment}
        while True:
            found = self.trial(experiment, trial)
            if found is None:
                raise codec.no_trial(trial)
            word = set_by_hand(found.status, Status(status), found.tell()).value
            with self._connection.speaking(writes=True):
                self._connection.experiments.update_one(record, UNDER_WAY)
                try:
                    moved = self._connection.trials.find_one_and_update(
                        {"_id": found.id, "token": found.token, "status": found.status.value},
                        self._move(found, word, codec.clean(reason)),
                        return_document=ReturnDocument.AFTER,
                    )
                finally:
                    self._connection.experiments.update_one(record, DONE)
            if moved is not None:
                if word == "removed":
                    self._forget_curves(experiment, found.number)
                return to_trial(moved)
            # It changed meanwhile: look again.

    def _move(self, found: TrialRecord, word: str, reason: str | None) -> list[Document]:
        fields: Document = {"status": literal(word), "reason": literal(reason)}
        gone = ["lease", "lease_ms", "held_by"]
        if word == "suspended":
            fields["held_by"] = "person"
            gone.remove("held_by")
        if word == "interrupted":
            fields["lost"] = 0
        if word == "broken":
            fields["end_time"] = NOW
        elif word != "removed":
            gone.append("end_time")
        if word == "removed":
            fields["identity"] = "$_id"
            gone.append("decision")
        if found.status is Status.RESERVED:
            fields |= {"token": new_token(), **told(word, reason)}
        return [{"$set": fields}, {"$unset": gone}]

    def counts(self, experiment: str) -> dict[Status, int]:
        """Return how many trials there are of each status, tombstones left out."""
        with self._connection.speaking():
            found = self._connection.trials.aggregate(
                [
                    {"$match": {"experiment": experiment, "status": {"$ne": "removed"}}},
                    {"$group": {"_id": "$status", "n": {"$sum": 1}}},
                ]
            )
            return {Status(document["_id"]): document["n"] for document in found}

    def live_workers(self, experiment: str) -> list[str]:
        """Return the names of the workers that hold a lease that is not over."""
        with self._connection.speaking():
            found = self._connection.trials.find(
                {"experiment": experiment, "status": "reserved", "$expr": {"$gte": [LEFT, 0]}},
                {"worker": 1},
            )
            return sorted({document["worker"] for document in found})
