"""Opening experiments from Python: build_experiment, get_experiment, workon."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orion_k8s.client.experiment import ExperimentClient, Settings
from orion_k8s.client.opening import ensure, fetch, find
from orion_k8s.config import Configuration, resolve
from orion_k8s.errors import ConfigurationError
from orion_k8s.executor import Executor
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord


def build_experiment(
    name: str,
    version: int | None = None,
    space: Mapping[str, Any] | Space | None = None,
    algorithm: str | Mapping[str, Any] | None = None,
    max_trials: int | None = None,
    max_broken: int | None = None,
    storage: Storage | str | Mapping[str, Any] | None = None,
    heartbeat: float | None = None,
    working_dir: str | None = None,
    executor: Executor | str | None = None,
    seed: int | None = None,
) -> ExperimentClient:
    """Return the experiment of that name, made if it is missing.

    Args:
        name: of the experiment.
        version: None for the newest, or 1 where there is none.
        space: name → prior, such as {"lr": "loguniform(1e-5, 1)"}; None for the stored one.
        algorithm: a name, or {name: parameters}; None for the stored one, or random.
        max_trials: completed trials that end it; None for what is stored, or without end.
        max_broken: broken trials that end it; None for what is stored, or 3.
        storage: a URL or a path, a storage, or a mapping as in configuration files; None for what is configured.
        heartbeat: seconds between heartbeats; None for what is configured, or 15.
        working_dir: folder that holds the trials' folders.
        executor: where trials run: a name, or an executor, which is left open.
        seed: of the experiment; only for a new one. `algorithm={"random": {"seed": 1}}` says the same.

    Raises:
        NotFound: it is missing and no space was given.
        SpaceChanged: the stored space is another one.
        InvalidPrior, ConfigurationError: something is not valid.
        DatabaseError: the database can't be used.
    """
    given = {"worker.heartbeat": heartbeat}
    if isinstance(executor, str):
        given["worker.executor"] = executor  # type: ignore[assignment]
    configuration = resolve(local={**given, **_storage_layer(storage)})
    history = _open(storage, configuration)
    stored = find(history, name, version)
    configured = _experiment_defaults(configuration, stored)
    record = ensure(
        history,
        name,
        version,
        space,
        algorithm if algorithm is not None else configured["algorithm"],
        max_trials if max_trials is not None else configured["max_trials"],
        max_broken if max_broken is not None else configured["max_broken"],
        working_dir if working_dir is not None else configured["working_dir"],
        seed,
    )
    own = executor if isinstance(executor, Executor) else None
    return ExperimentClient(history, record, settings_of(configuration), own)


def get_experiment(
    name: str,
    version: int | None = None,
    mode: str = "r",
    storage: Storage | str | Mapping[str, Any] | None = None,
) -> ExperimentClient:
    """Return an experiment that exists, for reading ("r") or for writing ("w").

    Raises:
        NotFound: there is none of that name and version.
        ConfigurationError: another mode was asked for.
        DatabaseError: the database can't be used.
    """
    if mode not in ("r", "w"):
        raise ConfigurationError(f"mode must be 'r' (read) or 'w' (write), not {mode!r}.")
    configuration = resolve(local=_storage_layer(storage))
    history = _open(storage, configuration)
    record = fetch(history, name, version)
    return ExperimentClient(history, record, settings_of(configuration), mode=mode)


def workon(
    fn: Callable[..., Any],
    space: Mapping[str, Any] | Space,
    name: str = "loop",
    algorithm: str | Mapping[str, Any] | None = None,
    max_trials: int | None = None,
    max_broken: int | None = None,
    seed: int | None = None,
    n_workers: int | None = None,
) -> ExperimentClient:
    """Optimise a function in memory, with nothing stored, and return the experiment.

    Args:
        fn: called with the parameters by name; returns the objective.
        space: name → prior.
        name: of the experiment.
        algorithm: a name, or {name: parameters}; None for random.
        max_trials: completed trials that end it.
        max_broken: broken trials that end it; None for 3.
        seed: of its random streams.
        n_workers: trials at once; None runs them one by one in this thread.
    """
    from orion_k8s.storage.memory import Memory
    from orion_k8s.trial import new_id

    experiment = build_experiment(
        name,
        space=space,
        algorithm=algorithm,
        max_trials=max_trials,
        max_broken=max_broken,
        storage=Memory(f"workon-{new_id()}"),
        executor="singleexecutor" if n_workers is None else None,
        seed=seed,
    )
    experiment.workon(fn, n_workers=n_workers)
    return experiment


def settings_of(configuration: Configuration) -> Settings:
    """Return what the configuration says about a worker of this process."""
    worker = configuration.section("worker")
    return Settings(
        heartbeat_s=worker["heartbeat"],
        max_lost=worker["max_lost"],
        n_workers=worker["n_workers"] if configuration.given("worker.n_workers") else None,
        executor=worker["executor"],
        executor_configuration=worker["executor_configuration"],
        max_trials=worker["max_trials"],
        max_broken=worker["max_broken"],
        idle_timeout_s=worker["idle_timeout"],
        grace_s=worker["grace"],
    )


def _experiment_defaults(
    configuration: Configuration, stored: ExperimentRecord | None
) -> dict[str, Any]:
    """Return what configuration says of an experiment's limits; nothing where the stored one is stronger."""
    words = ("algorithm", "max_trials", "max_broken", "working_dir")
    if stored is not None:
        return dict.fromkeys(words)
    return {
        word: configuration.value(f"experiment.{word}")
        if configuration.given(f"experiment.{word}")
        else None
        for word in words
    }


def _storage_layer(storage: Storage | str | Mapping[str, Any] | None) -> dict[str, Any]:
    if storage is None or isinstance(storage, Storage):
        return {}
    if isinstance(storage, Mapping):
        return {"storage": dict(storage)}
    return {"storage": {"url": str(storage)}}


def _open(
    storage: Storage | str | Mapping[str, Any] | None, configuration: Configuration
) -> Storage:
    if isinstance(storage, Storage):
        history = storage
    else:
        from orion_k8s.storage.url import open_storage

        history = open_storage(**configuration.storage())
    history.setup()
    return history
