"""Bayesian optimisation with a Gaussian process.

Sources: J. Snoek, H. Larochelle and R. P. Adams, "Practical Bayesian Optimization of Machine
Learning Algorithms", NIPS 2012, arXiv:1206.2944; and those of `gaussian` and `acquisition`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.acquisition import Box, ranked
from orion_k8s.algorithm.axes import FloatArray
from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.features import Features
from orion_k8s.algorithm.parameters import whole
from orion_k8s.algorithm.random import Random
from orion_k8s.algorithm.rungs import whole_only
from orion_k8s.algorithm.sequence import finite_cells
from orion_k8s.algorithm.surrogate import Surrogate
from orion_k8s.algorithm.threads import one_thread
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_FEW_CELLS = 1_000
"""Of a space with no more points, all are looked at."""


class GP(Algorithm):
    """The point of the largest expected improvement, pending trials taken into account.

    Args:
        space: the search space. A fidelity is always given whole, and trials of another
            algorithm's that had less of it have no say.
        seed: of the experiment.
        n_initial_points: so many trials are completed before the first that follows results; until
            then points are drawn from the prior.

    Raises:
        ConfigurationError: a parameter does not fit, or the space has too many options.
    """

    name: ClassVar[str] = "gp"

    def __init__(self, space: Space, seed: int, n_initial_points: int = 10) -> None:
        super().__init__(space, seed)
        self._n_initial = whole(self.name, "n_initial_points", n_initial_points)
        self._features = Features(self.name, space)
        self._surrogate = Surrogate(self._features, seed, whole_only(space))
        self._prior = Random(space, seed)
        self._cells = few_cells(space)

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return {"n_initial_points": self._n_initial}

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Finished:
        """Return the point of that number. See `Algorithm.suggest`."""
        known = history.known_values()
        if len(known) < self.space.cardinality:
            self.follow(history)
            if self._surrogate.completed < self._n_initial:
                answer = self._prior.suggest(number, attempt, history)
                if isinstance(answer, Suggestion) and dump_values(answer.values) not in known:
                    return Suggestion(answer.values, self.decision(number))
            else:
                for values in self._candidates(number, attempt, history):
                    if dump_values(values) not in known:
                        return Suggestion(values, self.decision(number))
        # All that it thinks of was tried already, or two algorithms' points have mixed.
        return self._prior.untried(history)

    def follow(self, history: History) -> None:
        """Take in what is new in a history since the last call."""
        self._surrogate.follow(history)

    def _candidates(
        self, number: int, attempt: int, history: History
    ) -> Iterator[tuple[Any, ...]]:
        """Yield points in the order of their merit."""
        rng = np.random.default_rng([self.seed, number, attempt])
        with one_thread():
            posterior, best = self._surrogate.posterior(history), self._surrogate.best(history)
            box = self.box(history)
            points = ranked(posterior, self._features, box, best, rng, self._cells)
        for point in points:
            yield self.space.decode(point)[0]

    def box(self, history: History) -> Box:
        """Return where the next point may lie."""
        return Box.whole(self.space.width)

    def decision(self, number: int) -> str | None:
        """Return what the trial of a number says of itself: nothing."""
        return None


def few_cells(space: Space) -> FloatArray | None:
    """Return all points of a space that has few, (n, width) float64; None of one that has more."""
    if space.cardinality > _FEW_CELLS:
        return None
    cells = finite_cells(space, _FEW_CELLS)
    return cells.points(range(cells.count)) if cells and cells.count <= _FEW_CELLS else None
