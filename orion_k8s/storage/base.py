"""The contract of the shared history: the few atomic verbs through which workers meet.

There is no other coordination than this. Whoever writes a backend writes one file with one
subclass of `Storage` and lets `orion_k8s.testing.storage.StorageContract` judge it.

What every backend owes
-----------------------
*Atomic verbs.* Each verb that writes is one atomic conditional write (an update of one document,
an insert under unique keys). A worker that is stopped between two verbs holds no lock. A worker
stopped inside one delays others no longer than the database itself does.

*Unique keys*, enforced by the database, of each experiment: the trial's number; its identity; its
decision where it has one. Of the database: the trial's id; the experiment's (name, version).
Numbers are never used twice: a removed trial leaves a tombstone that keeps its number (and gives
up its identity and decision).

*Fencing.* `token` is random and new at every reservation. `complete`, `release` and `renew` touch
a trial only while the token they bring is the current one; otherwise `LeaseLost`, or the id in
what `renew` returns.

*Retries.* Every verb may be sent again after a reply that never came: it then finds its own work,
and is content.

*One clock.* Leases and times are decided by the database's clock alone, never by a worker's. A
lease carries its length; one further ahead than its length (a clock that jumped) is cut to it by
`requeue_lost`.

*Majority.* What `read` and `read_all` return can't be rolled back. They may lag.

*Errors.* `DatabaseUnavailable` where trying again may help; the other `DatabaseError`s where a
person must act. No driver's exception leaves a backend, and no message holds a password.

Threads and processes: an instance may be used by several threads. It survives a fork (it connects
anew in the child).

The verbs take plain data: no space, no algorithm, no terminal is known here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar

from orion_k8s.trial import Claim, Curve, ExperimentRecord, Row, Status, TrialRecord

SCHEMA = 2
"""Version of the layout that this code reads and writes."""

STORY_LIMIT = 50
"""So many entries are kept of a trial's story: one that goes round for ever stays small."""


class Conflict(str, Enum):
    """Why a claim was refused. Several may hold at once."""

    NUMBER = "number"
    IDENTITY = "identity"
    DECISION = "decision"


class Held(str, Enum):
    """What became of a reservation that `renew` could not renew."""

    INTERRUPTED = "interrupted"
    """It was requeued, but nobody took it: its token may still complete it."""
    VOID = "void"
    """It belongs to somebody else, is finished, or is gone: stop the program."""


@dataclass(frozen=True)
class Lease:
    """A reservation that somebody holds: trial id and fencing token."""

    trial: str
    token: str


@dataclass(frozen=True)
class Overview:
    """How an experiment stands, counted by the database.

    Attributes:
        counts: trials of each status, tombstones left out.
        held: suspended trials that a person holds.
        best: the lowest objective of a completed trial.
        start_time: POSIX seconds of the earliest start.
        end_time: POSIX seconds of the last completion.
    """

    counts: Mapping[Status, int]
    held: int = 0
    best: float | None = None
    start_time: float | None = None
    end_time: float | None = None


