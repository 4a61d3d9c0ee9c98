"""The trials that a model learns from: a bounded number of them, however long the history.

The best so far are taken whole. Of all others a sample is taken that depends on the set of
finished trials alone, not on the order in which a worker came to know them: those whose numbers
have the lowest hashes (bottom-k sampling: E. Cohen and H. Kaplan, "Summarizing data using
bottom-k sketches", PODC 2007, doi:10.1145/1281100.1281133).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from orion_k8s.algorithm.axes import IntArray
from orion_k8s.history import CODES, ENDED, History
from orion_k8s.trial import Status

_COMPLETED, _BROKEN = CODES[Status.COMPLETED.value], CODES[Status.BROKEN.value]


class Reference:
    """The best, a sample, and the pending trials of a history, followed as it grows.

    What is kept can be derived again from the history, and is when another one is given.

    Args:
        seed: of the sample.
        most_best: how many of the best trials to know.
        most_sampled: how many finished trials to sample.
        counts: whether the trial at an index of a history has a say; every one has if None.

    Attributes:
        best: indexes of the best completed trials, best first; of equal ones the older first.
        sampled: indexes of a sample of the finished trials, broken ones among them.
        pending: indexes of the trials that are not finished.
        completed: how many completed trials have a finite objective.
    """

    def __init__(
        self,
        seed: int,
        most_best: int,
        most_sampled: int,
        counts: Callable[[History, int], bool] | None = None,
    ) -> None:
        self._counts = counts
        self._seed, self._most_best, self._most_sampled = seed, most_best, most_sampled
        self._history: History | None = None

    def follow(self, history: History) -> None:
        """Take in what is new in a history since the last call."""
        if history is not self._history:
            self._history = history
            self._seen = self.completed = 0
            self.best = self.sampled = self.pending = np.empty(0, dtype=np.intp)
            self._keys = np.empty(0, dtype=np.uint64)
        fresh = np.arange(self._seen, len(history), dtype=np.intp)
        self._seen = len(history)
        if self._counts is not None:
            fresh = np.array(
                [i for i in fresh.tolist() if self._counts(history, i)], dtype=np.intp
            )
        candidates = np.concatenate([self.pending, fresh])
        ended = ENDED[history.status[candidates]]
        self.pending = candidates[~ended]
        if ended.any():
            self._end(history, candidates[ended])

    def _end(self, history: History, ended: IntArray) -> None:
        status = history.status[ended]
        done = ended[status == _COMPLETED]
        done = done[np.isfinite(history.objectives[done])]
        self.completed += len(done)
        best = np.concatenate([self.best, done])
        order = np.lexsort((history.numbers[best], history.objectives[best]))
        self.best = best[order[: self._most_best]]
        tried = ended[(status == _COMPLETED) | (status == _BROKEN)]
        sampled = np.concatenate([self.sampled, tried])
        keys = np.concatenate([self._keys, hashes(self._seed, history.numbers[tried])])
        order = np.lexsort((history.numbers[sampled], keys))[: self._most_sampled]
        self.sampled, self._keys = sampled[order], keys[order]


def by_number(history: History, indexes: IntArray) -> IntArray:
    """Return indexes of trials in order of their numbers, which is the same on every worker."""
    return indexes[np.argsort(history.numbers[indexes], kind="stable")]


def without(indexes: IntArray, few: IntArray) -> IntArray:
    """Return indexes but for a few."""
    kept: IntArray = indexes[~(indexes[:, None] == few).any(axis=1)]
    return kept


def hashes(seed: int, numbers: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a hash of each number, (n,) uint64.

    Source: the finaliser of SplitMix64 (G. Steele, D. Lea and C. Flood, OOPSLA 2014,
    doi:10.1145/2660193.2660195).
    """
    with np.errstate(over="ignore"):
        x = (numbers.astype(np.uint64) + np.uint64(seed % 2**64)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(x ^ (x >> np.uint64(31)))
