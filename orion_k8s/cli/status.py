"""`status`: how experiments stand; with --all, every trial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import typer

from orion_k8s.cli.choice import EVERY_VERSION, all_versions, existing_history
from orion_k8s.cli.options import STORAGE, Given, command
from orion_k8s.cli.standing import (
    STATUSES,
    Standing,
    objective_of,
    objectives_text,
    params_of,
    plain_trial,
    space_of,
    standings,
)
from orion_k8s.cli.tables import (
    last_line,
    last_lines,
    params_text,
    plain,
    several,
    show_json,
    show_json_lines,
    show_table,
)
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord, Status, Stopped, TrialRecord

FRONT_LINES = 10
"""Trials of a front that are shown."""

REASON_LINES = 5
"""Lines of the newest broken trial's reason that are shown."""

NEAREST = "best: none breaks no constraint; the nearest"
"""In place of "best" where there is none."""

TRIAL_COLUMNS = (
    *("number", "id", "status", "objective", "params", "attempt", "worker", "suspended_by"),
    "reason",
)


@command("experiment.name", *STORAGE)
def status(
    given: Given,
    version: int = EVERY_VERSION,
    all: bool = typer.Option(False, "-a", "--all", help="a line for each trial"),
    collapse: bool = typer.Option(False, "-C", "--collapse", help="put versions together"),
    json: bool = typer.Option(False, "--json", help="print JSON"),
) -> None:
    """Show how experiments stand: trials by status, the best one, and the workers alive."""
    name = given.options["experiment.name"]
    with existing_history(given) as storage:
        if name is None:
            records = storage.experiments()
        else:
            records = all_versions(storage, name, version)
        show(storage, records, all, collapse, json)


def show(
    storage: Storage, records: list[ExperimentRecord], all: bool, collapse: bool, json: bool
) -> None:
    """Print how experiments stand.

    Args:
        storage: where they are.
        records: the experiments.
        all: a line for each trial.
        collapse: put versions together.
        json: print JSON.
    """
    found = standings(storage, records)
    groups = [
        list(group)
        for _, group in groupby(
            found, lambda s: s.record.name if collapse else (s.record.name, s.record.version)
        )
    ]
    if json and all:
        show_json_lines(_plain_trials(storage, found))
    elif json:
        show_json([_plain(storage, group, collapse) for group in groups])
    elif not groups:
        typer.echo(f"There are no experiments in {storage.describe()} yet.")
    else:
        for position, group in enumerate(groups):
            if position:
                typer.echo()
            _show(storage, group, all)


def _show(storage: Storage, group: list[Standing], all: bool) -> None:
    record = group[0].record
    versions = ", ".join(str(standing.record.version) for standing in group)
    states = ", ".join(dict.fromkeys(standing.state for standing in group))
    title = f"{plain(record.name)} · version {versions} · {states}"
    typer.echo(typer.style(title, bold=True))
    if all:
        several_versions = len(group) > 1
        columns = ("version", *TRIAL_COLUMNS) if several_versions else TRIAL_COLUMNS
        show_table(columns, _trial_rows(storage, group, several_versions))
        return
    for line in _lines(storage, group):
        typer.echo(f"  {line}")


def _lines(storage: Storage, group: list[Standing]) -> Iterator[str]:
    counts = _counts(group)
    wanted = [standing.record.max_trials for standing in group]
    asked = f" of {wanted[0]}" if len(group) == 1 and wanted[0] is not None else ""
    parts = [f"{counts[Status.COMPLETED]}{asked} completed"]
    parts += [f"{n} {s.value}" for s, n in counts.items() if n and s is not Status.COMPLETED]
    yield ", ".join(parts)
    fronts = [standing for standing in group if standing.goal.several]
    for standing in fronts:
        yield from _front_lines(standing)
    best = None if fronts else _best(storage, group)
    if best is not None:
        standing, trial = best
        params = params_text(params_of(space_of(standing.record), trial))
        word = "best" if standing.best is not None else NEAREST
        value = objective_of(trial) if standing.mean is None else standing.best
        times = standing.goal.repetitions
        which = "" if times == 1 else f"the mean of {times}, first "
        yield f"{word}: {plain(value)} ({which}trial {trial.number}, {trial.id}): {params}"
    workers = sorted({worker for standing in group for worker in standing.workers})
    if workers:
        some = ", ".join(map(plain, workers[:5])) + (", …" if len(workers) > 5 else "")
        yield f"{several(len(workers), 'worker')} alive: {some}"
    elif counts[Status.RESERVED]:
        yield "no worker alive: its trials run again when a worker comes"
    held = sum(standing.view.held for standing in group)
    if counts[Status.SUSPENDED]:
        paused = counts[Status.SUSPENDED] - held
        whom = [f"{held} by a person"] * (held > 0) + [f"{paused} by the algorithm"] * (paused > 0)
        yield f"suspended: {', '.join(whom)}"
    if counts[Status.BROKEN]:
        yield from _broken_lines(storage, group)


