"""The arguments of the executor that are written into the template, checked one by one."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from orion_k8s.errors import ConfigurationError

Object = dict[str, Any]

PREFIX = "orion-k8s/"
"""Of our labels and annotations."""

TOLD = (
    *("ORION_EXPERIMENT_ID", "ORION_EXPERIMENT_NAME", "ORION_EXPERIMENT_VERSION"),
    *("ORION_TRIAL_ID", "ORION_TRIAL_ATTEMPT", "ORION_WORKING_DIR"),
    *("ORION_TRIAL_PARENT", "ORION_PARENT_WORKING_DIR"),
    *("ORION_RESULTS_PATH", "ORION_INTERRUPT_CODE"),
    *("ORION_REPORTS_PATH", "ORION_STOP_PATH"),
)
"""Variables that a program is told by us."""


def environment(env: Mapping[str, Any] | list[Any]) -> list[Object]:
    """Return variables as Kubernetes has them.

    Raises:
        ConfigurationError: they are not texts or numbers, or one is ours.
    """
    if isinstance(env, list):
        return checked_environment(copy.deepcopy(env))
    if not isinstance(env, Mapping):
        raise ConfigurationError(f"env must be a mapping of names to values, not {env!r}.")
    found = []
    for name, value in env.items():
        if isinstance(value, bool):
            value = "true" if value else "false"
        if not isinstance(value, (str, int, float)):
            raise ConfigurationError(
                f"env must map {name!r} to a text or a number, not "
                f"{a_kind(type(value).__name__)}: a Secret and the like go into the template."
            )
        found.append({"name": str(name), "value": str(value)})
    return checked_environment(found)


def checked_environment(env: list[Any]) -> list[Object]:
    """Return variables that are in Kubernetes' form already.

    Raises:
        ConfigurationError: they are not, or one is ours.
    """
    for item in env:
        if not isinstance(item, Mapping) or not isinstance(item.get("name"), str):
            raise ConfigurationError(f"env holds {item!r}: each item needs a name and a value.")
        if item["name"] in TOLD:
            raise ConfigurationError(
                f"env sets {item['name']}, which orion-k8s tells each program itself: leave it "
                "out."
            )
    return [dict(item) for item in env]


def merged_environment(before: list[Object], after: list[Object]) -> list[Object]:
    """Return both; where a name is in both, the one of `after`."""
    names = {item["name"] for item in after}
    return [*(item for item in before if item["name"] not in names), *after]


def amounts(resources: Mapping[str, Any]) -> Object:
    """Return requests and limits.

    Raises:
        ConfigurationError: they are no amounts.
    """
    if not isinstance(resources, Mapping):
        raise ConfigurationError(f"resources must be a mapping, not {resources!r}.")
    if {"requests", "limits", "claims"}.isdisjoint(resources):
        resources = {"requests": dict(resources), "limits": dict(resources)}
    found: Object = {}
    for part, amounts in resources.items():
        if part == "claims":
            found[part] = amounts
            continue
        if part not in ("requests", "limits") or not isinstance(amounts, Mapping):
            raise ConfigurationError(
                f"resources cannot hold {part!r}: write "
                '{"cpu": 2, "memory": "4Gi"}, or these under "requests" and "limits".'
            )
        for name, amount in amounts.items():
            if isinstance(amount, bool) or not isinstance(amount, (str, int, float)):
                raise ConfigurationError(f"resources: {amount!r} is no amount of {name}.")
        found[part] = {str(name): str(amount) for name, amount in amounts.items()}
    return found


def own_labels(labels: Mapping[str, Any]) -> dict[str, str]:
    """Return the person's labels.

    Raises:
        ConfigurationError: one is ours.
    """
    for name in labels:
        if str(name).startswith(PREFIX):
            raise ConfigurationError(
                f"The label {name} is ours (all that begin with {PREFIX} are): take another name."
            )
    return {str(name): str(value) for name, value in labels.items()}


def texts(argument: str, given: Any) -> dict[str, str]:
    """Return a mapping of texts, or raise ConfigurationError."""
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"{argument} must be a mapping of texts, not {given!r}.")
    for name, value in given.items():
        if not isinstance(value, str):
            raise ConfigurationError(
                f"{argument} must map {name!r} to a text, not {value!r}: put quotes around it."
            )
    return {str(name): value for name, value in given.items()}


def word(argument: str, given: Any) -> str:
    """Return a word, or raise ConfigurationError."""
    if not isinstance(given, str) or not given or given.split() != [given]:
        raise ConfigurationError(f"{argument} must be one word, not {given!r}.")
    return given


def seconds(argument: str, given: Any, zero: bool = False) -> float:
    """Return a positive number of seconds (or zero, where that is allowed), or raise."""
    good = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not good or not (0 <= given < 2**31) or (given == 0 and not zero):
        raise ConfigurationError(f"{argument} must be a number of seconds, not {given!r}.")
    return float(given)


def a_kind(kind: Any) -> str:
    """Return a kind of thing with its article, for a sentence."""
    return f"a {kind}" if kind else "something without a kind"
