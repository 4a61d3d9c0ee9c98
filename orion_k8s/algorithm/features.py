"""Points of a cube as the columns that a Gaussian process measures distances in.

A number is one column, its unit in the cube. A category is a column an option (one-hot), scaled
so that two different options are as far apart as the two ends of a number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from orion_k8s.algorithm.axes import Axes, FloatArray, IntArray, Levels
from orion_k8s.errors import ConfigurationError
from orion_k8s.space import Categorical, Space

MOST_COLUMNS = 2_000
"""The work of a suggestion grows with the columns."""


class Features:
    """The columns of a space.

    Args:
        algorithm: its name, for errors.
        space: the search space.

    Raises:
        ConfigurationError: there are too many.

    Attributes:
        axes: the coordinates, by their kind.
        dimension: which coordinate, of `len(axes)`, each column belongs to, (F,) int: the smooth
            ones, then the steps, then the categories.
        smooth: how many columns are of smooth coordinates; they are the first.
    """

    def __init__(self, algorithm: str, space: Space) -> None:
        columns = columns_of(space)
        if columns > MOST_COLUMNS:
            raise ConfigurationError(
                f"{algorithm}: the space has {columns:,} numbers and options of choices together, "
                f"and {MOST_COLUMNS:,} are the most for a Gaussian process: use tpe."
            )
        self.axes = Axes.of(space)
        self.smooth = len(self.axes.smooth)
        numbers = len(self.axes.numeric)
        options = [len(kind.units) for kind in self.axes.kinds]
        self.dimension: IntArray = np.concatenate(
            [np.arange(numbers), np.repeat(numbers + np.arange(len(options)), options)]
        ).astype(np.intp)

    def of(self, points: FloatArray) -> FloatArray:
        """Return the columns of points.

        Args:
            points: (n, width) float64 in [0, 1].

        Returns:
            (n, F) float64.
        """
        columns = [points[:, self.axes.numeric]]
        for kind in self.axes.kinds:
            columns.append(
                np.eye(len(kind.units))[kind.cells(points[:, kind.axis])] / math.sqrt(2)
            )
        return np.hstack(columns)

    def snap(self, points: FloatArray) -> FloatArray:
        """Move points, in place, to the nearest that can be decoded; return them."""
        for levels in self.coarse:
            points[:, levels.axis] = levels.units[levels.cells(points[:, levels.axis])]
        return points

    @property
    def coarse(self) -> Sequence[Levels]:
        """The coordinates that take some values only."""
        return (*self.axes.steps, *self.axes.kinds)


def columns_of(space: Space) -> int:
    """Return how many columns a space has."""
    return sum(
        d.size * (int(d.count) if isinstance(d, Categorical) else 1) for d in space.dimensions
    )
