"""All conditions of a space: what is active at a point, and whether they make sense."""

from __future__ import annotations

import difflib
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orion_k8s.errors import InvalidPrior
from orion_k8s.space.categorical import Categorical
from orion_k8s.space.condition import Condition, read_condition
from orion_k8s.space.dimension import NO_DEFAULT, Dimension
from orion_k8s.space.fidelity import Fidelity
from orion_k8s.space.plain import is_number

MOST_CASES = 20_000
"""So many combinations of values are looked at to see whether a condition ever holds."""
MOST_COUNTED = 100_000
"""The same to count the points of a finite space."""


class Conditions:
    """The conditions of a space's dimensions.

    Args:
        dimensions: all of the space.

    Raises:
        InvalidPrior: a condition names what there is not, or itself in the end, or never holds.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self._dimensions = dimensions
        self._place = {dimension.name: i for i, dimension in enumerate(dimensions)}
        self._of: dict[int, Condition] = {}
        for i, dimension in enumerate(dimensions):
            if dimension.when is not None:
                self._of[i] = read_condition(dimension.when)[1]
                self._check(dimension, self._of[i])
        self._named = {self._place[n] for one in self._of.values() for n in one.names}
        self._order = self._sorted()
        # What has to be known to judge, and what is judged, each after what it depends on.
        self._steps = [i for i in self._order if i in self._named or i in self._of]
        for i in self._of:
            if not self._possible(i):
                raise self._wrong(i, "never holds")

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._of)

    def __contains__(self, place: int) -> bool:
        return place in self._of

    def active(self, row: Sequence[Any]) -> list[bool]:
        """Return for each dimension whether it is active where the others have these values."""
        found = [True] * len(row)
        values: dict[str, Any] = {}
        for i in self._steps:
            condition = self._of.get(i)
            if condition is not None and not condition.holds(values):
                found[i] = False
            elif i in self._named and row[i] is not NO_DEFAULT:
                values[self._dimensions[i].name] = row[i]
        return found

    def settle(self, row: Sequence[Any]) -> tuple[Any, ...]:
        """Return a row with None for what is not active."""
        active = self.active(row)
        return tuple(value if on else None for value, on in zip(row, active, strict=True))

    def count(self) -> float:
        """Return how many points there are, those that differ in what is not active being one.

        Where there are too many combinations to look at, as many as without conditions.
        """
        cases = 1.0
        for i in self._named:
            cases *= self._dimensions[i].count
        if math.isinf(cases):
            return math.inf  # each of them is active somewhere
        if cases > MOST_COUNTED:
            return math.prod(dimension.cardinality for dimension in self._dimensions)
        choices = {i: self._all_values(i) for i in self._named}
        total = 0.0
        for _, active in self._cases(self._order, choices):
            free = [i for i in active if i not in self._named]
            total += math.prod(self._dimensions[i].cardinality for i in free)
        return total

    # --- whether they make sense -----------------------------------------------------------------

    def _check(self, dimension: Dimension, condition: Condition) -> None:
        place = self._place[dimension.name]
        for name in condition.names:
            if name not in self._place:
                near = difflib.get_close_matches(name, [d.name for d in self._dimensions], 1)
                hint = (
                    f"did you mean {near[0]}?"
                    if near
                    else f"put quotes around texts, as in '{name}'."
                )
                raise self._wrong(place, f"names {name}, which is no parameter; {hint}", end="")
            other = self._dimensions[self._place[name]]
            if other.shape or isinstance(other, Fidelity):
                what = "a list of values" if other.shape else "a fidelity"
                raise self._wrong(place, f"names {name}, which is {what}")
        for one in condition.comparisons():
            if one.ordered:
                for side, given in zip(one.names, one.literals, strict=True):
                    if not (is_number(given) if side is None else self._numeric(side)):
                        shown = repr(given) if side is None else side
                        raise self._wrong(place, f"asks for an order of {shown}, which has none")

    def _numeric(self, name: str) -> bool:
        dimension = self._dimensions[self._place[name]]
        if isinstance(dimension, Categorical):
            return all(map(is_number, dimension.categories))
        return True

    def _sorted(self) -> list[int]:
        """Return the places of all dimensions, each after those that its condition names."""
        order: list[int] = []
        left = dict.fromkeys(range(len(self._dimensions)))
        while left:
            ready = [
                i
                for i in left
                if i not in self._of
                or all(self._place[name] not in left for name in self._of[i].names)
            ]
            if not ready:
                names = ", ".join(self._dimensions[i].name for i in left)
                raise InvalidPrior(
                    f"The conditions of {names} depend on each other in a circle: take one out."
                )
            order += ready
            for i in ready:
                del left[i]
        return order

    def _possible(self, place: int) -> bool:
        """Whether a condition holds anywhere; True as well where there is too much to look at."""
        needed, new = {place}, [place]
        while new:
            i = new.pop()
            names = self._of[i].names if i in self._of else []
            new += [self._place[n] for n in names if self._place[n] not in needed]
            needed |= set(new)
        choices = {i: self._some_values(i) for i in needed - {place}}
        if math.prod(len(values) for values in choices.values()) > MOST_CASES:
            return True
        order = [i for i in self._order if i in needed]
        return any(place in active for _, active in self._cases(order, choices))

    def _cases(
        self, order: Sequence[int], choices: Mapping[int, Sequence[Any]]
    ) -> Iterator[tuple[dict[str, Any], list[int]]]:
        """Yield each combination of the choices, with the places that are active there.

        Choices of a dimension that is not active are one.
        """

        def go(step: int, values: dict[str, Any], active: list[int]) -> Iterator[Any]:
            while step < len(order):
                i = order[step]
                step += 1
                condition = self._of.get(i)
                if condition is not None and not condition.holds(values):
                    continue
                active = [*active, i]
                if i in choices:
                    name = self._dimensions[i].name
                    for value in choices[i]:
                        yield from go(step, {**values, name: value}, active)
                    return
            yield values, active

        yield from go(0, {}, [])

    def _all_values(self, place: int) -> list[Any]:
        dimension = self._dimensions[place]
        levels = dimension.levels(MOST_COUNTED)
        assert levels is not None
        return dimension.many(levels[0])

    def _some_values(self, place: int) -> list[Any]:
        """Return values between which no comparison with a literal tells a difference."""
        dimension = self._dimensions[place]
        if isinstance(dimension, Categorical):
            return list(dimension.categories)
        interval = dimension.interval
        assert interval is not None
        said = {float(v) for v in self._literals() if interval[0] <= v <= interval[1]}
        least, most = min(said, default=0.0), max(said, default=0.0)
        ends = [
            interval[0] if math.isfinite(interval[0]) else least - 1.0,
            interval[1] if math.isfinite(interval[1]) else most + 1.0,
        ]
        marks = sorted({*said, *ends})
        marks += [(a + b) / 2 for a, b in itertools.pairwise(marks)]
        if dimension.kind != "integer":
            return marks
        whole = {step(mark) for mark in marks for step in (math.floor, math.ceil)}
        return sorted(v for v in whole if interval[0] <= v <= interval[1])

    def _literals(self) -> Iterator[float]:
        for condition in self._of.values():
            for one in condition.comparisons():
                for given in one.literals:
                    items = given if isinstance(given, (list, tuple)) else [given]
                    yield from filter(is_number, items)

    def _wrong(self, place: int, what: str, end: str = "; change it.") -> InvalidPrior:
        dimension = self._dimensions[place]
        return InvalidPrior(f"The condition of {dimension.name}, {dimension.when}, {what}{end}")
