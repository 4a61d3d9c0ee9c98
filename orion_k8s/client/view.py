"""An experiment as it is read: what it is, how it stands, and its trials."""

from __future__ import annotations

import json
import logging
import math
import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from orion_k8s.algorithm import Finished
from orion_k8s.algorithm.registry import create
from orion_k8s.client.opening import stopping_of
from orion_k8s.client.settings import Settings
from orion_k8s.client.stats import Stats
from orion_k8s.errors import ExperimentRemoved, MissingExtra, NotFound, UsageError
from orion_k8s.history.pareto import front
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.trial import Curve, ExperimentRecord, Goal, Status, Trial, TrialRecord
from orion_k8s.trial.goal import INFEASIBLE
from orion_k8s.worker import Claimer, worker_name
from orion_k8s.worker.leases import MISSED
from orion_k8s.worker.patience import Patience

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)


class ExperimentView:
    """What can be read of an experiment of the shared history.

    It may be used by several threads, and in a forked child, which then reads anew.
    """

    def __init__(self, storage: Storage, record: ExperimentRecord, settings: Settings) -> None:
        self.storage = storage
        self.settings = settings
        self._space = Space.parse(record.space)
        self._patience = Patience()
        self._claimer = self._new_claimer(record, self._patience)
        self._lock = threading.RLock()  # of the mirror
        _open.add(self)

    def _new_claimer(self, record: ExperimentRecord, patience: Patience) -> Claimer:
        aim = Goal.of(record.goal)
        algorithm = create(
            record.algorithm,
            self._space,
            record.seed,
            len(aim),
            aim.repetitions,
            record.max_trials,
        )
        if algorithm.remark:
            log.info("%s takes %s", algorithm.name, algorithm.remark)
        return Claimer(
            self.storage,
            record,
            self._space,
            algorithm,
            worker_name(),
            lease_s=MISSED * self.settings.heartbeat_s,
            call=patience.call,
        )

    def _begin_anew(self) -> None:
        """Make this the client of a forked child; nothing of the parent's threads is with it."""
        self._lock = threading.RLock()
        record = self._claimer.record
        if record is not None:
            self._patience = Patience()
            self._claimer = self._new_claimer(record, self._patience)

    # --- what it is ------------------------------------------------------------------------------

    @property
    def record(self) -> ExperimentRecord:
        """The experiment as it was last read.

        Raises:
            ExperimentRemoved: it is gone.
        """
        record = self._claimer.record
        if record is None:
            raise ExperimentRemoved(
                "The experiment was removed from the database: nothing can be done with it any "
                "more."
            )
        return record

    @property
    def id(self) -> str:
        """The experiment's id."""
        return self._claimer.experiment

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self.record.name

    @property
    def version(self) -> int:
        """The experiment's version."""
        return self.record.version

    @property
    def remark(self) -> str:
        """What the algorithm has to say of itself; "" for nothing."""
        return self._claimer.algorithm.remark

    @property
    def space(self) -> Space:
        """The search space."""
        return self._space

    @property
    def algorithm(self) -> Mapping[str, Mapping[str, Any]]:
        """The algorithm's name and parameters."""
        return self.record.algorithm

    @property
    def aim(self) -> Goal:
        """What the experiment aims at: directions, and values that end it."""
        return Goal.of(self.record.goal)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Who made it and when; the command, if there is one."""
        return self.record.metadata

    @property
    def working_dir(self) -> str:
        """The folder of the trials' folders; "" where there is none."""
        return self.record.working_dir

    # --- how it stands ---------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what changed: the experiment's record and its trials.

        Raises:
            ExperimentRemoved: it is gone.
        """
        with self._lock:
            self._claimer.reread_record()
            if self._claimer.record is not None:
                self._claimer.refresh()
        _ = self.record  # raises where it is gone

    @property
    def is_done(self) -> bool:
        """Whether enough trials are completed, one reached the goal, or nothing is left to try."""
        with self._lock:
            self.refresh()
            wanted, history = self.record.max_trials, self._claimer.history
            if wanted is not None and history.count(Status.COMPLETED) >= wanted:
                return True
            if self._claimer.points().reaches(self._claimer.goal.thresholds):
                return True
            return self._used_up()

    def _used_up(self) -> bool:
        history = self._claimer.history
        if history.waiting or history.count(Status.RESERVED, Status.SUSPENDED):
            return False
        number = history.free_numbers(1, None)[0]
        return isinstance(self._claimer.algorithm.suggest(number, 0, history), Finished)

    @property
    def is_broken(self) -> bool:
        """Whether as many trials are broken as end the experiment."""
        with self._lock:
            self.refresh()
            broken = self._claimer.history.count(Status.BROKEN)
            return broken >= max(1, self.record.max_broken)

    @property
    def stats(self) -> Stats:
        """How the experiment stands, read anew."""
        self.refresh()
        claimer = self._claimer
        return Stats.of(claimer.history, claimer.points(), self._records(), claimer.goal)

    def pareto_front(self) -> list[Trial]:
        """Return the completed trials than which no other is better in one objective and no worse.

        Trials that break a constraint are not among them. They are ordered by the first objective,
        the best first; with a single objective they are those that have the best value.
        """
        with self._lock:
            self.refresh()
            history = self._claimer.points()
            losses = history.losses
            good = np.flatnonzero((losses <= INFEASIBLE).all(axis=1))
            best = {history.ids[index] for index in good[front(losses[good])]}
        records = [r for r in self._records(Status.COMPLETED) if r.id in best]
        records.sort(key=lambda record: (record.objective or 0.0, record.number))
        return [self.trial_of(record) for record in records]

    # --- its trials ------------------------------------------------------------------------------

    def fetch_trials(self) -> list[Trial]:
        """Return all trials, the inserted ones first, then by number."""
        return [self.trial_of(record) for record in self._records()]

    def fetch_trials_by_status(self, status: Status | str) -> list[Trial]:
        """Return the trials of one status.

        Raises:
            UsageError: there is no such status.
        """
        return [self.trial_of(record) for record in self._records(status_of(status))]

    def fetch_noncompleted_trials(self) -> list[Trial]:
        """Return the trials that are not completed, the broken ones among them."""
        return [
            self.trial_of(record)
            for record in self._records()
            if record.status is not Status.COMPLETED
        ]

    def get_trial(self, trial: Trial | str | None = None, uid: str | None = None) -> Trial:
        """Return a trial by its id, or another reading of the same trial.

        Raises:
            NotFound: there is none.
        """
        wanted = trial.id if isinstance(trial, Trial) else trial or uid or ""
        record = self.storage.trial(self.id, wanted)
        if record is None:
            raise NotFound(f"Experiment '{self.name}' has no trial '{wanted}'.")
        return self.trial_of(record)

    def curves(self) -> dict[int, Curve]:
        """Return what trials reported while they ran: number → curve, of those that did.

        Of a trial that runs now it is what its worker has written: a second or so behind.
        """
        return {curve.number: curve for curve in self.storage.read_curves(self.id)}

    def curve(self, trial: Trial | str) -> Curve:
        """Return what the newest attempt of a trial reported; empty where it reported nothing.

        Args:
            trial: a reading of it, or its id.

        Raises:
            NotFound: there is no such trial.
        """
        record = self.get_trial(trial).record
        for curve in self.storage.read_curves(self.id, {record.number: 0}):
            if curve.attempt == record.attempt:
                return curve
        return Curve(record.number, record.attempt)

    @property
    def stopping(self) -> Mapping[str, Mapping[str, Any]]:
        """The rules of early stopping: name → parameters; empty where there is none."""
        return stopping_of(self.record)

    def to_pandas(self) -> pandas.DataFrame:
        """Return all trials as a table.

        Returns:
            one row a trial, in the order of `fetch_trials`; its columns are id, experiment_id,
            number, status, suggested, reserved, completed (times), objective, stopped (the step
            at which a trial was stopped early, NaN for others), one objective.NAME each where
            there are several, and the parameters (None where one is not active).

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtra("to_pandas needs pandas: pip install pandas") from error
        trials = self.fetch_trials()
        columns: dict[str, list[Any]] = {
            "id": [trial.id for trial in trials],
            "experiment_id": [self.id] * len(trials),
            "number": [trial.number for trial in trials],
            "status": [trial.status.value for trial in trials],
            "suggested": [trial.submit_time for trial in trials],
            "reserved": [trial.start_time for trial in trials],
            "completed": [trial.end_time for trial in trials],
            "objective": [trial.objective for trial in trials],
            "stopped": [trial.stopped.step if trial.stopped else math.nan for trial in trials],
        }
        if self.aim.several:
            for name in self.aim.directions:
                columns[f"objective.{name}"] = [trial.objectives.get(name) for trial in trials]
        for name in self._space:
            column = name if name not in columns else f"params.{name}"
            columns[column] = [trial.params.get(name) for trial in trials]
        return pandas.DataFrame(columns)

    def _records(self, status: Status | None = None) -> Iterator[TrialRecord]:
        return self.storage.trials(self.id, status)

    def trial_of(self, record: TrialRecord) -> Trial:
        """Return the trial that people see for what the history holds."""
        return Trial(record, self._params(record), self._trial_dir(record))

    def _params(self, record: TrialRecord) -> dict[str, Any]:
        return self._space.params(self._space.load(json.loads(record.values)))

    def _trial_dir(self, record: TrialRecord) -> str:
        experiment = self._claimer.record
        folder = experiment.working_dir if experiment is not None else ""
        return os.path.join(folder, record.id) if folder else ""

    def __repr__(self) -> str:
        record = self._claimer.record
        if record is None:
            return f"{type(self).__name__}(removed)"
        return f"{type(self).__name__}(name={record.name!r}, version={record.version})"


def status_of(word: Status | str) -> Status:
    """Return the status that a word means.

    Raises:
        UsageError: none; the nearest one is named.
    """
    try:
        return Status(word)
    except ValueError:
        words = [status.value for status in Status if status is not Status.REMOVED]
        near = get_close_matches(str(word).lower(), words, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(words)}."
        raise UsageError(f"There is no status {word!r}: {hint}") from None


_open: weakref.WeakSet[ExperimentView] = weakref.WeakSet()


def _after_fork() -> None:
    for view in list(_open):
        view._begin_anew()


os.register_at_fork(after_in_child=_after_fork)
