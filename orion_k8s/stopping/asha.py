"""Asynchronous successive halving, by stopping: only the best of each rung go on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from orion_k8s.algorithm.parameters import number
from orion_k8s.stopping.base import Rule
from orion_k8s.trial import Curve


class ASHA(Rule):
    """Stops a trial at a rung where it is not among the best 1/`reduction_factor` so far.

    Rungs lie at the steps min_steps · reduction_factor^k. A trial is judged once at each, by its
    best value up to there among those of all trials that came as far by then; while these are
    fewer than `reduction_factor`, all go on. Where the algorithm `asha` starts a trial anew with
    more budget, this one lets it run on.

    Source: L. Li et al., *A System for Massively Parallel Hyperparameter Tuning*, MLSys 2020,
    arXiv:1810.05934.

    Args:
        min_steps: step of the lowest rung.
        reduction_factor: how many times fewer trials go on from each rung, and how many times
            farther the next one lies.
    """

    name: ClassVar[str] = "asha"

    def __init__(self, min_steps: float = 1, reduction_factor: float = 3) -> None:
        self.min_steps = number(self.name, "min_steps", min_steps, above=0)
        self.reduction_factor = number(self.name, "reduction_factor", reduction_factor, above=1)

    def stop(self, own: Curve, others: Sequence[Curve], judged: float = -math.inf) -> str | None:
        """See `Rule.stop`."""
        for rung in self._rungs(judged, own.last_step):
            mine = own.best_at(rung)
            if mine is None:  # it began beyond, from a checkpoint
                continue
            theirs = [
                value
                for other in others
                if other.last_step >= rung and (value := other.best_at(rung)) is not None
            ]
            count = len(theirs) + 1
            if count < self.reduction_factor:
                continue
            better = sum(value < mine for value in theirs)
            if better >= count / self.reduction_factor:
                return f"{better} of {count - 1} others were better at step {rung:g}"
        return None

    def _rungs(self, after: float, upto: float) -> Iterator[float]:
        rung = self.min_steps
        while rung <= upto:
            if rung > after:
                yield rung
            rung *= self.reduction_factor

    @property
    def configuration(self) -> dict[str, Any]:
        """See `Rule.configuration`."""
        return {"min_steps": self.min_steps, "reduction_factor": self.reduction_factor}
