"""Continuous distributions: quantiles from units in [0, 1], and back.

`one` and `many` use the same formula element by element (exp and log from the C library, never
NumPy's, which differ from it and from processor to processor), so a point's value does not depend
on how many points are decoded with it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from orion_k8s.space.plain import CUT, FloatArray, Problem, number_text


def exp_each(x: FloatArray) -> FloatArray:
    """Return math.exp of each of (n,) numbers."""
    return np.fromiter(map(math.exp, x.tolist()), dtype=np.float64, count=x.size)


def log_each(x: FloatArray) -> FloatArray:
    """Return math.log of each of (n,) positive numbers."""
    return np.fromiter(map(math.log, x.tolist()), dtype=np.float64, count=x.size)


def require_order(low: float, high: float) -> None:
    """Check that two bounds are in order.

    Raises:
        Problem: they are not.
    """
    if not low < high:
        raise Problem(
            f"low ({number_text(low)}) must be below high ({number_text(high)}); "
            "change one of them"
        )


class Law(ABC):
    """A continuous distribution on [low, high], where a bound may be infinite."""

    name: str
    low: float
    high: float
    exact: ClassVar[bool] = True
    """Whether `one` is a formula that steps up with the unit, down to the last bit or so."""
    faint_inside: ClassVar[bool] = False
    """Whether values far from both ends may be less likely than those at the ends."""

    @property
    @abstractmethod
    def arguments(self) -> list[str]:
        """Return the texts of its arguments, truncation included, as a prior spells them."""

    @abstractmethod
    def one(self, unit: float) -> float:
        """Return the quantile of a unit: `low` at 0 and `high` at 1 where these are finite."""

    @abstractmethod
    def many(self, units: FloatArray) -> FloatArray:
        """Return the quantiles of (n,) units, bit for bit as `one` does."""

    @abstractmethod
    def cdf(self, values: FloatArray) -> FloatArray:
        """Return the units of (n,) values in the bounds, to within rounding."""

    @abstractmethod
    def bounded(self, low: float, high: float) -> Law:
        """Return the same distribution with these bounds instead of its own; infinite for none."""

    def _ends(self, units: FloatArray, x: FloatArray) -> FloatArray:
        np.clip(x, self.low, self.high, out=x)
        if math.isfinite(self.low):
            x[units <= 0.0] = self.low
        if math.isfinite(self.high):
            x[units >= 1.0] = self.high
        return x


class Uniform(Law):
    """Every number between two bounds is as likely as any other."""

    name = "uniform"

    def __init__(self, low: float, high: float) -> None:
        require_order(low, high)
        self.low, self.high = low, high
        self._span = high - low

    @property
    def arguments(self) -> list[str]:
        """Return the texts of its arguments."""
        return [number_text(self.low), number_text(self.high)]

    def one(self, unit: float) -> float:
        """Return the quantile of a unit."""
        if unit <= 0.0:
            return self.low
        x = self.low + unit * self._span
        return self.high if unit >= 1.0 or x > self.high else x

    def many(self, units: FloatArray) -> FloatArray:
        """Return the quantiles of (n,) units."""
        return self._ends(units, self.low + units * self._span)

    def cdf(self, values: FloatArray) -> FloatArray:
        """Return the units of (n,) values."""
        return (values - self.low) / self._span

    def bounded(self, low: float, high: float) -> Uniform:
        """Return it with other bounds."""
        return Uniform(low, high)


class LogUniform(Law):
    """The logarithm is uniform: every decade between two positive bounds is equally likely."""

    name = "loguniform"

    def __init__(self, low: float, high: float) -> None:
        require_order(low, high)
        if low <= 0:
            raise Problem(
                f"loguniform needs a low above 0, not {number_text(low)}; "
                "give a small positive number, or use uniform"
            )
        self.low, self.high = low, high
        self._log = math.log(low)
        self._span = math.log(high) - self._log
        if self._span <= 0:
            raise Problem("low and high are too close to each other; move them apart")

    @property
    def arguments(self) -> list[str]:
        """Return the texts of its arguments."""
        return [number_text(self.low), number_text(self.high)]

    def one(self, unit: float) -> float:
        """Return the quantile of a unit."""
        if unit <= 0.0:
            return self.low
        if unit >= 1.0:
            return self.high
        x = math.exp(self._log + unit * self._span)
        return self.low if x < self.low else self.high if x > self.high else x

    def many(self, units: FloatArray) -> FloatArray:
        """Return the quantiles of (n,) units."""
        inside = np.clip(units, 0.0, 1.0)
        return self._ends(units, exp_each(self._log + inside * self._span))

    def cdf(self, values: FloatArray) -> FloatArray:
        """Return the units of (n,) values."""
        return (log_each(values) - self._log) / self._span

    def bounded(self, low: float, high: float) -> LogUniform:
        """Return it with other bounds."""
        return LogUniform(low, high)


class Normal(Law):
    """The normal distribution, truncated where bounds are given.

    Quantiles are those of Wichura (1988), Algorithm AS 241, doi:10.2307/2347330, as the standard
    library computes them. A truncation that lies above `loc` is computed in the mirror, where
    floats are dense.
    """

    name = "normal"

    def __init__(
        self, loc: float, scale: float, low: float = -math.inf, high: float = math.inf
    ) -> None:
        from statistics import NormalDist

        if scale <= 0:
            raise Problem(f"scale must be above 0, not {number_text(scale)}; it is the deviation")
        require_order(low, high)
        self.loc, self.scale, self.low, self.high = loc, scale, low, high
        self._inv = NormalDist().inv_cdf
        self._sign = -1.0 if low > loc else 1.0
        edges = sorted(self._sign * (bound - loc) / scale for bound in (low, high))
        self._start = _phi(edges[0])
        self._mass = _phi(edges[1]) - self._start
        if not self._mass > 1e-290:
            raise Problem(
                "the normal distribution has no weight between low and high; move them towards loc"
            )
        self._least = CUT if math.isinf(low) else 0.0
        self._most = 1.0 - (CUT if math.isinf(high) else 0.0)

    @property
    def arguments(self) -> list[str]:
        """Return the texts of its arguments."""
        texts = [number_text(self.loc), number_text(self.scale)]
        if math.isfinite(self.low):
            texts.append(f"low={number_text(self.low)}")
        if math.isfinite(self.high):
            texts.append(f"high={number_text(self.high)}")
        return texts

    def _quantile(self, unit: float) -> float:
        unit = min(max(unit, self._least), self._most)
        p = self._start + (unit if self._sign > 0 else 1.0 - unit) * self._mass
        z = self._inv(min(max(p, 1e-300), 1.0 - CUT))
        return self.loc + self._sign * self.scale * z

    def one(self, unit: float) -> float:
        """Return the quantile of a unit."""
        if unit <= self._least == 0.0:
            return self.low
        if unit >= self._most == 1.0:
            return self.high
        return min(max(self._quantile(unit), self.low), self.high)

    def many(self, units: FloatArray) -> FloatArray:
        """Return the quantiles of (n,) units."""
        x = np.fromiter(map(self._quantile, units.tolist()), dtype=np.float64, count=units.size)
        return self._ends(units, x)

    def cdf(self, values: FloatArray) -> FloatArray:
        """Return the units of (n,) values."""
        z = (self._sign / self.scale * (values - self.loc)).tolist()
        phi = np.fromiter(map(_phi, z), dtype=np.float64, count=values.size)
        units: FloatArray = (phi - self._start) / self._mass
        return units if self._sign > 0 else 1.0 - units

    def bounded(self, low: float, high: float) -> Normal:
        """Return it truncated otherwise."""
        return Normal(self.loc, self.scale, low, high)


def _phi(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2.0))
