"""An experiment of this machine as values for the chart."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orion_k8s.k8s.files import Files
from orion_k8s.k8s.values import ChartValues
from orion_k8s.script import Command

EXACT = 2**53
"""Helm reads numbers as float64: a larger one would come out as another."""


@dataclass(frozen=True)
class Wanted:
    """What is to run on the cluster.

    Attributes:
        name: of the experiment.
        command: of its program.
        folder: where the command runs on this machine.
        algorithm: its name → its parameters; None for the usual one.
        space: priors that are not in the command.
        max_trials, max_broken, seed: of the experiment; None where nothing is said.
        goal: what it aims at, by the words of configuration.
        first: points to try first.
        stopping: rules of early stopping, by their names.
        worker: the worker's options that somebody gave, by their names.
    """

    name: str
    command: Command
    folder: str
    algorithm: Mapping[str, Mapping[str, Any]] | None = None
    space: Mapping[str, str] | None = None
    max_trials: int | None = None
    max_broken: int | None = None
    seed: int | None = None
    worker: Mapping[str, Any] | None = None
    goal: Mapping[str, Any] | None = None
    first: Sequence[Mapping[str, Any]] = ()
    stopping: Mapping[str, Any] | None = None


def chart_values(wanted: Wanted, origin: str) -> ChartValues:
    """Return an experiment as values.

    Raises:
        UsageError: its files are too large for a ConfigMap.
    """
    made = ChartValues(origin)
    files = Files(Path(os.path.abspath(wanted.folder)))
    command = _command(wanted.command, files)
    experiment: dict[str, Any] = {"name": wanted.name, "command": command}
    if wanted.space:
        experiment["space"] = dict(wanted.space)
    if wanted.algorithm:
        [(name, parameters)] = wanted.algorithm.items()
        experiment["algorithm"] = {name: dict(parameters)} if parameters else name
    experiment |= wanted.goal or {}
    if wanted.stopping:
        experiment["stopping"] = {name: dict(given) for name, given in wanted.stopping.items()}
    if wanted.first:
        experiment["enqueue"] = [dict(point) for point in wanted.first]
    for key, value, least in (
        ("maxTrials", wanted.max_trials, 1),
        ("maxBroken", wanted.max_broken, 1),
        ("seed", wanted.seed, 0),
    ):
        if value is None:
            continue
        if not least <= value <= EXACT:
            made.lost.append(f"{key} {value}: the chart takes {least} to {EXACT}.")
        else:
            experiment[key] = value
    if files.texts:
        experiment["files"] = files.texts
        made.hints.append("Only files that the command names are here: the image holds the rest.")
    made.hints.append("image.repository: an image that holds orion-k8s and what the program uses.")
    made.lost += files.lost
    made.values["experiment"] = experiment
    worker = _worker(wanted, made)
    if worker:
        made.values["worker"] = worker
    return made


def _command(command: Command, files: Files) -> list[str]:
    words = []
    for index, (typed, part) in enumerate(zip(command.argv, command.parts, strict=True)):
        if part.is_config:
            assert command.config is not None
            words.append(part.text + files.add(command.config.path, command.config.text))
        elif part.name is not None or (index == 0 and os.sep not in typed):
            # A prior; or a program that is found on PATH, whatever is called so here.
            words.append(typed)
        else:
            words.append(files.place(typed))
    return words


_WORKER = {
    "n_workers": "slots",
    "heartbeat": "heartbeat",
    "grace": "grace",
    "max_lost": "maxLost",
    "max_trials": "maxTrials",
    "idle_timeout": "idleTimeout",
}
"""Options of a worker → values of the chart."""

_ENVIRONMENT = {
    "user_script_config": "ORION_USER_SCRIPT_CONFIG",
    "interrupt_signal_code": "ORION_INTERRUPT_CODE",
    "max_broken": "ORION_WORKER_MAX_BROKEN",
}

_POD_GRACE_S = 60
"""The chart's usual time for a pod to end."""


def _worker(wanted: Wanted, made: ChartValues) -> dict[str, Any]:
    given = dict(wanted.worker or {})
    if wanted.command.config is not None and wanted.command.user_script_config != "config":
        given["user_script_config"] = wanted.command.user_script_config
    values: dict[str, Any] = {}
    environment = []
    for name, value in given.items():
        if value is None or value == float("inf"):
            continue
        if name in _WORKER and value != -1:
            whole = isinstance(value, float) and value.is_integer()
            values[_WORKER[name]] = int(value) if whole else value
        elif name in _ENVIRONMENT:
            environment.append({"name": _ENVIRONMENT[name], "value": str(value)})
        elif name not in ("at_end", "metrics_port"):  # the chart has its own
            made.lost.append(f"The worker's option {name}: see `executor` and `worker` there.")
    if values.get("grace", 0) + 20 > _POD_GRACE_S:
        values["terminationGracePeriodSeconds"] = int(values["grace"]) + 21
    if environment:
        values["extraEnv"] = environment
    return values
