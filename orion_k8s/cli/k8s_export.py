"""`k8s export`: a release's history in a SQLite file of this machine."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import typer

from orion_k8s.cli.k8s_options import CONTEXT, NAMESPACE, RELEASE, experiment_in, found, history
from orion_k8s.cli.options import Given, command


@command()
def export(
    given: Given,
    file: str = typer.Argument(..., metavar="FILE", help="to write: a SQLite history"),
    release: str | None = RELEASE,
    namespace: str | None = NAMESPACE,
    kube_context: str | None = CONTEXT,
    force: bool = typer.Option(False, "-f", "--force", help="replace a file that is there"),
) -> None:
    """Write a release's history into a SQLite file, which every command takes (--storage FILE).

    All experiments of a MongoDB of the release's own; of another database the release's alone.
    """
    from orion_k8s.cli.tables import several
    from orion_k8s.errors import UsageError
    from orion_k8s.storage.portable import DumpFile, write_dump
    from orion_k8s.storage.sqlite import SQLite

    target = Path(file).expanduser().absolute()
    if target.exists() and not force:
        raise UsageError(f"{file} is there already: name another file, or type --force.")
    if not target.parent.is_dir():
        raise UsageError(f"{file} cannot be written: there is no folder {target.parent}.")
    with found(release, namespace, kube_context) as (here, it), history(here, it) as storage:
        records = storage.experiments() if it.mongodb else [experiment_in(here, it, storage)]
        try:
            # A reader of the file sees all of it or nothing.
            with (
                tempfile.TemporaryDirectory(dir=target.parent, prefix=".orion-k8s-") as folder,
                tempfile.TemporaryFile(dir=folder) as dumped,
            ):
                count = write_dump(storage, records, dumped)
                dumped.seek(0)
                dump = DumpFile(dumped, "The history")
                made = os.path.join(folder, "history.db")
                with SQLite(made) as local:
                    local.setup()
                    for one in dump.experiments:
                        local.restore(one.record, dump.trials(one), dump.curves(one))
                os.replace(made, target)
        except OSError as error:
            raise UsageError(f"{file} cannot be written: {error.strerror or error}.") from None
    if not given.quiet:
        typer.echo(
            f"{several(len(records), 'experiment')} with {several(count, 'trial')} of the release "
            f"'{it.name}' written to {file}."
        )
