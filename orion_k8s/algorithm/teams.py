"""Populations whose members compete in pairs, budget after budget, as the history says.

A trial says by its decision which it is: "evolutiones repetition 0 generation 2 member 5". That
key is unique in the experiment.
"""

from __future__ import annotations

import math
import re

import numpy as np

from orion_k8s.algorithm.rungs import Rungs
from orion_k8s.history import CODES, ENDED, History, newest
from orion_k8s.trial import Status

_REMOVED = CODES[Status.REMOVED.value]
_KEY = re.compile(r"evolutiones repetition (\d+) generation (\d+) member (\d+)")

Place = tuple[int, int, int]
"""Repetition, generation and member."""


class Teams:
    """The members of a history, followed as it grows.

    Args:
        size: members of a population.
        seed: of the pairs.
        rungs: the budget of each generation.
        history: the mirror.

    Attributes:
        holders: by place, index of its trial.
    """

    def __init__(self, size: int, seed: int, rungs: Rungs, history: History) -> None:
        self._size, self._seed, self._rungs, self._history = size, seed, rungs, history
        self.holders: dict[Place, int] = {}
        self._held: dict[int, int] = {}
        self._pairs: dict[tuple[int, int], list[int]] = {}
        self._decided = 0
        self._whole = 0

    def follow(self) -> None:
        """Take in what is new."""
        history = self._history
        for key, index in newest(history.decisions, self._decided):
            found = _KEY.fullmatch(key)
            if found is None or history.status[index] == _REMOVED:
                continue
            place = int(found[1]), int(found[2]), int(found[3])
            # Under other parameters a generation had another budget, or there were more members.
            fits = place[1] < len(self._rungs) and place[2] < self._size
            if fits and self._rungs.of(history.values(index)) == place[1]:
                if place not in self.holders:
                    self._held[place[0]] = self._held.get(place[0], 0) + 1
                self.holders[place] = index
        self._decided = len(history.decisions)
        while self._held.get(self._whole, 0) == self._size * len(self._rungs):
            self._whole += 1

    @property
    def first(self) -> int:
        """The first repetition with a place that has no trial."""
        return self._whole

    def due(self, repetition: int, generation: int) -> list[int]:
        """Return the members that can be given a trial: they and their opponents have ended."""
        return [
            member
            for member in range(self._size)
            if (repetition, generation, member) not in self.holders
            and (
                not generation
                or all(
                    self._ended((repetition, generation - 1, one))
                    for one in (member, self.opponent(repetition, generation - 1, member))
                )
            )
        ]

    def opponent(self, repetition: int, generation: int, member: int) -> int:
        """Return who a member competes with; itself where their number is odd and it is left."""
        pairs = self._pairs.get((repetition, generation))
        if pairs is None:
            rng = np.random.default_rng([self._seed, repetition, generation])
            order, pairs = rng.permutation(self._size).tolist(), list(range(self._size))
            for one, other in zip(order[::2], order[1::2], strict=False):
                pairs[one], pairs[other] = other, one
            self._pairs[repetition, generation] = pairs
        return pairs[member]

    def objective(self, place: Place) -> float:
        """Return the objective of a place's trial, infinite where it has none."""
        found = float(self._history.objectives[self.holders[place]])
        return found if math.isfinite(found) else math.inf

    def _ended(self, place: Place) -> bool:
        """Return whether the trial of a place has ended; one that a person suspended counts."""
        index = self.holders.get(place)
        if index is None:
            return False
        history = self._history
        return bool(ENDED[history.status[index]]) or (
            bool(history.held_by_person) and int(history.numbers[index]) in history.held_by_person
        )


def key_of(place: Place) -> str:
    """Return the decision of a member's trial."""
    return "evolutiones repetition {} generation {} member {}".format(*place)