class Storage(ABC):
    """A shared history. See the module's docstring for what all verbs owe."""

    kind: ClassVar[str]
    """The name in configuration and in `status`: "sqlite", "mongodb", "memory"."""

    # --- the database ----------------------------------------------------------------------------

    @abstractmethod
    def setup(self) -> None:
        """Make collections and indexes that are missing; check the schema's version. Idempotent.

        Raises:
            SchemaError: the schema is newer, foreign, or older (the message names `orion-k8s db
                upgrade`).
        """

    @abstractmethod
    def schema_version(self) -> int | None:
        """Return the version of the schema that is there, or None where there is none."""

    @abstractmethod
    def upgrade(self) -> tuple[int, int]:
        """Bring an older schema up to `SCHEMA`; return (before, after). Idempotent."""

    @abstractmethod
    def describe(self) -> str:
        """Return where this history is, fit for the terminal: no password in it."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections. The instance may be used again afterwards: it connects anew."""

    def epoch(self) -> object:
        """Return a value that changes when another server became the primary; no round trip.

        Its clock may differ and owners may have been cut off: workers treat a change like an
        outage.
        """
        return None

    # --- experiments -----------------------------------------------------------------------------

    @abstractmethod
    def create_experiment(self, record: ExperimentRecord) -> None:
        """Insert an experiment.

        Raises:
            ExperimentExists: another one has this (name, version). A retry of one's own insert is
                content.
        """

    @abstractmethod
    def experiments(self, name: str | None = None) -> list[ExperimentRecord]:
        """Return all experiments (of that name), ordered by name and version."""

    @abstractmethod
    def experiment(self, experiment: str) -> ExperimentRecord | None:
        """Return the experiment of that id, or None where it is gone."""

    @abstractmethod
    def update_experiment(self, experiment: str, changes: Mapping[str, Any]) -> None:
        """Set some of max_trials, max_broken, working_dir, algorithm, metadata, goal; no more.

        Raises:
            NotFound: there is no such experiment.
        """

    def mark_ended(self, record: ExperimentRecord) -> None:  # noqa: B027
        """Leave word that an experiment has ended, under limits, goal and generation of `record`.

        For those outside who start and stop workers by what the database says (KEDA): there is
        demand where the word is missing, or where one of these is another now. So
        nobody has to take the word back, and one that comes late does no harm. A storage that
        nobody outside reads need not keep it.
        """

    @abstractmethod
    def remove_experiment(self, experiment: str) -> int:
        """Remove an experiment and its trials; return how many trials there were.

        The experiment's record goes first, so that no worker that reads it starts anew on the
        remains.
        """

    # --- trials: what workers do -----------------------------------------------------------------

    @abstractmethod
    def claim(self, experiment: str, claim: Claim, lease_s: float) -> frozenset[Conflict]:
        """Insert a new trial, already reserved, with a lease of `lease_s` seconds from now.

        Returns:
            empty: the trial is the caller's. Otherwise what was taken already, found by reading
                back (id,
            number, identity, decision), never from an error's text; nothing was inserted then.
            A claim found to be one's own, inserted by an attempt whose reply was lost, has its
            lease renewed first; where it has been requeued and taken meanwhile, it is answered
            {NUMBER}.
        """

    @abstractmethod
    def reserve(
        self, experiment: str, number: int, token: str, worker: str, lease_s: float
    ) -> TrialRecord | None:
        """Reserve a waiting trial (new, interrupted) under a new token: attempt + 1, a new lease.

        Returns:
            the trial as it is now, or None where it isn't waiting any more. A retry with the same
            token finds its own reservation and renews its lease.
        """

    @abstractmethod
    def renew(self, leases: Iterable[Lease], lease_s: float) -> dict[str, Held]:
        """Renew, in one write, the leases whose token is current and whose trial is reserved.

        Returns:
            trial id → what became of it, for those that could not be renewed; usually empty.
        """

    @abstractmethod
    def complete(
        self,
        lease: Lease,
        objective: float,
        results: Sequence[Mapping[str, Any]],
        losses: str | None = None,
    ) -> None:
        """Complete a trial that is reserved or interrupted under that token. Again is content.

        Args:
            lease: of the trial.
            objective: its loss; nothing but lower is better is known here.
            results: as they were reported.
            losses: text of the losses where there are several objectives.

        Raises:
            LeaseLost: the token is not the current one, or the trial is gone or finished
                otherwise; with the trial's story.
        """

    @abstractmethod
    def release(
        self, lease: Lease, status: Status, reason: str | None = None, held_by: str | None = None
    ) -> None:
        """Release a reserved trial under that token to interrupted, suspended or broken.

        Again is content. It adds an entry to the trial's story. `held_by` ("person" or
        "algorithm") goes with suspended.

        Raises:
            LeaseLost: as for `complete`.
        """

    @abstractmethod
    def requeue_lost(
        self, experiment: str, max_lost: int, within_s: float = math.inf
    ) -> list[tuple[int, Status]]:
        """Release the trials whose lease is over by the database's clock.

        One indexed query finds them; each is released by a conditional update that repeats the
        test.

        A trial lost for the `max_lost`-th time becomes broken, with that reason: a program that
        kills its worker must not go round for ever. The others become interrupted; their token
        stays, so an owner who comes back before somebody else reserves them may still complete
        them.

        Where the database took longer than `within_s` seconds to answer the query, nothing is
        released: it was away, the owners could not renew either, and they must come first.

        Returns:
            (number, new status) of those that this call released.
        """

    @abstractmethod
    def resume(self, experiment: str, number: int) -> bool:
        """Set a trial that an algorithm suspended to interrupted; whether this call did it."""

    # --- trials: what the mirror reads -----------------------------------------------------------

    @abstractmethod
    def read_all(self, experiment: str) -> Iterable[Row]:
        """Yield a row for every trial, tombstones too, in any order: a mirror's first read."""

    @abstractmethod
    def read(self, experiment: str, numbers: Sequence[int]) -> list[Row]:
        """Return the rows of those numbers that exist: the incremental read, one query."""

    # --- learning curves: what trials report while they run --------------------------------------

    @abstractmethod
    def write_curves(self, curves: Sequence[tuple[Lease, Curve]]) -> None:
        """Write what trials have reported so far, all in one write; one curve is kept a trial.

        Each replaces what was reported before, under two conditions: its token is the trial's
        current one, and its revision is higher than that of the curve that is there. So curves of
        two attempts are never mixed, and an older one never comes back. What does not meet them
        is passed over in silence: `renew` tells an owner.
        """

    @abstractmethod
    def read_curves(
        self, experiment: str, known: Mapping[int, int] | None = None
    ) -> Iterable[Curve]:
        """Yield the curves of an experiment's trials; those without reports have none.

        Args:
            experiment: its id.
            known: number of a trial → revision that is known: only these trials, and of them
                only what has a higher revision, in any order; one query. None for all trials,
                ordered by number.
        """

    # --- trials: what people do ------------------------------------------------------------------

    @abstractmethod
    def insert(self, experiment: str, trial: TrialRecord, max_tries: int = 1000) -> TrialRecord:
        """Insert a person's trial, new or completed, under the next negative number.

        Raises:
            DuplicateTrial: its identity exists.
        """

    @abstractmethod
    def trial(self, experiment: str, trial: str) -> TrialRecord | None:
        """Return the trial of that id (or of that number, as a text), or None."""

    @abstractmethod
    def trials(self, experiment: str, status: Status | None = None) -> Iterator[TrialRecord]:
        """Yield the trials, ordered by number (inserted ones first), tombstones left out."""

    @abstractmethod
    def set_status(self, experiment: str, trial: str, status: Status, reason: str) -> TrialRecord:
        """Move a trial by hand, as `trial.states.BY_HAND` allows; return it as it is now.

        The token becomes a new one where the trial was reserved, so its owner stops; a trial set
        to removed becomes a tombstone. Suspended ones are held by "person". The experiment's
        generation is raised before (odd) and after, so that every mirror is rebuilt.

        Raises:
            NotFound: no such trial.
            InvalidTransition: the move makes no sense; with the trial's story.
        """

    @abstractmethod
    def counts(self, experiment: str) -> dict[Status, int]:
        """Return how many trials there are of each status, tombstones left out."""

    @abstractmethod
    def live_workers(self, experiment: str) -> list[str]:
        """Return the names of the workers that hold a lease that is not over."""

    # --- whole experiments: how they stand, copies -----------------------------------------------

    @abstractmethod
    def overview(self, experiment: str | None = None) -> dict[str, Overview]:
        """Return id → how it stands, for that experiment or for all that have trials: one query.

        The database counts: no trial is read. An experiment without trials is left out.
        """

    @abstractmethod
    def best(self, experiment: str) -> TrialRecord | None:
        """Return the completed trial of the lowest objective; of equal ones the lowest number."""

    @abstractmethod
    def last_ended(self, experiment: str, status: Status) -> TrialRecord | None:
        """Return the completed or broken trial that ended last; of equal ones the last number."""

    @abstractmethod
    def dump(self, experiment: str) -> Iterator[TrialRecord]:
        """Yield every trial with all that `restore` takes, tombstones too, ordered by number.

        Each is whole, but they are not read at one moment: whoever needs that compares the
        experiment's generation before and after.
        """

    @abstractmethod
    def restore(
        self,
        record: ExperimentRecord,
        trials: Iterable[TrialRecord],
        curves: Iterable[Curve] = (),
    ) -> int:
        """Put an experiment and its trials back: ids, numbers, tombstones, stories and times.

        `curves` are those of its trials, and are read after them.

        All or nothing: no worker sees the experiment before all its trials are there, and a call
        that fails leaves nothing behind. What one that was killed left is taken away by the next
        one. A reserved trial is restored as interrupted (nobody holds this copy of it), and
        every token is a new one, so that an owner of the original can't touch it; a generation
        that is odd becomes even. Who restores something that workers are still running removes it
        first.

        Returns:
            how many trials were restored, tombstones not counted. A retry, of an experiment whose
            id, name and version are there already, is content and restores none.

        Raises:
            ExperimentExists: the name and version, or the id, belong to another one.
            DuplicateTrial: one of the trials' ids belongs to another experiment; or two of the
                trials given have a number, an identity or a decision in common.
        """

    def __enter__(self) -> Storage:
        """Return the storage itself; it is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the storage."""
        self.close()
