"""Finding an experiment in the shared history, or making it there.

The same for Python and for the command line.
"""

from __future__ import annotations

import getpass
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from orion_k8s.algorithm.registry import create, normalise
from orion_k8s.client.enqueue import enqueue, new_trial
from orion_k8s.errors import (
    ConfigurationError,
    ExperimentExists,
    GoalChanged,
    NotFound,
    SpaceChanged,
)
from orion_k8s.space import Space
from orion_k8s.stopping import create as create_rules
from orion_k8s.stopping import normalise as normalise_rules
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord, Goal, TrialRecord, new_id

STOPPING = "stopping"
"""Key of the rules of early stopping in an experiment's metadata."""

NAME_LIMIT = 300
"""Characters in a name: it becomes part of an index's key."""


def find(storage: Storage, name: str, version: int | None = None) -> ExperimentRecord | None:
    """Return the experiment of that name and version (None: the newest), or None."""
    found = storage.experiments(name)
    if version is not None:
        found = [record for record in found if record.version == version]
    return found[-1] if found else None


def fetch(storage: Storage, name: str, version: int | None = None) -> ExperimentRecord:
    """Return the experiment of that name and version (None: the newest).

    Raises:
        NotFound: there is none; names the versions there are, or the nearest name.
    """
    record = find(storage, name, version)
    if record is not None:
        return record
    import difflib

    there = storage.experiments(name)
    if there:
        versions = ", ".join(str(record.version) for record in there)
        raise NotFound(f"Experiment '{name}' has no version {version}, only: {versions}.")
    names = sorted({record.name for record in storage.experiments()})
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean '{near[0]}'?" if near else "`orion-k8s list` shows what is there."
    raise NotFound(f"There is no experiment '{name}' in {storage.describe()}: {hint}")


def ensure(
    storage: Storage,
    name: str,
    version: int | None = None,
    space: Mapping[str, Any] | Space | None = None,
    algorithm: str | Mapping[str, Any] | None = None,
    max_trials: int | None = None,
    max_broken: int | None = None,
    working_dir: str | None = None,
    seed: int | None = None,
    metadata: Mapping[str, Any] | None = None,
    stopping: str | Mapping[str, Any] | None = None,
    goal: Mapping[str, Any] | None = None,
    first: Sequence[Mapping[str, Any]] = (),
) -> ExperimentRecord:
    """Return the experiment, made if it is missing, and brought up to what is asked for.

    Args:
        storage: the shared history, set up.
        name: of the experiment.
        version: None for the newest, or 1 for a new one.
        space: None to take the stored one.
        algorithm: None to keep the stored one; another one is taken from now on (it reads the
            same history).
        max_trials: None to keep what is stored.
        max_broken: the same.
        working_dir: the same.
        seed: of the experiment; only for a new one.
        metadata: replaces what is stored, if given.
        stopping: rules of early stopping; None to keep the stored ones, "none" or {} for none.
        goal: arguments of `Goal.asked`; what is None or left out stays as it is stored.
        first: points to try first, as parameters; those that there are already are passed over.

    Raises:
        NotFound: the experiment is missing and no space was given.
        SpaceChanged: the space differs from the stored one.
        GoalChanged: so do the directions, or how many objectives there are.
        InvalidParams: a point of `first` does not lie in the space.
        ConfigurationError: something is not valid.
    """
    if stopping is not None:
        metadata = {**(metadata or {}), STOPPING: _rules(stopping)}
    record = _ensured(
        storage,
        name,
        version,
        space,
        algorithm,
        max_trials,
        max_broken,
        working_dir,
        seed,
        metadata,
        goal or {},
        first,
    )
    enqueue(storage, _trials(record, Space.parse(record.space), first) if first else ())
    return record


def _trials(
    record: ExperimentRecord, space: Space, first: Sequence[Mapping[str, Any]]
) -> list[TrialRecord]:
    return [new_trial(record.id, space, params) for params in first]


