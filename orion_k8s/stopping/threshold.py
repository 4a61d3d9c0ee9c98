"""Thresholds: stop a trial whose value leaves given bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from orion_k8s.algorithm.parameters import number
from orion_k8s.errors import ConfigurationError
from orion_k8s.stopping.base import Rule
from orion_k8s.trial import Curve


class Threshold(Rule):
    """Stops a trial whose last value is above `upper`, or below `lower`.

    For what is known beforehand: a loss that explodes, or one that is as low as need be.

    Args:
        upper: no bound if left out.
        lower: no bound if left out.
        min_steps: no trial is stopped before this step.
    """

    name: ClassVar[str] = "threshold"
    learns: ClassVar[bool] = False
    ranks: ClassVar[bool] = False

    def __init__(
        self, upper: float | None = None, lower: float | None = None, min_steps: float = 0
    ) -> None:
        if upper is None and lower is None:
            raise ConfigurationError("threshold: give it an upper or a lower bound, or both.")
        self.lower = None if lower is None else number(self.name, "lower", lower)
        least = -math.inf if self.lower is None else self.lower
        self.upper = None if upper is None else number(self.name, "upper", upper, least=least)
        self.min_steps = number(self.name, "min_steps", min_steps, least=0)

    def stop(self, own: Curve, others: Sequence[Curve], judged: float = -math.inf) -> str | None:
        """See `Rule.stop`."""
        if own.last_step < self.min_steps:
            return None
        value = own.values[-1]
        if self.upper is not None and value > self.upper:
            return f"value {value:.6g} > {self.upper:g}"
        if self.lower is not None and value < self.lower:
            return f"value {value:.6g} < {self.lower:g}"
        return None

    @property
    def configuration(self) -> dict[str, Any]:
        """See `Rule.configuration`."""
        return {"upper": self.upper, "lower": self.lower, "min_steps": self.min_steps}
