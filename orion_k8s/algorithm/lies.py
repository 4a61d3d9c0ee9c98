"""What a trial is taken for while its result is not known.

Source: D. Ginsbourger, R. Le Riche and L. Carraro, "Kriging is Well-Suited to Parallelize
Optimization", 2010, doi:10.1007/978-3-642-10701-6_6 (the constant liar).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orion_k8s.algorithm.parameters import number, one_of
from orion_k8s.errors import ConfigurationError

_WORDS = {
    "max": "max",
    "mean": "mean",
    "none": "none",
    "MaxParallelStrategy": "max",
    "MeanParallelStrategy": "mean",
    "NoParallelStrategy": "none",
    "StubParallelStrategy": "stub",
}
"""Ours, and Oríon's for the same."""


@dataclass(frozen=True)
class Lie:
    """The objective that a pending trial is taken to have.

    Attributes:
        kind: "max": worse than every other; "mean": that of the completed trials; "none": the
            trial is left out; "stub": `value`.
        value: of a stub.
    """

    kind: str = "max"
    value: float = math.inf

    def objective(self, objectives: NDArray[np.float64]) -> float | None:
        """Return the lie, or None where pending trials are left out.

        Args:
            objectives: of the history, NaN where there is none.
        """
        if self.kind == "none":
            return None
        if self.kind != "mean":
            return self.value
        known = objectives[np.isfinite(objectives)]
        try:
            # The sum is exact, so that it does not depend on the order in which trials were read.
            return math.fsum(known) / len(known) if len(known) else math.inf
        except OverflowError:
            return math.inf


def parse_lie(algorithm: str, strategy: Any) -> Lie:
    """Return the lie that a parameter `parallel_strategy` asks for.

    Args:
        algorithm: its name, for errors.
        strategy: None, "max", "mean", "none", or a mapping as Oríon has it: `of_type` with the
            name of a strategy, and `stub_value`; or a StatusBasedParallelStrategy, with the one
            for `reserved` trials among its `strategy_configs`, or else its `default_strategy`.

    Raises:
        ConfigurationError: it is none of these.
    """
    what = "parallel_strategy"
    if strategy is None:
        return Lie()
    if not isinstance(strategy, Mapping):
        words = [word for word in _WORDS if _WORDS[word] != "stub"]
        return Lie(_WORDS[one_of(algorithm, what, strategy, words)])
    given = dict(strategy)
    kind = given.pop("of_type", None)
    name = one_of(algorithm, f"{what}.of_type", kind, [*_WORDS, "StatusBasedParallelStrategy"])
    if name == "StatusBasedParallelStrategy":
        chosen = given.pop("strategy_configs", None) or {}
        default = given.pop("default_strategy", None)
        _nothing_else(algorithm, given, ["strategy_configs", "default_strategy"])
        if not isinstance(chosen, Mapping):
            raise ConfigurationError(
                f"{algorithm}: {what}.strategy_configs must give strategies by status, "
                f"not {chosen!r}."
            )
        # A broken trial is taken for a bad one whatever is said of it, which is Oríon's default.
        return parse_lie(algorithm, chosen.get("reserved", default))
    value = math.inf
    if _WORDS[name] == "stub":
        stub = given.pop("stub_value", None)
        value = math.inf if stub is None else number(algorithm, f"{what}.stub_value", stub)
    elif "default_result" in given:
        given.pop("default_result")  # of Oríon's: for a history without a result, where none is
    _nothing_else(algorithm, given, ["stub_value"] if _WORDS[name] == "stub" else [])
    return Lie(_WORDS[name], value)


def _nothing_else(algorithm: str, rest: Mapping[str, Any], known: list[str]) -> None:
    for key in rest:
        one_of(algorithm, "a key of parallel_strategy", key, [*known, "of_type"])
