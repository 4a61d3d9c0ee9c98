"""Any distribution of scipy.stats by its name. SciPy is imported only here, when asked for."""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space.integer_laws import IntegerLaw, refuse_huge
from orion_k8s.space.laws import Law
from orion_k8s.space.plain import CUT, REAL_LIMIT, FloatArray, Problem, number_text, real

_BLOCK = 64
"""Arrays are padded to a multiple of this: the vector loops of NumPy and SciPy then treat every
element alike, whatever the batch size."""

_LEAST_MASS = 1e-12
_CUTS = (CUT, 2.0**-50, 2.0**-45, 2.0**-40, 2.0**-30)
"""How far from 0 and 1 units are kept; the first at which SciPy finds a finite quantile."""
_TABLE = 2**20
"""The most integers that a discrete distribution may spread over."""
_FAINT_TAIL = 1e-14
"""A tail of less probability is cut off."""


def distribution(name: str) -> Any | None:
    """Return SciPy's distribution of that name, or None."""
    from scipy import stats

    found = getattr(stats, name, None)
    return found if isinstance(found, (stats.rv_continuous, stats.rv_discrete)) else None


def distribution_names() -> list[str]:
    """Return the names of all distributions of scipy.stats."""
    from scipy import stats

    kinds = (stats.rv_continuous, stats.rv_discrete)
    return [name for name in dir(stats) if isinstance(getattr(stats, name), kinds)]


def is_discrete(found: Any) -> bool:
    """Whether SciPy's distribution yields integers."""
    from scipy import stats

    return isinstance(found, stats.rv_discrete)


def parameter_names(found: Any) -> tuple[list[str], int]:
    """Return the names of its parameters in order, and how many of them must be given."""
    shapes = [s.strip() for s in found.shapes.split(",")] if found.shapes else []
    rest = ["loc"] if is_discrete(found) else ["loc", "scale"]
    return [*shapes, *rest], len(shapes)


class Scipy(Law):
    """A continuous distribution of scipy.stats, truncated where bounds are given.

    Args:
        name: SciPy's name of it.
        parameters: by name, loc and scale among them; those left out have SciPy's default.
        lower: truncation; infinite for none.
        upper: truncation; infinite for none.
    """

    exact = False
    faint_inside = True

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, int | float],
        lower: float = -math.inf,
        upper: float = math.inf,
    ) -> None:
        self.name, self.parameters = name, dict(parameters)
        self.lower, self.upper = lower, upper
        self._frozen, low, high = _freeze(name, parameters)
        self.low, self.high = max(low, lower), min(high, upper)
        if not self.low < self.high:
            raise Problem("low and high leave nothing of the distribution; move them")
        self._ppf = _elementwise(self._frozen, "ppf")
        self._cdf = _elementwise(self._frozen, "cdf")
        with _quiet():
            self._start = float(self._frozen.cdf(lower)) if lower > low else 0.0
            stop = float(self._frozen.cdf(upper)) if upper < high else 1.0
            self._mass = stop - self._start
            if not self._mass > _LEAST_MASS:
                raise Problem("the distribution has no weight between low and high; move them")
            self._least, self._most = 0.0, 1.0
            least = self._first_computable(_CUTS)
            most = self._first_computable([1.0 - cut for cut in _CUTS])
            if not self._computable(np.linspace(least, most, 17)):
                raise Problem(
                    f"SciPy can't compute {name} with these arguments; choose others, "
                    "or truncate it by low=, high="
                )
        self._least, self._most = least, most

    def _first_computable(self, units: Sequence[float]) -> float:
        """Return the first unit whose quantile SciPy finds; NaN for none."""
        return next((unit for unit in units if self._computable([unit])), math.nan)

    def _computable(self, units: Sequence[float] | FloatArray) -> bool:
        """Whether SciPy finds finite quantiles of the units."""
        try:
            x = self._quantiles(np.asarray(units))
        except (RuntimeError, ValueError, ArithmeticError):
            return False
        return bool(np.isfinite(x).all())

    @property
    def arguments(self) -> list[str]:
        """Return the texts of its arguments."""
        return _texts(self.name, self.parameters, self.lower, self.upper)

    def one(self, unit: float) -> float:
        """Return the quantile of a unit."""
        return float(self.many(np.array([unit]))[0])

    def many(self, units: FloatArray) -> FloatArray:
        """Return the quantiles of (n,) units."""
        return self._ends(units, np.clip(self._quantiles(units), -REAL_LIMIT, REAL_LIMIT))

    def _quantiles(self, units: FloatArray) -> FloatArray:
        p = self._start + np.clip(units, self._least, self._most) * self._mass
        return self._ppf(np.clip(p, self._least, self._most))

    def cdf(self, values: FloatArray) -> FloatArray:
        """Return the units of (n,) values."""
        units: FloatArray = (self._cdf(values) - self._start) / self._mass
        np.clip(units, 0.0, 1.0, out=units)
        return units

    def bounded(self, low: float, high: float) -> Scipy:
        """Return it truncated otherwise."""
        return Scipy(self.name, self.parameters, low, high)


