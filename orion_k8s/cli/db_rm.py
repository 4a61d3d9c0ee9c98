"""`db rm`: remove experiments, or some of their trials."""

from __future__ import annotations

import typer

from orion_k8s.cli.choice import (
    EVERY_VERSION,
    agreed,
    all_versions,
    called,
    existing_history,
    name_of,
    status_of,
    titled,
    trial_in,
)
from orion_k8s.cli.options import STORAGE, Given, command
from orion_k8s.cli.standing import Standing, standings
from orion_k8s.cli.tables import plain, several
from orion_k8s.errors import NotFound, UsageError
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord

BY_HAND = "removed by hand"


@command("experiment.name", *STORAGE)
def remove(
    given: Given,
    name: str = typer.Argument(None, metavar="NAME", help="of the experiment"),
    version: int = EVERY_VERSION,
    status: str = typer.Option(
        None,
        "-s",
        "--status",
        metavar="STATUS",
        help="only its trials of this status; '*' for all trials",
    ),
    trial: list[str] = typer.Option(
        None,
        "-t",
        "--trial",
        metavar="TRIAL",
        help="only this trial, by number or id; may be repeated",
    ),
    force: bool = typer.Option(False, "-f", "--force", help="don't ask"),
) -> int:
    """Remove an experiment with its trials (all versions, or one by -v), or some trials of it.

    Workers of a removed experiment end; the program of a removed trial is ended. A removed trial's
    number is not used again. The trials' folders are left alone.
    """
    if status is not None and trial:
        raise UsageError("Say either --status or --trial, not both.")
    wanted = None if status in (None, "*") else status_of(str(status))
    with existing_history(given) as storage:
        records = all_versions(storage, name_of(given, name), version)
        if status is None and not trial:
            return _remove_experiments(storage, standings(storage, records), force)
        if trial:
            found = _named(storage, records, trial)
        else:
            found = [(r, t) for r in records for t in storage.trials(r.id, wanted)]
        return _remove_trials(storage, found, force)


def _remove_experiments(storage: Storage, found: list[Standing], force: bool) -> int:
    parts = []
    for standing in found:
        count = sum(standing.view.counts.values())
        parts.append(f"version {standing.record.version} with {several(count, 'trial')}")
    workers = {worker for standing in found for worker in standing.workers}
    alive = f" {_alive(len(workers))}" if workers else ""
    what = f"experiment '{plain(found[0].record.name)}': {', '.join(parts)}"
    if not agreed(f"This removes {what}.{alive}", force, "remove it"):
        return 1
    for standing in found:
        count = storage.remove_experiment(standing.record.id)
        typer.echo(f"{titled(standing.record)} is removed, {several(count, 'trial')} with it.")
    if workers:
        typer.echo(_alive(len(workers)))
    return 0


def _alive(workers: int) -> str:
    are = "is" if workers == 1 else "are"
    return f"{several(workers, 'worker')} {are} alive and will end."


def _named(
    storage: Storage, records: list[ExperimentRecord], words: list[str]
) -> list[tuple[ExperimentRecord, TrialRecord]]:
    """Return the trials that numbers and ids name.

    Raises:
        NotFound: one of them is not there.
        UsageError: a number is there in several versions.
    """
    found: dict[str, tuple[ExperimentRecord, TrialRecord]] = {}
    for word in words:
        hits = [
            (record, there)
            for record in records
            if (there := storage.trial(record.id, word)) and there.status is not Status.REMOVED
        ]
        if len(hits) > 1:
            raise UsageError(
                f"Trial {word} is there in {several(len(hits), 'version')} of the experiment: name"
                " one by -v."
            )
        if not hits:
            trial_in(storage, records[-1], word)  # says what there is
            raise NotFound()
        found[hits[0][1].id] = hits[0]
    return list(found.values())


def _remove_trials(
    storage: Storage, found: list[tuple[ExperimentRecord, TrialRecord]], force: bool
) -> int:
    if not found:
        typer.echo("There are no such trials.")
        return 0
    running = sum(trial.status is Status.RESERVED for _, trial in found)
    more = f" {running} of them may be running, and will be ended." if running else ""
    title = called(found[0][0]) if len({r.id for r, _ in found}) == 1 else "all versions"
    count = several(len(found), "trial")
    if not agreed(f"This removes {count} of {title}.{more}", force, "remove them"):
        return 1
    for record, trial in found:
        storage.set_status(record.id, trial.id, Status.REMOVED, BY_HAND)
    typer.echo(f"{count} of {title} removed.")
    return 0
