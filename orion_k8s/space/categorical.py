"""Categorical dimensions: one of several plain values."""

from __future__ import annotations

import copy
import difflib
import math
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from orion_k8s.space.dimension import Dimension
from orion_k8s.space.plain import (
    INTEGER_LIMIT,
    FloatArray,
    Problem,
    frozen,
    is_number,
    number_text,
    shown,
)

TOLERANCE = 1e-6
"""How far from 1 the sum of the probabilities may be."""
LEAST = 1e-9
"""The least probability of a category."""


@dataclass(frozen=True, eq=False)
class Categorical(Dimension):
    """A dimension of categories.

    Attributes:
        categories: plain values; tuples stay tuples.
        probabilities: one for each as they were written, or None where all are alike.
    """

    categories: tuple[Any, ...] = field(kw_only=True)
    probabilities: tuple[float, ...] | None = None

    kind: ClassVar[str] = "categorical"

    def __post_init__(self) -> None:
        if not self.categories:
            raise Problem("there is nothing to choose from; give at least one category")
        seen: set[Hashable] = set()
        for category in self.categories:
            _require_plain(category)
            if frozen(category) in seen:
                raise Problem(f"the category {shown(category)} stands there twice; keep one")
            seen.add(frozen(category))
        if self.probabilities is not None:
            _require_probabilities(self.categories, self.probabilities)

    @property
    def head(self) -> tuple[str, list[str]]:
        """Return the prior's name and the text of its argument."""
        if self.probabilities is None:
            return "choices", [repr(list(self.categories))]
        pairs = zip(self.categories, self.probabilities, strict=True)
        return "choices", ["{" + ", ".join(f"{c!r}: {number_text(p)}" for c, p in pairs) + "}"]

    @property
    def interval(self) -> None:
        """Return None: categories have no order."""
        return None

    @property
    def count(self) -> float:
        """Return how many categories there are."""
        return len(self.categories)

    @cached_property
    def _upper(self) -> list[float]:
        """The unit at which each category ends."""
        n = len(self.categories)
        if self.probabilities is None:
            return [(i + 1) / n for i in range(n)]
        sums = list(accumulate(self.probabilities))
        return [*(s / sums[-1] for s in sums[:-1]), 1.0]

    @cached_property
    def _upper_array(self) -> FloatArray:
        return np.array(self._upper)

    @cached_property
    def _index(self) -> dict[Hashable, int]:
        return {frozen(category): i for i, category in enumerate(self.categories)}

    @cached_property
    def _mutable(self) -> bool:
        return any(_holds(category, (list, dict)) for category in self.categories)

    @cached_property
    def loads_as_is(self) -> bool:
        """Whether JSON gives the categories back as they are: not where they hold containers."""
        return not any(isinstance(category, (list, tuple, dict)) for category in self.categories)

    def _take(self, i: int) -> Any:
        # a program that changes its parameter must not change the dimension
        return copy.deepcopy(self.categories[i]) if self._mutable else self.categories[i]

    def one(self, unit: float) -> Any:
        """Return the category of one coordinate."""
        return self._take(min(bisect_right(self._upper, unit), len(self._upper) - 1))

    def many(self, units: FloatArray) -> list[Any]:
        """Return the categories of (n,) coordinates."""
        indices = np.searchsorted(self._upper_array, units, side="right")
        return [self._take(i) for i in np.minimum(indices, len(self._upper) - 1).tolist()]

    def units(self, values: Sequence[Any]) -> FloatArray:
        """Return coordinates ((n,) float64) of n categories: the middles of their parts."""
        middles = self._cells[0]
        return middles[np.array([self._find(value) for value in values], dtype=np.intp)]

    @cached_property
    def _cells(self) -> tuple[FloatArray, FloatArray]:
        lower = np.concatenate([[0.0], self._upper_array[:-1]])
        return (lower + self._upper_array) / 2, self._upper_array - lower

    def levels(self, limit: int) -> tuple[FloatArray, FloatArray] | None:
        """Return units of all categories, and their probabilities."""
        if len(self.categories) > limit:
            return None
        units, weights = self._cells
        return units.copy(), weights / weights.sum()

    def key(self, value: Any) -> Hashable:
        """Return a hashable that tells categories apart."""
        return frozen(value)

    def check_one(self, value: Any) -> Any:
        """Return the category that equals the value.

        Raises:
            InvalidParams: there is none.
        """
        return self._take(self._find(value))

    def load_one(self, value: Any) -> Any:
        """Return the category that was read from JSON: a list may be a tuple."""
        return self.check_one(value)

    def _find(self, value: Any) -> int:
        try:
            return self._index[frozen(value)]
        except (KeyError, TypeError):
            some = ", ".join(shown(category) for category in self.categories[:10])
            more = ", …" if len(self.categories) > 10 else ""
            names = [c for c in self.categories if isinstance(c, str)]
            near = difflib.get_close_matches(value, names, 1) if isinstance(value, str) else []
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise self.wrong(f"be one of {some}{more}{hint}", value) from None


def _holds(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) or (
        isinstance(value, tuple) and any(_holds(item, kinds) for item in value)
    )


def _require_plain(value: Any) -> None:
    match value:
        case None | bool():
            pass
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Problem(f"the category {shown(value)} is no valid text; change it") from None
        case int():
            if abs(value) > INTEGER_LIMIT:
                raise Problem("a category is an integer over 2**63; write it as a string")
        case float():
            if not math.isfinite(value):
                raise Problem("a category must be finite; write it as a string")
        case list() | tuple():
            for item in value:
                _require_plain(item)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise Problem("the keys of a dict category must be strings; quote them")
                _require_plain(key)
                _require_plain(item)
        case _:
            raise Problem(f"the category {shown(value)} can't be stored as JSON; use plain values")


def _require_probabilities(categories: Sequence[Any], probabilities: Sequence[Any]) -> None:
    for category, p in zip(categories, probabilities, strict=True):
        if not is_number(p):
            raise Problem(
                f"the probability of {shown(category)} must be a number, not {shown(p)}; "
                "for categories without probabilities write a list"
            )
        if not p >= LEAST:
            raise Problem(
                f"the probability of {shown(category)} is {p:g}; leave it out, or give it {LEAST} "
                "or more"
            )
    total = math.fsum(probabilities)
    if not abs(total - 1) <= TOLERANCE:
        raise Problem(f"the probabilities sum to {total:.6g}; make them sum to 1")
