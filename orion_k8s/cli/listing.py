"""`list`: the experiments, how they stand, and how many trials they have."""

from __future__ import annotations

from typing import Any

import typer

from orion_k8s.cli.choice import EVERY_VERSION, all_versions, existing_history
from orion_k8s.cli.options import STORAGE, Given, command
from orion_k8s.cli.standing import Standing, standings
from orion_k8s.cli.tables import show_json, show_table
from orion_k8s.trial import Status

COLUMNS = (
    *("name", "version", "status", "completed", "max_trials", "broken", "reserved", "waiting"),
    *("suspended", "workers", "best"),
)


@command("experiment.name", *STORAGE)
def list_experiments(
    given: Given,
    version: int = EVERY_VERSION,
    json: bool = typer.Option(False, "--json", help="print a JSON list"),
) -> None:
    """List the experiments: name, version, how they stand, and their trials."""
    name = given.options["experiment.name"]
    with existing_history(given) as storage:
        if name is not None:
            records = all_versions(storage, name, version)
        else:
            records = storage.experiments()
        found = standings(storage, records)
        if json:
            show_json([standing.plain() for standing in found])
        elif found:
            show_table(COLUMNS, map(_row, found))
        else:
            typer.echo(f"There are no experiments in {storage.describe()} yet.")


def _row(standing: Standing) -> tuple[Any, ...]:
    record, count = standing.record, standing.count
    return (
        *(record.name, record.version, standing.state, count(Status.COMPLETED)),
        *(record.max_trials, count(Status.BROKEN), count(Status.RESERVED)),
        *(count(Status.NEW, Status.INTERRUPTED), count(Status.SUSPENDED)),
        *(len(standing.workers), standing.best),
    )
