"""`db release`: give reserved and suspended trials back, so that workers run them again."""

from __future__ import annotations

import typer

from orion_k8s.cli.choice import (
    NUMBERS_TOO,
    agreed,
    called,
    existing_history,
    name_of,
    numbers_too,
    titled,
    trial_in,
    version_of,
)
from orion_k8s.cli.db_set import move, tell_if_beyond
from orion_k8s.cli.options import EXPERIMENT, STORAGE, Given, command
from orion_k8s.cli.standing import standings
from orion_k8s.cli.tables import several
from orion_k8s.errors import UsageError
from orion_k8s.trial import Status

RELEASABLE = (Status.RESERVED, Status.SUSPENDED)


@command(*EXPERIMENT, *STORAGE, context_settings=NUMBERS_TOO)
def release(
    given: Given,
    words: list[str] = typer.Argument(
        None,
        metavar="NAME [TRIAL]",
        help="trials by number or id; without one, all that are reserved or suspended",
    ),
    reason: str = typer.Option(
        "released by hand", "--reason", metavar="TEXT", help="kept with the trial"
    ),
    force: bool = typer.Option(False, "-f", "--force", help="don't ask"),
) -> int:
    """Give reserved and suspended trials back: they are interrupted, and a worker runs them again.

    The worker that holds a reserved one ends its program. Trials of dead workers are given back by
    themselves when their leases run out; this is for those who won't wait.
    """
    from orion_k8s.client.opening import fetch

    words = numbers_too(words)
    named = given.options["experiment.name"] is not None or not words
    name = name_of(given, None if named else words.pop(0))
    with existing_history(given) as storage:
        record = fetch(storage, name, version_of(given))
        chosen = [trial_in(storage, record, word) for word in words]
        for trial in chosen:
            if trial.status not in RELEASABLE:
                raise UsageError(
                    f"Trial {trial.number} is {trial.status}: only reserved and suspended ones can"
                    f" be released. Its story: {trial.tell()}"
                )
        if not words:
            chosen = [t for status in RELEASABLE for t in storage.trials(record.id, status)]
            if not chosen:
                typer.echo(f"{titled(record)} has no reserved or suspended trials.")
                return 0
            (standing,) = standings(storage, [record])
            alive = len(standing.workers)
            if alive and not agreed(
                f"This releases all {several(len(chosen), 'trial')} of {called(record)}, and"
                f" {several(alive, 'worker')} alive will end their programs.",
                force,
                "release them",
            ):
                return 1
        for trial in chosen:
            move(storage, record, trial, Status.INTERRUPTED, reason)
        typer.echo(f"{titled(record)}: {several(len(chosen), 'trial')} released.")
        tell_if_beyond(storage, record)
        return 0
