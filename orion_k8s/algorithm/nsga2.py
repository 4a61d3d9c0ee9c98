"""NSGA-II: a genetic algorithm for several objectives.

Source: K. Deb, A. Pratap, S. Agarwal and T. Meyarivan, "A fast and elitist multiobjective genetic
algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6, 2002,
doi:10.1109/4235.996017.

There is no end of a generation that anybody waits for: the trial of a number is bred from those
that survive then, by the paper's selection (see `survivors`).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.axes import Axes
from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.breeding import Breeding
from orion_k8s.algorithm.parameters import number as checked_number
from orion_k8s.algorithm.parameters import whole
from orion_k8s.algorithm.random import Random
from orion_k8s.algorithm.rungs import whole_only
from orion_k8s.algorithm.survivors import Survivors
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_MOST_DRAWS = 32
"""So many points that were all tried already, and one is taken from the prior."""
_LEAST_POPULATION = 4


class NSGA2(Algorithm):
    """NSGA-II in a steady state, rebuilt from the history.

    Args:
        space: the search space. A fidelity is always given whole, and trials of another
            algorithm's that had less of it have no say.
        seed: of the experiment.
        population_size: how many trials survive; so many points come from the prior first.
        crossover: chance that a point is mixed of two; else it is a changed copy of one.
        mutation: chance of each coordinate to be changed; None for one coordinate on average.
        spread: index of the distributions of both; the larger, the nearer to its parents a point
            is.

    Raises:
        ConfigurationError: a parameter does not fit.
    """

    name: ClassVar[str] = "nsga2"
    several_objectives: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        seed: int,
        population_size: int = 50,
        crossover: float = 0.9,
        mutation: float | None = None,
        spread: float = 20.0,
    ) -> None:
        super().__init__(space, seed)
        self._size = whole("nsga2", "population_size", population_size, _LEAST_POPULATION)
        if mutation is not None:
            checked_number("nsga2", "mutation", mutation, least=0, most=1)
        self._breeding = Breeding(
            Axes.of(space),
            checked_number("nsga2", "crossover", crossover, least=0, most=1),
            mutation,
            checked_number("nsga2", "spread", spread, least=0),
        )
        self._configuration = {
            "population_size": population_size,
            "crossover": crossover,
            "mutation": mutation,
            "spread": spread,
        }
        self._survivors = Survivors(self._size, whole_only(space))
        self._prior = Random(space, seed)

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Finished:
        """Return a point bred of two survivors. See `Algorithm.suggest`."""
        known = history.known_values()
        if len(known) < self.space.cardinality:
            self._survivors.follow(history)
            if number < self._size or len(self._survivors.best) < 2:
                answer = self._prior.suggest(number, attempt, history)
                if isinstance(answer, Suggestion) and dump_values(answer.values) not in known:
                    return answer
            else:
                rng = np.random.default_rng([self.seed, number, attempt])
                for _ in range(_MOST_DRAWS):
                    one, other = self._parent(rng), self._parent(rng)
                    points = history.points
                    child = self._breeding.child(rng, points[one], points[other])
                    values = self.space.decode(child)[0]
                    if dump_values(values) not in known:
                        return Suggestion(values)
        return self._prior.untried(history)

    def _parent(self, rng: np.random.Generator) -> int:
        """Return the index of the better of two survivors; `best` is in that order already."""
        best = self._survivors.best
        return int(best[rng.integers(len(best), size=2).min()])
