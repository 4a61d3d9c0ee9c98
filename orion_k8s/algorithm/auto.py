"""An algorithm that is picked by the space, the budget and the fidelity.

The table follows what the algorithms found on this project's benchmarks (docs/algorithms.md).
It reads the experiment's record alone, so all workers pick the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion, Wait
from orion_k8s.algorithm.features import MOST_COLUMNS, columns_of
from orion_k8s.algorithm.parameters import whole
from orion_k8s.history import History
from orion_k8s.space import Space

_TOO_FEW = 15
"""With so few trials a model would have nothing to learn from before the last of them."""
_MODELLED = 1_000
"""Up to so many trials a Gaussian process is worth what its suggestions cost."""
_WIDE = 20
"""Beyond so many coordinates it is asked in a region alone, if there are trials enough."""
_TRIALS_OF_A_REGION = 10
"""A coordinate: so many a region needs to move."""


@dataclass(frozen=True)
class Choice:
    """What was picked.

    Attributes:
        name: of the algorithm.
        reason: for people, the rest of a sentence.
    """

    name: str
    reason: str


def choose(space: Space, max_trials: int | None) -> Choice:
    """Return the algorithm for a space and a budget.

    Args:
        space: the search space.
        max_trials: how many trials the experiment has; None without end.
    """
    fidelity = space.fidelity
    if fidelity is not None and fidelity.low < fidelity.high and fidelity.base > 1:
        return Choice("bohb", f"{fidelity.name} is a fidelity, and most trials can stop early")
    if max_trials is not None and space.cardinality <= max_trials:
        return Choice("random", f"all {space.cardinality:.0f} points can be tried")
    if max_trials is not None and max_trials < _TOO_FEW:
        return Choice("sobol", f"{max_trials} trials are too few to learn from")
    if columns_of(space) > MOST_COLUMNS:
        return Choice("tpe", "the space has too many options for a Gaussian process")
    if max_trials is None or max_trials > _MODELLED:
        return Choice("tpe", "there may be thousands of trials")
    if space.width > _WIDE and max_trials >= _TRIALS_OF_A_REGION * space.width:
        return Choice("turbo", f"{max_trials} trials in {space.width} dimensions")
    return Choice("gp", f"{max_trials} trials in {space.width} dimensions")


class Auto(Algorithm):
    """The algorithm that fits.

    Args:
        space: the search space.
        seed: of the experiment.
        max_trials: the budget to choose by; that of the experiment if None.

    Raises:
        ConfigurationError: `max_trials` is no whole number.
    """

    name: ClassVar[str] = "auto"

    def __init__(self, space: Space, seed: int, max_trials: int | None = None) -> None:
        super().__init__(space, seed)
        if max_trials is not None:
            whole("auto", "max_trials", max_trials, least=0)
        self._max_trials = max_trials
        self.choice = choose(space, max_trials)
        from orion_k8s.algorithm.registry import create

        self._chosen = create({self.choice.name: {}}, space, seed)

    @property
    def configuration(self) -> dict[str, Any]:
        """The budget that it chose by."""
        return {"max_trials": self._max_trials}

    @property
    def remark(self) -> str:
        """What was picked, and why."""
        return f"{self.choice.name}: {self.choice.reason}"

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Wait | Finished:
        """Return what the algorithm says that was picked. See `Algorithm.suggest`."""
        return self._chosen.suggest(number, attempt, history)
