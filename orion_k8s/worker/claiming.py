"""Getting the next trial: reserve one that waits, or suggest a new one and claim it by insert.

Workers meet only in the shared history. Each decides from its own mirror; where two make the same
decision, a unique key lets one of them win, and the loser looks again and decides anew. Nothing
here waits for anybody.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from orion_k8s.algorithm import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.repeated import Points
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.storage import Conflict, Storage
from orion_k8s.trial import (
    Claim,
    ExperimentRecord,
    Goal,
    Loss,
    Row,
    Status,
    TrialRecord,
    dump_values,
    identity_of,
    new_id,
    new_token,
)
from orion_k8s.worker.patience import Caller, call_once
from orion_k8s.worker.timing import Timing

log = logging.getLogger(__name__)

_MOST_CHOICES = 1024


class Idle(str, Enum):
    """Why there is no trial to run now."""

    DONE = "done"
    """As many trials are completed as were asked for."""
    GOAL = "goal reached"
    """A completed trial reached the experiment's goal."""
    BROKEN = "broken"
    """More trials are broken than are allowed."""
    USED_UP = "used up"
    """Nothing is left to try, and nothing runs any more."""
    SUSPENDED = "suspended"
    """Only trials that a person suspended are left."""
    REMOVED = "removed"
    """The experiment is gone from the database."""
    WAIT = "wait"
    """Trials run that others hold; their owners may die, or more trials may be asked for."""

    @property
    def final(self) -> bool:
        """Whether the worker has nothing more to wait for."""
        return self is not Idle.WAIT


@dataclass
class Tally:
    """What claiming cost this worker.

    Attributes:
        claims: inserts that were tried.
        collisions: of which another worker was first.
        reads: of the mirror's news.
        rebuilds: of the whole mirror.
        suggest: how long the algorithm took.
        claim: how long an insert took, outages included.
    """

    claims: int = 0
    collisions: int = 0
    reads: int = 0
    rebuilds: int = 0
    suggest: Timing = field(default_factory=Timing)
    claim: Timing = field(default_factory=Timing)


