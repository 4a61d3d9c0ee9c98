"""An experiment in Python: suggest and observe, or let workers run a function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from orion_k8s.client.asktell import AskTell
from orion_k8s.client.executors import Executors
from orion_k8s.client.exiting import stopped_at_exit
from orion_k8s.client.opening import stopping_of
from orion_k8s.client.settings import Settings
from orion_k8s.client.stats import Stats
from orion_k8s.client.suggested import SuggestedTrial
from orion_k8s.errors import ConfigurationError
from orion_k8s.executor import Executor
from orion_k8s.stopping import create as create_rules
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord, Trial
from orion_k8s.trial.goal import MAXIMIZE
from orion_k8s.worker import FunctionTask, Hooks, Limits, Report, Task, Worker
from orion_k8s.worker.patience import Patience

__all__ = ["ExperimentClient", "Settings", "Stats", "SuggestedTrial"]


class ExperimentClient(AskTell):
    """An experiment of the shared history, opened for writing ("w") or for reading alone ("r").

    Made by `build_experiment` and `get_experiment`.

    Args:
        storage: the shared history, set up.
        record: the experiment.
        settings: of the workers of this process.
        executor: one of the person's own, left open; None for a new one for each `workon`.
        mode: "w" or "r".
        owns_storage: whether `close` closes the storage.
    """

    def __init__(
        self,
        storage: Storage,
        record: ExperimentRecord,
        settings: Settings | None = None,
        executor: Executor | None = None,
        mode: str = "w",
        owns_storage: bool = False,
    ) -> None:
        super().__init__(storage, record, settings or Settings(), mode, owns_storage)
        self._executors = Executors(self.settings, executor)

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
        """Let this process work on the experiment until it ends; others may do so beside it.

        In the main thread, SIGINT (Ctrl-C) and SIGTERM end it in order: running calls are ended
        and their trials released at once. In another thread, the end of the main thread does.

        Args:
            fn: called with the parameters by name; returns the objective or a list of results.
            n_workers: trials at once; None for what the executor has.
            max_trials: trials that this call completes at most.
            max_trials_per_worker: the same for each of the `n_workers`.
            max_broken: broken trials of this call that end it.
            trial_arg: name of an argument of `fn` that is given the trial.
            on_error: called with (client, trial, error, broken so far) for a broken trial; a false
                value keeps it from counting towards `max_broken`.
            idle_timeout: seconds with nothing to run that end the call.
            **kwargs: further arguments of `fn`, the same for all trials.

        Returns:
            how many trials this call completed.

        Raises:
            BrokenExperiment: too many trials failed.
            LazyWorkers: `idle_timeout` passed.
            UnsupportedOperation: the experiment was opened for reading only.
            SuspendedExperiment, ExperimentRemoved, DatabaseError: see `Worker.run`.
        """
        self._writing("work on an experiment")
        task = FunctionTask(fn, trial_arg, kwargs)
        hook = None
        if on_error is not None:
            callback = on_error

            def hook(trial: Trial, error: BaseException, broken: int) -> Any:
                return callback(self, trial, error, broken)

        with self.executor_for(n_workers) as executor:
            limits = self.settings.limits(
                executor.slots(), max_trials, max_trials_per_worker, max_broken, idle_timeout
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
        with self._lock:
            self._claimer.reread_record()
        rules = create_rules(stopping_of(self.record), self.aim.direction == MAXIMIZE)
        seen = executor.files_here or (executor.shared_files and bool(self.working_dir))
        if rules and not seen:
            raise ConfigurationError(
                f"Early stopping has to see what running trials report, and the executor "
                f"'{executor.name}' runs them where this worker sees no files: put the trials' "
                "folder (working_dir) on a disk that they share and say shared_files: true in "
                'executor_configuration, or take no rule (--stopping none; stopping="none" in '
                "Python)."
            )
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
            rules,
        )
        with stopped_at_exit(worker):
            return worker.run()

    @contextmanager
    def executor_for(self, n_workers: int | None = None) -> Iterator[Executor]:
        """Give the executor that `workon` would use: a person's own, or one made for the block."""
        with self._executors.use(n_workers) as executor:
            yield executor

    @property
    def executor(self) -> Executor | None:
        """The person's own executor, if there is one now."""
        return self._executors.own

    @contextmanager
    def tmp_executor(
        self, executor: str | Executor, n_workers: int | None = None, **configuration: Any
    ) -> Iterator[ExperimentClient]:
        """Use another executor inside a `with` block.

        Args:
            executor: its name, or one that is left open at the end.
            n_workers: its slots; None for one, or what an outer `joblib.parallel_backend` says.
            **configuration: further arguments of the executor of that name.

        Raises:
            ConfigurationError: there is no such executor, or it takes no such argument.
            MissingExtra: it needs a package that is not installed.
        """
        with self._executors.temporarily(executor, n_workers, configuration):
            yield self

    def __enter__(self) -> ExperimentClient:
        """Return the experiment; it is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
