"""`hunt`: this process becomes one worker of an experiment, made where it is missing."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import typer

from orion_k8s.cli.folder import default_folder, make_folder
from orion_k8s.cli.options import Given, command
from orion_k8s.cli.texts import EXIT_CODES
from orion_k8s.client.experiment import ExperimentClient
from orion_k8s.client.opening import ensure, fetch, find
from orion_k8s.client.settings import Settings
from orion_k8s.config import OPTIONS, Configuration, Level
from orion_k8s.errors import OrionError
from orion_k8s.executor import Executor
from orion_k8s.script import Command
from orion_k8s.script.config_file import MARK
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord
from orion_k8s.worker.program import ProgramTask

HELP_END = (
    "The first word that is no option of hunt begins your program's command; mark what to search"
    " in it, as in --lr~'loguniform(1e-5, 1)'. " + EXIT_CODES
)


@command(
    *(key for key, option in OPTIONS.items() if option.flags),
    context_settings={"allow_interspersed_args": False},
    epilog=HELP_END,
)
def hunt(
    given: Given,
    words: list[str] | None = typer.Argument(
        None,
        metavar="CMD…",
        show_default=False,
        help="your program and its arguments; without them, the command that is stored",
    ),
    init_only: bool = typer.Option(
        False, "--init-only", help="make the experiment and run nothing"
    ),
) -> None:
    """Work on an experiment until it ends; make it first where it is missing.

    Start as many workers as you like, here and on other machines that reach the same database:
    the same command, or hunt -n NAME alone.
    """
    configuration = given.configuration()
    name = given.name(configuration)
    with given.storage(configuration) as storage:
        before = find(storage, name, configuration.value("experiment.version"))
        if before is not None:
            configuration = given.configuration(stored_layer(before))
        if init_only:
            _check_executor(configuration)
            record = open_job(storage, configuration, before, words or []).record
            if not given.quiet:
                print(f"Experiment '{record.name}' version {record.version} is ready.")
            return
        # First the executor: nothing is stored where it can't be had.
        with make_executor(configuration) as executor:
            job = open_job(storage, configuration, before, words or [])
            work(storage, configuration, job, executor, given)


# --- the experiment and its command --------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What a worker works on.

    Attributes:
        record: the experiment.
        command: of its program.
        cwd: where the program runs.
    """

    record: ExperimentRecord
    command: Command
    cwd: str


def stored_layer(record: ExperimentRecord) -> dict[str, Any]:
    """Return what a stored experiment says, for `config.resolve`."""
    experiment: dict[str, Any] = {
        "space": dict(record.space),
        "seed": record.seed,
        "algorithm": record.algorithm,
        "max_trials": record.max_trials,
        "max_broken": record.max_broken,
    }
    if record.working_dir:
        experiment["working_dir"] = record.working_dir
    layer: dict[str, Any] = {"experiment": experiment}
    stored = record.metadata.get("command")
    if stored:
        layer["worker"] = {"user_script_config": stored["user_script_config"]}
    return layer


def open_job(
    storage: Storage,
    configuration: Configuration,
    before: ExperimentRecord | None,
    words: Sequence[str],
) -> Job:
    """Find the experiment or make it, and bring it up to what was typed.

    Nothing is written before everything that was typed is known to be good.

    Args:
        storage: the shared history.
        configuration: with the stored experiment's layer.
        before: the stored experiment, if there is one.
        words: the command; empty to take the stored one.

    Raises:
        UsageError: the command, its space or the folder can't be used.
        NotFound: no command was typed, and there is no experiment.
    """
    name = configuration.value("experiment.name")
    version = configuration.value("experiment.version")
    if words:
        told = Command.parse(
            [*words, *_appended(configuration, words)],
            configuration.value("worker.user_script_config"),
        )
        cwd, space, metadata = os.getcwd(), dict(told.priors), _metadata(before, told)
    else:
        before = before or fetch(storage, name, version)
        stored = before.metadata.get("command") or {}
        told = Command.from_metadata(stored)
        cwd = str(stored.get("cwd") or "")
        if not os.path.isdir(cwd):  # another machine
            cwd = os.getcwd()
        told.check_program(cwd)
        space, metadata = {**before.space, **_local_space(configuration)}, None
    folder = configuration.value("experiment.working_dir")
    if folder:
        folder = make_folder(folder)
    record = ensure(
        storage,
        name,
        version,
        space,
        configuration.value("experiment.algorithm"),
        configuration.value("experiment.max_trials"),
        configuration.value("experiment.max_broken"),
        folder or None,
        configuration.value("experiment.seed"),
        metadata,
    )
    return Job(_brought_up(storage, configuration, record), told, cwd)