class Claimer:
    """One worker's view of an experiment, and its way to the next trial.

    Args:
        storage: the shared history.
        record: the experiment.
        space: its search space.
        algorithm: its algorithm.
        worker: this worker's name.
        lease_s: length of a lease in seconds.
        call: calls a verb of the storage, again and again through an outage. Each verb by itself,
            for a claim or a reservation whose reply was lost must be repeated as it was, or it
            would be held by nobody.
        rng: to choose among free numbers where workers collide; it has no say in what a trial is.
        monotonic: seconds of a clock that never jumps.
    """

    def __init__(
        self,
        storage: Storage,
        record: ExperimentRecord,
        space: Space,
        algorithm: Algorithm,
        worker: str,
        lease_s: float,
        call: Caller = call_once,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.storage = storage
        self.record: ExperimentRecord | None = record
        self.goal = Goal.of(record.goal)
        self._points = Points(self.goal.repetitions, space)
        self.experiment = record.id
        self.space = space
        self.algorithm = algorithm
        self.worker = worker
        self.lease_s = lease_s
        self._call = call
        self.history = History(space, generation=-1, objectives=len(self.goal))
        self.tally = Tally()
        self.reason = ""
        self._rng = rng or random.Random()
        self._monotonic = monotonic
        self._choices = 1.0
        self._cooling: dict[int, float] = {}
        # Of the mirror, between the worker's thread and the one that follows running trials.
        self.lock = threading.RLock()

    # --- the mirror ------------------------------------------------------------------------------

    def refresh(self, call: Caller | None = None) -> None:
        """Read what may have changed; all of it after somebody changed finished trials.

        Args:
            call: instead of this claimer's own, which may wait for the end of an outage.
        """
        call = call or self._call
        record = self.record
        if record is not None and record.generation != self.history.generation:
            self._rebuild(record, call)
            return
        full = True
        while full:
            self.tally.reads += 1
            numbers = self.history.numbers_to_read()
            rows = call(partial(self.storage.read, self.experiment, numbers))
            full = self.history.apply(rows)

    def _rebuild(self, record: ExperimentRecord, call: Caller) -> None:
        # The generation read *before* the trials: a change under way is seen by the next look.
        self.tally.rebuilds += 1
        self.history = call(lambda: self._read_all(record.generation))

    def _read_all(self, generation: int) -> History:
        history = History(self.space, generation, len(self.goal))
        history.fill(self.storage.read_all(self.experiment))
        return history

    def look_at_record(self, record: ExperimentRecord | None) -> None:
        """Take in the experiment's record as it was read: limits and generation may differ."""
        if record is not None and record.generation % 2 and self.record is not None:
            # A person's change is under way, or died half-way: look again at every beat.
            self.history.generation = -1
        if record is not None and self.record is not None and record.goal != self.record.goal:
            self.goal = Goal.of(record.goal)
        self.record = record

    def reread_record(self) -> None:
        """Read the experiment's record from the database."""
        self.look_at_record(self._call(lambda: self.storage.experiment(self.experiment)))

    def points(self, follow: bool = True) -> History:
        """Return the mirror; of points and their means, where each is measured several times.

        Args:
            follow: take in what is new; other threads than this worker's only look.
        """
        if self._points.repetitions == 1:
            return self.history
        return self._points.follow(self.history) if follow else self._points.history

    # --- the next trial --------------------------------------------------------------------------

    def acquire(self) -> TrialRecord | Idle:
        """Return a trial that is reserved by this worker now, or why there is none.

        In the steady state it costs one read and one insert.
        """
        with self.lock:
            return self._acquire()

    def _acquire(self) -> TrialRecord | Idle:
        self.refresh()
        self.points()
        while True:
            idle = self._ended()
            if idle is not None:
                return idle
            trial = self._reserve_waiting()
            if trial is not None:
                return trial
            found = self._claim_new()
            if isinstance(found, TrialRecord):
                return found
            if found is None:
                self.refresh()
                continue
            return self._why_idle(found)

    def _ended(self) -> Idle | None:
        """Return how the experiment ended, after a confirming look at its record, or None."""
        for _ in range(2):
            record, history = self.record, self.history
            if record is None:
                return Idle.REMOVED
            done = record.max_trials is not None and (
                history.count(Status.COMPLETED) >= record.max_trials
            )
            reached = bool(self.goal.targets) and self.points().reaches(self.goal.thresholds)
            broken = history.count(Status.BROKEN) >= max(1, record.max_broken)
            if not (done or reached or broken):
                return None
            self.reread_record()
            after = self.record
            if after is None:
                return Idle.REMOVED
            if after.generation == history.generation and after.max_trials == record.max_trials:
                if done:
                    return Idle.DONE
                if reached and after.goal == record.goal:
                    return Idle.GOAL
                if broken and after.max_broken == record.max_broken:
                    return Idle.BROKEN
            self.refresh()
        return None

    def _reserve_waiting(self) -> TrialRecord | None:
        now = self._monotonic()
        for status in (Status.INTERRUPTED, Status.NEW):
            numbers = [
                number
                for number in self.history.with_status(status)
                if self._cooling.get(number, now) <= now
            ]
            if status is Status.NEW and self._choices < 2:
                numbers.reverse()  # as they were inserted: -1, -2, …
            else:
                # Any will do: at random, lest a hundred idle workers all ask for the first.
                self._rng.shuffle(numbers)
            for number in numbers:
                trial = self._reserve(number)
                if trial is not None:
                    self._mirror(trial)
                    return trial
                self._forget_waiting(number)
                self._crowded()
        return None

    def _reserve(self, number: int) -> TrialRecord | None:
        token = new_token()
        return self._call(
            lambda: self.storage.reserve(self.experiment, number, token, self.worker, self.lease_s)
        )

    def _forget_waiting(self, number: int) -> None:
        """Mark a trial that somebody else took as reserved; the next read tells more."""
        index = self.history.index(number)
        if index is not None:
            self.history.fill([Row(number, Status.RESERVED.value, None, "", "")])

    def _claim_new(self) -> TrialRecord | Finished | str | None:
        """Claim a new trial; or say why not; None where the mirror was too old."""
        record = self.record
        if record is None:
            return None
        choices = max(1, min(_MOST_CHOICES, int(self._choices)))
        numbers = self.history.free_numbers(choices, record.max_trials)
        if not numbers:
            return "all numbers are taken"
        number = self._rng.choice(numbers) if len(numbers) > 1 else numbers[0]
        attempt = 0
        while True:
            with self.tally.suggest:
                suggestion = self.algorithm.suggest(number, attempt, self.history)
            if not isinstance(suggestion, Suggestion) and number != numbers[0]:
                number, attempt = numbers[0], 0  # the first of all may have something to do
                continue
            if isinstance(suggestion, Finished):
                return suggestion
            if not isinstance(suggestion, Suggestion):
                return suggestion.reason
            claim = self._claim_of(number, suggestion)
            self.tally.claims += 1
            with self.tally.claim:
                conflicts = self._insert(claim)
            if not conflicts:
                # Slowly: the spread settles where collisions are rare, near the front.
                self._choices = max(1.0, self._choices * 0.95)
                trial = TrialRecord(
                    id=claim.id,
                    experiment=self.experiment,
                    number=number,
                    values=claim.values,
                    status=Status.RESERVED,
                    identity=claim.identity,
                    token=claim.token,
                    worker=self.worker,
                    attempt=1,
                    decision=claim.decision,
                    parent=claim.parent,
                )
                self._mirror(trial)
                return trial
            self.tally.collisions += 1
            if Conflict.NUMBER in conflicts or Conflict.DECISION in conflicts:
                if Conflict.NUMBER in conflicts:
                    # With many choices it may lie beyond the window of the next read.
                    self.history.expect(number)
                    self._crowded()
                return None
            # The parameters alone are taken: the next point of the same number, from a mirror
            # that knows them.
            self.refresh()
            attempt += 1

    def _crowded(self) -> None:
        """Choose among more: another worker was first."""
        self._choices = min(float(_MOST_CHOICES), 1.5 * self._choices + 1)

    def _insert(self, claim: Claim) -> frozenset[Conflict]:
        return self._call(lambda: self.storage.claim(self.experiment, claim, self.lease_s))

    def _claim_of(self, number: int, suggestion: Suggestion) -> Claim:
        values = dump_values(suggestion.values)
        return Claim(
            id=new_id(),
            number=number,
            values=values,
            identity=identity_of(values, suggestion.parent, suggestion.repetition),
            token=new_token(),
            worker=self.worker,
            decision=suggestion.decision,
            parent=suggestion.parent,
        )

    def _why_idle(self, found: Finished | str) -> Idle:
        history = self.history
        self.reason = found.reason if isinstance(found, Finished) else found
        if history.count(Status.RESERVED) or history.waiting:
            return Idle.WAIT
        if history.count(Status.SUSPENDED):
            return Idle.SUSPENDED if history.held_by_person else Idle.WAIT
        if isinstance(found, Finished):
            return Idle.USED_UP
        return Idle.WAIT

    # --- what this worker did itself -------------------------------------------------------------

    def note(self, trial: TrialRecord, status: Status, loss: Loss | None = None) -> None:
        """Mirror what this worker just wrote, so that the next read need not tell it."""
        objective, losses = loss or (None, None)
        with self.lock:
            self.history.fill(
                [Row(trial.number, status.value, objective, trial.values, trial.id, losses=losses)]
            )

    def mark_ended(self) -> None:
        """Leave word in the database that the experiment has ended, for who starts workers."""
        record = self.record
        if record is not None:
            self._call(lambda: self.storage.mark_ended(record))

    def cool(self, number: int, seconds: float) -> None:
        """Leave a trial that interrupted itself to others for a while."""
        self._cooling[number] = self._monotonic() + seconds

    def _mirror(self, trial: TrialRecord) -> None:
        self.history.fill(
            [
                Row(
                    trial.number,
                    Status.RESERVED.value,
                    None,
                    trial.values,
                    trial.id,
                    trial.parent,
                    trial.decision,
                )
            ]
        )
