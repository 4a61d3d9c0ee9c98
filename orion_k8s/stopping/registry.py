"""Rules by name: ours, and those that other packages register under `orion_k8s.stopping`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orion_k8s.errors import ConfigurationError
from orion_k8s.plugins import Family, parameters_of
from orion_k8s.stopping.base import Rule
from orion_k8s.trial import Curve, Stopped

GROUP = "orion_k8s.stopping"

_OURS = {
    "median": "orion_k8s.stopping.median:Median",
    "percentile": "orion_k8s.stopping.percentile:Percentile",
    "asha": "orion_k8s.stopping.asha:ASHA",
    "patience": "orion_k8s.stopping.patience:Patience",
    "threshold": "orion_k8s.stopping.threshold:Threshold",
}

REASON_LIMIT = 500
"""Characters of a reason that are kept."""

NONE = "none"
"""The word for no rule at all."""

_FAMILY = Family(
    "rule",
    "Unknown rule of early stopping",
    GROUP,
    Rule,  # type: ignore[type-abstract]
    _OURS,
    words=(NONE,),
)

Configuration = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Rules:
    """The rules of an experiment. The first that says stop is the one that counts.

    Attributes:
        rules: in the order of the configuration.
        maximize: whether the experiment does; rules look for low values.
    """

    rules: tuple[Rule, ...] = ()
    maximize: bool = False

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.rules)

    @property
    def learn(self) -> bool:
        """Whether one of them looks at others' curves."""
        return any(rule.learns for rule in self.rules)

    def stop(
        self, own: Curve, others: Sequence[Curve], judged: float = -math.inf
    ) -> Stopped | None:
        """Return why the trial should stop, or None. See `Rule.stop`."""
        ranked = (own, others)
        if self.maximize and any(rule.ranks for rule in self.rules):
            ranked = (own.negated(), [curve.negated() for curve in others])
        for rule in self.rules:
            reason = rule.stop(*(ranked if rule.ranks else (own, others)), judged)
            if reason is not None:
                return Stopped(rule.name, own.last_step, str(reason)[:REASON_LIMIT])
        return None


def normalise(stopping: str | Mapping[str, Any] | None) -> Configuration:
    """Return rules as they are stored: name → parameters; empty for none.

    Accepts "median", "none", None, and {"median": {"min_steps": 5}, "patience": None}.

    Raises:
        ConfigurationError: it is none of these.
    """
    if stopping is None or (isinstance(stopping, str) and stopping.lower() == NONE):
        return {}
    if isinstance(stopping, str):
        return {stopping.lower(): {}}
    if isinstance(stopping, Mapping) and all(
        parameters is None or isinstance(parameters, Mapping) for parameters in stopping.values()
    ):
        return {str(name).lower(): dict(given or {}) for name, given in stopping.items()}
    raise ConfigurationError(
        "Early stopping is the name of a rule, or names with mappings of their parameters, such "
        f"as {{'median': {{'min_steps': 5}}}}; got {stopping!r}."
    )


def names() -> list[str]:
    """Return the names of all rules that are installed."""
    return _FAMILY.names()


def find(name: str) -> type[Rule]:
    """Return the class of that name.

    Raises:
        ConfigurationError: there is none; the nearest name is suggested.
    """
    return _FAMILY.find(name)


def create(configuration: Mapping[str, Mapping[str, Any]], maximize: bool = False) -> Rules:
    """Return the rules of a configuration as `normalise` gives it.

    Args:
        configuration: name → parameters.
        maximize: whether the experiment does.

    Raises:
        ConfigurationError: unknown name or parameter, or a value that does not fit.
    """
    return Rules(tuple(_one(name, given) for name, given in configuration.items()), maximize)


def _one(name: str, given: Mapping[str, Any]) -> Rule:
    found = find(name)
    _FAMILY.check(name, given, parameters_of(found))
    return found(**given)
