"""The median rule: stop a trial that was never as good as others are on average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any, ClassVar

from orion_k8s.algorithm.parameters import number, whole
from orion_k8s.stopping.base import Rule, reached
from orion_k8s.trial import Curve


class Median(Rule):
    """Stops a trial whose best value so far is worse than the median of others' running averages.

    The running average of another trial is the mean of all that it reported up to the same step.
    Trials that came as far count, completed or not.

    Source: D. Golovin et al., *Google Vizier: A Service for Black-Box Optimization*, KDD 2017,
    section 3.2.2, doi:10.1145/3097983.3098043.

    Args:
        min_steps: no trial is stopped before this step.
        min_trials: nor while fewer others have come as far.
    """

    name: ClassVar[str] = "median"

    def __init__(self, min_steps: float = 5, min_trials: int = 5) -> None:
        self.min_steps = number(self.name, "min_steps", min_steps, least=0)
        self.min_trials = whole(self.name, "min_trials", min_trials)

    def stop(self, own: Curve, others: Sequence[Curve], judged: float = -math.inf) -> str | None:
        """See `Rule.stop`."""
        step = own.last_step
        if step < self.min_steps:
            return None
        averages = reached(others, step, Curve.mean_at)
        if len(averages) < self.min_trials:
            return None
        best, middle = min(own.values), median(averages)
        if best <= middle:
            return None
        return f"best value {best:.6g} > {middle:.6g}, the median of {len(averages)} others' means"

    @property
    def configuration(self) -> dict[str, Any]:
        """See `Rule.configuration`."""
        return {"min_steps": self.min_steps, "min_trials": self.min_trials}
