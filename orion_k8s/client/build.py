"""Opening experiments from Python: build_experiment, get_experiment, workon."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orion_k8s.client.experiment import ExperimentClient
from orion_k8s.client.history import open_history
from orion_k8s.client.opening import ensure, fetch, find
from orion_k8s.client.settings import Settings
from orion_k8s.config import Configuration, resolve
from orion_k8s.errors import ConfigurationError
from orion_k8s.executor import Executor
from orion_k8s.space import Space
from orion_k8s.storage import Storage
from orion_k8s.trial import ExperimentRecord
from orion_k8s.trial.goal import WORDS


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
    stopping: str | Mapping[str, Any] | None = None,
    direction: str | None = None,
    goal: float | Mapping[str, float] | None = None,
    objectives: Mapping[str, str] | None = None,
    repetitions: int | None = None,
) -> ExperimentClient:
    """Return the experiment of that name, made if it is missing.

    Args:
        name: of the experiment.
        version: None for the newest, or 1 where there is none.
        space: name → prior, such as {"lr": "loguniform(1e-5, 1)"}; None for the stored one.
        algorithm: a name, or {name: parameters}; None for the stored one, or random.
        max_trials: completed trials that end it; None for what is stored, or without end.
        max_broken: broken trials that end it; None for what is stored, or 3.
        storage: a URL or a path, a storage (which is left open), or a mapping as in configuration
            files; None for what is configured.
        heartbeat: seconds between heartbeats; None for what is configured, or 15.
        working_dir: folder that holds the trials' folders.
        executor: where trials run: a name (its arguments are what is configured as
            `executor_configuration`), or an executor, which is left open.
        seed: of the experiment; only for a new one. `algorithm={"random": {"seed": 1}}` says the
            same.
        stopping: rules that stop a bad trial early: a name, or {name: parameters}; "none" for
            none, None for the stored ones.
        direction: "minimize" or "maximize"; None for what is stored, or to minimise.
        goal: value of the objective that ends the experiment; name → value where there are
            several; None for what is stored, or none.
        objectives: name → direction, where there are several.
        repetitions: how often each point is measured, to count by its mean; None for what is
            stored, or once.

    Raises:
        NotFound: it is missing and no space was given.
        SpaceChanged: the stored space is another one.
        GoalChanged: the stored direction is another one, or there are more or fewer objectives.
        InvalidPrior, ConfigurationError: something is not valid.
        DatabaseError: the database can't be used.
    """
    given: dict[str, Any] = {"worker.heartbeat": heartbeat}
    if executor is not None and not isinstance(executor, (str, Executor)):
        raise ConfigurationError(f"executor must be a name or an executor, not {executor!r}.")
    if isinstance(executor, str):
        given["worker.executor"] = executor
    configuration = resolve(local={**given, **_storage_layer(storage)})
    history = _open(storage, configuration)
    with _closed_if(history is not storage, history):
        stored = find(history, name, version)
        configured = _experiment_defaults(configuration, stored)
        asked = {"direction": direction, "goal": goal, "objectives": objectives}
        asked["repetitions"] = repetitions
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
            stopping=stopping if stopping is not None else configured["stopping"],
            goal={k: configured[k] if v is None else v for k, v in asked.items()},
        )
    own = executor if isinstance(executor, Executor) else None
    return ExperimentClient(
        history, record, Settings.of(configuration), own, owns_storage=history is not storage
    )


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
    with _closed_if(history is not storage, history):
        record = fetch(history, name, version)
    return ExperimentClient(
        history, record, Settings.of(configuration), mode=mode, owns_storage=history is not storage
    )


def workon(
    fn: Callable[..., Any],
    space: Mapping[str, Any] | Space,
    name: str = "loop",
    algorithm: str | Mapping[str, Any] | None = None,
    max_trials: int | None = None,
    max_broken: int | None = None,
    seed: int | None = None,
    n_workers: int | None = None,
    direction: str | None = None,
    goal: float | Mapping[str, float] | None = None,
    objectives: Mapping[str, str] | None = None,
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
        direction: "minimize" (as None) or "maximize".
        goal: value that ends the experiment.
        objectives: name → direction, where there are several.
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
        direction=direction,
        goal=goal,
        objectives=objectives,
    )
    experiment.workon(fn, n_workers=n_workers)
    return experiment


def _experiment_defaults(
    configuration: Configuration, stored: ExperimentRecord | None
) -> dict[str, Any]:
    """Return what configuration says of a new experiment; nothing where there is a stored one."""
    words = ("algorithm", "stopping", "max_trials", "max_broken", "working_dir", *WORDS)
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
    if not isinstance(storage, Storage):
        return open_history(configuration)
    storage.setup()
    return storage


@contextmanager
def _closed_if(owned: bool, history: Storage) -> Iterator[None]:
    """Close a storage that was opened here if the block raises."""
    try:
        yield
    except BaseException:
        if owned:
            history.close()
        raise
