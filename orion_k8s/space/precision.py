"""Rounding to significant digits, and counting the numbers that have no more of them.

A number of p significant digits is ±m·10**k with an integer m < 10**p. It is computed as
m / 10**-k or m * 10**k with an exact power of ten, so it is the float that the decimal text reads
as, on every machine and for every batch size.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space.plain import FloatArray

MAX_PRECISION = 15
"""More digits than a float can tell apart are not offered; `precision=None` is for these."""

_POWERS = [float(f"1e{k}") for k in range(-308, 309)]
_EXACT = 22
"""10**22 is the largest power of ten that a float holds exactly."""
_EXACT_POWERS = np.array([float(10**k) for k in range(_EXACT + 1)])


class Precision:
    """Rounding to `digits` significant digits, half to even. Get one from `precision_of`."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        exponents = [i - 308 - digits for i in range(len(_POWERS) + 1)]  # k of each decade
        self._plain = [-_EXACT <= k <= _EXACT for k in exponents]
        self._up = [10.0 ** min(max(-k, 0), _EXACT) for k in exponents]
        self._down = [10.0 ** min(max(k, 0), _EXACT) for k in exponents]
        self._powers_array = np.array(_POWERS)
        self._odd_array = ~np.array(self._plain)
        self._up_array = np.array(self._up)
        self._down_array = np.array(self._down)
        self._decade: int = 9 * 10 ** (digits - 1)  # members of one decade

    def one(self, x: float) -> float:
        """Return `x` rounded."""
        i = bisect_right(_POWERS, x if x >= 0.0 else -x)
        if self._plain[i]:
            up, down = self._up[i], self._down[i]
            return round(x * up / down) / up * down
        return self._by_text(x)

    def many(self, x: FloatArray) -> FloatArray:
        """Return `x` ((n,) float64) rounded, bit for bit as `one` does."""
        i = np.searchsorted(self._powers_array, np.abs(x), side="right")
        up, down = self._up_array[i], self._down_array[i]
        rounded: FloatArray = np.rint(x * up / down) / up * down
        odd = self._odd_array[i]
        if odd.any():
            rounded[odd] = [self._by_text(v) for v in x[odd].tolist()]
        return rounded

    def _by_text(self, x: float) -> float:
        return float(f"{x:.{self.digits - 1}e}")

    # --- members: the positive numbers of so many digits, ranked ---------------------------------

    def member(self, rank: int) -> float:
        """Return the positive number of that rank; ranks count on through the decades."""
        k, m = divmod(rank, self._decade)
        return float(f"{m + 10 ** (self.digits - 1)}e{k}")

    def members(self, ranks: NDArray[np.int64]) -> FloatArray:
        """Return the positive numbers of (n,) ranks, as `member` does."""
        k, m = np.divmod(ranks, self._decade)
        m += 10 ** (self.digits - 1)
        up, down = np.clip(-k, 0, _EXACT), np.clip(k, 0, _EXACT)
        numbers: FloatArray = m / _EXACT_POWERS[up] * _EXACT_POWERS[down]
        for i in np.flatnonzero(np.abs(k) > _EXACT).tolist():
            numbers[i] = self.member(int(ranks[i]))
        return numbers

    def _nearest_rank(self, x: float) -> int:
        mantissa, exponent = f"{x:.{self.digits - 1}e}".split("e")
        m = int(mantissa.replace(".", ""))
        k = int(exponent) - self.digits + 1
        return k * self._decade + m - int(10 ** (self.digits - 1))

    def rank_above(self, x: float) -> int:
        """Return the rank of the smallest member that is not below `x` > 0."""
        rank = self._nearest_rank(x)
        return rank if self.member(rank) >= x else rank + 1

    def rank_below(self, x: float) -> int:
        """Return the rank of the largest member that is not above `x` > 0."""
        rank = self._nearest_rank(x)
        return rank if self.member(rank) <= x else rank - 1

    def ceil(self, x: float) -> float:
        """Return the smallest number of so many digits that is not below `x`."""
        if x == 0.0:
            return 0.0
        return self.member(self.rank_above(x)) if x > 0 else -self.member(self.rank_below(-x))

    def floor(self, x: float) -> float:
        """Return the largest number of so many digits that is not above `x`."""
        return 0.0 - self.ceil(-x)


@cache
def precision_of(digits: int) -> Precision:
    """Return the rounding to so many significant digits (1 to `MAX_PRECISION`)."""
    return Precision(digits)
