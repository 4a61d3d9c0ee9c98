"""Each point measured several times: an algorithm that sees points, and their mean.

With r repetitions the trials of numbers m·r … m·r + r - 1 are one point, the m-th. Whoever claims
the first of them asks the algorithm for it; the others repeat what that one has. So the unique
keys that there are (number, and identity with its repetition) are all that workers need to agree.

The algorithm sees a history of points: one is completed when all its trials have ended, with the
mean of those that are completed, and broken where none is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion, Wait
from orion_k8s.history import CODES, ENDED, History, newest
from orion_k8s.space import Space
from orion_k8s.trial import Row, Status

_COMPLETED, _BROKEN = CODES[Status.COMPLETED.value], CODES[Status.BROKEN.value]
_REMOVED = CODES[Status.REMOVED.value]


def mean_of(losses: Iterable[float]) -> float:
    """Return the mean of losses, the same in whichever order they come."""
    known = list(losses)
    return math.fsum(loss / len(known) for loss in known)


class Points:
    """The points of a history, followed as it grows.

    Args:
        repetitions: trials a point.
        space: of the points.

    Attributes:
        history: of points: number m, the id and the decision of a point's first trial, the mean.
    """

    def __init__(self, repetitions: int, space: Space) -> None:
        self.repetitions = repetitions
        self.history = History(space)
        self._trials: History | None = None

    def follow(self, trials: History) -> History:
        """Take in what is new, and return the history of points."""
        if trials is not self._trials:
            self._trials = trials
            self.history = History(trials.space, trials.generation)
            self._seen = self._decided = 0
            self._pending = np.empty(0, dtype=np.intp)
            self._decisions: dict[int, str] = {}
        for decision, index in newest(trials.decisions, self._decided):
            self._decisions[index] = decision
        self._decided = len(trials.decisions)
        fresh = np.arange(self._seen, len(trials), dtype=np.intp)
        self._seen = len(trials)
        candidates = np.concatenate([self._pending, fresh])
        ended = ENDED[trials.status[candidates]]
        self._pending = candidates[~ended]
        changed = np.union1d(candidates[ended], fresh)
        numbers = trials.numbers[changed]
        # What a person inserted was measured once.
        touched = {int(n) if n < 0 else int(n) // self.repetitions for n in numbers.tolist()}
        self.history.fill(self._row(trials, point) for point in sorted(touched))
        return self.history

    def members(self, point: int) -> Iterable[int]:
        """Return the numbers of a point's trials."""
        start = point * self.repetitions
        return range(start, start + self.repetitions) if point >= 0 else (point,)

    def _row(self, trials: History, point: int) -> Row:
        numbers = list(self.members(point))
        found = [index for n in numbers if (index := trials.index(n)) is not None]
        status = trials.status[found]
        there = [i for i, code in zip(found, status.tolist(), strict=True) if code != _REMOVED]
        first = there[0] if there else found[0]
        values = trials.text(first) if there else ""
        fixed = (values, trials.ids[first], trials.parents.get(first), self._decisions.get(first))
        if len(found) < len(numbers) or not ENDED[status].all():
            return Row(point, Status.RESERVED.value, None, *fixed)
        done = np.array(found)[status == _COMPLETED]
        if not len(done):
            word = Status.BROKEN if there else Status.REMOVED
            return Row(point, word.value, None, *fixed)
        return Row(point, Status.COMPLETED.value, mean_of(trials.objectives[done]), *fixed)


class Repeated(Algorithm):
    """An algorithm whose points are measured several times.

    Args:
        inner: the algorithm.
        repetitions: trials a point.
    """

    name = "repeated"  # never in configuration: the experiment says how often

    def __init__(self, inner: Algorithm, repetitions: int) -> None:
        super().__init__(inner.space, inner.seed)
        self.inner = inner
        self._points = Points(repetitions, inner.space)

    @property
    def configuration(self) -> dict[str, Any]:
        """That of the algorithm."""
        return self.inner.configuration

    @property
    def remark(self) -> str:
        """That of the algorithm."""
        return self.inner.remark

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Wait | Finished:
        """Return the point of that number: a new one, or what the trials before it have."""
        points = self._points.follow(history)
        point, repetition = divmod(number, self._points.repetitions)
        for member in self._points.members(point):
            index = history.index(member)
            if index is not None and history.text(index):
                if attempt:
                    return Wait("a trial with these parameters and this repetition is there")
                return Suggestion(
                    history.values(index), None, history.parents.get(index), repetition
                )
        before = range(number - repetition, number)
        if any(history.index(member) is None for member in before):
            return Wait("the first measurement of this point is not known yet")
        return self.inner.suggest(point, attempt, points)