def _brought_up(
    storage: Storage, configuration: Configuration, record: ExperimentRecord
) -> ExperimentRecord:
    """Store what `ensure` leaves as it is: a limit that was taken away, and the usual folder."""
    changes: dict[str, Any] = {}
    if record.max_trials is not None and configuration.value("experiment.max_trials") is None:
        # Said by a stronger level than the stored experiment: "no limit".
        if configuration.source("experiment.max_trials").level > Level.STORED:
            changes["max_trials"] = None
    if not record.working_dir:
        # The same for each of several workers that are started at once.
        changes["working_dir"] = default_folder(record)
    if changes:
        storage.update_experiment(record.id, changes)
        record = replace(record, **changes)
    make_folder(record.working_dir)
    return record


def _metadata(before: ExperimentRecord | None, told: Command) -> dict[str, Any] | None:
    """Return what is to be stored of a command; None where it is stored already."""
    said = told.to_metadata()
    stored = before.metadata.get("command") if before is not None else None
    if stored is not None and {**stored, **said} == stored:
        return None
    return {"command": {**said, "cwd": os.getcwd()}}


def _local_space(configuration: Configuration) -> dict[str, str]:
    """Return name → prior of the space that a configuration file holds."""
    space = configuration.value("experiment.space")
    if not space or configuration.source("experiment.space").level is Level.STORED:
        return {}
    return Space.parse(space).configuration


def _appended(configuration: Configuration, words: Sequence[str]) -> list[str]:
    """Return words for the dimensions of a file's space that the command does not name.

    A program that is tuned by a file's space takes each as an option of that name.
    """
    typed = " ".join(words)
    appended = []
    for name, prior in _local_space(configuration).items():
        if f"{name}~" in typed or f"{name} {MARK}" in typed or f"{name}={MARK}" in typed:
            continue
        dashes = "-" if len(name) == 1 else "--"
        appended.append(f"{dashes}{name}~{prior}")
    return appended


# --- the worker ----------------------------------------------------------------------------------


def _check_executor(configuration: Configuration) -> None:
    from orion_k8s.executor.registry import executor_class

    if configuration.given("worker.executor"):
        executor_class(configuration.value("worker.executor"))


def make_executor(configuration: Configuration) -> Executor:
    """Return where the programs run.

    A program is a process of its own already: a slot only waits for it. So threads of this process
    do, unless a person chose an executor; joblib's default would add a Python process a slot.
    """
    from orion_k8s.executor.registry import create_executor
    from orion_k8s.executor.threads import Threads
    from orion_k8s.executor.workers import count_workers

    worker = configuration.section("worker")
    arguments = dict(worker["executor_configuration"])
    if not configuration.given("worker.executor") and not arguments:
        return Threads(count_workers(worker["n_workers"]))
    n_workers = arguments.pop("n_workers", None)
    if configuration.given("worker.n_workers"):
        n_workers = worker["n_workers"]
    return create_executor(worker["executor"], n_workers, **arguments)


def work(
    storage: Storage, configuration: Configuration, job: Job, executor: Executor, given: Given
) -> None:
    """Run one worker, show how it goes, and say at its end what came out and what to type next.

    Raises:
        OrionError, KeyboardInterrupt, SystemExit: see `Worker.run`.
    """
    from orion_k8s.cli.progress import progress
    from orion_k8s.cli.summary import Summary

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
    with ExperimentClient(storage, record, settings) as client:
        try:
            with progress(f"{record.name} v{record.version}", given.quiet) as watch:

                def changed(worker: Any) -> None:
                    watch(worker)
                    summary.worker = worker

                limits = settings.limits(executor.slots())
                client.run_worker(task, executor, limits, on_change=changed)
        except (OrionError, KeyboardInterrupt, SystemExit) as end:
            summary.show(end)
            raise
        summary.show(None)
