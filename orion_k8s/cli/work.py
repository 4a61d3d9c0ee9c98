"""The worker of a hunt: where its programs run, and one worker's run from start to summary."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from orion_k8s.cli import json_log
from orion_k8s.cli.job import Job
from orion_k8s.cli.options import Given
from orion_k8s.cli.progress import progress
from orion_k8s.cli.summary import Summary
from orion_k8s.client.experiment import ExperimentClient
from orion_k8s.client.settings import Settings
from orion_k8s.config import Configuration
from orion_k8s.errors import OrionError
from orion_k8s.executor import Executor
from orion_k8s.executor.registry import create_executor, executor_class
from orion_k8s.executor.threads import Threads
from orion_k8s.executor.workers import count_workers
from orion_k8s.storage import Storage
from orion_k8s.worker.program import ProgramTask

if TYPE_CHECKING:
    from orion_k8s.monitoring import Monitor


def check_executor(configuration: Configuration) -> bool:
    """Raise where a person chose an executor that there is not; return whether it runs here.

    Raises:
        ConfigurationError, MissingExtra: see `executor_class`.
    """
    if not configuration.given("worker.executor"):
        return True
    return executor_class(configuration.value("worker.executor")).runs_here


def make_executor(configuration: Configuration) -> Executor:
    """Return where the programs run.

    A program is a process of its own already: a slot only waits for it. So threads of this process
    do, unless a person chose an executor; joblib's default would add a Python process a slot.
    """
    worker = configuration.section("worker")
    arguments = dict(worker["executor_configuration"])
    if not configuration.given("worker.executor") and not arguments:
        return Threads(count_workers(worker["n_workers"]))
    n_workers = arguments.pop("n_workers", None)
    if configuration.given("worker.n_workers"):
        n_workers = worker["n_workers"]
    return create_executor(worker["executor"], n_workers, **arguments)


@contextmanager
def start_monitor(configuration: Configuration) -> Iterator[Monitor | None]:
    """Serve health and metrics during a `with` block, where a port is configured.

    Raises:
        ConfigurationError, MissingExtra: see `Monitor`.
    """
    port = configuration.value("worker.metrics_port")
    if port is None:
        yield None
        return
    from orion_k8s.monitoring import Monitor

    with Monitor(port) as monitor:
        yield monitor


def work(
    storage: Storage,
    configuration: Configuration,
    job: Job,
    executor: Executor,
    given: Given,
    monitor: Monitor | None = None,
) -> None:
    """Run one worker, show how it goes, and say at its end what came out and what to type next.

    Args:
        storage: the shared history.
        configuration: of the worker.
        job: what it works on.
        executor: where its programs run.
        given: what was typed.
        monitor: that tells others of the worker.

    Raises:
        OrionError, KeyboardInterrupt, SystemExit: see `Worker.run`.
    """
    # A terminal that was closed is no reason to lose a trial for a while; nohup has its way.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    settings = Settings.of(configuration)
    record = job.record
    task = ProgramTask(
        job.command,
        record,
        record.working_dir,
        job.cwd,
        configuration.value("worker.interrupt_signal_code"),
        settings.grace_s,
    )
    summary = Summary(record, given)
    json_log.context.update(experiment=record.name, version=record.version)
    with ExperimentClient(storage, record, settings) as client:
        try:
            with progress(f"{record.name} v{record.version}", given.quiet) as watch:

                def changed(worker: Any) -> None:
                    watch(worker)
                    summary.worker = worker
                    json_log.context["worker"] = worker.claimer.worker
                    if monitor is not None:
                        monitor.worker = worker

                # A worker is this process, whatever its slots: --worker-max-trials is for all.
                client.run_worker(task, executor, settings.limits(slots=1), on_change=changed)
        except (OrionError, KeyboardInterrupt, SystemExit) as end:
            if not isinstance(end, OrionError):
                # All is ended and given back: one more Ctrl-C has nothing to add but a traceback.
                signal.signal(signal.SIGINT, signal.SIG_IGN)
            summary.show(end)
            raise
        summary.show(None)
