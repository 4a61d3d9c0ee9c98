"""An experiment in Python: suggest and observe, or let workers run a function."""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any

from orion_k8s.algorithm.registry import create
from orion_k8s.errors import (
    BrokenExperiment,
    CompletedExperiment,
    ExperimentRemoved,
    LeaseLost,
    NotFound,
    OrionError,
    SuspendedExperiment,
    UnsupportedOperation,
    WaitingForTrials,
)
from orion_k8s.executor import Executor
from orion_k8s.script.results import check_results
from orion_k8s.space import Space
from orion_k8s.storage import Lease, Storage
from orion_k8s.trial import (
    ExperimentRecord,
    Status,
    Trial,
    TrialRecord,
    dump_values,
    identity_of,
    new_id,
)
from orion_k8s.worker import (
    Claimer,
    FunctionTask,
    Heart,
    Hooks,
    Idle,
    Limits,
    Report,
    Task,
    Worker,
    worker_name,
)
from orion_k8s.worker.leases import MISSED
from orion_k8s.worker.patience import Backoff, Patience

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a worker of this process does, apart from the experiment.

    Attributes:
        heartbeat_s: seconds between heartbeats; a trial is lost after two missed ones.
        max_lost: a trial lost so often becomes broken.
        n_workers: slots of the default executor.
        executor: name of the default executor.
        executor_configuration: its arguments.
        max_trials, max_broken, idle_timeout_s, grace_s: see `worker.Limits`.
    """

    heartbeat_s: float = 15.0
    max_lost: int = 3
    n_workers: int | None = None
    executor: str = "joblib"
    executor_configuration: Mapping[str, Any] | None = None
    max_trials: int | None = None
    max_broken: int | None = None
    idle_timeout_s: float | None = None
    grace_s: float = 10.0


@dataclass(frozen=True)
class Stats:
    """How an experiment stands.

    Attributes:
        trials_completed: completed trials.
        best_trials_id: id of the trial with the lowest objective.
        best_evaluation: its objective.
        start_time, finish_time: of the first and the last trial; None before.
        duration_s: seconds between them.
        counts: trials of each status.
    """

    trials_completed: int
    best_trials_id: str | None
    best_evaluation: float | None
    start_time: datetime | None
    finish_time: datetime | None
    duration_s: float
    counts: Mapping[Status, int]


class SuggestedTrial(Trial):
    """A reserved trial; as a context manager it is released at the end of the block unless it was observed."""

    client: ExperimentClient

    def __enter__(self) -> SuggestedTrial:
        """Return the trial."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release the trial if it is still reserved: broken after an error, else interrupted."""
        if not self.client.holds(self):
            return
        failed = kind is not None and issubclass(kind, Exception)
        reason = f"{kind.__name__}: {error}" if kind is not None else "not observed"
        self.client.release(self, Status.BROKEN if failed else Status.INTERRUPTED, reason)


