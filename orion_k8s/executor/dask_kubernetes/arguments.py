"""What a person asks for: checked as far as it can be without a cluster."""

from __future__ import annotations

import math
import re
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.kubernetes.arguments import amounts, environment, seconds, word
from orion_k8s.executor.nearest import nearest

Object = dict[str, Any]

API_VERSION, KIND = "kubernetes.dask.org/v1", "DaskCluster"

NAME_LENGTH = 53
"""The operator adds "-scheduler", and a Service's name has 63 letters at most."""

GENERATED_LENGTH = 37
"""Of a name that is made here: that of a worker's Deployment, 26 letters longer, is then no longer
than a label may be."""

IDLE_S = 300.0
SHORTEST_IDLE_S = 10.0
"""The operator looks every 5 seconds."""

START_S = 300.0


@dataclass(frozen=True)
class Adapt:
    """How many Dask workers the operator may keep."""

    minimum: int
    maximum: int


@dataclass(frozen=True)
class Wanted:
    """The DaskCluster that is to be made.

    Attributes:
        name: as the person gave it; None for one of its own.
        pods: Dask workers at the start.
        idle_s: an idle cluster is deleted by the operator after so long; 0 for never.
        custom: the person's own DaskCluster, from which the others are left aside.
    """

    name: str | None = None
    pods: int = 1
    adapt: Adapt | None = None
    image: str | None = None
    env: tuple[Object, ...] = ()
    resources: Object = field(default_factory=dict)
    worker_command: tuple[str, ...] = ()
    idle_s: float = IDLE_S
    custom: Object | None = None


def make_wanted(
    n_workers: int | None = None,
    *,
    name: str | None = None,
    image: str | None = None,
    adapt: Mapping[str, int] | None = None,
    env: Mapping[str, Any] | list[Any] | None = None,
    resources: Mapping[str, Any] | None = None,
    worker_command: str | list[str] | None = None,
    idle_timeout: float = IDLE_S,
    custom_cluster_spec: str | Mapping[str, Any] | None = None,
) -> Wanted:
    """Return what the arguments of the executor describe.

    Raises:
        ConfigurationError: one of them can't be used; or it can't together with another.
    """
    custom = None if custom_cluster_spec is None else read_custom(custom_cluster_spec)
    if custom is not None:
        given = {
            "image": image,
            "env": env,
            "resources": resources,
            "worker_command": worker_command,
        }
        for argument, value in given.items():
            if value is not None:
                raise ConfigurationError(
                    f"custom_cluster_spec says it all: write {argument} into it, and leave the "
                    "argument out."
                )
        own = custom["metadata"].get("name")
        if name is not None and own not in (None, name):
            raise ConfigurationError(
                f"custom_cluster_spec is named {own!r}, and name says {name!r}: leave one out."
            )
        name = own if name is None else name
    adapting = None if adapt is None else _adapt(adapt)
    pods = _pods(n_workers, adapting, custom)
    idle_s = seconds("idle_timeout", idle_timeout, zero=True)
    if 0 < idle_s < SHORTEST_IDLE_S:
        raise ConfigurationError(
            f"idle_timeout must be at least {SHORTEST_IDLE_S:g} seconds (or 0 for no end), not "
            f"{idle_timeout!r}: the operator looks every 5 seconds."
        )
    return Wanted(
        name=None if name is None else check_name("name", name),
        pods=pods,
        adapt=adapting,
        image=None if image is None else word("image", image),
        env=() if env is None else tuple(environment(env)),
        resources={} if resources is None else amounts(resources),
        worker_command=() if worker_command is None else _command(worker_command),
        idle_s=idle_s,
        custom=custom,
    )


def check_name(argument: str, name: Any) -> str:
    """Return a name that a DaskCluster may have, or raise ConfigurationError."""
    good = isinstance(name, str) and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    if not good or len(name) > NAME_LENGTH:
        raise ConfigurationError(
            f"{argument} must be a name as DaskClusters have it, not {name!r}: small letters, "
            f"digits and '-', {NAME_LENGTH} at most."
        )
    return str(name)


