"""The percentile rule: stop a trial that is not among the best share at the same step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from orion_k8s.algorithm.parameters import number, whole
from orion_k8s.stopping.base import Rule, reached
from orion_k8s.trial import Curve


class Percentile(Rule):
    """Stops a trial whose best value so far is not among the best share of others' at that step.

    Source: the median rule with another share and best values instead of averages, as in T. Akiba
    et al., *Optuna: A Next-generation Hyperparameter Optimization Framework*, KDD 2019,
    doi:10.1145/3292500.3330701 (`PercentilePruner`).

    Args:
        percentile: the share of trials that go on, in percent.
        min_steps: no trial is stopped before this step.
        min_trials: nor while fewer others have come as far.
    """

    name: ClassVar[str] = "percentile"

    def __init__(self, percentile: float = 50, min_steps: float = 5, min_trials: int = 5) -> None:
        self.percentile = number(self.name, "percentile", percentile, above=0, most=100)
        self.min_steps = number(self.name, "min_steps", min_steps, least=0)
        self.min_trials = whole(self.name, "min_trials", min_trials)

    def stop(self, own: Curve, others: Sequence[Curve], judged: float = -math.inf) -> str | None:
        """See `Rule.stop`."""
        step = own.last_step
        if step < self.min_steps:
            return None
        best = reached(others, step, Curve.best_at)
        if len(best) < self.min_trials:
            return None
        mine = min(own.values)
        better = sum(value < mine for value in best)
        if better <= self.percentile / 100 * len(best):
            return None
        return f"best value {mine:.6g}, where {better} of {len(best)} others were better"

    @property
    def configuration(self) -> dict[str, Any]:
        """See `Rule.configuration`."""
        return {
            "percentile": self.percentile,
            "min_steps": self.min_steps,
            "min_trials": self.min_trials,
        }
