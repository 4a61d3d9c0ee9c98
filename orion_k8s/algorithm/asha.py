"""Asynchronous successive halving: the best of each budget go on with the next, at any moment.

Source: L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, J. Ben-tzur, M. Hardt, B. Recht and A.
Talwalkar, "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, arXiv:1810.05934.

A promotion is a decision about an existing trial, so it has a key that is unique in the
experiment: whichever worker is first makes it, the others look again.
"""

from __future__ import annotations

import heapq
import math
import re
from bisect import bisect_left, insort
from collections import defaultdict
from typing import Any, ClassVar

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion, Wait
from orion_k8s.algorithm.parameters import whole
from orion_k8s.algorithm.rungs import Roots, Rungs, repetitions_of
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import CODES, History, newest
from orion_k8s.space import Space
from orion_k8s.trial import Status

_COMPLETED, _BROKEN = CODES[Status.COMPLETED.value], CODES[Status.BROKEN.value]
_REMOVED = CODES[Status.REMOVED.value]
_PROMOTION = re.compile(r"asha bracket (\d+) rung (\d+) from (.+)")

Key = tuple[float, int, str]
"""Objective, number and id of a trial: the order of merit."""


class Rung:
    """The ended trials of one budget of one bracket, and which of them went on.

    Attributes:
        ended: how many trials ended, broken ones among them.
    """

    def __init__(self) -> None:
        self.ended = 0
        self._keys: dict[str, Key] = {}
        self._waiting: list[Key] = []
        self._promoted: set[str] = set()
        self._promoted_keys: list[Key] = []

    def end(self, trial: str, number: int, objective: float) -> None:
        """Take in a trial that ended; infinity as its objective where it has none."""
        self.ended += 1
        if not math.isfinite(objective):
            return
        key = self._keys[trial] = (objective, number, trial)
        if trial in self._promoted:
            insort(self._promoted_keys, key)
        else:
            heapq.heappush(self._waiting, key)

    def promote(self, trial: str) -> None:
        """Take note that a trial went on."""
        if trial not in self._promoted:
            self._promoted.add(trial)
            if trial in self._keys:
                insort(self._promoted_keys, self._keys[trial])

    def promotable(self, base: float) -> str | None:
        """Return the id of a trial among the best 1/base that did not go on yet, or None.

        It is the best of those that did not, so all that are better did: its rank is their count.
        """
        while self._waiting and self._waiting[0][2] in self._promoted:
            heapq.heappop(self._waiting)
        if not self._waiting:
            return None
        best = self._waiting[0]
        rank = bisect_left(self._promoted_keys, best)
        return best[2] if rank < int(self.ended / base) else None


