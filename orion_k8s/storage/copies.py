"""What the backends share where whole experiments are put back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from orion_k8s.errors import DuplicateTrial, ExperimentExists
from orion_k8s.storage import codec
from orion_k8s.storage.base import STORY_LIMIT
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord, new_token

WAS_RUNNING = "it was running when this copy was made"
"""Why `restore` interrupts a trial."""


def restored_record(record: ExperimentRecord) -> ExperimentRecord:
    """Return an experiment as `restore` stores it: no change by hand is under way in it."""
    return replace(record, generation=record.generation + record.generation % 2)


def restored_trials(experiment: str, trials: Iterable[TrialRecord]) -> Iterator[TrialRecord]:
    """Yield trials as `restore` stores them: nobody's reservations, with tokens of their own."""
    for trial in trials:
        # Without a token, a claim of that id that is sent once more could take it for its own.
        changes: dict[str, object] = {"token": new_token() if trial.attempt else None}
        if trial.objective is not None:
            changes["objective"] = codec.check_objective(trial.objective)
        if trial.status is Status.REMOVED:
            changes |= {"identity": trial.id, "decision": None}
        elif trial.status is Status.RESERVED:
            entry = {
                "attempt": trial.attempt,
                "worker": trial.worker,
                "status": Status.INTERRUPTED.value,
                "reason": WAS_RUNNING,
                "time": trial.start_time,
            }
            changes |= {
                "status": Status.INTERRUPTED,
                "reason": WAS_RUNNING,
                "story": (*trial.story, entry)[-STORY_LIMIT:],
            }
        changes["reason"] = codec.clean(changes.get("reason", trial.reason))  # type: ignore[arg-type]
        yield replace(trial, experiment=experiment, **changes)  # type: ignore[arg-type]


def is_same(record: ExperimentRecord, there: ExperimentRecord) -> bool:
    """Return whether the experiment that is there is the one to be restored.

    Raises:
        ExperimentExists: it has its id, but another name or version.
    """
    if (there.name, there.version) == (record.name, record.version):
        return True
    raise ExperimentExists(
        f"{record.name!r}, version {record.version}, is there already, under another name: "
        f"{there.name!r}, version {there.version}."
    )


def exists(record: ExperimentRecord) -> ExperimentExists:
    """Return the error for a name and version that another experiment has."""
    return ExperimentExists(
        f"An experiment {record.name!r}, version {record.version}, exists already."
    )


def clash(record: ExperimentRecord) -> DuplicateTrial:
    """Return the error for trials that cannot be there beside others, or beside each other."""
    return DuplicateTrial(
        f"Trials of {record.name!r}, version {record.version}, cannot be restored: another "
        "experiment of this database has a trial of the same id, two of them are the same, or "
        "workers still run on it."
    )