class ScipyInteger(IntegerLaw):
    """A discrete distribution of scipy.stats, truncated where bounds are given.

    Its cumulative probabilities are kept in a table, but for a tail that is never drawn.

    Args:
        name: SciPy's name of it.
        parameters: by name, loc among them; those left out have SciPy's default.
        lower: truncation, itself included; infinite for none.
        upper: truncation, itself included; infinite for none.
    """

    faint_inside = True

    def __init__(
        self, name: str, parameters: Mapping[str, int | float], lower: float, upper: float
    ) -> None:
        self.name, self._parameters = name, dict(parameters)
        self._lower = math.ceil(lower) if math.isfinite(lower) else lower
        self._upper = math.floor(upper) if math.isfinite(upper) else upper
        frozen, low, high = _freeze(name, parameters)
        self.low, self.high = (
            int(b) if math.isfinite(b) else b
            for b in (max(low, self._lower), min(high, self._upper))
        )
        if not self.low < self.high:
            raise Problem("fewer than two integers lie between low and high; move them apart")
        self._first, last = self._range(frozen)
        with _quiet():
            weights = np.array(frozen.pmf(self._first + np.arange(last - self._first + 1)))
        total = weights.sum()
        if not total > _LEAST_MASS:
            raise Problem("the distribution has no weight between low and high; move them")
        self._upper_array = np.cumsum(weights / total)
        # Rounding must not leave the last integers without a unit, or units without an integer.
        self._upper_array /= self._upper_array[-1]
        self._upper_list = self._upper_array.tolist()

    def _range(self, frozen: Any) -> tuple[int, int]:
        """Return the first and the last integer of the table.

        SciPy's own quantiles are of no use here: where it has no formula it adds probabilities up
        from the start, for ever where the tail is heavy (zipf).
        """
        if self.high - self.low < _TABLE:
            refuse_huge([self.low, self.high], np.empty(0))
            return int(self.low), int(self.high)
        finite = [end for end in (self.low, self.high) if math.isfinite(end)]
        with _quiet():
            origin = int(finite[0] if finite else frozen.median())
            reach = 64
            while 2 * reach <= _TABLE:
                first, last = max(self.low, origin - reach), min(self.high, origin + reach)
                below = 0.0 if first == self.low else frozen.cdf(first - 1)
                above = 0.0 if last == self.high else frozen.sf(last)
                if max(below, above) < _FAINT_TAIL:
                    refuse_huge([first, last], np.empty(0))
                    return int(first), int(last)
                reach *= 2
        raise Problem(
            f"{self.name} spreads over too many integers; truncate it by low= and high= to at "
            f"most {_TABLE} of them, or use a continuous prior with discrete=True"
        )

    @property
    def arguments(self) -> list[str]:
        """Return the texts of its arguments."""
        return _texts(self.name, self._parameters, self._lower, self._upper)

    def one(self, unit: float) -> int:
        """Return the quantile of a unit."""
        unit = min(max(unit, CUT), 1.0 - CUT)
        return self._first + bisect_right(self._upper_list, unit)

    def many(self, units: FloatArray) -> NDArray[np.int64]:
        """Return the quantiles of (n,) units."""
        k = np.searchsorted(self._upper_array, np.clip(units, CUT, 1.0 - CUT), side="right")
        return k.astype(np.int64) + self._first

    def edges(self, values: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Return the units between which the values are decoded."""
        table = np.concatenate([[0.0], self._upper_array])
        k = values - self._first
        last = len(table) - 1
        return table[np.clip(k, 0, last)], table[np.clip(k + 1, 0, last)]


def _elementwise(frozen: Any, function: str) -> Callable[[FloatArray], FloatArray]:
    """Return a function of SciPy's that gives an element the same result in every batch."""
    from scipy import stats

    call = getattr(frozen, function)
    # What SciPy inverts or integrates numerically it takes one by one, and slowly: no padding.
    generic = getattr(type(frozen.dist), f"_{function}") is getattr(
        stats.rv_continuous, f"_{function}"
    )
    return partial(_padded, call, 1 if generic else _BLOCK)


def _padded(function: Callable[[FloatArray], Any], block: int, x: FloatArray) -> FloatArray:
    padded = np.full(-(-x.size // block) * block, 0.5)
    padded[: x.size] = x
    with np.errstate(all="ignore"):
        result = np.array(function(padded), dtype=np.float64)
    return result[: x.size]


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _freeze(name: str, parameters: Mapping[str, int | float]) -> tuple[Any, float, float]:
    """Return SciPy's distribution with these parameters, and its support."""
    found = distribution(name)
    if found is None:
        raise Problem(f"scipy.stats has no distribution {name}; check the name")
    wrong = Problem(
        f"{name} does not take these arguments; "
        f"give valid values of {', '.join(parameter_names(found)[0])}"
    )
    with _quiet():
        try:
            frozen = found(**parameters)
            low, high = (float(bound) for bound in frozen.support())
        except (TypeError, ValueError, ArithmeticError):
            raise wrong from None
    if not low < high:  # NaN, where an argument is outside of its domain
        raise wrong
    return frozen, low, high


def _texts(
    name: str, parameters: Mapping[str, int | float], lower: float, upper: float
) -> list[str]:
    order = parameter_names(distribution(name))[0]
    texts = []
    for i, key in enumerate(key for key in order if key in parameters):
        text = number_text(parameters[key])
        texts.append(text if key == order[i] else f"{key}={text}")
    bounds = {"low": lower, "high": upper}
    return texts + [f"{k}={number_text(b)}" for k, b in bounds.items() if math.isfinite(b)]


def bind(
    found: Any, name: str, args: Sequence[Any], keywords: dict[str, Any]
) -> dict[str, int | float]:
    """Return SciPy's parameters by name, taking those that it knows out of the keywords.

    Raises:
        Problem: there are too many or too few, or one is given twice.
    """
    names, needed = parameter_names(found)
    if len(args) > len(names):
        raise Problem(
            f"{name} takes {', '.join(names)}, not {len(args)} arguments; leave some out"
        )
    bound = dict(zip(names, args, strict=False))
    for key in names:
        if key in keywords:
            if key in bound:
                raise Problem(f"{key} is given twice; keep one")
            bound[key] = keywords.pop(key)
    missing = [key for key in names[:needed] if key not in bound]
    if missing:
        raise Problem(f"{name} needs {' and '.join(missing)} too; add them")
    return {key: _number(bound[key], key) for key in names if key in bound}


def _number(value: Any, key: str) -> int | float:
    number = real(value, key)
    return int(number) if number.is_integer() and abs(number) < 2**53 else number
