"""Rules by name: ours, and those that other packages register under `orion_k8s.stopping`."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from orion_k8s.errors import ConfigurationError
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
"""Found without a search through the installed packages, which takes longer than all the rest."""

REASON_LIMIT = 500
"""Characters of a reason that are kept."""

NONE = "none"
"""The word for no rule at all."""

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
    return sorted({*_OURS, *(point.name for point in entry_points(group=GROUP))})


def find(name: str) -> type[Rule]:
    """Return the class of that name.

    Raises:
        ConfigurationError: there is none; the nearest name is suggested.
    """
    if name in _OURS:
        module, _, attribute = _OURS[name].partition(":")
        found = getattr(import_module(module), attribute)
    else:
        points = [point for point in entry_points(group=GROUP) if point.name.lower() == name]
        if not points:
            near = difflib.get_close_matches(name, [*names(), NONE], n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {', '.join(names())}."
            raise ConfigurationError(f"Unknown rule of early stopping '{name}': {hint}")
        try:
            found = points[0].load()
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(
                f"The rule '{name}' is registered as {points[0].value} and can't be loaded: "
                f"{error}."
            ) from error
    if not (isinstance(found, type) and issubclass(found, Rule)):
        raise ConfigurationError(f"The rule '{name}' is not a subclass of Rule.")
    return found


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
    signature = inspect.signature(found).parameters.values()
    known = [p for p in signature if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    words = [p.name for p in known]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature)
    for key in given:
        if key not in words and not takes_any:
            near = difflib.get_close_matches(str(key), words, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it takes: {', '.join(words)}."
            raise ConfigurationError(f"The rule '{name}' has no parameter '{key}': {hint}")
    missing = [p.name for p in known if p.default is p.empty and p.name not in given]
    if missing:
        raise ConfigurationError(f"The rule '{name}' needs {' and '.join(missing)} too: add them.")
    return found(**given)
