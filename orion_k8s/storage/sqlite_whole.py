"""Whole experiments in SQLite: how they stand, what a dump reads, and how it is put back."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from orion_k8s.storage import codec
from orion_k8s.storage.base import Overview
from orion_k8s.storage.copies import clash, exists, is_same, restored_record, restored_trials
from orion_k8s.storage.sqlite_connection import Connection
from orion_k8s.storage.sqlite_curves import CurveVerbs
from orion_k8s.storage.sqlite_records import (
    EXPERIMENT,
    TRIAL,
    experiment_columns,
    results_column,
    to_trial,
)
from orion_k8s.storage.sqlite_sql import KEY
from orion_k8s.trial import Curve, ExperimentRecord, Status, TrialRecord

PAGE = 500
"""Whole trials fetched at a time: their results may be long."""


class WholeVerbs(CurveVerbs):
    """The verbs that speak of whole experiments."""

    _connection: Connection
    _wall: Callable[[], float]

    def overview(self, experiment: str | None = None) -> dict[str, Overview]:
        """Return how that experiment, or all of them, stand; see the contract."""
        rows = self._connection.rows(
            """SELECT e.id, t.status, count(*), sum(t.held_by IS 'person'), min(t.objective),
                min(t.start_time), max(CASE t.status WHEN 'completed' THEN t.end_time END)
            FROM experiments e JOIN trials t ON t.experiment = e.key
            WHERE (? IS NULL OR e.id = ?) AND t.status != 'removed' GROUP BY e.key, t.status""",
            (experiment, experiment),
        )
        return codec.overviews(rows)

    def best(self, experiment: str) -> TrialRecord | None:
        """Return the completed trial of the lowest objective; see the contract."""
        rows = self._connection.rows(
            f"""SELECT {TRIAL} FROM trials WHERE experiment = {KEY} AND status = 'completed'
            ORDER BY objective, number LIMIT 1""",
            (experiment,),
        )
        return to_trial(experiment, rows[0]) if rows else None

    def last_ended(self, experiment: str, status: Status) -> TrialRecord | None:
        """Return the trial of that status that ended last; see the contract."""
        rows = self._connection.rows(
            f"""SELECT {TRIAL} FROM trials WHERE experiment = {KEY} AND status = ?
            ORDER BY end_time DESC, number DESC LIMIT 1""",
            (experiment, status.value),
        )
        return to_trial(experiment, rows[0]) if rows else None

    def dump(self, experiment: str) -> Iterator[TrialRecord]:
        """Yield every trial, tombstones too, ordered by number; see the contract."""
        after = -(2**63)
        while True:
            rows = self._connection.rows(
                f"""SELECT {TRIAL} FROM trials WHERE experiment = {KEY} AND number > ?
                ORDER BY number LIMIT {PAGE}""",
                (experiment, after),
            )
            for row in rows:
                yield to_trial(experiment, row)
            if len(rows) < PAGE:
                return
            after = rows[-1][1]

    def restore(
        self,
        record: ExperimentRecord,
        trials: Iterable[TrialRecord],
        curves: Iterable[Curve] = (),
    ) -> int:
        """Put an experiment and its trials back, in one transaction; see the contract."""
        record = restored_record(record)
        with self._connection.transaction():
            there = self.experiment(record.id)
            if there is not None and is_same(record, there):
                return 0
            try:
                self._connection.write(
                    f"INSERT INTO experiments ({EXPERIMENT}) VALUES (?{', ?' * 11})",
                    experiment_columns(record),
                )
            except sqlite3.IntegrityError as error:
                raise exists(record) from error
            count = 0
            for trial in restored_trials(record.id, trials):
                try:
                    self._put(trial)
                except sqlite3.IntegrityError as error:
                    raise clash(record) from error
                count += trial.status is not Status.REMOVED
            for curve in curves:
                self._put_curve(record.id, curve)
        return count

    def _put(self, trial: TrialRecord) -> None:
        story = codec.dumps([dict(entry) for entry in trial.story])
        values: tuple[Any, ...] = (
            *(trial.id, trial.number, trial.values, trial.status.value, trial.identity),
            *(trial.token, trial.worker, trial.attempt, trial.lost, trial.held_by),
            *(trial.objective, results_column(trial), trial.reason, trial.decision, trial.parent),
            *(story, trial.submit_time, trial.start_time, trial.end_time, trial.losses),
        )
        self._connection.write(
            f"""INSERT INTO trials (experiment, {TRIAL})
            VALUES ({KEY}{", ?" * len(values)})""",
            (trial.experiment, *values),
        )
