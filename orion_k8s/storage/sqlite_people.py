"""What people do with a history in SQLite: experiments, inserts, moves by hand, lists."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orion_k8s.errors import DuplicateTrial, ExperimentExists
from orion_k8s.storage import codec
from orion_k8s.storage.sqlite_connection import Connection
from orion_k8s.storage.sqlite_curves import CurveVerbs
from orion_k8s.storage.sqlite_records import (
    EXPERIMENT,
    TRIAL,
    experiment_columns,
    results_column,
    to_experiment,
    to_trial,
)
from orion_k8s.storage.sqlite_sql import KEY, STORY
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord, new_token, set_by_hand

PAGE = 500
"""Whole trials fetched at a time: their results may be long."""


class PeopleVerbs(CurveVerbs):
    """The verbs that are not on a worker's path. Only they use transactions of several writes."""

    _connection: Connection
    _wall: Callable[[], float]
    _monotonic: Callable[[], float]
    _this_boot: Callable[[], str]

    # --- experiments -----------------------------------------------------------------------------

    def create_experiment(self, record: ExperimentRecord) -> None:
        """Insert an experiment; see the contract."""
        try:
            self._connection.write(
                f"INSERT INTO experiments ({EXPERIMENT}) VALUES (?{', ?' * 11})",
                experiment_columns(record),
            )
        except sqlite3.IntegrityError as error:
            if self.experiment(record.id) is None:
                raise ExperimentExists(
                    f"An experiment {record.name!r}, version {record.version}, exists already."
                ) from error

    def experiments(self, name: str | None = None) -> list[ExperimentRecord]:
        """Return all experiments (of that name), ordered by name and version."""
        rows = self._connection.rows(
            f"""SELECT {EXPERIMENT} FROM experiments WHERE ? IS NULL OR name = ?
            ORDER BY name, version""",
            (name, name),
        )
        return [to_experiment(row) for row in rows]

    def experiment(self, experiment: str) -> ExperimentRecord | None:
        """Return the experiment of that id, or None."""
        rows = self._connection.rows(
            f"SELECT {EXPERIMENT} FROM experiments WHERE id = ?", (experiment,)
        )
        return to_experiment(rows[0]) if rows else None

    def update_experiment(self, experiment: str, changes: Mapping[str, Any]) -> None:
        """Set some of what may change; see the contract."""
        columns = codec.check_changes(changes)
        assignments = ", ".join(f"{column} = ?" for column in columns) or "id = id"
        done = self._connection.write(
            f"UPDATE experiments SET {assignments} WHERE id = ?", (*columns.values(), experiment)
        )
        if not done:
            raise codec.no_experiment(experiment)

    def remove_experiment(self, experiment: str) -> int:
        """Remove an experiment and its trials; return how many trials there were."""
        with self._connection.transaction():
            count = sum(self.counts(experiment).values())
            self._connection.write(f"DELETE FROM trials WHERE experiment = {KEY}", (experiment,))
            self._forget_curves(experiment)
            self._connection.write("DELETE FROM experiments WHERE id = ?", (experiment,))
        return count

    # --- trials ----------------------------------------------------------------------------------

    def insert(self, experiment: str, trial: TrialRecord, max_tries: int = 1000) -> TrialRecord:
        """Insert a person's trial under the next negative number; see the contract."""
        codec.check_insertable(trial)
        if self.experiment(experiment) is None:
            raise codec.no_experiment(experiment)
        wall = self._wall()
        completed = trial.status is Status.COMPLETED
        try:
            self._connection.write(
                f"""INSERT INTO trials (experiment, number, id, status, objective, point, parent,
                    decision, identity, submit_time, end_time, results, losses)
                SELECT {KEY}, min(0, coalesce(min(number), 0)) - 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
                FROM trials WHERE experiment = {KEY}""",
                (
                    *(experiment, trial.id, trial.status.value),
                    *(trial.objective if completed else None, trial.values, trial.parent),
                    *(trial.decision, trial.identity, wall, wall if completed else None),
                    results_column(trial) if completed else "[]",
                    *(trial.losses if completed else None, experiment),
                ),
            )
        except sqlite3.IntegrityError as error:
            if self._trial(experiment, "id = ?", trial.id) is None:
                raise DuplicateTrial() from error
        found = self._trial(experiment, "id = ?", trial.id)
        if found is None:
            raise codec.no_trial(trial.id)
        return found

    def trial(self, experiment: str, trial: str) -> TrialRecord | None:
        """Return the trial of that id (or of that number, as a text), or None."""
        found = self._trial(experiment, f"id = ? AND experiment = {KEY}", trial, experiment)
        number = codec.number_of(trial)
        if found is None and number is not None:
            where = f"experiment = {KEY} AND number = ?"
            found = self._trial(experiment, where, experiment, number)
        return found

    def _trial(self, experiment: str, where: str, *parameters: Any) -> TrialRecord | None:
        rows = self._connection.rows(f"SELECT {TRIAL} FROM trials WHERE {where}", parameters)
        return to_trial(experiment, rows[0]) if rows else None

    def trials(self, experiment: str, status: Status | None = None) -> Iterator[TrialRecord]:
        """Yield the trials, ordered by number, tombstones left out."""
        after, word = -(2**63), status.value if status else None
        while True:
            rows = self._connection.rows(
                f"""SELECT {TRIAL} FROM trials
                WHERE experiment = {KEY} AND number > ? AND status != 'removed'
                AND (? IS NULL OR status = ?) ORDER BY number LIMIT {PAGE}""",
                (experiment, after, word, word),
            )
            for row in rows:
                yield to_trial(experiment, row)
            if len(rows) < PAGE:
                return
            after = rows[-1][1]

    def set_status(self, experiment: str, trial: str, status: Status, reason: str) -> TrialRecord:
        """Move a trial by a person's hand; see the contract."""
        with self._connection.transaction():
            found = self.trial(experiment, trial)
            if found is None:
                raise codec.no_trial(trial)
            word = set_by_hand(found.status, Status(status), found.tell()).value
            # Both raises (odd while it is under way) become visible at once.
            self._connection.write(
                "UPDATE experiments SET generation = generation + 2 WHERE id = ?", (experiment,)
            )
            reserved = found.status is Status.RESERVED
            self._connection.write(
                f"""UPDATE trials SET status = :status, reason = :reason, held_by = :held_by,
                    token = :token, lease = NULL,
                    lost = CASE :status WHEN 'interrupted' THEN 0 ELSE lost END,
                    end_time = CASE :status WHEN 'broken' THEN :now
                        WHEN 'removed' THEN end_time END,
                    identity = CASE :status WHEN 'removed' THEN id ELSE identity END,
                    decision = CASE :status WHEN 'removed' THEN NULL ELSE decision END
                    {", " + STORY if reserved else ""}
                WHERE id = :trial""",
                {
                    "status": word,
                    "reason": codec.clean(reason),
                    "now": self._wall(),
                    "held_by": "person" if word == "suspended" else None,
                    "token": new_token() if reserved else found.token,
                    "trial": found.id,
                },
            )
            if word == "removed":
                self._forget_curves(experiment, found.number)
            moved = self._trial(experiment, "id = ?", found.id)
        if moved is None:
            raise codec.no_trial(trial)
        return moved

    def counts(self, experiment: str) -> dict[Status, int]:
        """Return how many trials there are of each status, tombstones left out."""
        rows = self._connection.rows(
            f"""SELECT status, count(*) FROM trials
            WHERE experiment = {KEY} AND status != 'removed' GROUP BY status""",
            (experiment,),
        )
        return {Status(status): count for status, count in rows}

    def live_workers(self, experiment: str) -> list[str]:
        """Return the names of the workers that hold a lease that is not over."""
        rows = self._connection.rows(
            f"""SELECT DISTINCT worker FROM trials WHERE experiment = {KEY}
            AND status = 'reserved' AND boot = ? AND lease >= ? ORDER BY worker""",
            (experiment, self._this_boot(), self._monotonic()),
        )
        return [worker for (worker,) in rows]
