"""`info`: all about one experiment, and where each option's value came from."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import typer

from orion_k8s.cli.options import EXPERIMENT, STORAGE, Given, command

if TYPE_CHECKING:
    from orion_k8s.client.view import ExperimentView
    from orion_k8s.config import Configuration
    from orion_k8s.trial import ExperimentRecord


@command(*EXPERIMENT, *STORAGE, config_flags=("-c",))
def info(
    given: Given,
    config: bool = typer.Option(
        False, "--config", help="show each option's value and which level it came from"
    ),
) -> None:
    """Show all about an experiment: its space, command, trials and best trial.

    With --config: what each option is now and who said so, for hunt -n NAME, or without an
    experiment if none is named.
    """
    configuration = given.configuration()
    if config and configuration.value("experiment.name") is None:
        _print_levels(configuration)
        return
    from orion_k8s.client.opening import fetch
    from orion_k8s.client.settings import Settings
    from orion_k8s.client.view import ExperimentView

    name = given.name(configuration)
    with given.storage(configuration) as storage:
        record = fetch(storage, name, configuration.value("experiment.version"))
        if config:
            from orion_k8s.cli.job import stored_layer

            _print_levels(given.configuration(stored_layer(record)))
            return
        view = ExperimentView(storage, record, Settings.of(configuration))
        for title, rows in _sections(view, record, storage.describe()):
            print(title)
            _print_columns(rows)


def _print_levels(configuration: Configuration) -> None:
    rows = [("option", "value", "level", "where"), *configuration.explain()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[3]]).rstrip())


def _print_columns(rows: Iterable[tuple[str, str]]) -> None:
    listed = list(rows)
    width = max((len(word) for word, _ in listed), default=0)
    for word, text in listed:
        print(f"  {word:<{width}}  {text}")


def _sections(
    view: ExperimentView, record: ExperimentRecord, database: str
) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    from orion_k8s.client.opening import stopping_of

    yield f"Experiment '{record.name}' version {record.version}", _about(view, record, database)
    yield "Search space", record.space.items()
    stats = view.stats
    counts = [(str(status), str(count)) for status, count in stats.counts.items() if count]
    times = [
        (word, time.astimezone().strftime("%Y-%m-%d %H:%M:%S"))
        for word, time in (
            ("first started", stats.start_time),
            ("last completed", stats.finish_time),
        )
        if time is not None
    ]
    stopped = []
    if stopping_of(record):
        count = sum(1 for trial in view.fetch_trials_by_status("completed") if trial.stopped)
        stopped = [("stopped early", str(count))]
    yield "Trials", [*counts, *stopped, *times] or [("none", "")]
    if view.aim.several:
        yield "Best trials, by their objectives", list(_front(view))
    elif stats.best_trials_id is not None:
        trial = view.get_trial(stats.best_trials_id)
        objective = f"{stats.best_evaluation:.10g}"
        yield "Best trial", [("id", trial.id), ("objective", objective), *_params(trial.params)]
    elif stats.trials_completed:
        yield "Best trial", [("none", "every one breaks a constraint")]


def _front(view: ExperimentView) -> Iterator[tuple[str, str]]:
    from orion_k8s.cli.tables import params_text

    for trial in view.pareto_front():
        values = ", ".join(f"{name} {value:.6g}" for name, value in trial.objectives.items())
        yield f"trial {trial.number}", f"{values}: {params_text(trial.params)}"


def _about(
    view: ExperimentView, record: ExperimentRecord, database: str
) -> Iterator[tuple[str, str]]:
    from orion_k8s.client.opening import stopping_of
    from orion_k8s.trial import Goal

    yield "id", record.id
    yield "database", database
    metadata = record.metadata
    if metadata.get("user"):
        yield "made by", str(metadata["user"])
    told = metadata.get("command")
    if told:
        yield "command", shlex.join(map(str, told["argv"]))
        yield "runs in", str(told.get("cwd", ""))
        if told.get("config_path"):
            yield "its file", str(told["config_path"])
    [(name, parameters)] = record.algorithm.items()
    arguments = ", ".join(f"{word}={value!r}" for word, value in parameters.items())
    yield "algorithm", f"{name}({arguments}), seed {record.seed}"
    if view.remark:
        yield "it takes", view.remark
    stopping = stopping_of(record)
    if stopping:
        yield (
            "early stopping",
            ", ".join(
                f"{name}({', '.join(f'{word}={value!r}' for word, value in given.items())})"
                for name, given in stopping.items()
            ),
        )
    aim = Goal.of(record.goal)
    yield "aims to", aim.describe() + (f"; ends at {aim.target}" if aim.targets else "")
    yield "max trials", "no limit" if record.max_trials is None else str(record.max_trials)
    yield "max broken", str(record.max_broken)
    yield "folder", record.working_dir or "none"


def _params(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    from orion_k8s.cli.summary import show_value

    for name, value in params.items():
        yield name, show_value(value)
