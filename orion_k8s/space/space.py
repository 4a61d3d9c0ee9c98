"""The search space: named dimensions in order."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence, ValuesView
from functools import cached_property
from itertools import pairwise
from typing import Any, overload

import numpy as np

from orion_k8s.errors import InvalidParams, InvalidPrior
from orion_k8s.space.conditions import Conditions
from orion_k8s.space.dimension import FEW, NO_DEFAULT, Dimension
from orion_k8s.space.fidelity import Fidelity
from orion_k8s.space.plain import FloatArray, shown
from orion_k8s.space.priors import parse_prior


class Space(Mapping[str, Dimension]):
    """Dimensions by name, in an order that never changes. Get one from `Space.parse`.

    Spaces are equal where names, order and canonical priors are.

    Args:
        dimensions: with distinct names, at most one of them a fidelity.

    Raises:
        InvalidPrior: they make no search space.
    """

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self.dimensions = tuple(dimensions)
        self.names = tuple(dimension.name for dimension in self.dimensions)
        self._by_name: dict[str, Dimension] = {}
        fidelities = [d for d in self.dimensions if isinstance(d, Fidelity)]
        if not self.dimensions:
            raise InvalidPrior("The search space is empty: give at least one dimension a prior.")
        for dimension in self.dimensions:
            name = dimension.name
            if not all(name.split(".")):
                raise InvalidPrior(f"The name {name!r} of a dimension has an empty part: name it.")
            if name in self._by_name:
                raise InvalidPrior(f"The dimension {name} is there twice: rename one of them.")
            self._by_name[name] = dimension
        for name in self.names:
            above = _groups(name)
            if clash := next((group for group in above if group in self._by_name), None):
                raise InvalidPrior(
                    f"The dimension {name} lies inside {clash}, which is one too: rename one."
                )
        if len(fidelities) > 1:
            names = " and ".join(d.name for d in fidelities)
            raise InvalidPrior(f"A space has one fidelity at most, not {names}: keep one.")
        self._conditions = Conditions(self.dimensions)
        self.fidelity: Fidelity | None = fidelities[0] if fidelities else None
        self.width: int = sum(dimension.size for dimension in self.dimensions)
        starts = np.cumsum([0, *(d.size for d in self.dimensions)]).tolist()
        self._slices = [slice(a, b) for a, b in pairwise(starts)]
        self._scalars = [
            (d.one, part.start if d.size else 0)
            for d, part in zip(self.dimensions, self._slices, strict=True)
        ]
        self._scalar = self.width > 0 and not any(d.shape for d in self.dimensions)
        self._loaders = [(i, d.load) for i, d in enumerate(self.dimensions) if not d.loads_as_is]

    @classmethod
    def parse(cls, priors: Mapping[str, Any]) -> Space:
        """Return the space of priors by name.

        Args:
            priors: name → prior text ("orion~" or "~" may stand before it), Dimension, or a
                mapping of the same, whose names become "a.b".

        Raises:
            InvalidPrior: a prior is not valid, or together they make no search space.
        """
        if not isinstance(priors, Mapping):
            raise InvalidPrior(
                f"The search space is {shown(priors)}: give names with their priors."
            )
        return cls([_dimension(name, prior) for name, prior in _flat_priors(priors, "")])

    # --- a mapping -------------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Dimension:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return self.names == other.names and self.dimensions == other.dimensions

    def __hash__(self) -> int:
        return hash((self.names, self.dimensions))

    def __repr__(self) -> str:
        return f"Space.parse({self.configuration!r})"

    @property
    def configuration(self) -> dict[str, str]:
        """Return name → canonical prior text, in order; `Space.parse` makes this space of it."""
        return {dimension.name: dimension.prior for dimension in self.dimensions}

    @cached_property
    def cardinality(self) -> float:
        """Return how many points there are: a whole number as a float, or infinity.

        Points that differ in dimensions that are not active are one.
        """
        if self._conditions:
            return self._conditions.count()
        return math.prod(dimension.cardinality for dimension in self.dimensions)

    # --- points ----------------------------------------------------------------------------------

    @property
    def conditional(self) -> bool:
        """Whether there are dimensions that are not always active."""
        return bool(self._conditions)

    def active(self, values: Sequence[Any]) -> list[bool]:
        """Return for each dimension whether it is active where a row has these values."""
        return self._conditions.active(values)

    def decode(self, points: FloatArray, settled: bool = True) -> list[tuple[Any, ...]]:
        """Return the rows of plain values of points, the fidelity at its `high`.

        Args:
            points: (n, width) float64 in [0, 1].
            settled: None in the place of what is not active; else the value that it would have.

        Returns:
            n tuples, one value a dimension, in the order of `names`. A row does not depend on the
            others.
        """
        rows = self._decode(np.atleast_2d(np.asarray(points, dtype=np.float64)))
        return list(map(self._conditions.settle, rows)) if settled and self._conditions else rows

    def _decode(self, points: FloatArray) -> list[tuple[Any, ...]]:
        if self._scalar and len(points) <= FEW:
            return [
                tuple([one(point[i]) for one, i in self._scalars]) for point in points.tolist()
            ]
        columns = [
            dimension.decode(points[:, part])
            for dimension, part in zip(self.dimensions, self._slices, strict=True)
        ]
        return list(zip(*columns, strict=True))

    def encode(self, rows: Sequence[Sequence[Any]]) -> FloatArray:
        """Return the points of rows of plain values, (n, width) float64 in [0, 1].

        What is not active lies in the middle.
        """
        points = np.empty((len(rows), self.width))
        if self._conditions:
            active = [self.active(row) for row in rows]
            middle = self._decode(np.full((1, self.width), 0.5))[0]
            rows = [
                [value if on else half for value, on, half in zip(row, ons, middle, strict=True)]
                for row, ons in zip(rows, active, strict=True)
            ]
        for i, (dimension, part) in enumerate(zip(self.dimensions, self._slices, strict=True)):
            points[:, part] = dimension.encode([row[i] for row in rows])
            if i in self._conditions:
                points[[not ons[i] for ons in active], part] = 0.5
        return points

    # --- parameters ------------------------------------------------------------------------------

    @overload
    def values(self) -> ValuesView[Dimension]: ...

    @overload
    def values(self, params: Mapping[str, Any]) -> tuple[Any, ...]: ...

    def values(
        self, params: Mapping[str, Any] | None = None
    ) -> ValuesView[Dimension] | tuple[Any, ...]:
        """Return parameters as a complete row of canonical plain values, in the order of `names`.

        Without an argument it is the mapping's `values()`: the dimensions.

        Args:
            params: name → value, flat or nested. What is missing takes its default, the fidelity
                its `high`.

        Returns:
            one value a dimension, None where it is not active.

        Raises:
            InvalidParams: a name is unknown or missing, a value is not in its dimension, or is
                given though the dimension is not active.
        """
        if params is None:
            return super().values()
        given = self._flat_params(params, "")
        row = [
            dimension.check(given[dimension.name])
            if dimension.name in given
            else self._default(dimension, i in self._conditions)
            for i, dimension in enumerate(self.dimensions)
        ]
        if not self._conditions:
            return tuple(row)
        for dimension, value, on in zip(self.dimensions, row, self.active(row), strict=True):
            if on and value is NO_DEFAULT:
                self._default(dimension)  # says that it is missing
            if not on and dimension.name in given:
                raise InvalidParams(
                    f"The parameter {dimension.name} is there only when {dimension.when}: leave "
                    "it out."
                )
        return self._conditions.settle(row)

    def _default(self, dimension: Dimension, may_lack: bool = False) -> Any:
        if isinstance(dimension, Fidelity):
            return dimension.high
        if dimension.default is NO_DEFAULT and may_lack:
            return NO_DEFAULT
        if dimension.default is NO_DEFAULT:
            raise InvalidParams(
                f"The parameter {dimension.name} is missing and has no default: give it a value."
            )
        return dimension.check(dimension.default)

    def _flat_params(self, params: Mapping[str, Any], prefix: str) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in params.items():
            name = f"{prefix}{key}"
            if name in self._by_name:
                found = {name: value}
            elif isinstance(value, Mapping):
                found = self._flat_params(value, f"{name}.")
            else:
                near = difflib.get_close_matches(name, self.names, 1)
                hint = (
                    f"did you mean {near[0]}?" if near else f"there are {', '.join(self.names)}."
                )
                raise InvalidParams(f"There is no parameter {name} in the search space; {hint}")
            if twice := flat.keys() & found.keys():
                raise InvalidParams(f"The parameter {min(twice)} is given twice: keep one.")
            flat.update(found)
        return flat

    def params(self, values: Sequence[Any]) -> dict[str, Any]:
        """Return a row as name → value, flat, without what is not active."""
        if self._conditions:
            named = zip(self.names, values, self.active(values), strict=True)
            return {name: value for name, value, on in named if on}
        return dict(zip(self.names, values, strict=True))

    def load(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return the row that was stored as JSON: lists become tuple categories again.

        Raises:
            InvalidParams: it is not of this space.
        """
        if len(values) != len(self.names):
            raise InvalidParams(
                f"The stored trial has {len(values)} values and the search space has "
                f"{len(self.names)} dimensions: it belongs to another space."
            )
        if not self._loaders:
            return tuple(values)
        row = list(values)
        for i, load in self._loaders:
            if row[i] is not None or i not in self._conditions:
                row[i] = load(row[i])
        return tuple(row)

    def difference(self, other: Space) -> list[str]:
        """Return what changes from this space to the other, a line for people each."""
        lines = []
        for name in self.names:
            if name not in other:
                lines.append(f"removed: {name}")
            elif self[name] != other[name]:
                lines.append(f"{name}: {self[name].prior} became {other[name].prior}")
        lines += [f"added: {name}" for name in other.names if name not in self]
        if not lines and self.names != other.names:
            lines.append(f"order: {', '.join(self.names)} became {', '.join(other.names)}")
        return lines


def _groups(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


def _flat_priors(priors: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, prior in priors.items():
        if not isinstance(key, str):
            raise InvalidPrior(
                f"The name {shown(key)} of a dimension is no text: put it in quotes."
            )
        if not key:
            raise InvalidPrior("A dimension has an empty name: name it.")
        if isinstance(prior, Mapping):
            yield from _flat_priors(prior, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", prior


def _dimension(name: str, prior: Any) -> Dimension:
    if isinstance(prior, Dimension):
        return prior.renamed(name)
    if isinstance(prior, str):
        prior = prior.strip()
        prior = prior.removeprefix("orion~" if prior.startswith("orion~") else "~")
    return parse_prior(prior, name)
