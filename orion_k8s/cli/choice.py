"""Which database, which experiments, which trials; and asking before something is lost."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from orion_k8s.cli.tables import plain
from orion_k8s.errors import NotFound, UsageError
from orion_k8s.storage import Storage
from orion_k8s.storage.base import SCHEMA
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord

if TYPE_CHECKING:
    from orion_k8s.cli.options import Given


@contextmanager
def existing_history(given: Given) -> Iterator[Storage]:
    """Give the shared history, which must be there: no database is made of a mistyped address.

    Raises:
        NotFound: there is none.
        DatabaseError: it can't be used.
    """
    with given.storage(given.configuration(), setup=False) as storage:
        version = storage.schema_version()
        if version is None:
            raise NotFound(
                f"There is no history in {storage.describe()} yet: check the address"
                " (`orion-k8s db test`), or begin with `orion-k8s hunt`."
            )
        if version != SCHEMA:
            storage.setup()  # says what is wrong
        yield storage


def version_of(given: Given) -> int | None:
    """Return the version that was asked for; None for the newest."""
    version: int | None = given.configuration().value("experiment.version")
    return version


EVERY_VERSION: Any = typer.Option(
    None, "-v", "--version", metavar="N", min=1, help="only this version; all without it"
)
"""For commands that take all versions of an experiment where others take the newest."""


def name_of(given: Given, word: str | None) -> str:
    """Return the experiment's name, given as a word or by -n.

    Raises:
        UsageError: it was given by neither, or by both.
    """
    option = given.options.get("experiment.name")
    if word is not None and option is not None and word != option:
        raise UsageError(f"Two experiments are named, {word!r} and {option!r}: name one.")
    return word if word is not None else given.name(given.configuration())


NUMBERS_TOO = {"ignore_unknown_options": True}
"""For commands that take the numbers of trials as words: those of inserted ones are negative."""


def numbers_too(words: Sequence[str] | None) -> list[str]:
    """Return the words of a command if none of them is an option that does not exist.

    Raises:
        UsageError: one is.
    """
    for word in words or ():
        if word.startswith("-") and not word[1:].isdigit():
            raise UsageError(f"There is no option {word}: `--help` shows what there is.")
    return list(words or ())


def all_versions(storage: Storage, name: str, version: int | None) -> list[ExperimentRecord]:
    """Return the experiment's versions, or the one that was asked for.

    Raises:
        NotFound: there is none; the nearest name is named.
    """
    from orion_k8s.client.opening import fetch

    if version is not None:
        return [fetch(storage, name, version)]
    return storage.experiments(name) or [fetch(storage, name)]


def trial_in(storage: Storage, record: ExperimentRecord, word: str) -> TrialRecord:
    """Return the trial of an experiment that a number or an id names.

    Raises:
        NotFound: there is none.
    """
    found = storage.trial(record.id, word)
    if found is None or found.status is Status.REMOVED:
        gone = "" if found is None else " any more: it was removed"
        raise NotFound(
            f"{titled(record)} has no trial {word}{gone}; `orion-k8s status -n {quoted(record)}"
            f" -v {record.version} --all` lists those that there are."
        )
    return found


def status_of(word: str) -> Status:
    """Return the status that a word means.

    Raises:
        UsageError: none; the nearest one is named.
    """
    import difflib

    words = [status.value for status in Status if status is not Status.REMOVED]
    if word.lower() in words:
        return Status(word.lower())
    near = difflib.get_close_matches(word.lower(), words, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(words)}."
    raise UsageError(f"There is no status {word!r}: {hint}")


def called(record: ExperimentRecord) -> str:
    """Return what an experiment is called in a sentence."""
    return f"experiment '{plain(record.name)}' version {record.version}"


def titled(record: ExperimentRecord) -> str:
    """Return what an experiment is called at the beginning of a sentence."""
    return f"E{called(record)[1:]}"


def quoted(record: ExperimentRecord) -> str:
    """Return an experiment's name as a word that a shell takes."""
    import shlex

    return shlex.quote(record.name)


def agreed(question: str, force: bool, do: str) -> bool:
    """Return whether a person agrees, or said so before by --force.

    Args:
        question: what would happen, in a sentence.
        force: --force was typed.
        do: what --force means, for the error.

    Raises:
        UsageError: nobody is there to ask.
    """
    if force:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is there to ask: type --force to {do}.")
    if typer.confirm(f"{question} Go on?"):
        return True
    typer.echo("Nothing was changed.")
    return False
