"""A Gaussian process of a history: of a bounded number of its trials, however long it is.

All of it is a function of the trials that are finished and of those that are pending. What is
kept between two suggestions is what would be computed again.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from orion_k8s.algorithm.axes import FloatArray, IntArray
from orion_k8s.algorithm.features import Features
from orion_k8s.algorithm.gaussian import Lengths, Posterior, fit
from orion_k8s.algorithm.outputs import outputs
from orion_k8s.algorithm.reference import Reference, by_number, without
from orion_k8s.history import History

MOST_BEST, MOST_OTHERS = 250, 250
"""Of so many trials the process knows the outputs: the best, and a sample of the others."""
MOST_FITTED = 80
"""Of so many of each it learns its lengths, which takes longer."""
MOST_PENDING = 100
NEAR = 5
"""So many of the best trials are points near which to look closer."""


class Surrogate:
    """The Gaussian process of a history, followed as it grows.

    Broken trials are as bad as the worst.

    Args:
        features: of the space.
        seed: of the sample.
        counts: whether the trial at an index of a history has a say; every one has if None.
    """

    def __init__(
        self,
        features: Features,
        seed: int,
        counts: Callable[[History, int], bool] | None = None,
    ) -> None:
        self._features = features
        self._reference = Reference(seed, MOST_BEST, MOST_BEST + MOST_OTHERS, counts)
        self._history: History | None = None
        self._fitted: tuple[list[int], Lengths] | None = None
        self._known: tuple[list[int], Posterior] | None = None

    @property
    def completed(self) -> int:
        """How many completed trials have a finite objective."""
        return self._reference.completed

    def follow(self, history: History) -> None:
        """Take in what is new in a history since the last call."""
        self._reference.follow(history)
        if history is not self._history:
            self._history = history
            self._fitted = self._known = None

    def best(self, history: History, count: int = NEAR) -> FloatArray:
        """Return the points of some of the best trials, the best first, (b, width) float64."""
        return history.points[self._reference.best[:count]]

    def lengths(self, history: History) -> Lengths:
        """Return what is fitted: anew where the trials that it is fitted to are others."""
        chosen = by_number(history, self._chosen(MOST_FITTED, MOST_FITTED))
        if len(chosen) < 2 * MOST_FITTED:
            # Not at each trial: only when there are a tenth more, and then to the first ones.
            chosen = chosen[: len(chosen) - len(chosen) % max(1, len(chosen) // 10)]
        numbers = history.numbers[chosen].tolist()
        if self._fitted is None or self._fitted[0] != numbers:
            columns = self._features.of(history.points[chosen])
            found = fit(columns, outputs(history.objectives[chosen]), self._features.dimension)
            self._fitted = numbers, found
        return self._fitted[1]

    def posterior(self, history: History) -> Posterior:
        """Return what the finished trials say, the pending ones taken into account."""
        chosen = by_number(history, self._chosen(MOST_BEST, MOST_OTHERS))
        pending = by_number(history, self._reference.pending)[-MOST_PENDING:]
        numbers = [*history.numbers[chosen].tolist(), -1, *history.numbers[pending].tolist()]
        if self._known is None or self._known[0] != numbers:
            of, points = self._features.of, history.points
            found = outputs(history.objectives[chosen])
            posterior = Posterior(
                self.lengths(history), of(points[chosen]), found, of(points[pending])
            )
            self._known = numbers, posterior
        return self._known[1]

    def _chosen(self, most_best: int, most_others: int) -> IntArray:
        best = self._reference.best[:most_best]
        others = without(self._reference.sampled, best)[:most_others]
        return np.concatenate([best, others])
