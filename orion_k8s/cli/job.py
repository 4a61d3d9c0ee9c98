"""What a hunt works on: the experiment, made where it is missing, and its program's command."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orion_k8s.cli.folder import default_folder, make_folder
from orion_k8s.client.opening import ensure, fetch, stopping_of
from orion_k8s.config import Configuration, Level
from orion_k8s.script import Command
from orion_k8s.script.config_file import MARK
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord, Goal
from orion_k8s.trial.goal import WORDS


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
    aim = Goal.of(record.goal)
    experiment: dict[str, Any] = {
        "space": dict(record.space),
        "seed": record.seed,
        "algorithm": record.algorithm,
        "max_trials": record.max_trials,
        "max_broken": record.max_broken,
        "direction": None if aim.several else aim.direction,
        "goal": aim.target,
        "objectives": dict(aim.directions) if aim.several else {},
        "repetitions": aim.repetitions,
    }
    stopping = stopping_of(record)
    if stopping:
        experiment["stopping"] = stopping
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
    here: bool = True,
) -> Job:
    """Find the experiment or make it, and bring it up to what was typed.

    Nothing is written before everything that was typed is known to be good.

    Args:
        storage: the shared history.
        configuration: with the stored experiment's layer.
        before: the stored experiment, if there is one.
        words: the command; empty to take the stored one.
        here: whether programs run on this machine; else the program is not looked for.

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
            here,
        )
        cwd, space, metadata = os.getcwd(), dict(told.priors), _metadata(before, told)
    else:
        before = before or fetch(storage, name, version)
        stored = before.metadata.get("command") or {}
        told = Command.from_metadata(stored)
        cwd = str(stored.get("cwd") or "")
        if not os.path.isdir(cwd):  # another machine
            cwd = os.getcwd()
        if here:
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
        configuration.value("experiment.stopping"),
        asked_goal(configuration),
        configuration.value("experiment.enqueue"),
    )
    return Job(_brought_up(storage, configuration, record), told, cwd)


def asked_goal(configuration: Configuration) -> dict[str, Any]:
    """Return what somebody says of the goal; what the stored experiment says is not repeated."""
    keys = {word: f"experiment.{word}" for word in WORDS}
    return {
        word: configuration.value(key)
        for word, key in keys.items()
        if configuration.source(key).level not in (Level.DEFAULT, Level.STORED)
    }


def _brought_up(
    storage: Storage, configuration: Configuration, record: ExperimentRecord
) -> ExperimentRecord:
    """Store what `ensure` leaves as it is: a limit that was taken away, and the usual folder."""
    changes: dict[str, Any] = {}
    if record.max_trials is not None and configuration.value("experiment.max_trials") is None:
        # Said by a stronger level than the stored experiment: "no limit".
        if configuration.source("experiment.max_trials").level > Level.STORED:
            changes["max_trials"] = None
    if record.goal.get("goal") is not None and configuration.value("experiment.goal") is None:
        if configuration.source("experiment.goal").level > Level.STORED:
            changes["goal"] = Goal.of(record.goal).with_target(None).configuration
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
