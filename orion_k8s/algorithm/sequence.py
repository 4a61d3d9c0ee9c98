"""Algorithms that follow a fixed sequence of points, whatever the history says.

The trial of number k is the k-th *distinct* point of an endless sequence that depends on the seed
alone. Every worker derives the same prefix for itself, so the set of trials is the same for 1
worker and for 100, also in a space where points repeat (few choices, four significant digits): no
two workers ever draw the same point under two numbers.

A point that a person inserted is passed over. A point that is refused all the same (the insert
came after this worker looked) moves its number to the next point of the sequence that nobody has.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_left
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.cells import Cells
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Status, dump_values

_FIRST_BATCH, _LAST_BATCH = 16, 256
_MAX_LEVELS = 1_000_000
_PATIENCE = 20_000
"""So many draws in a row without a new point, and what is left of a finite space is enumerated."""
_WASTE = 8
"""The same where, beyond `_PATIENCE`, so many draws were made for each point that was new."""


class FixedSequence(Algorithm):
    """An algorithm whose points come in an order fixed by the seed."""

    several_objectives: ClassVar[bool] = True

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._points: list[tuple[object, ...]] = []
        self._place: dict[str, int] = {}
        self._drawn = 0
        self._batch = _FIRST_BATCH
        self._ended = False
        self._looked_at: History | None = None
        self._untried = 0

    @abstractmethod
    def draw(self, start: int, count: int) -> NDArray[np.float64]:
        """Return draws `start` … `start + count - 1`, (count, width) float64 in [0, 1].

        Fewer, or none, where the sequence ends. A draw depends on (seed, its index) alone.
        """

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Finished:
        """Return the point of that number. See `Algorithm.suggest`."""
        place = self._place_of(number, history)
        if attempt:
            known = history.known_values()
            while self._reach(place) and dump_values(self._points[place]) in known:
                place += 1
        if self._reach(place):
            return Suggestion(self._points[place])
        free = self._given_free(history)
        if free is not None:
            return Suggestion(self._points[free])
        return Finished(f"the search space is used up: all {len(self._points)} points were tried")

    def untried(self, history: History) -> Suggestion | Finished:
        """Return the first point of the sequence that nobody has tried; Finished where all were.

        For models that come to no new point.
        """
        known = history.known_values()
        if history is not self._looked_at:  # else what was known is still known
            self._looked_at, self._untried = history, 0
        while self._reach(self._untried):
            if dump_values(self._points[self._untried]) not in known:
                return Suggestion(self._points[self._untried])
            self._untried += 1
        return Finished(f"the search space is used up: all {len(known)} points were tried")

    def _given_free(self, history: History) -> int | None:
        """Return the place of a point whose trial was removed, once the sequence is used up."""
        if not history.count(Status.REMOVED):
            return None
        known = history.known_values()
        inserted = self._inserted_places(history)
        for text, place in self._place.items():
            number = place - bisect_left(inserted, place)
            # A number that nobody took yet will be given its own point.
            if text not in known and history.index(number) is not None:
                return place
        return None

    def _place_of(self, number: int, history: History) -> int:
        """Return the place of a number, the points that a person inserted left out."""
        place = number
        while self._reach(place):
            further = _skip(number, self._inserted_places(history))
            if further == place:
                break
            place = further
        return place

    def _inserted_places(self, history: History) -> list[int]:
        """Return the places, in order, of the derived points that a person inserted."""
        places = (self._place.get(text) for text in history.inserted_values)
        return sorted(place for place in places if place is not None)

    def _reach(self, place: int) -> bool:
        """Derive the sequence up to `place`; whether it goes that far."""
        while len(self._points) <= place and not self._ended:
            self._extend()
        return place < len(self._points)

    def _extend(self) -> None:
        """Derive the sequence further: by a point at least, or to its end."""
        start, before = self._drawn, len(self._points)
        while len(self._points) == before:
            points = self.draw(self._drawn, self._batch)
            self._drawn += len(points)
            self._batch = min(2 * self._batch, _LAST_BATCH)
            self._take(points)
            if not len(points) or len(self._points) >= self.space.cardinality:
                self._ended = True
                return
            wasted = self._drawn - _WASTE * len(self._points)
            if max(self._drawn - start, wasted) > _PATIENCE:
                self._enumerate_rest()
                self._ended = True
                return

    def _take(self, points: NDArray[np.float64]) -> None:
        for values in self.space.decode(points):
            text = dump_values(values)
            if text not in self._place:
                self._place[text] = len(self._points)
                self._points.append(values)

    def _enumerate_rest(self) -> None:
        cells = finite_cells(self.space, _MAX_LEVELS)
        if cells is None:
            return
        # A factor that shares no divisor with the count puts the cells in another order.
        rng = np.random.default_rng([self.seed, 2])
        factor = int(rng.integers(1, 2**62)) % cells.count | 1
        while math.gcd(factor, cells.count) != 1:
            factor += 2
        for start in range(0, cells.count, 4096):
            block = range(start, min(start + 4096, cells.count))
            self._take(cells.points([cell * factor % cells.count for cell in block]))


def _skip(number: int, taken: list[int]) -> int:
    """Return the place of the `number`-th element but for those at the `taken` places (sorted)."""
    place = number
    for other in taken:
        if other <= place:
            place += 1
    return place


def finite_cells(space: Space, limit: int) -> Cells | None:
    """Return the cells of a space whose every coordinate has at most `limit` levels, else None."""
    levels = []
    for dimension in space.dimensions:
        if dimension.size == 0:
            continue
        found = dimension.levels(limit)
        if found is None:
            return None
        levels += [found[0]] * dimension.size
    return Cells(levels)
