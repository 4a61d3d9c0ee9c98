"""Budgets of the fidelity dimension, and new points at one of them.

A trial that goes on from another has that one as its parent; one without a parent is a root.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from orion_k8s.algorithm.base import Suggestion
from orion_k8s.algorithm.parameters import whole
from orion_k8s.algorithm.random import Random
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import CODES, History
from orion_k8s.space import Space
from orion_k8s.space.fidelity import Fidelity
from orion_k8s.trial import Status, dump_values

Values = tuple[Any, ...]

_REMOVED = CODES[Status.REMOVED.value]
_EPSILON = 1e-9
"""Powers of the base that reach the highest budget but for rounding reach it."""


def fidelity_of(algorithm: str, space: Space) -> Fidelity:
    """Return the fidelity of a space.

    Args:
        algorithm: its name, for errors.
        space: the search space.

    Raises:
        ConfigurationError: it has none.
    """
    if space.fidelity is None:
        raise ConfigurationError(
            f"{algorithm} needs a fidelity dimension, and the space has none: add one, such "
            "as epochs~'fidelity(1, 81, base=3)', or use another algorithm."
        )
    return space.fidelity


class Rungs:
    """The budgets from the fidelity's lowest to its highest, a factor of its base apart.

    Args:
        algorithm: its name, for errors.
        space: the search space.
        num_rungs: how many budgets; as many as fit, a factor of the base apart, if None.
        budgets: others, from the lowest to the highest.

    Raises:
        ConfigurationError: the space has no fidelity, or not so many budgets.

    Attributes:
        budgets: from the lowest to the highest.
        base: the factor; of so many trials one goes on.
    """

    def __init__(
        self,
        algorithm: str,
        space: Space,
        num_rungs: int | None = None,
        budgets: Sequence[int | float] | None = None,
    ) -> None:
        fidelity = fidelity_of(algorithm, space)
        self.base = float(fidelity.base)
        self.budgets: tuple[int | float, ...] = (
            tuple(budgets) if budgets is not None else self._spaced(algorithm, fidelity, num_rungs)
        )
        self._place = space.dimensions.index(fidelity)
        self._of = {budget: rung for rung, budget in enumerate(self.budgets)}

    def _spaced(
        self, algorithm: str, fidelity: Fidelity, num_rungs: int | None
    ) -> tuple[int | float, ...]:
        low, high = fidelity.low, fidelity.high
        if low < high and self.base <= 1:
            raise ConfigurationError(
                f"{algorithm} needs a fidelity with a base above 1: of so many trials one goes on."
            )
        steps = math.floor(math.log(high / low, self.base) + _EPSILON) if low < high else 0
        if num_rungs is not None:
            steps = whole(algorithm, "num_rungs", num_rungs) - 1
        budgets = [high * (low / high) ** (1 - i / steps) for i in range(steps)] if steps else []
        if isinstance(low, int) and isinstance(high, int):
            budgets = [round(budget) for budget in budgets]
        if len({*budgets, high}) <= len(budgets):
            raise ConfigurationError(
                f"{algorithm}: {fidelity.prior} has no {num_rungs} different budgets: lower "
                "num_rungs."
            )
        return (*budgets, high)

    def __len__(self) -> int:
        """Return how many budgets there are."""
        return len(self.budgets)

    def at(self, values: Values, rung: int) -> Values:
        """Return a point with the budget of a rung."""
        return (*values[: self._place], self.budgets[rung], *values[self._place + 1 :])

    def of(self, values: Values) -> int | None:
        """Return the rung whose budget a point has, or None."""
        return self._of.get(values[self._place])


def budget_of(space: Space, history: History, index: int) -> int | float | None:
    """Return the fidelity of the trial at an index of a history, None of one that was removed."""
    assert space.fidelity is not None
    if history.status[index] == _REMOVED:
        return None
    found: int | float = history.values(index)[space.dimensions.index(space.fidelity)]
    return found


def whole_only(space: Space) -> Callable[[History, int], bool] | None:
    """Return whether the trial at an index of a history had all of the fidelity.

    None where the space has no fidelity.
    """
    fidelity = space.fidelity
    if fidelity is None:
        return None
    return lambda history, index: budget_of(space, history, index) == fidelity.high


def repetitions_of(algorithm: str, repetitions: Any) -> int | None:
    """Return a parameter `repetitions`, None where there is no end to them.

    Raises:
        ConfigurationError: it is no whole number of at least 1 and not infinite.
    """
    if repetitions is None or (isinstance(repetitions, float) and repetitions == math.inf):
        return None
    return whole(algorithm, "repetitions", repetitions)


class Roots:
    """New points, drawn from the prior, that were not tried at a budget.

    Args:
        space: the search space.
        seed: of the experiment.
        rungs: the budgets.
    """

    def __init__(self, space: Space, seed: int, rungs: Rungs) -> None:
        self._prior = Random(space, seed)
        self._nothing = History(space)
        self._rungs = rungs
        self._history: History | None = None
        self._tried: dict[int, int] = {}

    def draw(self, place: int, attempt: int, rung: int, history: History) -> Values | None:
        """Return a point that was not tried at a rung's budget, None where all were.

        Args:
            place: of the draw among all; another where that one was tried.
            attempt: how many points were refused.
            rung: whose budget it gets.
            history: where it is looked up.
        """
        if history is not self._history:  # else what was tried was still tried
            self._history, self._tried = history, {}
        known = history.known_values()
        if not attempt:
            values = self._at(place, rung)
            if values is not None and dump_values(values) not in known:
                return values
        first = self._tried.get(rung, 0)
        while (values := self._at(first, rung)) is not None and dump_values(values) in known:
            first += 1
        self._tried[rung] = first
        return values

    def _at(self, place: int, rung: int) -> Values | None:
        found = self._prior.suggest(place, 0, self._nothing)
        return self._rungs.at(found.values, rung) if isinstance(found, Suggestion) else None
