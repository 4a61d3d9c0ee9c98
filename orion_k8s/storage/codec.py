"""What the backends share: how plain data become text and back, and the sentences they say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orion_k8s.errors import (
    DamagedDatabase,
    DatabaseError,
    InvalidResult,
    InvalidTransition,
    LeaseLost,
    NotFound,
    UsageError,
)
from orion_k8s.storage.base import Held, Overview
from orion_k8s.trial import RELEASED, Curve, Status, TrialRecord

CHANGEABLE = ("max_trials", "max_broken", "working_dir", "algorithm", "metadata", "goal")
"""What `update_experiment` may set."""

AS_JSON = ("space", "algorithm", "metadata", "goal")
"""Fields of an experiment that are stored as JSON text: their keys may hold any character."""

LOST = "its lease ran out: the worker died, or could not reach the database"
"""Why `requeue_lost` interrupts a trial."""

CLAIM_TRIES = 20
"""How often a claim is repeated that was refused though nothing stands in its way any more."""

UPGRADE = "run `orion-k8s db upgrade`"
SETUP = "run `orion-k8s db setup`"


def lost_for_good(max_lost: int) -> str:
    """Return why `requeue_lost` breaks a trial."""
    times = "time" if max_lost == 1 else "times"
    return (
        f"lost {max_lost} {times}, so its program may be what kills its workers (memory?): {LOST}"
    )


def dumps(value: Any) -> str:
    """Return compact JSON text.

    Raises:
        InvalidResult: the value is no plain data.
    """
    try:
        return json.dumps(value, separators=(",", ":"))
    except (TypeError, ValueError) as error:
        raise InvalidResult(f"This cannot be stored, as it is no plain data: {error}.") from error


def loads(text: Any, kind: type, where: str) -> Any:
    """Return what JSON text holds, if it is of that kind.

    Raises:
        DamagedDatabase: it is no JSON, or of another kind; `where` says where it was found.
    """
    try:
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        raise DamagedDatabase(f"The database is damaged: {where} holds no JSON.") from error
    if not isinstance(value, kind):
        raise DamagedDatabase(f"The database is damaged: {where} should be a {kind.__name__}.")
    return value


def clean(text: str | None) -> str | None:
    """Return the text without what no database stores: lone surrogates and NUL characters."""
    if text is None or (text.isprintable() and text.isascii()):
        return text
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def check_objective(objective: float) -> float:
    """Return the objective as a float.

    Raises:
        InvalidResult: it is not a number; databases hold no such thing, or don't order it.
    """
    if math.isnan(objective):
        raise InvalidResult("The objective is not a number (NaN).")
    return float(objective)


def check_released(status: Status) -> str:
    """Return the word for a status that a trial may be released to.

    Raises:
        InvalidTransition: it is none.
    """
    if status not in RELEASED:
        raise InvalidTransition(f"A trial cannot be released to {Status(status)}.")
    return Status(status).value


def check_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes of an experiment as they are stored.

    Raises:
        UsageError: one of them may not change.
    """
    wrong = sorted(set(changes) - set(CHANGEABLE))
    if wrong:
        raise UsageError(
            f"{', '.join(wrong)} of an experiment cannot change, only {', '.join(CHANGEABLE)}."
        )
    return {k: dumps(v) if k in AS_JSON else v for k, v in changes.items()}


def check_insertable(trial: TrialRecord) -> TrialRecord:
    """Return a person's trial if it is new, or completed with an objective.

    Raises:
        InvalidResult: it is neither.
    """
    if trial.status is Status.COMPLETED and trial.objective is not None:
        check_objective(trial.objective)
    elif trial.status is not Status.NEW:
        raise InvalidResult("A trial is inserted new, or completed with its objective.")
    return trial


def lease_lost(trial: str, record: TrialRecord | None) -> LeaseLost:
    """Return the error for a token that is not the current one, with the trial's story."""
    if record is None:
        return LeaseLost(f"Trial {trial} is gone: it was removed from the database.")
    return LeaseLost(
        f"Trial {record.number} is no longer reserved under this token. Its story: {record.tell()}"
    )