class ASHA(Algorithm):
    """ASHA: new points at the lowest budget, and the best 1/base of each budget at the next.

    Args:
        space: the search space, with a fidelity.
        seed: of the experiment.
        num_rungs: how many budgets; as many as fit between the fidelity's bounds, a factor of its
            base apart, if None.
        num_brackets: how many ladders of budgets; each begins one budget above the one before.
        repetitions: how many times the first rung of each bracket is filled by as many new points
            as bring one to the highest budget; without end if None.

    Raises:
        ConfigurationError: the space has no fidelity, or a parameter does not fit.
    """

    name: ClassVar[str] = "asha"

    def __init__(
        self,
        space: Space,
        seed: int,
        num_rungs: int | None = None,
        num_brackets: int = 1,
        repetitions: int | None = None,
    ) -> None:
        super().__init__(space, seed)
        self._rungs = rungs = Rungs("asha", space, num_rungs)
        self._brackets = whole("asha", "num_brackets", num_brackets)
        if num_brackets > len(rungs):
            raise ConfigurationError(
                f"asha: num_brackets is {num_brackets}, and the fidelity has {len(rungs)} "
                "budgets: lower it."
            )
        self._repetitions = repetitions_of("asha", repetitions)
        self._configuration = {
            "num_rungs": num_rungs,
            "num_brackets": num_brackets,
            "repetitions": self._repetitions,
        }
        # As many roots of each bracket as bring one trial to the highest budget.
        self._sizes = [
            math.ceil(rungs.base ** (len(rungs) - 1 - bracket) - 1e-9)
            for bracket in range(num_brackets)
        ]
        self._roots = Roots(space, seed, rungs)
        self._history: History | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Wait | Finished:
        """Return a promotion where one is due, else a new point. See `Algorithm.suggest`."""
        self._follow(history)
        promotion = self._promotion(history)
        if promotion is not None:
            return promotion
        root = self._root(number, attempt, history)
        if root is not None:
            return root
        if self._pending:
            return Wait()
        return Finished("no trial is left that could go on, and no new point to try")

    def _promotion(self, history: History) -> Suggestion | None:
        for rung in range(len(self._rungs) - 2, -1, -1):
            for bracket in range(min(rung, self._brackets - 1) + 1):
                parent = self._ladder[bracket, rung].promotable(self._rungs.base)
                if parent is not None:
                    values = history.values(self._index[parent])
                    return Suggestion(
                        self._rungs.at(values, rung + 1),
                        decision=f"asha bracket {bracket} rung {rung + 1} from {parent}",
                        parent=parent,
                    )
        return None

    def _root(self, number: int, attempt: int, history: History) -> Suggestion | None:
        place, decision = number, None
        if self._repetitions is not None:
            total = self._repetitions * sum(self._sizes)
            # Its own place first, so that workers at different numbers do not ask for the same.
            if number >= total or _slot(number) in history.decisions:
                while self._slots < total and _slot(self._slots) in history.decisions:
                    self._slots += 1
                place = self._slots
            if place >= total:
                return None
            decision = _slot(place)
        bracket = self._bracket(place)
        values = self._roots.draw(place, attempt, bracket, history)
        return None if values is None else Suggestion(values, decision=decision)

    def _bracket(self, place: int) -> int:
        """Return the bracket of a root: as many of each as bring one to the highest budget."""
        rest = place % sum(self._sizes)
        for bracket, size in enumerate(self._sizes):
            if rest < size:
                return bracket
            rest -= size
        raise AssertionError("unreachable")

    # --- following the history -------------------------------------------------------------------

    def _follow(self, history: History) -> None:
        if history is not self._history:
            self._history = history
            self._ladder: defaultdict[tuple[int, int], Rung] = defaultdict(Rung)
            self._index: dict[str, int] = {}
            self._pending: dict[int, tuple[int, int]] = {}
            self._seen = self._slots = self._decided = 0
        self._take_new(history)
        status = history.status
        for index in [i for i in self._pending if status[i] in (_COMPLETED, _BROKEN, _REMOVED)]:
            place = self._pending.pop(index)
            if status[index] != _REMOVED:
                objective = float(history.objectives[index])  # NaN where broken
                self._ladder[place].end(history.ids[index], int(history.numbers[index]), objective)

    def _take_new(self, history: History) -> None:
        keys = {index: key for key, index in newest(history.decisions, self._decided)}
        self._decided = len(history.decisions)
        status = history.status
        for index in range(self._seen, len(history)):
            promotion = _PROMOTION.fullmatch(keys.get(index, ""))
            if promotion is not None:
                bracket, rung = int(promotion[1]), int(promotion[2])
                self._ladder[bracket, rung - 1].promote(promotion[3])
            elif status[index] == _REMOVED:
                continue
            else:
                found = self._rungs.of(history.values(index))
                if found is None or found >= self._brackets:
                    continue  # a budget at which no bracket begins
                bracket = rung = found
            self._index[history.ids[index]] = index
            self._pending[index] = bracket, rung
        self._seen = len(history)


def _slot(place: int) -> str:
    return f"asha root {place}"
