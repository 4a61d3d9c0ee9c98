"""A population whose every place is held by the best trial that was ever made for it.

The survivor of a place is whichever of two is better, trial after trial, so in the end it is the
best of all: it does not depend on the order in which they ended, or in which a worker came to know
them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from orion_k8s.algorithm.axes import IntArray
from orion_k8s.history import CODES, ENDED, History
from orion_k8s.trial import Status

_COMPLETED = CODES[Status.COMPLETED.value]


class Population:
    """The survivors of a history, followed as it grows.

    Args:
        size: how many places there are.
        places: returns for which place each of (n,) trials, given by their indexes in a history,
            was made; -1 for one that has no say.

    Attributes:
        holders: index of the trial that holds each place, -1 where none does, (size,) int.
    """

    def __init__(self, size: int, places: Callable[[History, IntArray], IntArray]) -> None:
        self.size = size
        self._places = places
        self._history: History | None = None

    def follow(self, history: History) -> None:
        """Take in what is new in a history since the last call."""
        if history is not self._history:
            self._history = history
            self._seen = 0
            self._pending = np.empty((2, 0), dtype=np.intp)
            self.holders: IntArray = np.full(self.size, -1, dtype=np.intp)
        fresh = np.arange(self._seen, len(history), dtype=np.intp)
        self._seen = len(history)
        candidates = np.hstack([self._pending, [fresh, self._places(history, fresh)]])
        candidates = candidates[:, candidates[1] >= 0]
        ended = ENDED[history.status[candidates[0]]]
        self._pending = candidates[:, ~ended]
        if ended.any():
            self._end(history, candidates[:, ended])

    def ranked(self, history: History) -> IntArray:
        """Return the indexes of the holders, the best first, (n,) int, n ≤ size."""
        held = self.holders[self.holders >= 0]
        return held[np.lexsort((history.numbers[held], history.objectives[held]))]

    def _end(self, history: History, ended: IntArray) -> None:
        done = ended[:, history.status[ended[0]] == _COMPLETED]
        done = done[:, np.isfinite(history.objectives[done[0]])]
        held = np.flatnonzero(self.holders >= 0)
        rivals, places = np.hstack([[self.holders[held], held], done])
        # The newer of two that are equal, so that a population drifts over a plateau.
        order = np.lexsort((-history.numbers[rivals], history.objectives[rivals]))
        taken, first = np.unique(places[order], return_index=True)
        self.holders[taken] = rivals[order[first]]