def _ensured(
    storage: Storage,
    name: str,
    version: int | None,
    space: Mapping[str, Any] | Space | None,
    algorithm: str | Mapping[str, Any] | None,
    max_trials: int | None,
    max_broken: int | None,
    working_dir: str | None,
    seed: int | None,
    metadata: Mapping[str, Any] | None,
    goal: Mapping[str, Any],
    first: Sequence[Mapping[str, Any]],
) -> ExperimentRecord:
    _check_name(name)
    check_limits(version, max_trials, max_broken)
    parsed = _parse(space)
    for _ in range(3):
        record = find(storage, name, version)
        if record is None and parsed is not None and version is not None and version > 1:
            older = storage.experiments(name)
            if not older or older[-1].version < version - 1:
                last = older[-1].version if older else 0
                raise NotFound(
                    f"Experiment '{name}' would skip versions: its next one is {last + 1}, not "
                    f"{version}."
                )
        if record is not None:
            return _update(
                storage,
                record,
                parsed,
                algorithm,
                max_trials,
                max_broken,
                working_dir,
                metadata,
                goal,
            )
        if parsed is None:
            return fetch(storage, name, version)
        record = _new(
            name,
            version or 1,
            parsed,
            algorithm,
            max_trials,
            max_broken,
            working_dir,
            seed,
            metadata,
            Goal.asked(**goal),
        )
        _trials(record, parsed, first)  # refuses what is no point before anything is stored
        try:
            storage.create_experiment(record)
        except ExperimentExists:
            continue  # somebody else typed the same command a moment earlier
        return record
    raise ExperimentExists(f"Experiment '{name}' appears and vanishes: is somebody removing it?")


def stopping_of(record: ExperimentRecord) -> dict[str, dict[str, Any]]:
    """Return an experiment's rules of early stopping: name → parameters."""
    found = record.metadata.get(STOPPING)
    return normalise_rules(found) if found else {}


