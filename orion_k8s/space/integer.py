"""Integer dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space.integer_laws import IntegerLaw
from orion_k8s.space.ordered import Ordered
from orion_k8s.space.plain import FloatArray, is_number, number_text


@dataclass(frozen=True, eq=False)
class Integer(Ordered):
    """A dimension of integers, both bounds included.

    Attributes:
        law: the distribution.
    """

    law: IntegerLaw = field(kw_only=True)

    kind: ClassVar[str] = "integer"

    @property
    def head(self) -> tuple[str, list[str]]:
        """Return the prior's name and the texts of its arguments."""
        return self.law.name, self.law.arguments

    @property
    def interval(self) -> tuple[float, float]:
        """Return (low, high), ints where they are finite, both included."""
        return self.law.low, self.law.high

    @property
    def faint_inside(self) -> bool:
        """Whether values far from both ends may be less likely than those at the ends."""
        return self.law.faint_inside

    @cached_property
    def _reach(self) -> tuple[int, int]:
        """The integers at the units 0 and 1: even without bounds, those beyond are never drawn."""
        return self.law.one(0.0), self.law.one(1.0)

    @property
    def candidates(self) -> float:
        """Return how many integers lie between the first and the last that can be decoded."""
        first, last = self._reach
        return last - first + 1

    def one(self, unit: float) -> int:
        """Return the value of one coordinate."""
        return self.law.one(unit)

    def quantiles(self, units: FloatArray) -> NDArray[np.int64]:
        """Return the values of (n,) units as an array."""
        return self.law.many(units)

    def as_decoded(self, values: Sequence[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return values as an array, twice: decoding rounds no integer."""
        given = np.array(values, dtype=np.int64)
        return given, given

    def guess(self, values: NDArray[np.int64]) -> FloatArray:
        """Return units that decode to the values but for rounding."""
        below, above = self.law.edges(values)
        return (below + above) / 2

    def cells(self, ranks: Sequence[int]) -> tuple[NDArray[Any], FloatArray, FloatArray]:
        """Return the values of these ranks, and the units between which they are decoded."""
        first = self._reach[0]
        values = np.array([first + rank for rank in ranks], dtype=np.int64)
        return values, *self.law.edges(values)

    def check_one(self, value: Any) -> int:
        """Return a whole number as an int.

        Raises:
            InvalidParams: it is no whole number, or out of bounds.
        """
        low, high = self.interval
        whole = is_number(value) and (isinstance(value, int) or value.is_integer())
        if not whole or abs(value) >= 2**63:
            raise self.wrong("be a whole number", value)
        if not low <= value <= high:
            ends = [number_text(b) if math.isfinite(b) else str(b) for b in (low, high)]
            raise self.wrong(f"lie between {ends[0]} and {ends[1]}", value)
        return int(value)
