"""Real dimensions, rounded to significant digits."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space.laws import Law
from orion_k8s.space.ordered import Ordered
from orion_k8s.space.plain import FloatArray, is_number, number_text
from orion_k8s.space.precision import MAX_PRECISION, Precision, precision_of

DEFAULT_PRECISION = 4

SCIPY_NOISE = 1e-9
"""How far apart, relatively, two inversions by SciPy of the same distribution may be."""


@dataclass(frozen=True, eq=False)
class Real(Ordered):
    """A dimension of floats.

    Decoded values are the numbers of `precision` significant digits between the bounds, and the
    bounds themselves; each is decoded from the part of the line that is nearest to it.

    Attributes:
        law: the distribution before rounding.
        precision: significant digits, or None for no rounding.
    """

    law: Law = field(kw_only=True)
    precision: int | None = DEFAULT_PRECISION

    kind: ClassVar[str] = "real"

    @cached_property
    def _rounding(self) -> Precision:
        return precision_of(self.precision or MAX_PRECISION)

    @cached_property
    def _bounds(self) -> tuple[float, float, float, float]:
        """Low, where low's part of the line ends, where high's begins, high."""
        low, high = self.law.low, self.law.high
        first = self._rounding.ceil(low) if math.isfinite(low) else low
        last = self._rounding.floor(high) if math.isfinite(high) else high
        if first > last:  # no number of so few digits lies inside
            first, last = high, low
        # Half way; but neighbours of so many digits may have no float between them.
        to_low = min((low + first) / 2, math.nextafter(first, low))
        to_high = max((last + high) / 2, math.nextafter(last, high))
        return low, to_low, to_high, high

    @property
    def head(self) -> tuple[str, list[str]]:
        """Return the prior's name and the texts of its arguments."""
        texts = self.law.arguments
        if self.precision != DEFAULT_PRECISION:
            texts.append(f"precision={self.precision}")
        return self.law.name, texts

    @property
    def interval(self) -> tuple[float, float]:
        """Return (low, high), infinite where there is no bound."""
        return self.law.low, self.law.high

    @property
    def faint_inside(self) -> bool:
        """Whether values far from both ends may be less likely than those at the ends."""
        return self.law.faint_inside

    # --- decoding --------------------------------------------------------------------------------

    def one(self, unit: float) -> float:
        """Return the value of one coordinate."""
        x = self.law.one(unit)
        if self.precision is None:
            return x + 0.0
        low, to_low, to_high, high = self._bounds
        if x <= to_low:
            return low
        if x >= to_high:
            return high
        x = self._rounding.one(x) + 0.0  # -0.0 becomes 0.0
        return low if x < low else high if x > high else x

    def quantiles(self, units: FloatArray) -> FloatArray:
        """Return the values of (n,) units as an array."""
        return self._rounded(self.law.many(units))

    def _rounded(self, x: FloatArray) -> FloatArray:
        if self.precision is None:
            return x + 0.0
        low, to_low, to_high, high = self._bounds
        rounded = np.clip(self._rounding.many(x) + 0.0, low, high)
        rounded[x >= to_high] = high
        rounded[x <= to_low] = low
        return rounded

    # --- encoding --------------------------------------------------------------------------------

    @property
    def tolerance(self) -> float:
        """Return 0: decoding gives the value back, but for SciPy's noise where nothing rounds."""
        return 0.0 if self.law.exact or self.precision is not None else SCIPY_NOISE

    def as_decoded(self, values: Sequence[Any]) -> tuple[FloatArray, FloatArray]:
        """Return values as an array, and rounded as decoding does."""
        given = np.clip(np.array(values, dtype=np.float64), self.law.low, self.law.high)
        return given, self._rounded(given)

    def guess(self, values: NDArray[Any]) -> FloatArray:
        """Return units that decode to the values but for rounding."""
        units = np.clip(self.law.cdf(values), 0.0, 1.0)
        units[values <= self.law.low] = 0.0
        units[values >= self.law.high] = 1.0
        return units

    def check_one(self, value: Any) -> float:
        """Return a number as a float.

        Raises:
            InvalidParams: it is no finite number, or out of bounds.
        """
        low, high = self.interval
        if not is_number(value) or not abs(value) <= sys.float_info.max:
            raise self.wrong("be a finite number", value)
        if not low <= value <= high:
            raise self.wrong(f"lie between {number_text(low)} and {number_text(high)}", value)
        return float(value) + 0.0

    # --- counting --------------------------------------------------------------------------------

    @cached_property
    def _ranks(self) -> tuple[int, int, list[float], list[float]] | None:
        """Ranks of the members between the bounds (as positive numbers), bounds that are none."""
        low, high = self.interval
        if self.precision is None or math.isinf(low) or math.isinf(high) or low <= 0 <= high:
            return None
        rounding = self._rounding
        near, far = (low, high) if low > 0 else (-high, -low)
        first, last = rounding.rank_above(near), rounding.rank_below(far)
        before = [] if rounding.member(first) == near else [near]
        after = [] if rounding.member(last) == far else [far]
        return first, last, before, after

    @property
    def candidates(self) -> float:
        """Return how many values lie in the bounds."""
        if self._ranks is None:
            return math.inf
        first, last, before, after = self._ranks
        return len(before) + last - first + 1 + len(after)

    def _values(self, ranks: NDArray[np.int64]) -> FloatArray:
        assert self._ranks is not None
        first, last, before, after = self._ranks
        negative = self.law.low < 0
        if negative:
            ranks = int(self.candidates) - 1 - ranks
        numbers = first + ranks - len(before)
        values = self._rounding.members(np.clip(numbers, first, max(first, last)))
        values[numbers < first] = before[0] if before else math.nan
        values[numbers > last] = after[0] if after else math.nan
        return -values if negative else values

    def cells(self, ranks: Sequence[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the values of these ranks, and the units between which they are decoded."""
        # rounding is to the nearest value, so what lies half way to a neighbour bounds it
        last = int(self.candidates) - 1
        asked = np.array(ranks, dtype=np.int64)
        values = self._values(asked)
        below = (self._values(np.maximum(asked - 1, 0)) + values) / 2
        above = (self._values(np.minimum(asked + 1, last)) + values) / 2
        return values, self.guess(below), self.guess(above)
