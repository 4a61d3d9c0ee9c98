"""The members of a population that is trained: where each stands, as the history says.

A trial says by its decision which it is: "pbt generation 3 member 5 try 0". That key is unique in
the experiment. A member whose trial broke tries that generation again.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left, insort

from orion_k8s.algorithm.exploit import Key
from orion_k8s.algorithm.rungs import Rungs
from orion_k8s.history import CODES, History, newest
from orion_k8s.trial import Status, dump_values

_COMPLETED, _BROKEN = CODES[Status.COMPLETED.value], CODES[Status.BROKEN.value]
_REMOVED = CODES[Status.REMOVED.value]
_KEY = re.compile(r"pbt generation (\d+) member (\d+) try (\d+)")

Place = tuple[int, int]
"""Generation and member."""


class Members:
    """The members of a history, followed as it grows; all of it is independent of read order.

    Args:
        size: how many members there are.
        rungs: the budget of each generation.
        history: the mirror.

    Attributes:
        open: by generation, the members that may be given a trial of it, in order.
        ranked: by generation, its completed trials, the best first.
        elites: by generation, the best trial that each member completed up to it, the best first.
        holders: the completed trial of each place.
        children: (parent's id, text of the point) of every trial that has a parent.
    """

    def __init__(self, size: int, rungs: Rungs, history: History) -> None:
        self.size, self._rungs, self._history = size, rungs, history
        generations = range(len(rungs))
        self.open: list[list[int]] = [list(range(size)) if not g else [] for g in generations]
        self.ranked: list[list[Key]] = [[] for _ in generations]
        self.elites: list[list[Key]] = [[] for _ in generations]
        self.holders: dict[Place, Key] = {}
        self.children: set[tuple[str, str]] = set()
        self._elite: dict[Place, Key] = {}
        self._tries: dict[Place, int] = {}
        self._held_by: dict[Place, int] = {}
        self._pending: dict[int, tuple[int, int, int]] = {}
        self._decided = self._parents = 0

    @property
    def pending(self) -> bool:
        """Whether a trial of a member has not ended."""
        return bool(self._pending)

    def next_try(self, place: Place) -> int:
        """Return how many trials a place has had."""
        return self._tries.get(place, 0)

    def suspended(self, generation: int) -> int:
        """Return how many trials of a generation a person suspended."""
        found = 0
        for number in self._history.held_by_person:
            index = self._history.index(number)
            if index is not None and self._pending.get(index, (-1,))[0] == generation:
                found += 1
        return found

    def follow(self) -> None:
        """Take in what is new."""
        history = self._history
        for index, parent in newest(history.parents, self._parents):
            if history.status[index] != _REMOVED:
                self.children.add((parent, dump_values(history.values(index))))
        for key, index in newest(history.decisions, self._decided):
            self._take(key, index)
        self._parents, self._decided = len(history.parents), len(history.decisions)
        status = history.status
        for index in [i for i in self._pending if status[i] in (_COMPLETED, _BROKEN, _REMOVED)]:
            self._end(index, *self._pending.pop(index))

    def _take(self, key: str, index: int) -> None:
        found = _KEY.fullmatch(key)
        history = self._history
        if found is None or history.status[index] == _REMOVED:
            return
        generation, member, tried = int(found[1]), int(found[2]), int(found[3])
        # Under other parameters a generation had another budget.
        if generation >= len(self._rungs) or (self._rungs.of(history.values(index)) != generation):
            return
        place = generation, member
        self._tries[place] = max(tried + 1, self.next_try(place))
        self._close(place)
        self._pending[index] = generation, member, tried

    def _end(self, index: int, generation: int, member: int, tried: int) -> None:
        history, place = self._history, (generation, member)
        if history.status[index] != _COMPLETED:
            # The last try of the place alone: a later one stands for it.
            if self.next_try(place) == tried + 1 and place not in self.holders:
                self._open(place)
            return
        objective = float(history.objectives[index])
        key = (objective if math.isfinite(objective) else math.inf,
               int(history.numbers[index]), index)  # fmt: skip
        insort(self.ranked[generation], key)
        self._rank_elite(key, generation, member)
        if place not in self.holders or tried > self._held_by[place]:
            self.holders[place], self._held_by[place] = key, tried
        self._close(place)
        after = generation + 1, member
        if generation + 1 < len(self._rungs) and after not in self._tries:
            self._open(after)

    def _rank_elite(self, key: Key, generation: int, member: int) -> None:
        for later in range(generation, len(self._rungs)):
            old = self._elite.get((later, member))
            if old is not None and old <= key:
                continue
            elites = self.elites[later]
            if old is not None:
                del elites[bisect_left(elites, old)]
            self._elite[later, member] = key
            insort(elites, key)

    def _open(self, place: Place) -> None:
        generation, member = place
        members = self.open[generation]
        at = bisect_left(members, member)
        if member < self.size and (at == len(members) or members[at] != member):
            members.insert(at, member)

    def _close(self, place: Place) -> None:
        generation, member = place
        members = self.open[generation]
        at = bisect_left(members, member)
        if at < len(members) and members[at] == member:
            del members[at]


def key_of(generation: int, member: int, tried: int) -> str:
    """Return the decision of a member's trial."""
    return f"pbt generation {generation} member {member} try {tried}"
