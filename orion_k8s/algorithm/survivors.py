"""The trials that survive where there are several losses: a bounded number, the best first.

Trials are taken in blocks by their numbers, and who survives a block are the best of those that
survived the one before it and of the block's own that are completed: by front, then by room on it
(NSGA-II's selection; see `history.pareto`). So it is a function of the completed trials alone,
whatever the order in which they ended or a worker came to know them. Of a block whose trials still
run the completed ones count: nobody waits. What is new is mostly in the last blocks, and these
alone are done anew, however long the history.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from orion_k8s.algorithm.axes import FloatArray, IntArray
from orion_k8s.history import CODES, ENDED, History
from orion_k8s.history.pareto import best_first
from orion_k8s.trial import Status

_COMPLETED = CODES[Status.COMPLETED.value]


class Survivors:
    """The survivors of a history, followed as it grows.

    Args:
        size: how many survive a block, and how many numbers a block has.
        counts: whether the trial at an index of a history has a say; every one has if None.

    Attributes:
        best: indexes of those that survived all blocks, the best first, (n,) int, n ≤ `size`.
        fronts: of each of `best`, 0 for the first, (n,) int.
        room: of each of `best` on its front, (n,) float64.
    """

    def __init__(self, size: int, counts: Callable[[History, int], bool] | None = None) -> None:
        self._size = size
        self._counts = counts
        self._history: History | None = None

    def follow(self, history: History) -> None:
        """Take in what is new in a history since the last call."""
        if history is not self._history:
            self._history = history
            self._seen = 0
            self._pending = np.empty(0, dtype=np.intp)
            self._blocks: dict[int, list[int]] = {}
            self._survived: list[IntArray] = []
            self._order: list[int] = []
            self._show(np.empty(0, dtype=np.intp))
        fresh = np.arange(self._seen, len(history), dtype=np.intp)
        self._seen = len(history)
        candidates = np.concatenate([self._pending, fresh])
        ended = ENDED[history.status[candidates]]
        self._pending = candidates[~ended]
        touched = [self._add(history, int(index)) for index in candidates[ended]]
        blocks = [block for block in touched if block is not None]
        if blocks:
            self._select(history, min(blocks))

    def _add(self, history: History, index: int) -> int | None:
        """Put a trial that ended into its block, and return that; None if it has no say."""
        if history.status[index] != _COMPLETED or not np.isfinite(history.losses[index]).all():
            return None
        if self._counts is not None and not self._counts(history, index):
            return None
        block = max(0, int(history.numbers[index])) // self._size  # inserted ones: the first
        self._blocks.setdefault(block, []).append(index)
        return block

    def _select(self, history: History, first: int) -> None:
        """Select again, from a block on."""
        self._order = sorted(self._blocks)
        start = self._order.index(first)
        del self._survived[start:]
        before = self._survived[-1] if self._survived else np.empty(0, dtype=np.intp)
        for block in self._order[start:]:
            rivals = np.concatenate([before, np.array(self._blocks[block], dtype=np.intp)])
            rivals = rivals[np.argsort(history.numbers[rivals], kind="stable")]
            order, fronts, room = best_first(history.losses[rivals], history.numbers[rivals])
            chosen = order[: self._size]
            before = rivals[chosen]
            self._survived.append(before)
        self._show(before, fronts[chosen], room[chosen])

    def _show(
        self, best: IntArray, fronts: IntArray | None = None, room: FloatArray | None = None
    ) -> None:
        self.best = best
        self.fronts = np.empty(0, dtype=np.intp) if fronts is None else fronts
        self.room = np.empty(0) if room is None else room
