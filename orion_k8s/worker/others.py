"""What a worker knows of other trials' learning curves: bounded, and read a piece at a time."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from orion_k8s.history.mirror import CODES
from orion_k8s.trial import Curve, Status
from orion_k8s.worker.claiming import Claimer
from orion_k8s.worker.patience import call_once

KEPT = 500
"""So many completed trials, those of the highest numbers, and as many that run, are compared with.
So neither reading nor deciding grows with the history."""

_LOCK_S = 0.05
"""How long to wait for the mirror, which may be busy with a suggestion or an outage."""


class Others:
    """Curves of the trials of other workers, and of this one's.

    It follows the worker's own mirror: a completed trial's curve is read once, one of a trial that
    runs elsewhere as often as it has grown.

    Args:
        claimer: has the mirror.
    """

    def __init__(self, claimer: Claimer) -> None:
        self._claimer = claimer
        self._curves: dict[int, Curve] = {}
        self._settled: set[int] = set()

    def put(self, curve: Curve) -> None:
        """Take in a curve of this worker's own."""
        if len(curve):
            self._curves[curve.number] = curve

    def without(self, number: int) -> list[Curve]:
        """Return all curves but that of one trial."""
        return [curve for key, curve in self._curves.items() if key != number]

    def refresh(self, own: Collection[int]) -> None:
        """Read what is new, in two queries; nothing while the mirror is busy.

        Args:
            own: numbers of the trials that run here.

        Raises:
            DatabaseError: the database can't be used.
        """
        if not self._claimer.lock.acquire(timeout=_LOCK_S):
            return
        try:
            self._claimer.refresh(call_once)
            running, completed = self._numbers()
        finally:
            self._claimer.lock.release()
        wanted = (running | (completed - self._settled)) - set(own)
        known = {n: self._curves[n].revision if n in self._curves else 0 for n in wanted}
        for curve in self._claimer.storage.read_curves(self._claimer.experiment, known):
            self.put(curve)
        # They were completed before they were read: there is no more to come.
        self._settled = completed & (self._settled | wanted)
        kept = running | completed | set(own)
        self._curves = {n: curve for n, curve in self._curves.items() if n in kept}

    def _numbers(self) -> tuple[set[int], set[int]]:
        history = self._claimer.history
        running = history.with_status(Status.RESERVED) + history.with_status(Status.INTERRUPTED)
        completed = history.numbers[history.status == CODES[Status.COMPLETED.value]]
        if len(completed) > KEPT:
            completed = np.partition(completed, -KEPT)[-KEPT:]
        return set(sorted(running)[-KEPT:]), set(completed.tolist())
