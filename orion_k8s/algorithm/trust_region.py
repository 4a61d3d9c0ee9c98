"""A trust region as the history makes it: trial after trial, in the order of their numbers.

It grows where several trials one after another are better than all before, shrinks where none is
for long, and begins anew elsewhere when it has become too small. A trial says by its decision
which region it was for: "turbo region 1 trial 212". One of another algorithm's is for the first.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from orion_k8s.history import CODES, ENDED, History, newest
from orion_k8s.trial import Status

_COMPLETED = CODES[Status.COMPLETED.value]
_KEY = re.compile(r"turbo region (\d+) trial \d+")
_BETTER = 1e-3
"""By this share a trial has to be better than the best."""


@dataclass(frozen=True)
class Rules:
    """What makes a region grow and shrink.

    Attributes:
        initial: trials at the start of a region, which have no say in its length.
        successes: after so many better ones in a row it is twice as long.
        failures: after so many others in a row it is half as long.
        first: length at the start; the cube's side is 1.
        least: a shorter region is given up.
        most: the greatest length.
    """

    initial: int
    successes: int
    failures: int
    first: float
    least: float
    most: float


@dataclass(frozen=True)
class Region:
    """A region after some trials.

    Attributes:
        index: 0, 1, …
        length: of its side.
        trials: how many trials have had a say.
        best: the least objective of them.
        successes: better ones in a row.
        failures: others in a row.
    """

    index: int
    length: float
    trials: int = 0
    best: float = math.inf
    successes: int = 0
    failures: int = 0

    def after(self, objective: float, rules: Rules) -> Region:
        """Return the region after one more trial; the next one where this one is given up.

        Args:
            objective: infinite of a trial that broke.
            rules: of the algorithm.
        """
        best = min(self.best, objective)
        if self.trials < rules.initial:
            return replace(self, trials=self.trials + math.isfinite(objective), best=best)
        better = objective < self.best - _BETTER * abs(self.best)
        successes = self.successes + 1 if better else 0
        failures = 0 if better else self.failures + 1
        length = self.length
        if successes >= rules.successes:
            length, successes = min(2.0 * length, rules.most), 0
        elif failures >= rules.failures:
            length, failures = length / 2.0, 0
        if length < rules.least:
            return Region(self.index + 1, rules.first)
        return Region(self.index, length, self.trials + 1, best, successes, failures)


class Regions:
    """The region of a history, followed as it grows.

    Trials up to the first that is not finished are told once; those behind it each time anew, as
    that one will come before them.

    Args:
        rules: of the algorithm.
        history: the mirror.
    """

    def __init__(self, rules: Rules, history: History) -> None:
        self._rules, self._history = rules, history
        self._told = Region(0, rules.first)
        self._next = self._decided = 0
        self._region_of: dict[int, int] = {}

    def now(self) -> Region:
        """Return the region after all trials that have ended."""
        history = self._history
        for key, index in newest(history.decisions, self._decided):
            if found := _KEY.fullmatch(key):
                self._region_of[index] = int(found[1])
        self._decided = len(history.decisions)
        while (ended := self._ended(self._next)) is not None:
            self._told = self._after(self._told, ended)
            self._next += 1
        region = self._told
        for number in range(self._next + 1, int(history.numbers.max(initial=-1)) + 1):
            if (ended := self._ended(number)) is not None:
                region = self._after(region, ended)
        return region

    def _ended(self, number: int) -> int | None:
        """Return where the trial of a number is; None where it has not ended."""
        index = self._history.index(number)
        return index if index is not None and ENDED[self._history.status[index]] else None

    def is_of(self, index: int, region: int) -> bool:
        """Return whether the trial at an index of the history was for that region."""
        return self._region_of.get(index, 0) == region

    def _after(self, region: Region, index: int) -> Region:
        if not self.is_of(index, region.index):
            return region
        objective = float(self._history.objectives[index])
        completed = self._history.status[index] == _COMPLETED and math.isfinite(objective)
        return region.after(objective if completed else math.inf, self._rules)


def key_of(region: int, number: int) -> str:
    """Return the decision of a trial."""
    return f"turbo region {region} trial {number}"
