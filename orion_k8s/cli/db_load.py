"""`db load`: put the experiments of a file back, into this database or another."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

import typer

from orion_k8s.cli.choice import EVERY_VERSION, called, quoted, titled
from orion_k8s.cli.options import STORAGE, Given, command
from orion_k8s.cli.tables import plain, several
from orion_k8s.errors import ConfigurationError, ExperimentExists, NotFound, OrionError, UsageError
from orion_k8s.storage import Storage
from orion_k8s.storage.portable import Dumped, DumpFile, copied
from orion_k8s.trial import ExperimentRecord, new_id

STDIN = "-"
RESOLVE = ("ignore", "overwrite", "bump")


@dataclass(frozen=True)
class Step:
    """What is done with one experiment of the file.

    Attributes:
        dumped: where it is in the file.
        record: what it becomes.
        instead_of: the experiment that it replaces.
        new_ids: its ids are taken by another experiment of this database.
    """

    dumped: Dumped
    record: ExperimentRecord
    instead_of: ExperimentRecord | None = None
    new_ids: bool = False


@command("experiment.name", *STORAGE)
def load(
    given: Given,
    file: str = typer.Argument(..., metavar="FILE", help="that `db dump` wrote; - for a pipe"),
    version: int = EVERY_VERSION,
    resolve: str = typer.Option(
        None,
        "-r",
        "--resolve",
        metavar="ignore|overwrite|bump",
        help="what to do with experiments that are there: keep them, replace them, or load the"
        " file's as new versions",
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="the same as --resolve overwrite"),
    other_name: str = typer.Option(None, "--as", metavar="NAME", help="load it under this name"),
) -> None:
    """Load all experiments of a file, or the one of -n and -v.

    Each is there as a whole or not at all. Trials that were running when the file was written
    are run again.
    """
    how = _resolution(resolve, overwrite)
    with _opened(file) as opened, given.storage(given.configuration()) as storage:
        dump = DumpFile(opened, "The file from standard input" if file == STDIN else file)
        chosen = _chosen(dump, given.options["experiment.name"], version)
        steps, kept = _plan(storage, dump, chosen, how, other_name)
        for record in kept:
            typer.echo(f"{titled(record)} is there already and was left alone.")
        done: list[str] = []
        for step in steps:
            try:
                count = _take(storage, dump, step)
            except OrionError as error:
                raise type(error)(f"{error}{_so_far(done, steps)}") from error
            done.append(called(step.record))
            typer.echo(f"{titled(step.record)}: loaded {several(count, 'trial')}.")


def _resolution(resolve: str | None, overwrite: bool) -> str | None:
    if overwrite and resolve not in (None, "overwrite"):
        raise UsageError(f"--overwrite and --resolve {resolve} contradict each other: keep one.")
    if resolve is not None and resolve not in RESOLVE:
        raise UsageError(f"--resolve takes {', '.join(RESOLVE)}, not {resolve!r}.")
    return "overwrite" if overwrite else resolve


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    """Give the file; what comes through a pipe is kept in a temporary one, as it is read twice."""
    if file != STDIN:
        try:
            opened: IO[bytes] = open(file, "rb")
        except OSError as error:
            raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
        with opened:
            if not opened.seekable():
                raise UsageError(f"{file} is a pipe: feed it to `orion-k8s db load -`.")
            try:
                yield opened
            except OSError as error:  # a folder opens, and a disk may fail
                raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
        return
    with tempfile.TemporaryFile() as copy:
        while chunk := sys.stdin.buffer.read(1 << 20):
            copy.write(chunk)
        copy.seek(0)
        yield copy


def _chosen(dump: DumpFile, name: str | None, version: int | None) -> list[Dumped]:
    named = [d for d in dump.experiments if name is None or d.record.name == name]
    found = [d for d in named if version is None or d.record.version == version]
    if found or (name is None and version is None):
        return found
    if named:
        versions = ", ".join(sorted({str(d.record.version) for d in named}))
        raise NotFound(f"{dump.name} holds no version {version}, only: {versions}.")
    names = list(dict.fromkeys(d.record.name for d in dump.experiments))
    near = difflib.get_close_matches(name or "", names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"it holds {', '.join(map(repr, names[:5]))}."
    raise NotFound(f"{dump.name} holds no experiment '{name}'; {hint}")


def _plan(
    storage: Storage,
    dump: DumpFile,
    chosen: list[Dumped],
    how: str | None,
    other_name: str | None,
) -> tuple[list[Step], list[ExperimentRecord]]:
    """Return what to do with each, and those that are left alone, before anything is changed.

    Raises:
        ExperimentExists: one is there, and nobody said what to do about it.
    """
    if other_name is not None:
        _check_name(other_name)
        if len({dumped.record.name for dumped in chosen}) > 1:
            raise UsageError("--as names one experiment: choose it by -n NAME.")
    steps: list[Step] = []
    kept: list[ExperimentRecord] = []
    taken: set[tuple[str, int]] = set()
    for dumped in chosen:
        record = dataclasses.replace(dumped.record, name=other_name or dumped.record.name)
        there = storage.experiments(record.name)
        same = next((old for old in there if old.version == record.version), None)
        if same is not None and how is None:
            raise ExperimentExists(
                f"{titled(record)} is in {storage.describe()} already; type --resolve ignore to"
                " leave it alone, --resolve overwrite to replace it, --resolve bump to load this"
                " one as a new version, or --as NAME."
            )
        if same is not None and how == "ignore":
            kept.append(same)
            continue
        if same is not None and how == "bump":
            last = max(old.version for old in there)
            free = (n for n in range(last + 1, 2**62) if (record.name, n) not in taken)
            record, same = dataclasses.replace(record, version=next(free)), None
        taken.add((record.name, record.version))
        new_ids = _ids_are_taken(storage, dump, dumped, same)
        if same is not None and record.id == same.id:
            # A worker on the old one must find it gone, not claim trials of this one meanwhile.
            record = dataclasses.replace(record, id=new_id())
        steps.append(Step(dumped, record, same, new_ids))
    return steps, kept


def _ids_are_taken(
    storage: Storage, dump: DumpFile, dumped: Dumped, replaced: ExperimentRecord | None
) -> bool:
    """Return whether the experiment, or a copy of it, is there, other than the replaced one."""
    seed, without = dumped.record.seed, None if replaced is None else replaced.id
    copies = [old for old in storage.experiments() if old.seed == seed and old.id != without]
    if any(old.id == dumped.record.id for old in copies):
        return True
    first = next(dump.trials(dumped), None)
    return first is not None and any(storage.trial(old.id, first.id) for old in copies)


def _check_name(name: str) -> None:
    from orion_k8s.client.opening import NAME_LIMIT

    if not name.strip() or len(name) > NAME_LIMIT or "\0" in name:
        raise ConfigurationError(
            f"An experiment's name needs 1 to {NAME_LIMIT} characters; got {len(name)}."
        )


def _take(storage: Storage, dump: DumpFile, step: Step) -> int:
    record, trials = step.record, dump.trials(step.dumped)
    if step.new_ids:
        record, trials = copied(record, trials)
    if step.instead_of is not None:
        workers = storage.live_workers(step.instead_of.id)
        storage.remove_experiment(step.instead_of.id)
        if workers:
            typer.echo(
                f"{several(len(workers), 'worker')} of the replaced experiment will end.", err=True
            )
    return storage.restore(record, trials, dump.curves(step.dumped))


def _so_far(done: list[str], steps: list[Step]) -> str:
    """Return what to do after a load that was interrupted by an error."""
    if len(steps) == 1:
        return ""
    left = steps[len(done)].record
    return (
        f" Loaded so far: {', '.join(map(plain, done)) or 'nothing'}; type the same command with"
        f" --resolve ignore to go on with {called(left)} (-n {quoted(left)})."
    )
