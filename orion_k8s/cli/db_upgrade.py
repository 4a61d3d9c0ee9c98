"""`db upgrade`: bring an older layout of the database up to date."""

from __future__ import annotations

import typer

from orion_k8s.cli.options import STORAGE, Given, command


@command(*STORAGE)
def upgrade(given: Given) -> None:
    """Bring an older database up to date. Stop the workers first, and keep a copy."""
    from orion_k8s.errors import NotFound

    with given.storage(given.configuration(), setup=False) as storage:
        if storage.schema_version() is None:
            raise NotFound(
                f"There is no history in {storage.describe()} to upgrade: `orion-k8s db setup`"
                " makes one."
            )
        before, after = storage.upgrade()
        if before == after:
            typer.echo(f"{storage.describe()} is up to date: schema {after}.")
        else:
            typer.echo(f"{storage.describe()} is upgraded from schema {before} to {after}.")
