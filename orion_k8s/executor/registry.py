"""Executors by name: the built-in ones, and those of other packages by entry point."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from orion_k8s.errors import ConfigurationError, MissingExtra
from orion_k8s.executor.base import Executor
from orion_k8s.executor.nearest import nearest
from orion_k8s.executor.workers import count_workers

GROUP = "orion_k8s.executor"
"""The group of entry points; name → `package.module:Class`."""

BUILT_IN = {
    "joblib": "orion_k8s.executor.joblib:Joblib",
    "singleexecutor": "orion_k8s.executor.single:Single",
    "poolexecutor": "orion_k8s.executor.pool:Pool",
    "dask": "orion_k8s.executor.dask:Dask",
    "dask-kubernetes": "orion_k8s.executor.dask_kubernetes:DaskKubernetes",
    "kubernetes": "orion_k8s.executor.kubernetes:KubernetesJobs",
}
"""Known without a look at the installed packages, which costs tens of milliseconds."""


def create_executor(name: str, /, n_workers: int | None = None, **configuration: Any) -> Executor:
    """Return a new executor.

    Args:
        name: of an executor, in upper or lower case.
        n_workers: number of slots; -1 for all cores; None for the executor's own default: one,
            where no outer context of joblib says otherwise.
        **configuration: arguments of the executor.

    Raises:
        ConfigurationError: there is no such executor, or it takes no such argument.
        MissingExtra: it needs a package that is not installed.
    """
    kind = executor_class(name)
    known = inspect.signature(kind).parameters
    if not any(p.kind is p.VAR_KEYWORD for p in known.values()):
        allowed = [n for n in known if n != "n_workers"]
        for argument in configuration:
            if argument not in allowed:
                raise ConfigurationError(
                    f"The executor {kind.name} takes no argument {argument!r}"
                    f"{nearest(argument, allowed)} It takes: {', '.join(allowed) or 'none'}."
                )
    if n_workers is not None:
        configuration["n_workers"] = count_workers(n_workers)
    return kind(**configuration)


def executor_class(name: str) -> type[Executor]:
    """Return the class of an executor.

    Raises:
        ConfigurationError: there is no such executor.
        MissingExtra: it needs a package that is not installed.
    """
    if not isinstance(name, str):
        raise ConfigurationError(f"The name of an executor must be a word, not {name!r}.")
    wanted = name.strip().lower()
    target = BUILT_IN.get(wanted)
    if target is not None:
        module, _, attribute = target.partition(":")
        found: type[Executor] = getattr(import_module(module), attribute)
        return found
    others = {point.name.lower(): point for point in entry_points(group=GROUP)}
    if wanted not in others:
        names = sorted({*BUILT_IN, *others})
        raise ConfigurationError(
            f"There is no executor {name!r}{nearest(wanted, names)} There are: {', '.join(names)}."
        )
    return _load(others[wanted])


def _load(point: EntryPoint) -> type[Executor]:
    try:
        kind = point.load()
    except ImportError as error:
        raise MissingExtra(
            f"The executor {point.name} needs a package that is not installed ({error}): install "
            "it, or take the executor joblib."
        ) from error
    except AttributeError as error:
        raise ConfigurationError(
            f"The executor {point.name} cannot be loaded from {point.value}: {error}."
        ) from error
    if not (isinstance(kind, type) and issubclass(kind, Executor)):
        raise ConfigurationError(
            f"The entry point {point.name} = {point.value} is not a subclass of "
            "orion_k8s.executor.Executor."
        )
    return kind
