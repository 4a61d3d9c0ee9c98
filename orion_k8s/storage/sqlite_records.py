"""Rows of the SQLite file ↔ records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orion_k8s.errors import DamagedDatabase
from orion_k8s.storage.codec import dumps, loads, results_text
from orion_k8s.trial import ExperimentRecord, Row, Status, TrialRecord

EXPERIMENT = (
    "id, name, version, space, algorithm, seed, max_trials, max_broken, working_dir, generation, "
    "metadata, goal"
)
"""Columns of an experiment, in the order of `ExperimentRecord`."""

TRIAL = (
    "id, number, point, status, identity, token, worker, attempt, lost, held_by, objective, "
    "results, reason, decision, parent, story, submit_time, start_time, end_time, "
    "losses"
)
"""Columns of a trial, in the order of `TrialRecord` without its experiment."""

ROW = "number, status, objective, point, id, parent, decision, held_by, losses"
"""Columns that the mirror reads, in the order of `Row`."""


def experiment_columns(record: ExperimentRecord) -> tuple[Any, ...]:
    """Return what the columns `EXPERIMENT` hold of a record."""
    return (
        record.id,
        record.name,
        record.version,
        dumps(record.space),
        dumps(record.algorithm),
        str(record.seed),
        record.max_trials,
        record.max_broken,
        record.working_dir,
        record.generation,
        dumps(record.metadata),
        dumps(record.goal),
    )


def to_experiment(row: Sequence[Any]) -> ExperimentRecord:
    """Return the record of a row of the columns `EXPERIMENT`.

    Raises:
        DamagedDatabase: a column holds what it should not.
    """
    where = f"the experiment {row[1]!r} (id {row[0]})"
    try:
        seed = int(row[5])
    except (TypeError, ValueError) as error:
        raise DamagedDatabase(f"The database is damaged: {where} has no seed.") from error
    return ExperimentRecord(
        id=row[0],
        name=row[1],
        version=row[2],
        space=loads(row[3], dict, where),
        algorithm=loads(row[4], dict, where),
        seed=seed,
        max_trials=row[6],
        max_broken=row[7],
        working_dir=row[8],
        generation=row[9],
        metadata=loads(row[10], dict, where),
        goal=loads(row[11], dict, where),
    )


def to_trial(experiment: str, row: Sequence[Any]) -> TrialRecord:
    """Return the record of a row of the columns `TRIAL`.

    Raises:
        DamagedDatabase: a column holds what it should not.
    """
    where = f"trial {row[1]} (id {row[0]})"
    try:
        status = Status(row[3])
    except ValueError as error:
        raise DamagedDatabase(f"The database is damaged: {where} is {row[3]!r}.") from error
    return TrialRecord(
        id=row[0],
        experiment=experiment,
        number=row[1],
        values=row[2],
        status=status,
        identity=row[4],
        token=row[5],
        worker=row[6],
        attempt=row[7],
        lost=row[8],
        held_by=row[9],
        objective=row[10],
        results=tuple(loads(row[11], list, where)),
        reason=row[12],
        decision=row[13],
        parent=row[14],
        story=tuple(loads(row[15], list, where)),
        submit_time=row[16],
        start_time=row[17],
        end_time=row[18],
        losses=row[19],
    )


def to_row(row: Sequence[Any]) -> Row:
    """Return the mirror's row of the columns `ROW`."""
    return Row(*row)


def results_column(record: TrialRecord) -> str:
    """Return what the column of the results holds of a record."""
    return results_text(record.results)
