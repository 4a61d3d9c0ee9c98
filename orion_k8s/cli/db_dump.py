"""`db dump`: write experiments with their trials into a file, which any database can load."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

import typer

from orion_k8s.cli.choice import EVERY_VERSION, all_versions, existing_history
from orion_k8s.cli.options import STORAGE, Given, command
from orion_k8s.cli.tables import several
from orion_k8s.errors import UsageError
from orion_k8s.storage.portable import write_dump

STDOUT = "-"


@command("experiment.name", *STORAGE)
def dump(
    given: Given,
    file: str = typer.Argument(None, metavar="FILE", help="to write; - for standard output"),
    version: int = EVERY_VERSION,
    output: str = typer.Option(None, "-o", "--output", metavar="FILE", help="the same"),
    force: bool = typer.Option(False, "-f", "--force", help="replace a file that is there"),
) -> None:
    """Write all experiments, or the one of -n, into a file: their trials, results and stories.

    Any database loads it (`db load`), so this is also the way from SQLite to MongoDB and back.
    """
    if (file is None) == (output is None):
        raise UsageError("Name one file to write: `orion-k8s db dump FILE`, or - for a pipe.")
    target = file if file is not None else output
    name = given.options["experiment.name"]
    if target != STDOUT and os.path.exists(target) and not force:
        raise UsageError(f"{target} is there already: name another file, or type --force.")
    with existing_history(given) as storage:
        if name is not None:
            records = all_versions(storage, name, version)
        else:
            records = storage.experiments()
        # A reader of the file sees all of it or nothing.
        folder = None if target == STDOUT else Path(target).expanduser().absolute().parent
        try:
            with tempfile.NamedTemporaryFile(
                dir=folder, prefix=".orion-k8s-dump-", delete=False
            ) as made:
                try:
                    count = write_dump(storage, records, made)
                    made.flush()
                    if target == STDOUT:
                        made.seek(0)
                        shutil.copyfileobj(made, sys.stdout.buffer)
                        os.unlink(made.name)
                    else:
                        os.fsync(made.fileno())
                        os.replace(made.name, Path(target).expanduser())
                except BaseException:
                    Path(made.name).unlink(missing_ok=True)
                    raise
        except BrokenPipeError:
            raise
        except OSError as error:
            raise UsageError(f"{target} cannot be written: {error.strerror}.") from None
        if not given.quiet:
            typer.echo(
                f"{several(len(records), 'experiment')} with {several(count, 'trial')} written to"
                f" {'standard output' if target == STDOUT else target}.",
                err=target == STDOUT,
            )