def _rules(stopping: str | Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    chosen = normalise_rules(stopping)
    create_rules(chosen)  # refuses unknown names and parameters before anything is stored
    return chosen


def _check_rules(metadata: Mapping[str, Any], goal: Goal) -> None:
    """Refuse rules where there is no one curve to judge by."""
    if metadata.get(STOPPING) and goal.several:
        raise ConfigurationError(
            f"Early stopping judges one objective, and the experiment has {len(goal)}: take no "
            'rule (--stopping none; stopping="none" in Python).'
        )


def _parse(space: Mapping[str, Any] | Space | None) -> Space | None:
    if space is None or isinstance(space, Space):
        return space
    return Space.parse(space)


def _check_name(name: str) -> None:
    if not isinstance(name, str):
        raise ConfigurationError(f"An experiment's name must be a text, not {name!r}.")
    if not name.strip() or len(name) > NAME_LIMIT or "\0" in name:
        raise ConfigurationError(
            f"An experiment's name needs 1 to {NAME_LIMIT} characters; got {len(name)}."
        )


def check_limits(
    version: int | None = None, max_trials: int | None = None, max_broken: int | None = None
) -> None:
    """Refuse numbers that make no sense; None is passed over.

    Raises:
        ConfigurationError: one of them is not a whole number, or too small.
    """
    for word, value, least in (
        ("version", version, 1),
        ("max_trials", max_trials, 0),
        ("max_broken", max_broken, 1),
    ):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise ConfigurationError(f"{word} must be a whole number, not {value!r}.")
        if value is not None and value < least:
            raise ConfigurationError(f"{word} must be at least {least}, not {value}.")


def _new(
    name: str,
    version: int,
    space: Space,
    algorithm: str | Mapping[str, Any] | None,
    max_trials: int | None,
    max_broken: int | None,
    working_dir: str | None,
    seed: int | None,
    metadata: Mapping[str, Any] | None,
    goal: Goal,
) -> ExperimentRecord:
    chosen = normalise(algorithm)
    seed = _seed(chosen, seed)
    # It refuses unknown names and parameters before anything is stored.
    create(chosen, space, seed, len(goal), goal.repetitions, max_trials)
    about = {"user": _user(), "created": time.time(), **(metadata or {})}
    _check_rules(about, goal)
    return ExperimentRecord(
        id=new_id(),
        name=name,
        version=version,
        space=space.configuration,
        algorithm=chosen,
        seed=seed,
        max_trials=max_trials,
        max_broken=3 if max_broken is None else max_broken,
        working_dir=working_dir or "",
        metadata=about,
        goal=goal.configuration,
    )


def _update(
    storage: Storage,
    record: ExperimentRecord,
    space: Space | None,
    algorithm: str | Mapping[str, Any] | None,
    max_trials: int | None,
    max_broken: int | None,
    working_dir: str | None,
    metadata: Mapping[str, Any] | None,
    goal: Mapping[str, Any],
) -> ExperimentRecord:
    stored = Space.parse(record.space)
    if space is not None and space != stored:
        changes = "; ".join(stored.difference(space)) or "the order of the dimensions"
        raise SpaceChanged(
            f"The space of '{record.name}' version {record.version} differs from the stored one "
            f"({changes}): make a new version with -v {record.version + 1} "
            f"(version={record.version + 1} in Python)."
        )
    changes_made: dict[str, Any] = {}
    aim = _aim(record, goal)
    if aim.configuration != record.goal:
        changes_made["goal"] = aim.configuration
    if algorithm is not None and normalise(algorithm) != record.algorithm:
        chosen = normalise(algorithm)
        budget = record.max_trials if max_trials is None else max_trials
        create(chosen, stored, record.seed, len(aim), aim.repetitions, budget)
        changes_made["algorithm"] = chosen
    for word, value, before in (
        ("max_trials", max_trials, record.max_trials),
        ("max_broken", max_broken, record.max_broken),
        ("working_dir", working_dir, record.working_dir),
    ):
        if value is not None and value != before:
            changes_made[word] = value
    if metadata and {**record.metadata, **metadata} != record.metadata:
        changes_made["metadata"] = {**record.metadata, **metadata}
        _check_rules(changes_made["metadata"], aim)
    if not changes_made:
        return record
    storage.update_experiment(record.id, changes_made)
    return storage.experiment(record.id) or record


def _aim(record: ExperimentRecord, asked: Mapping[str, Any]) -> Goal:
    """Return the goal with what is asked for: a value may change, what the losses mean may not."""
    stored = Goal.of(record.goal)
    direction, objectives = asked.get("direction"), asked.get("objectives")
    if direction is not None or objectives:
        wanted = Goal.asked(direction, None, objectives)
        # The order counts too: the first objective's loss stands for all.
        if list(wanted.directions.items()) != list(stored.directions.items()):
            raise GoalChanged(
                f"'{record.name}' version {record.version} is to {stored.describe()}, not to "
                f"{wanted.describe()}: make a new version with -v {record.version + 1} "
                f"(version={record.version + 1} in Python)."
            )
    times = asked.get("repetitions")
    if times is not None and Goal.asked(repetitions=times).repetitions != stored.repetitions:
        raise GoalChanged(
            f"'{record.name}' version {record.version} measures each point {stored.repetitions} "
            f"times, not {times}: make a new version with -v {record.version + 1} "
            f"(version={record.version + 1} in Python)."
        )
    target = asked.get("goal")
    return stored if target is None else stored.with_target(target)


def _seed(algorithm: Mapping[str, Mapping[str, Any]], seed: int | None) -> int:
    parameters = next(iter(algorithm.values()))
    chosen = parameters.get("seed", seed)
    if chosen is None:
        return int.from_bytes(os.urandom(6), "big")
    if isinstance(chosen, bool) or not isinstance(chosen, int) or not 0 <= chosen < 2**63:
        raise ConfigurationError(
            f"The seed must be a whole number from 0 to 2**63 - 1, not {chosen!r}."
        )
    return chosen


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # a container may run under an id without a name
