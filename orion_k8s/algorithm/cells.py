"""The cells of a finite product of levels, numbered in mixed radix."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Cells:
    """All combinations of the levels of several coordinates; the last coordinate runs fastest.

    Attributes:
        levels: unit-cube coordinates of the levels, one array (L,) float64 a coordinate.
        count: how many cells there are; exact, however large.
    """

    def __init__(self, levels: Sequence[NDArray[np.float64]]) -> None:
        self.levels = list(levels)
        self.count = math.prod(len(level) for level in self.levels)

    def points(self, cells: Sequence[int]) -> NDArray[np.float64]:
        """Return the points of some cells, (n, d) float64 in [0, 1]."""
        points = np.empty((len(cells), len(self.levels)))
        # Python's integers: 100 levels in 20 dimensions make more cells than 64 bits can number.
        rest = list(cells)
        for axis in range(len(self.levels) - 1, -1, -1):
            level = self.levels[axis]
            size = len(level)
            points[:, axis] = level[[cell % size for cell in rest]]
            rest = [cell // size for cell in rest]
        return points

    def weights(self, weights: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the product of the levels' probabilities of every cell, (count,) float64."""
        total = np.ones(1)
        for weight in weights:
            total = np.multiply.outer(total, weight).ravel()
        return total
