"""Distributions over integers: quantiles from units in [0, 1], and back."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space.laws import Law
from orion_k8s.space.plain import CUT, INTEGER_LIMIT, FloatArray, Problem

_EXACT = 2**53
"""Every integer up to here is a float."""


class IntegerLaw(ABC):
    """A distribution over the integers low … high, both ends included; a bound may be infinite."""

    name: str
    low: float
    """An int where it is finite."""
    high: float
    faint_inside: bool = False
    """Whether integers far from both ends may be less likely than those at the ends."""

    @property
    @abstractmethod
    def arguments(self) -> list[str]:
        """Return the texts of its arguments, `discrete=True` and truncation included."""

    @abstractmethod
    def one(self, unit: float) -> int:
        """Return the quantile of a unit."""

    @abstractmethod
    def many(self, units: FloatArray) -> NDArray[np.int64]:
        """Return the quantiles of (n,) units, as `one` does."""

    @abstractmethod
    def edges(self, values: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the units ((n,) each) between which the values are decoded."""


class UniformInteger(IntegerLaw):
    """Every integer between two bounds is as likely as any other.

    Args:
        low: first integer.
        high: last integer, itself included.
        name: "randint" or "uniform": how the prior spells it.
    """

    def __init__(self, low: int, high: int, name: str) -> None:
        if not low <= high:
            raise Problem("there is no integer between low and high; move them apart")
        if low < -INTEGER_LIMIT or high >= INTEGER_LIMIT:
            raise Problem("it holds integers over 2**63; choose smaller ones")
        self.low, self.high, self.name = low, high, name
        self._first, self._last, self._n = low, high, high - low + 1
        self._small = max(self._n, abs(low), abs(high)) <= _EXACT

    @property
    def arguments(self) -> list[str]:
        """Return the texts of its arguments."""
        if self.name == "randint":
            return [str(self._first), str(self._last + 1)]
        return [str(self._first), str(self._last), "discrete=True"]

    def one(self, unit: float) -> int:
        """Return the quantile of a unit."""
        if unit <= 0.0:
            return self._first
        k = int(unit * self._n)
        return self._first + k if k < self._n else self._last

    def many(self, units: FloatArray) -> NDArray[np.int64]:
        """Return the quantiles of (n,) units."""
        if not self._small:
            return np.array([self.one(u) for u in units.tolist()], dtype=np.int64)
        k = np.clip(units * self._n, 0.0, self._n - 1).astype(np.int64)
        return k + self._first

    def edges(self, values: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the units between which the values are decoded."""
        offsets: Any = values - self._first
        if not self._small:  # offsets that int64 can't hold
            offsets = np.array([float(v - self._first) for v in values.tolist()])
        return offsets / self._n, (offsets + 1) / self._n


class Rounded(IntegerLaw):
    """A continuous distribution, rounded to the nearest integer.

    Between integers low and high it is the continuous one from low - ½ to high + ½, so that the
    integers at the ends get their whole weight. Bounds may be any numbers: the integers inside
    count.

    Args:
        law: the continuous distribution as written.
        lower: truncation or bound, infinite for none.
        upper: truncation or bound, infinite for none.
    """

    def __init__(self, law: Law, lower: float, upper: float) -> None:
        lower = math.ceil(lower) if math.isfinite(lower) else lower
        upper = math.floor(upper) if math.isfinite(upper) else upper
        if not lower < upper:
            raise Problem("fewer than two integers lie between low and high; move them apart")
        self._text = law.bounded(lower, upper)
        self._law = law.bounded(lower - 0.5, upper + 0.5)
        self.name, self.faint_inside = law.name, law.faint_inside
        # what the law itself bounds (e.g. beta) counts as well
        low, high = self._text.low, self._text.high
        self.low = math.ceil(low) if math.isfinite(low) else low
        self.high = math.floor(high) if math.isfinite(high) else high
        if not self.low < self.high:
            raise Problem("fewer than two integers lie in its range; widen it")
        ends = self._law.many(np.array([CUT, 1.0 - CUT]))
        refuse_huge([self.low, self.high], ends)
        # the bounds as floats that are not outside of them
        self._least, self._most = _float_inside(self.low, 1), _float_inside(self.high, -1)

    @property
    def arguments(self) -> list[str]:
        """Return the texts of its arguments."""
        texts = self._text.arguments
        first_keyword = next((i for i, t in enumerate(texts) if "low=" in t or "high=" in t), None)
        where = len(texts) if first_keyword is None else first_keyword
        return [*texts[:where], "discrete=True", *texts[where:]]

    def one(self, unit: float) -> int:
        """Return the quantile of a unit."""
        x = self._law.one(min(max(unit, CUT), 1.0 - CUT))
        return round(min(max(x, self._least), self._most))

    def many(self, units: FloatArray) -> NDArray[np.int64]:
        """Return the quantiles of (n,) units."""
        x = self._law.many(np.clip(units, CUT, 1.0 - CUT))
        return np.rint(np.clip(x, self._least, self._most)).astype(np.int64)

    def edges(self, values: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the units between which the values are decoded."""
        low, high = self._law.low, self._law.high
        below = self._law.cdf(np.clip(values - 0.5, low, high))
        above = self._law.cdf(np.clip(values + 0.5, low, high))
        return np.where(values <= self.low, 0.0, below), np.where(values >= self.high, 1.0, above)


def refuse_huge(bounds: list[float], ends: FloatArray) -> None:
    """Check that bounds and the ends of what is decoded are integers of 64 bits.

    Raises:
        Problem: they are not.
    """
    finite = [b for b in bounds if math.isfinite(b)] + ends.tolist()
    if any(not abs(b) < INTEGER_LIMIT for b in finite):
        raise Problem(
            "it holds integers over 2**63; choose smaller ones, or truncate by low=, high="
        )


def _float_inside(bound: float, direction: int) -> float:
    value = float(bound)
    if math.isinf(value) or direction * (int(value) - int(bound)) >= 0:
        return value
    return math.nextafter(value, direction * math.inf)