def new_name() -> str:
    """Return a name that no other cluster has, and that tells whose it is: orion-HOST-RANDOM."""
    end = secrets.token_hex(4)
    host = re.sub(r"[^a-z0-9]+", "-", socket.gethostname().lower()).strip("-")
    host = host[: GENERATED_LENGTH - len("orion--") - len(end)].strip("-")
    return "-".join(filter(None, ("orion", host, end)))


def read_custom(given: str | Mapping[str, Any]) -> Object:
    """Return the person's own DaskCluster, from a YAML file or as it is.

    Raises:
        ConfigurationError: the file can't be read, or it describes something else.
    """
    what = "custom_cluster_spec"
    found: Any = given
    if isinstance(given, str):
        what = f"The file {given} (custom_cluster_spec)"
        try:
            with open(given, encoding="utf-8") as file:
                found = yaml.safe_load(file)
        except (OSError, ValueError, yaml.YAMLError) as error:
            why = " ".join(str(error).split())
            raise ConfigurationError(f"{what} cannot be read: {why}") from error
    kind = found.get("kind") if isinstance(found, Mapping) else type(found).__name__
    if not isinstance(found, Mapping) or kind != KIND or found.get("apiVersion") != API_VERSION:
        raise ConfigurationError(
            f"{what} must be a {KIND} (apiVersion: {API_VERSION}, kind: {KIND}), not {kind!r}."
        )
    custom: Object = _copy(found)
    custom["metadata"] = custom.get("metadata") or {}
    for part in ("scheduler", "worker"):
        if not _containers(custom, part):
            raise ConfigurationError(f"{what} has no containers in spec.{part}.spec: name them.")
    if not isinstance(custom["spec"]["scheduler"].get("service"), dict):
        raise ConfigurationError(
            f"{what} has no spec.scheduler.service: the scheduler is reached through it (port "
            "tcp-comm)."
        )
    return custom


def _adapt(given: Mapping[str, int]) -> Adapt:
    known = ["minimum", "maximum"]
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"adapt must say how many Dask workers there may be, as in "
            f'{{"minimum": 0, "maximum": 10}}, not {given!r}.'
        )
    for argument in given:
        if argument not in known:
            raise ConfigurationError(f"adapt has no {argument!r}{nearest(str(argument), known)}")
    if "maximum" not in given:
        raise ConfigurationError("adapt needs a maximum: the most Dask workers there may be.")
    minimum, maximum = (_number(f"adapt.{n}", given.get(n, 0)) for n in known)
    if not 0 <= minimum <= maximum or maximum < 1:
        raise ConfigurationError(
            f"adapt wants {minimum} to {maximum} Dask workers: the maximum must be at least 1 and "
            "no less than the minimum."
        )
    return Adapt(minimum, maximum)


def _pods(n_workers: int | None, adapt: Adapt | None, custom: Object | None) -> int:
    if n_workers is None:
        asked = None if custom is None else custom["spec"]["worker"].get("replicas")
        n_workers = asked if asked is not None else (1 if adapt is None else adapt.minimum)
    pods = _number("n_workers", n_workers)
    if pods < 0 or (pods == 0 and adapt is None):
        raise ConfigurationError(
            f"n_workers must be at least 1, not {pods}: without Dask workers no trial runs."
        )
    if adapt is not None and pods > adapt.maximum:
        raise ConfigurationError(
            f"n_workers = {pods} is more than adapt allows ({adapt.maximum}): change one of them."
        )
    return pods


def _number(argument: str, given: Any) -> int:
    good = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not good or not math.isfinite(given) or given != int(given):
        raise ConfigurationError(f"{argument} must be a whole number, not {given!r}.")
    return int(given)


def _command(given: Any) -> tuple[str, ...]:
    words = given.split() if isinstance(given, str) else given
    if not isinstance(words, list) or not words or not all(isinstance(w, str) for w in words):
        raise ConfigurationError(
            f"worker_command must be a command or the list of its words, not {given!r}."
        )
    return tuple(words)


def _containers(custom: Object, part: str) -> list[Any]:
    found: Any = custom
    for name in ("spec", part, "spec", "containers"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, list) else []


def _copy(value: Any) -> Any:
    """Return a deep copy in dictionaries and lists."""
    if isinstance(value, Mapping):
        return {str(name): _copy(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value
