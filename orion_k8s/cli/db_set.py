"""`db set`: set trials to another status by hand, or an experiment's limits."""

from __future__ import annotations

from typing import Any

import typer

from orion_k8s.cli.choice import (
    NUMBERS_TOO,
    agreed,
    called,
    existing_history,
    name_of,
    numbers_too,
    status_of,
    titled,
    trial_in,
    version_of,
)
from orion_k8s.cli.options import EXPERIMENT, STORAGE, Given, command
from orion_k8s.cli.standing import UNFINISHED, standings
from orion_k8s.cli.tables import several
from orion_k8s.errors import InvalidTransition, UsageError
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord

HOW = (
    "write `db set NAME TRIAL STATUS`, `db set NAME status=broken status=interrupted`, or"
    " `db set NAME max_trials=100`"
)
LIMITS = ("max_trials", "max_broken")

EXAMPLES = """
\b
db set NAME 17 interrupted                    trial 17 runs again
db set NAME id=4f… status=suspended           that of an id waits until it is released
db set NAME status=broken status=interrupted  all broken ones run again
db set NAME max_trials=100 max_broken=5       running workers see it within a heartbeat
"""


@command(*EXPERIMENT, *STORAGE, epilog=EXAMPLES, context_settings=NUMBERS_TOO)
def set_trials(
    given: Given,
    words: list[str] = typer.Argument(
        None, metavar="NAME TRIAL STATUS", help="or NAME max_trials=N; see below"
    ),
    reason: str = typer.Option(
        "set by hand", "--reason", metavar="TEXT", help="kept with the trial"
    ),
    force: bool = typer.Option(False, "-f", "--force", help="don't ask"),
) -> int:
    """Set trials to another status by hand, or max_trials and max_broken of an experiment."""
    from orion_k8s.client.opening import fetch

    rest = numbers_too(words)
    named = given.options["experiment.name"] is not None or not rest
    name = name_of(given, None if named else rest.pop(0))
    if not rest:
        raise UsageError(f"What should be set? {HOW[0].upper()}{HOW[1:]}.")
    limits = _limits(rest)
    if limits is None and len(rest) != 2:
        raise UsageError(f"Two words are needed, which trial and its status: {HOW}.")
    target = None if limits is not None else status_of(rest[1].removeprefix("status="))
    with existing_history(given) as storage:
        record = fetch(storage, name, version_of(given))
        if limits is not None:
            storage.update_experiment(record.id, limits)
            now = ", ".join(
                f"{key} is {'none' if v is None else v} now" for key, v in limits.items()
            )
            typer.echo(f"{titled(record)}: {now}.")
            return 0
        assert target is not None
        return _set(storage, record, rest[0], target, reason, force)


def _set(
    storage: Storage,
    record: ExperimentRecord,
    which: str,
    target: Status,
    reason: str,
    force: bool,
) -> int:
    key, joined, value = which.partition("=")
    if joined and key == "status":
        trials = list(storage.trials(record.id, status_of(value)))
        if not trials:
            typer.echo(f"{titled(record)} has no {value} trials.")
            return 0
        what = (
            f"This sets {several(len(trials), f'{value} trial')} of {called(record)} to {target}."
        )
        if not agreed(what, force, "do it"):
            return 1
    elif joined and key not in ("id", "number"):
        raise UsageError(f"Trials cannot be chosen by {key}, only by id, number or status: {HOW}.")
    else:
        trials = [trial_in(storage, record, value if joined else which)]
    for trial in trials:
        move(storage, record, trial, target, reason)
    if len(trials) == 1:
        typer.echo(
            f"{titled(record)}: trial {trials[0].number} was {trials[0].status}, is {target} now."
        )
    else:
        typer.echo(f"{titled(record)}: {len(trials)} trials are {target} now.")
    if target is Status.INTERRUPTED:
        tell_if_beyond(storage, record)
    return 0


def move(
    storage: Storage, record: ExperimentRecord, trial: TrialRecord, target: Status, reason: str
) -> None:
    """Set one trial's status.

    Raises:
        UsageError: that move makes no sense; with the trial's story.
    """
    try:
        storage.set_status(record.id, trial.id, target, reason)
    except InvalidTransition as error:
        text = str(error)
        if trial.status is Status.COMPLETED:
            text += f" (`orion-k8s db rm --trial {trial.number}` removes it)"
        raise UsageError(f"Trial {trial.number}: {text}") from None


def tell_if_beyond(storage: Storage, record: ExperimentRecord) -> None:
    """Say so where trials that run again make more of them than were asked for."""
    (standing,) = standings(storage, [record])
    wanted = record.max_trials
    if wanted is None:
        return
    if standing.count(Status.COMPLETED) >= wanted:
        typer.echo(
            f"The experiment has its {wanted} completed trials: workers run no more until"
            " max_trials is raised.",
            err=True,
        )
    elif standing.count(Status.COMPLETED, *UNFINISHED) > wanted:
        typer.echo(
            f"The experiment asks for {wanted} trials and may end with more: some ran in the place"
            " of the ones set.",
            err=True,
        )


def _limits(words: list[str]) -> dict[str, Any] | None:
    """Return limits of the experiment that were typed, None where the words are about trials.

    Raises:
        UsageError: a limit is no number, or they are mixed with trials.
    """
    pairs = [word.partition("=") for word in words]
    named = [key.replace("-", "_") for key, joined, _ in pairs if joined]
    if not any(key in LIMITS for key in named):
        return None
    limits: dict[str, Any] = {}
    for key, joined, text in pairs:
        key = key.replace("-", "_")
        if not joined or key not in LIMITS:
            raise UsageError(f"Limits and trials are set one after the other: {HOW}.")
        least = LIMITS.index(key)
        if key == "max_trials" and text.lower() in ("none", "inf", "infinity", ""):
            limits[key] = None
        elif text.isascii() and text.isdigit() and least <= int(text) < 2**63:
            limits[key] = int(text)
        else:
            raise UsageError(f"{key} must be a whole number from {least}, not {text!r}.")
    return limits
