"""The coordinates of a space's unit cube, by what a density over them has to know.

In the unit cube the prior is uniform, so a log scale, a normal prior and unequal probabilities
need no treatment of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from orion_k8s.space import Categorical, Space

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.intp]

FINE = 0.01
"""Values that are all less likely than this lie as close as continuous ones, for a density."""
_MOST_LEVELS = 4096


@dataclass(frozen=True, eq=False)
class Levels:
    """A coordinate that takes some values only.

    Attributes:
        axis: which coordinate of the cube it is.
        units: a unit of each value, in order, (L,) float64.
        weights: prior probability of each value, (L,) float64.
        distances: how unlike two categories are, (L, L) float64 in [0, 1]; None for numbers.
        edges: units between which each value is decoded, (L + 1,) float64 from 0 to 1.
    """

    axis: int
    units: FloatArray
    weights: FloatArray
    distances: FloatArray | None = None
    edges: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        edges = np.concatenate([[0.0], np.cumsum(self.weights)])
        edges[-1] = 1.0
        object.__setattr__(self, "edges", edges)

    def cells(self, units: FloatArray) -> IntArray:
        """Return which value each of (n,) units decodes to."""
        found = np.searchsorted(self.edges, units, side="right") - 1
        return np.minimum(found, len(self.units) - 1)


@dataclass(frozen=True, eq=False)
class Axes:
    """Some coordinates of a cube.

    Attributes:
        width: how many coordinates the whole cube has.
        smooth: the continuous ones.
        steps: those of whole numbers, and of numbers that are rounded coarsely.
        kinds: those of categories.
    """

    width: int
    smooth: tuple[int, ...]
    steps: tuple[Levels, ...]
    kinds: tuple[Levels, ...]

    @classmethod
    def of(cls, space: Space, distances: Mapping[str, FloatArray] | None = None) -> Axes:
        """Return all coordinates of a space.

        Args:
            space: the search space.
            distances: of categories by the dimension's name, (L, L) float64 in [0, 1]. Where left
                out, any two are as unlike as can be.
        """
        smooth: list[int] = []
        steps: list[Levels] = []
        kinds: list[Levels] = []
        axis = 0
        for dimension in space.dimensions:
            categorical = isinstance(dimension, Categorical)
            limit = int(dimension.count) if categorical else _MOST_LEVELS
            found = dimension.levels(limit) if dimension.size else None
            for _ in range(dimension.size):
                if found is None or (not categorical and found[1].max() <= FINE):
                    smooth.append(axis)
                elif categorical:
                    kinds.append(Levels(axis, *found, (distances or {}).get(dimension.name)))
                else:
                    steps.append(Levels(axis, *found))
                axis += 1
        return cls(space.width, tuple(smooth), tuple(steps), tuple(kinds))

    def only(self, axes: Iterable[int]) -> Axes:
        """Return those of the coordinates that are among some."""
        chosen = set(axes)
        return Axes(
            self.width,
            tuple(axis for axis in self.smooth if axis in chosen),
            tuple(one for one in self.steps if one.axis in chosen),
            tuple(one for one in self.kinds if one.axis in chosen),
        )

    @property
    def numeric(self) -> list[int]:
        """Which coordinates of the cube have an order: the smooth ones, then the steps."""
        return [*self.smooth, *(one.axis for one in self.steps)]

    def __len__(self) -> int:
        """Return how many coordinates there are."""
        return len(self.smooth) + len(self.steps) + len(self.kinds)