def keys_without_holder(where: str) -> DatabaseError:
    """Return the error for a unique index that refuses what no trial holds."""
    return DatabaseError(
        f"An index of {where} refuses a key that no trial holds, so it is damaged: stop the "
        "workers and rebuild the indexes of the trials."
    )


def no_experiment(experiment: str) -> NotFound:
    """Return the error for an experiment that is not there."""
    return NotFound(f"There is no experiment with the id {experiment}: list them with `list`.")


def no_trial(trial: str) -> NotFound:
    """Return the error for a trial that is not there."""
    return NotFound(f"There is no trial {trial} in this experiment.")


def number_of(trial: str) -> int | None:
    """Return the number that a text names, if it names one that a database can hold."""
    try:
        number = int(trial)
    except ValueError:
        return None
    return number if abs(number) < 2**63 else None


def not_renewed(
    wanted: Mapping[str, str], state: Mapping[str, tuple[str | None, str | None]]
) -> dict[str, Held]:
    """Return what `renew` answers when it renewed fewer leases than it was given.

    Args:
        wanted: trial id → the token that was brought.
        state: trial id → the token and the status that the database holds.
    """
    failed = {}
    for trial, token in wanted.items():
        current, status = state.get(trial, (None, None))
        if current != token or status not in (Status.RESERVED, Status.INTERRUPTED):
            failed[trial] = Held.VOID
        elif status == Status.INTERRUPTED:
            failed[trial] = Held.INTERRUPTED
    return failed


def results_text(results: Sequence[Mapping[str, Any]]) -> str:
    """Return results as JSON text."""
    return dumps([dict(result) for result in results])


def curve_text(curve: Curve) -> str:
    """Return what is stored of a curve beside its number and its revision, as JSON text."""
    return dumps([curve.attempt, curve.count, curve.steps, curve.values, dict(curve.metrics)])


def to_curve(number: int, text: Any) -> Curve:
    """Return the curve that `curve_text` made a text of.

    Raises:
        DamagedDatabase: it is none.
    """
    where = f"the learning curve of trial {number}"
    try:
        attempt, count, steps, values, metrics = loads(text, list, where)
        columns = {str(name): tuple(column) for name, column in metrics.items()}
        curve = Curve(number, int(attempt), int(count), tuple(steps), tuple(values), columns)
        lengths = {len(steps), len(values), *map(len, columns.values())}
        numbers = all(isinstance(item, (int, float)) for item in (*steps, *values))
    except (TypeError, ValueError, AttributeError) as error:
        raise DamagedDatabase(f"The database is damaged: {where} cannot be read.") from error
    if len(lengths) != 1 or not numbers:
        raise DamagedDatabase(f"The database is damaged: {where} is none.")
    return curve


def in_chunks(items: Iterable[Any], size: int) -> Iterable[list[Any]]:
    """Yield the items in lists of up to `size`."""
    items = list(items)
    for start in range(0, len(items), size):
        yield items[start : start + size]


def overviews(rows: Iterable[Sequence[Any]]) -> dict[str, Overview]:
    """Return experiment → its overview.

    Args:
        rows: one or several for a status: experiment, status, trials, those that a person holds,
            lowest objective, first start, last end.
    """
    found: dict[str, Overview] = {}
    for experiment, status, count, held, best, start, end in rows:
        before = found.get(experiment, Overview({}))
        kind = Status(status)
        found[experiment] = Overview(
            {**before.counts, kind: before.counts.get(kind, 0) + count},
            before.held + (held or 0 if kind is Status.SUSPENDED else 0),
            _least(before.best, best if kind is Status.COMPLETED else None),
            _least(before.start_time, start),
            max(filter(None, (before.end_time, end)), default=None),
        )
    return found


def _least(*values: float | None) -> float | None:
    return min((value for value in values if value is not None), default=None)
