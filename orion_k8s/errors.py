"""Every error a person can cause, grouped by who can act on it, with the exit code of each.

The docstring of an error is its default message. A message says what is wrong and what to do, in a
sentence.
"""

from __future__ import annotations

from typing import ClassVar


class OrionError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])


# --- the person at the keyboard: what was typed or configured ------------------------------------


class UsageError(OrionError):
    """The command or the call cannot be carried out as it was written."""

    exit_code = 2


class ConfigurationError(UsageError):
    """The configuration is not valid."""


class InvalidPrior(UsageError):
    """The prior is not valid."""


class InvalidParams(UsageError):
    """The parameters do not lie in the search space."""


class UnsupportedOperation(UsageError):
    """The experiment was opened for reading only."""


class MissingExtra(UsageError):
    """An optional package is missing."""


class AccessRefused(UsageError):
    """The Kubernetes cluster does not allow what the executor needs."""


class SpaceChanged(UsageError):
    """The search space differs from the one stored under this name and version."""


class GoalChanged(UsageError):
    """The experiment aims at something else than what is stored under this name and version."""


class NotFound(UsageError):
    """There is no such experiment or trial."""

    exit_code = 7


class ExperimentExists(UsageError):
    """An experiment of this name and version exists already."""


class DuplicateTrial(UsageError):
    """A trial with these parameters exists already."""


# --- the experiment: how it ended ----------------------------------------------------------------


class ExperimentEnd(OrionError):
    """The experiment has ended."""

    exit_code = 0


class CompletedExperiment(ExperimentEnd):
    """The experiment is done: no more trials are needed."""


class BrokenExperiment(ExperimentEnd):
    """The experiment is broken: too many of its trials failed."""

    exit_code = 3


class WaitingForTrials(OrionError):
    """Nothing to try now: running trials have to end first."""

    exit_code = 4


class LazyWorkers(WaitingForTrials):
    """The worker had nothing to do for longer than its idle timeout."""


class SuspendedExperiment(OrionError):
    """Only trials that a person suspended are left: set them to interrupted to run them."""

    exit_code = 9


class ExperimentRemoved(OrionError):
    """The experiment was removed from the database while this worker ran."""

    exit_code = 8


# --- the trial -----------------------------------------------------------------------------------


class LeaseLost(OrionError):
    """The reservation is no longer valid: the trial belongs to somebody else now."""


class InvalidTransition(OrionError):
    """The trial cannot go from its state to the one asked for."""


class InvalidResult(OrionError):
    """The result of the trial is not valid."""


class TrialBroken(OrionError):
    """The trial's program failed."""


class TrialInterrupted(OrionError):
    """The trial was interrupted and will be run again."""


# --- the administrator of the cluster where trials run -------------------------------------------


class ExecutorUnavailable(ConfigurationError):
    """The cluster of the executor cannot be reached now; trying again may help."""

    exit_code = 10


# --- the database's administrator ----------------------------------------------------------------


class DatabaseError(OrionError):
    """The database cannot be used."""

    exit_code = 5


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached now; trying again may help."""


class AuthenticationFailed(DatabaseError):
    """The database refused the user or the password."""


class DatabaseReadOnly(DatabaseError):
    """The database cannot be written to."""


class DatabaseFull(DatabaseError):
    """The disk of the database is full: make room, and the worker goes on."""


class SchemaError(DatabaseError):
    """The database holds a schema that this version of orion-k8s does not know."""

    exit_code = 6


class DamagedDatabase(SchemaError):
    """The database holds a file or a document that cannot be read."""


class SharedVolume(DatabaseError):
    """Several machines use the SQLite file at once: use MongoDB for more than one machine."""
