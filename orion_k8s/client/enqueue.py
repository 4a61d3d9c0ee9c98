"""Points that a person wants tried first: inserted as new trials, which workers take first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orion_k8s.errors import DuplicateTrial
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.trial import Status, TrialRecord, dump_values, identity_of, new_id


def new_trial(experiment: str, space: Space, params: Mapping[str, Any]) -> TrialRecord:
    """Return the record of a person's trial that waits for a worker.

    Raises:
        InvalidParams: the parameters don't lie in the space.
    """
    values = dump_values(space.values(params))
    return TrialRecord(
        id=new_id(),
        experiment=experiment,
        number=0,
        values=values,
        status=Status.NEW,
        identity=identity_of(values),
    )


def enqueue(storage: Storage, trials: Iterable[TrialRecord]) -> None:
    """Insert trials, in order; those that there are already are passed over.

    So it may be said again, by each of several workers that are started at once, or after one
    that died half-way.
    """
    for trial in trials:
        try:
            storage.insert(trial.experiment, trial)
        except DuplicateTrial:
            pass