class ExperimentClient:
    """An experiment of the shared history, opened for writing ("w") or for reading alone ("r").

    Made by `build_experiment` and `get_experiment`.
    """

    def __init__(
        self,
        storage: Storage,
        record: ExperimentRecord,
        settings: Settings | None = None,
        executor: Executor | None = None,
        mode: str = "w",
    ) -> None:
        self.storage = storage
        self.settings = settings or Settings()
        self.mode = mode
        self._space = Space.parse(record.space)
        self._executor = executor
        self._patience = Patience()
        self._claimer = self._new_claimer(record, self._patience)
        self._heart = Heart(
            storage, record.id, self.settings.heartbeat_s, max_lost=self.settings.max_lost
        )
        # At the end of the program too: what is still reserved is given back.
        self._abandon = weakref.finalize(self, _give_back, self._heart)

    # --- what it is ------------------------------------------------------------------------------

    @property
    def record(self) -> ExperimentRecord:
        """The experiment as it was last read.

        Raises:
            ExperimentRemoved: it is gone.
        """
        if self._claimer.record is None:
            raise ExperimentRemoved(
                "The experiment was removed from the database: nothing can be done with it any more."
            )
        return self._claimer.record

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
    def space(self) -> Space:
        """The search space."""
        return self._space

    @property
    def algorithm(self) -> Mapping[str, Mapping[str, Any]]:
        """The algorithm's name and parameters."""
        return self.record.algorithm

    @property
    def working_dir(self) -> str:
        """The folder of the trials' folders; "" where there is none."""
        return self.record.working_dir

    @property
    def max_trials(self) -> int | None:
        """Completed trials that end the experiment. Set it to raise or lower it under running workers."""
        return self.record.max_trials

    @max_trials.setter
    def max_trials(self, value: int | None) -> None:
        self._change({"max_trials": value})

    @property
    def max_broken(self) -> int:
        """Broken trials that end the experiment. Set it to raise or lower it under running workers."""
        return self.record.max_broken

    @max_broken.setter
    def max_broken(self, value: int) -> None:
        self._change({"max_broken": value})

    def _change(self, changes: Mapping[str, Any]) -> None:
        self._writing("change an experiment")
        self.storage.update_experiment(self.id, changes)
        self._claimer.reread_record()

    # --- how it stands ---------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what changed: the experiment's record and its trials."""
        self._claimer.reread_record()
        self._claimer.refresh()

    @property
    def is_done(self) -> bool:
        """Whether as many trials are completed as were asked for, or the space is used up."""
        self.refresh()
        history, record = self._claimer.history, self.record
        completed = history.count(Status.COMPLETED)
        if record.max_trials is not None and completed >= record.max_trials:
            return True
        return completed >= self._space.cardinality

    @property
    def is_broken(self) -> bool:
        """Whether more trials are broken than are allowed."""
        self.refresh()
        return self._claimer.history.count(Status.BROKEN) >= self.record.max_broken

    @property
    def stats(self) -> Stats:
        """How the experiment stands, read anew."""
        self.refresh()
        history = self._claimer.history
        best = history.best()
        started = [t.start_time for t in self._records() if t.start_time]
        ended = [t.end_time for t in self._records(Status.COMPLETED) if t.end_time]
        first = min(started, default=None)
        last = max(ended, default=None)
        return Stats(
            trials_completed=history.count(Status.COMPLETED),
            best_trials_id=history.ids[best[0]] if best else None,
            best_evaluation=best[1] if best else None,
            start_time=_time(first),
            finish_time=_time(last),
            duration_s=last - first if first is not None and last is not None else 0.0,
            counts={s: n for s, n in history.counts.items() if s is not Status.REMOVED},
        )

    def fetch_trials(self) -> list[Trial]:
        """Return all trials."""
        return [self.trial_of(record) for record in self._records()]

    def fetch_trials_by_status(self, status: Status | str) -> list[Trial]:
        """Return the trials of one status."""
        return [self.trial_of(record) for record in self._records(Status(status))]

    def get_trial(self, trial: Trial | str | None = None, uid: str | None = None) -> Trial:
        """Return a trial by its id, read anew.

        Raises:
            NotFound: there is none.
        """
        wanted = trial.id if isinstance(trial, Trial) else trial or uid or ""
        record = self.storage.trial(self.id, wanted)
        if record is None:
            raise NotFound(f"Experiment '{self.name}' has no trial '{wanted}'.")
        return self.trial_of(record)

    def to_pandas(self) -> pandas.DataFrame:
        """Return all trials as a table: id, status, times, objective, and a column for each parameter.

        Raises:
            MissingExtra: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            from orion_k8s.errors import MissingExtra

            raise MissingExtra("to_pandas needs pandas: pip install pandas") from error
        columns = [
            "id", "experiment_id", "number", "status", "suggested", "reserved", "completed", "objective",
        ]  # fmt: skip
        rows = [
            (t.id, t.record.experiment, t.number, str(t.status), _time(t.record.submit_time),
             _time(t.record.start_time), _time(t.record.end_time), t.objective, *t.params.values())
            for t in self.fetch_trials()
        ]  # fmt: skip
        return pandas.DataFrame(rows, columns=[*columns, *self._space])

    def _records(self, status: Status | None = None) -> Iterator[TrialRecord]:
        return self.storage.trials(self.id, status)

    def trial_of(self, record: TrialRecord) -> Trial:
        """Return the trial that people see for what the history holds."""
        return Trial(record, self._params(record), self._trial_dir(record))

    def _params(self, record: TrialRecord) -> dict[str, Any]:
        import json

        return dict(zip(self._space, self._space.load(json.loads(record.values)), strict=True))

    def _trial_dir(self, record: TrialRecord) -> str:
        base = self._claimer.record.working_dir if self._claimer.record else ""
        return os.path.join(base, record.id) if base else ""

    # --- suggest and observe ---------------------------------------------------------------------

    def suggest(self, timeout: float = 0.0) -> SuggestedTrial:
        """Return a trial to try, reserved by this process until it is observed or released.

        Args:
            timeout: seconds to wait where all that is left to do is held by others.

        Raises:
            CompletedExperiment: no more trials are needed, or the space is used up.
            BrokenExperiment: too many trials failed.
            WaitingForTrials: others hold the last trials; they may die, so ask again later.
            SuspendedExperiment: only trials that a person suspended are left.
            ExperimentRemoved: the experiment is gone.
        """
        self._writing("suggest")
        deadline = time.monotonic() + timeout
        backoff = Backoff(0.02, 2.0)
        if self._heart.heartbeat_s < time.monotonic() - self._heart.last_beat:
            self._claimer.reread_record()  # the limits, when no heart has read them for a while
        while True:
            found = self._claimer.acquire()
            if isinstance(found, TrialRecord):
                return self._reserved(found)
            left = deadline - time.monotonic()
            if found is not Idle.WAIT or left <= 0:
                raise self._idle_error(found)
            time.sleep(min(left, backoff.next()))

    def _reserved(self, record: TrialRecord) -> SuggestedTrial:
        self._heart.hold(_lease(record))
        self._heart.start()
        trial = SuggestedTrial(record, self._params(record), self._trial_dir(record))
        object.__setattr__(trial, "client", self)
        return trial

    def _idle_error(self, idle: Idle) -> OrionError:
        if idle is Idle.DONE:
            return CompletedExperiment()
        if idle is Idle.USED_UP:
            return CompletedExperiment(f"The experiment is done: {self._claimer.reason}.")
        if idle is Idle.BROKEN:
            return BrokenExperiment()
        if idle is Idle.SUSPENDED:
            return SuspendedExperiment()
        if idle is Idle.REMOVED:
            return ExperimentRemoved()
        return WaitingForTrials(f"Nothing to try now: {self._claimer.reason}.")

    def holds(self, trial: Trial) -> bool:
        """Whether this process still holds the trial's reservation, as far as it knows."""
        return trial.record.token is not None and _lease(trial.record) in self._heart.leases()

    def observe(self, trial: Trial, results: Any) -> None:
        """Write the results of a trial: it is completed.

        Args:
            trial: one that `suggest` returned.
            results: the objective as a number, or a list of mappings of "name", "type" and "value".

        Raises:
            InvalidResult: they are no results; the trial stays reserved.
            LeaseLost: the reservation is no longer valid.
        """
        self._writing("observe")
        objective, checked = check_results(results)
        lease = self._lease_of(trial)
        try:
            self._patience.call(lambda: self.storage.complete(lease, objective, checked))
        except LeaseLost:
            self._heart.drop(lease)
            raise
        self._heart.drop(lease)
        self._claimer.note(trial.record, Status.COMPLETED, objective)

    def release(
        self, trial: Trial, status: Status | str = Status.INTERRUPTED, reason: str | None = None
    ) -> None:
        """Give a reserved trial back: to interrupted (it runs again), suspended or broken.

        Raises:
            LeaseLost: the reservation is no longer valid.
            InvalidTransition: a trial can't be released to that status.
        """
        from orion_k8s.trial import RELEASED, advance

        self._writing("release")
        target = Status(status)
        if target not in RELEASED:
            advance(Status.BROKEN, "release")  # tells what a release may lead to
        lease = self._lease_of(trial)
        held_by = "person" if target is Status.SUSPENDED else None
        try:
            self._patience.call(lambda: self.storage.release(lease, target, reason, held_by))
        finally:
            self._heart.drop(lease)
        self._claimer.note(trial.record, target)

    def insert(
        self, params: Mapping[str, Any], results: Any = None, reserve: bool = False
    ) -> Trial:
        """Insert a trial of one's own: to be run by a worker, or with its results.

        Args:
            params: name → value; missing ones take their default values.
            results: as for `observe`; None lets a worker run the trial.
            reserve: return it reserved by this process, to be observed.

        Raises:
            InvalidParams: they don't lie in the space.
            DuplicateTrial: a trial with these parameters exists.
        """
        self._writing("insert")
        values = dump_values(self._space.values(params))
        record = TrialRecord(
            id=new_id(),
            experiment=self.id,
            number=0,
            values=values,
            status=Status.NEW,
            identity=identity_of(values),
        )
        if results is not None:
            objective, checked = check_results(results)
            record = replace(
                record, status=Status.COMPLETED, objective=objective, results=tuple(checked)
            )
        inserted = self.storage.insert(self.id, record)
        if not reserve or results is not None:
            return self.trial_of(inserted)
        from orion_k8s.trial import new_token

        claimer = self._claimer
        reserved = self.storage.reserve(
            self.id, inserted.number, new_token(), claimer.worker, claimer.lease_s
        )
        if reserved is None:
            raise LeaseLost("A worker took the inserted trial before it could be reserved here.")
        return self._reserved(reserved)

    def _lease_of(self, trial: Trial) -> Lease:
        if trial.record.token is None:
            raise LeaseLost(f"Trial {trial.id} was never reserved: only `suggest` reserves one.")
        return _lease(trial.record)

    # --- workers ---------------------------------------------------------------------------------

    def workon(
        self,
        fn: Callable[..., Any],
        n_workers: int | None = None,
        max_trials: int | None = None,
        max_trials_per_worker: int | None = None,
        max_broken: int | None = None,
        trial_arg: str | None = None,
        on_error: Callable[[ExperimentClient, Trial, BaseException, int], Any] | None = None,
        idle_timeout: float | None = None,
        **kwargs: Any,
    ) -> int:
        """Let this process work on the experiment until it ends; others may do the same beside it.

        Args:
            fn: called with the parameters by name; returns the objective or a list of results.
            n_workers: trials at once; None for what the executor has.
            max_trials: trials that this call completes at most.
            max_trials_per_worker: the same for each of the `n_workers`.
            max_broken: broken trials of this call that end it.
            trial_arg: name of an argument of `fn` that is given the trial.
            on_error: called with (client, trial, error, broken so far) for a broken trial; a false value keeps it
                from counting towards `max_broken`.
            idle_timeout: seconds with nothing to run that end the call.
            **kwargs: further arguments of `fn`, the same for all trials.

        Returns:
            how many trials this call completed.

        Raises:
            BrokenExperiment: too many trials failed.
            LazyWorkers: `idle_timeout` passed.
            SuspendedExperiment, ExperimentRemoved, DatabaseError: see `Worker.run`.
        """
        self._writing("work on an experiment")
        task = FunctionTask(fn, trial_arg, kwargs)
        hook = None
        if on_error is not None:
            callback = on_error

            def hook(trial: Trial, error: BaseException, broken: int) -> Any:
                return callback(self, trial, error, broken)

        with self._executor_for(n_workers) as executor:
            limits = self._limits(
                executor, max_trials, max_trials_per_worker, max_broken, idle_timeout
            )
            return self.run_worker(task, executor, limits, hook).completed

    def run_worker(
        self,
        task: Task,
        executor: Executor,
        limits: Limits,
        on_error: Callable[[Trial, BaseException, int], Any] | None = None,
        on_change: Callable[[Worker], None] | None = None,
    ) -> Report:
        """Run one worker on this experiment; see `Worker.run`."""
        self._claimer.reread_record()
        patience = Patience()
        worker = Worker(
            self._new_claimer(self.record, patience),
            executor,
            task,
            Hooks(self.trial_of, on_error, on_change),
            limits,
            self.settings.heartbeat_s,
            self.settings.max_lost,
            patience,
        )
        return worker.run()

    def _limits(
        self,
        executor: Executor,
        max_trials: int | None,
        per_worker: int | None,
        max_broken: int | None,
        idle_timeout: float | None,
    ) -> Limits:
        settings = self.settings
        if per_worker is None:
            per_worker = settings.max_trials
        bounds = [max_trials, None if per_worker is None else per_worker * executor.slots()]
        given = [bound for bound in bounds if bound is not None]
        return Limits(
            max_trials=min(given) if given else None,
            max_broken=settings.max_broken if max_broken is None else max_broken,
            idle_timeout_s=settings.idle_timeout_s if idle_timeout is None else idle_timeout,
            grace_s=settings.grace_s,
        )

    @contextmanager
    def _executor_for(self, n_workers: int | None) -> Iterator[Executor]:
        """Give the executor to use: the person's own is left open, the default one is made and closed here."""
        if self._executor is not None and n_workers in (None, self._executor.slots()):
            yield self._executor
            return
        settings = self.settings
        from orion_k8s.executor.registry import create_executor

        arguments = dict(settings.executor_configuration or {})
        if n_workers is not None:
            arguments.pop("n_workers", None)
        else:
            n_workers = arguments.pop("n_workers", settings.n_workers)
        name = settings.executor if self._executor is None else self._executor.name
        if self._executor is not None:
            arguments = {}
        with create_executor(name, n_workers, **arguments) as executor:
            yield executor

    @contextmanager
    def tmp_executor(
        self, executor: str | Executor, n_workers: int | None = None, **configuration: Any
    ) -> Iterator[ExperimentClient]:
        """Use another executor inside a `with` block.

        Args:
            executor: its name, or one that is left open at the end.
            n_workers: its slots; None for one, or what an outer `joblib.parallel_backend` says.
            **configuration: further arguments of the executor of that name.
        """
        from orion_k8s.executor.registry import create_executor

        before = self._executor
        made = None
        if isinstance(executor, str):
            made = create_executor(executor, n_workers, **configuration)
        self._executor = made or executor  # type: ignore[assignment]
        try:
            yield self
        finally:
            self._executor = before
            if made is not None:
                made.close()

    # --- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Give back what is still reserved and end the heartbeat. Twice is content."""
        self._abandon()
        self._abandon = weakref.finalize(self, _give_back, self._heart)

    def __enter__(self) -> ExperimentClient:
        """Return the experiment; it is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the experiment."""
        self.close()

    def __repr__(self) -> str:
        """Return the name and version."""
        return f"ExperimentClient(name={self.name!r}, version={self.version})"

    def _new_claimer(self, record: ExperimentRecord, patience: Patience) -> Claimer:
        return Claimer(
            self.storage,
            record,
            self._space,
            create(record.algorithm, self._space, record.seed),
            worker_name(),
            lease_s=MISSED * self.settings.heartbeat_s,
            call=patience.call,
        )

    def _writing(self, what: str) -> None:
        if self.mode == "r":
            raise UnsupportedOperation(
                f"This experiment was opened for reading only and cannot {what}: use build_experiment."
            )


def _lease(record: TrialRecord) -> Lease:
    return Lease(record.id, record.token or "")


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def _give_back(heart: Heart) -> None:
    """Release what a client still holds. At most one try each: their leases run out anyhow."""
    heart.stop()
    for lease in heart.leases():
        heart.drop(lease)
        try:
            heart.storage.release(lease, Status.INTERRUPTED, "the client was closed")
        except OrionError as error:
            log.warning("trial %s was not released: %s", lease.trial, error)