def _front_lines(standing: Standing) -> Iterator[str]:
    """Yield the trials of a front, the first ones of many."""
    front, space = standing.front, space_of(standing.record)
    if standing.count(Status.COMPLETED):
        count = several(len(front), "trial")
        yield f"front: {count} that no other beats ({standing.goal.describe()})"
    for trial in front[:FRONT_LINES]:
        params = params_text(params_of(space, trial))
        yield f"  {objectives_text(trial)} (trial {trial.number}, {trial.id}): {params}"
    if len(front) > FRONT_LINES:
        yield "  … (all of them: status --json)"


def _broken_lines(storage: Storage, group: list[Standing]) -> Iterator[str]:
    """Say why the newest broken trial broke."""
    found = [
        trial
        for standing in group
        if standing.count(Status.BROKEN)
        and (trial := storage.last_ended(standing.record.id, Status.BROKEN))
    ]
    if found:
        newest = max(found, key=lambda trial: trial.end_time or 0.0)
        yield f"trial {newest.number} broke:"
        for line in last_lines(newest.reason, REASON_LINES) or ["(no reason was kept)"]:
            yield f"  {line}"


def _counts(group: list[Standing]) -> dict[Status, int]:
    return {status: sum(standing.count(status) for standing in group) for status in STATUSES}


def _best(storage: Storage, group: list[Standing]) -> tuple[Standing, TrialRecord] | None:
    """Return the best trial, read from the experiment that has it."""
    # Losses of versions that aim at something else can't be compared: the newest decides.
    aim = group[-1].goal.directions
    with_best = [
        (s.loss, n) for n, s in enumerate(group) if s.loss is not None and s.goal.directions == aim
    ]
    if not with_best:
        return None
    standing = group[min(with_best)[1]]
    trial = storage.best(standing.record.id) if standing.mean is None else standing.mean[1]
    return None if trial is None else (standing, trial)


def _trial_rows(
    storage: Storage, group: list[Standing], with_version: bool
) -> Iterator[tuple[Any, ...]]:
    for standing in group:
        space = space_of(standing.record)
        for trial in storage.trials(standing.record.id):
            version = (standing.record.version,) if with_version else ()
            yield (
                *version,
                *(trial.number, trial.id, trial.status.value, objective_of(trial)),
                *(params_text(params_of(space, trial)), trial.attempt, trial.worker),
                *(trial.held_by, _why(trial)),
            )


def _why(trial: TrialRecord) -> str | None:
    """Return why a trial is what it is, in a line."""
    stopped = Stopped.of(trial.results)
    if stopped is None:
        return last_line(trial.reason)
    return last_line(f"stopped at step {stopped.step:g} by {stopped.rule}: {stopped.reason}")


def _plain(storage: Storage, group: list[Standing], collapse: bool) -> Mapping[str, Any]:
    best = _best(storage, group)
    found = None
    if best is not None:
        standing, trial = best
        found = {
            **{"version": standing.record.version, "id": trial.id, "number": trial.number},
            "objective": objective_of(trial) if standing.mean is None else standing.best,
            "params": params_of(space_of(standing.record), trial),
        }
    if not collapse:
        told = {**group[0].plain(), "best": found}
        if group[0].goal.several:
            space = space_of(group[0].record)
            told["front"] = [plain_trial(space, trial) for trial in group[0].front]
        return told
    counts = _counts(group)
    return {
        "name": group[0].record.name,
        "versions": [standing.plain() for standing in group],
        "trials": {status.value: counts[status] for status in STATUSES},
        "best": found,
    }


def _plain_trials(storage: Storage, found: Iterable[Standing]) -> Iterator[Mapping[str, Any]]:
    for standing in found:
        space, record = space_of(standing.record), standing.record
        for trial in storage.trials(record.id):
            yield {
                "experiment": record.name,
                "version": record.version,
                **plain_trial(space, trial),
            }
