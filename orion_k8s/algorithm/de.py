"""Differential evolution: points move by the differences between others, and the better stay.

Source: R. Storn and K. Price, "Differential Evolution – A Simple and Efficient Heuristic for
Global Optimization over Continuous Spaces", Journal of Global Optimization 11, 1997,
doi:10.1023/A:1008202821328.

There are no generations: the trial of a number is made of the population as it is then, and takes
its place in it when it has ended, if it is better than what holds that place. So nobody waits, and
the population is a function of the completed trials alone (see `population`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.axes import Axes, IntArray
from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.differential import DONORS, Operators
from orion_k8s.algorithm.parameters import number as checked_number
from orion_k8s.algorithm.parameters import one_of, whole
from orion_k8s.algorithm.population import Population
from orion_k8s.algorithm.random import Random
from orion_k8s.algorithm.rungs import whole_only
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_MOST_DRAWS = 32
"""So many points that were all tried already, and one is taken from the prior."""
_LEAST_POPULATION = 5


class DE(Algorithm):
    """Differential evolution in a steady state, rebuilt from the history.

    Args:
        space: the search space. A fidelity is always given whole, and trials of another
            algorithm's that had less of it have no say.
        seed: of the experiment.
        population_size: how many points there are.
        mutation: by which a difference is multiplied; or two numbers, between which the factor of
            each new point is drawn.
        crossover: chance of each coordinate to be changed.
        strategy: what is moved and by which differences, by SciPy's names: "best1bin", "rand1bin",
            "currenttobest1bin", "randtobest1bin".

    Raises:
        ConfigurationError: a parameter does not fit.
    """

    name: ClassVar[str] = "de"

    def __init__(
        self,
        space: Space,
        seed: int,
        population_size: int = 20,
        mutation: float | Sequence[float] = 0.5,
        crossover: float = 0.9,
        strategy: str = "best1bin",
    ) -> None:
        super().__init__(space, seed)
        size = whole("de", "population_size", population_size, _LEAST_POPULATION)
        self._operators = Operators(
            Axes.of(space),
            one_of("de", "strategy", strategy, DONORS),
            factors_of("de", "mutation", mutation),
            checked_number("de", "crossover", crossover, least=0, most=1),
        )
        self._configuration = {
            "population_size": population_size,
            "mutation": list(mutation) if isinstance(mutation, (list, tuple)) else mutation,
            "crossover": crossover,
            "strategy": strategy,
        }
        self._counts = whole_only(space)
        self._population = Population(size, self._places)
        self._prior = Random(space, seed)

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Finished:
        """Return a point that is to be better than the one at this number's place.

        See `Algorithm.suggest`.
        """
        if len(history.known_values()) < self.space.cardinality:
            values = self._new(number, attempt, history)
            if values is not None:
                return Suggestion(values)
        return self._prior.untried(history)

    def _places(self, history: History, indexes: IntArray) -> IntArray:
        """Return the place of each trial: its number modulo the size of the population."""
        places = (history.numbers[indexes] % self._population.size).astype(np.intp)
        if self._counts is not None:
            places[[not self._counts(history, i) for i in indexes.tolist()]] = -1
        return places

    def _new(self, number: int, attempt: int, history: History) -> tuple[Any, ...] | None:
        """Return a point that nobody tried; None where none was found in a number of draws."""
        known = history.known_values()
        self._population.follow(history)
        holders = self._population.holders
        target = holders[number % self._population.size]
        others = holders[(holders >= 0) & (holders != target)]
        if target < 0 or len(others) < self._operators.needs:
            answer = self._prior.suggest(number, attempt, history)
            fresh = isinstance(answer, Suggestion) and dump_values(answer.values) not in known
            return answer.values if isinstance(answer, Suggestion) and fresh else None
        rng = np.random.default_rng([self.seed, number, attempt])
        points, best = history.points, self._population.ranked(history)[0]
        for _ in range(_MOST_DRAWS):
            point = self._operators.offspring(rng, points[target], points[best], points[others])
            values = self.space.decode(point)[0]
            if dump_values(values) not in known:
                return values
        return None


def factors_of(algorithm: str, name: str, given: Any) -> tuple[float, float]:
    """Return the numbers between which a factor lies.

    Raises:
        ConfigurationError: it is no number above 0 and of at most 2, and no two in order.
    """
    pair = list(given) if isinstance(given, (list, tuple)) else [given, given]
    if len(pair) != 2:
        raise ConfigurationError(
            f"{algorithm}: {name} must be a number, or the least and the greatest, not {given!r}."
        )
    low, high = (checked_number(algorithm, name, one, above=0, most=2) for one in pair)
    if low > high:
        raise ConfigurationError(
            f"{algorithm}: {name} must give the least number first, not {given!r}."
        )
    return low, high
