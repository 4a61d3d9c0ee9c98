"""Patience: stop a trial that has not got better for a while."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from orion_k8s.algorithm.parameters import number
from orion_k8s.stopping.base import Rule
from orion_k8s.trial import Curve


class Patience(Rule):
    """Stops a trial whose best value did not fall by more than `min_delta` for `steps` steps.

    It looks at the trial alone, as is usual where single models are trained.

    Source: L. Prechelt, *Early Stopping – But When?*, 1998, doi:10.1007/3-540-49430-8_3.

    Args:
        steps: how long it is waited for something better.
        min_delta: by how much it has to be better.
        min_steps: no trial is stopped before this step.
    """

    name: ClassVar[str] = "patience"
    learns: ClassVar[bool] = False

    def __init__(self, steps: float = 10, min_delta: float = 0.0, min_steps: float = 0) -> None:
        self.steps = number(self.name, "steps", steps, above=0)
        self.min_delta = number(self.name, "min_delta", min_delta, least=0)
        self.min_steps = number(self.name, "min_steps", min_steps, least=0)

    def stop(self, own: Curve, others: Sequence[Curve], judged: float = -math.inf) -> str | None:
        """See `Rule.stop`."""
        if own.last_step < self.min_steps:
            return None
        best, since = math.inf, own.steps[0]
        for step, value in own:
            if value < best - self.min_delta:
                best, since = value, step
        waited = own.last_step - since
        if waited < self.steps:
            return None
        return f"nothing better than {best:.6g} for {waited:g} steps"

    @property
    def configuration(self) -> dict[str, Any]:
        """See `Rule.configuration`."""
        return {
            "steps": self.steps,
            "min_delta": self.min_delta,
            "min_steps": self.min_steps,
        }
