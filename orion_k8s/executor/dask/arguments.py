"""What a configuration may say of a Dask cluster: checked before anything is opened."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import dask
from dask.utils import parse_timedelta
from distributed import Client, LocalCluster, Nanny, Worker

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.nearest import nearest

OURS = ("loop", "asynchronous", "set_as_default", "extensions", "self", "args", "kwargs")
"""Arguments of Dask that make no sense in a configuration."""


def has_address(arguments: Mapping[str, Any]) -> bool:
    """Whether the arguments, or Dask's own configuration, say where the scheduler is."""
    known = arguments.get("address") or arguments.get("scheduler_file")
    return bool(known or dask.config.get("scheduler-address", None))


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Accept arguments that Dask knows.

    Raises:
        ConfigurationError: it does not.
    """
    kinds = [Client] if has_address(arguments) else [Client, LocalCluster, Nanny, Worker]
    known = {name for kind in kinds for name in inspect.signature(kind).parameters}
    allowed = sorted(known.difference(OURS, ("worker_kwargs", "worker_class")))
    for name in arguments:
        if name not in allowed:
            raise ConfigurationError(
                f"dask.distributed.Client takes no argument {name!r}{nearest(name, allowed)} See "
                "https://distributed.dask.org/en/stable/api.html#client for those it takes."
            )
    for name in ("address", "scheduler_file"):
        if arguments.get(name) == "":
            raise ConfigurationError(
                f"{name} is empty: say where the scheduler is, or leave it out for a cluster on "
                "this machine."
            )
    timeout_of(arguments)


def check_resources(resources: Any) -> dict[str, float]:
    """Return what a call takes of a Dask worker's resources.

    Raises:
        ConfigurationError: it is no mapping of names to positive numbers.
    """
    if resources is None:
        return {}
    good = isinstance(resources, Mapping) and all(
        isinstance(name, str) and _is_number(amount) and amount > 0
        for name, amount in resources.items()
    )
    if not good:
        raise ConfigurationError(
            'resources must be a mapping of names to positive numbers, such as {"GPU": 1}, not '
            f"{resources!r}."
        )
    return dict(resources)


def check_priority(priority: Any) -> int:
    """Return the priority of the calls.

    Raises:
        ConfigurationError: it is no integer.
    """
    if isinstance(priority, int) and not isinstance(priority, bool):
        return priority
    raise ConfigurationError(f"priority must be an integer, not {priority!r}.")


def timeout_of(arguments: Mapping[str, Any]) -> float:
    """Return how many seconds a connection may take.

    Raises:
        ConfigurationError: the argument `timeout` is no time.
    """
    timeout = arguments.get("timeout")
    if timeout is None:
        timeout = dask.config.get("distributed.comm.timeouts.connect")
    try:
        seconds = float(parse_timedelta(timeout, "s"))
    except (TypeError, ValueError, KeyError, AttributeError):
        seconds = 0.0
    if isinstance(timeout, bool) or not seconds > 0:
        raise ConfigurationError(
            f"timeout must be seconds or a text such as '30 s', not {timeout!r}."
        )
    return seconds


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
