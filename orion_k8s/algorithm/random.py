"""Random search: independent draws from the priors, without replacement.

Source: J. Bergstra and Y. Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13, 2012.
"""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from orion_k8s.algorithm.sequence import FixedSequence, finite_cells
from orion_k8s.space import Space

_SMALL = 100_000
"""A finite space of at most so many cells is put in order once, whole."""

_COORDINATES_PER_BLOCK = 4
"""The Philox generator advances by blocks of four 64-bit words (J. Salmon et al., SC 2011)."""


class Random(FixedSequence):
    """Random search. In a small finite space, a weighted random order of all its cells."""

    name: ClassVar[str] = "random"

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._width = max(space.width, 1)
        self._blocks = -(-self._width // _COORDINATES_PER_BLOCK)

    def draw(self, start: int, count: int) -> NDArray[np.float64]:
        """Return draws `start` … : draw k comes from words of the stream that are k's alone."""
        if self._order is not None:
            return self._order[start : start + count]
        stream = np.random.Philox(key=self.seed)
        stream.advance(start * self._blocks)
        padded = np.random.Generator(stream).random((count, self._blocks * _COORDINATES_PER_BLOCK))
        return padded[:, : self.space.width]

    @cached_property
    def _order(self) -> NDArray[np.float64] | None:
        """Return all cells in the order of successive draws without replacement, (count, width).

        Exponential variates divided by the weights, sorted, give that order exactly: P. Efraimidis
        and P. Spirakis, "Weighted random sampling with a reservoir", Inf. Process. Lett. 97, 2006.

        None where the space is not that small.
        """
        if self.space.cardinality > _SMALL:
            return None
        cells = finite_cells(self.space, _SMALL)
        if cells is None or cells.count > _SMALL:
            return None
        weights = []
        for dimension in self.space.dimensions:
            found = dimension.levels(_SMALL) if dimension.size else None
            weights += [found[1]] * dimension.size if found else []
        rng = np.random.default_rng([self.seed, 1])
        with np.errstate(divide="ignore"):
            keys = rng.exponential(size=cells.count) / cells.weights(weights)
        return cells.points([int(cell) for cell in np.argsort(keys, kind="stable")])
