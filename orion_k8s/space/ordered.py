"""What reals and integers share: values in order, decoded by a quantile function."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space.dimension import Dimension
from orion_k8s.space.invert import exact_units
from orion_k8s.space.plain import FloatArray

_FAINT = 1e-14
"""Values less likely than this may fall between two neighbouring units."""
_VERIFIED = 2**17
"""Up to so many values, faint ones are tried one by one."""
_FLOOR = 1e-18
"""No level is given less weight, so that all can be drawn."""


@dataclass(frozen=True, eq=False)
class Ordered(Dimension):
    """A dimension of numbers."""

    @property
    @abstractmethod
    def candidates(self) -> float:
        """Return how many values lie in the bounds: an int, or infinity."""

    @property
    @abstractmethod
    def faint_inside(self) -> bool:
        """Whether values far from both ends may be less likely than those at the ends."""

    @property
    def tolerance(self) -> float:
        """Return how far, relatively, decoding may be from what was encoded."""
        return 0.0

    @abstractmethod
    def cells(self, ranks: Sequence[int]) -> tuple[NDArray[Any], FloatArray, FloatArray]:
        """Return the values of these ranks, and the units between which each is decoded.

        Rank 0 is the lowest value. Only for dimensions with finitely many values.
        """

    @abstractmethod
    def quantiles(self, units: FloatArray) -> NDArray[Any]:
        """Return the values of (n,) units as an array."""

    @abstractmethod
    def guess(self, values: NDArray[Any]) -> FloatArray:
        """Return units ((n,)) that decode to the values but for rounding."""

    @abstractmethod
    def as_decoded(self, values: Sequence[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return values as an array, and what decoding makes of them (rounded)."""

    def many(self, units: FloatArray) -> list[Any]:
        """Return the plain values of (n,) coordinates."""
        values: list[Any] = self.quantiles(units).tolist()
        return values

    def units(self, values: Sequence[Any]) -> FloatArray:
        """Return coordinates ((n,) float64) of n scalar plain values."""
        if not len(values):
            return np.empty(0)
        given, target = self.as_decoded(values)
        return exact_units(self.quantiles, self.guess(given), target, self.tolerance)

    @cached_property
    def count(self) -> float:
        """Return how many values one coordinate can take.

        Values too unlikely for any unit to decode to them are left out, where there are at most
        2**17 values in all.
        """
        n = self.candidates
        if math.isinf(n) or n > _VERIFIED or not self._faint:
            return n
        return len(self._table[0])

    @cached_property
    def _faint(self) -> bool:
        n = int(self.candidates)
        ends = sorted({0, min(1, n - 1), max(n - 2, 0), n - 1})
        _, below, above = self.cells(range(n) if self.faint_inside else ends)
        return bool((above - below < _FAINT).any())

    @cached_property
    def _table(self) -> tuple[FloatArray, FloatArray]:
        values, below, above = self.cells(range(int(self.candidates)))
        units = exact_units(self.quantiles, (below + above) / 2, values)
        weights = np.maximum(above - below, _FLOOR)
        if self._faint:
            found = self.quantiles(units) == values
            units, weights = units[found], weights[found]
        return units, weights / weights.sum()

    def levels(self, limit: int) -> tuple[FloatArray, FloatArray] | None:
        """Return all distinct values of one coordinate as units, and their probabilities."""
        if self.count > limit:
            return None
        units, weights = self._table
        return units.copy(), weights.copy()
