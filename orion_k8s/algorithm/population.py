"""A population whose every place is held by the best trial that was ever made for it.

The survivor of a place is whichever of two is better, trial after trial, so in the end it is the
best of all: it does not depend on the order in which they ended, or in which a worker came to know
them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from orion_k8s.algorithm.axes import IntArray
from orion_k8s.history import CODES, History
from orion_k8s.trial import Status

_ENDED = np.array([s in (Status.COMPLETED, Status.BROKEN, Status.REMOVED) for s in Status])
"""Whether a status is an end, by its code in the column."""
_COMPLETED = CODES[Status.COMPLETED.value]


class Population:
    """The survivors of a history, followed as it grows; trial k is for place k modulo the size.

    Args:
        size: how many places there are.
        counts: whether the trial at an index of a history has a say; every one has if None.

    Attributes:
        holders: index of the trial that holds each place, -1 where none does, (size,) int.
    """

    def __init__(self, size: int, counts: Callable[[History, int], bool] | None = None) -> None:
        self.size = size
        self._counts = counts
        self._history: History | None = None

    def follow(self, history: History) -> None:
        """Take in what is new in a history since the last call."""
        if history is not self._history:
            self._history = history
            self._seen = 0
            self._pending = np.empty(0, dtype=np.intp)
            self.holders: IntArray = np.full(self.size, -1, dtype=np.intp)
        fresh = np.arange(self._seen, len(history), dtype=np.intp)
        self._seen = len(history)
        if self._counts is not None:
            chosen = [i for i in fresh.tolist() if self._counts(history, i)]
            fresh = np.array(chosen, dtype=np.intp)
        candidates = np.concatenate([self._pending, fresh])
        ended = _ENDED[history.status[candidates]]
        self._pending = candidates[~ended]
        if ended.any():
            self._end(history, candidates[ended])

    def place_of(self, number: int) -> int:
        """Return the place that the trial of a number is for."""
        return number % self.size

    def _end(self, history: History, ended: IntArray) -> None:
        done = ended[history.status[ended] == _COMPLETED]
        done = done[np.isfinite(history.objectives[done])]
        rivals = np.concatenate([self.holders[self.holders >= 0], done])
        numbers = history.numbers[rivals]
        # The newer of two that are equal, so that a population drifts over a plateau.
        order = np.lexsort((-numbers, history.objectives[rivals]))
        places, first = np.unique(numbers[order] % self.size, return_index=True)
        self.holders[places] = rivals[order[first]]
