"""The operators of a genetic algorithm in the unit cube: crossover and mutation.

Sources: K. Deb and R. B. Agrawal, "Simulated binary crossover for continuous search space",
Complex Systems 9, 1995; K. Deb and M. Goyal, "A combined genetic adaptive search (GeneAS) for
engineering design", Computer Science and Informatics 26, 1996 (polynomial mutation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orion_k8s.algorithm.axes import Axes, FloatArray

_SAME = 1e-12
"""Parents that differ by less in a coordinate are alike there."""


@dataclass(frozen=True)
class Breeding:
    """How a new point is made of two.

    Attributes:
        axes: the coordinates.
        crossover: chance that the two are mixed at all.
        mutation: chance of each coordinate to be changed; None for one in all of them.
        spread: how near to its parents a child is, and to itself after a mutation: the index of
            both distributions; the larger, the nearer.
    """

    axes: Axes
    crossover: float
    mutation: float | None
    spread: float

    def child(self, rng: np.random.Generator, one: FloatArray, other: FloatArray) -> FloatArray:
        """Return a new point, (width,) float64 in [0, 1], of two such points."""
        child: FloatArray = one.copy()
        numeric, kinds = self.axes.numeric, [kind.axis for kind in self.axes.kinds]
        if rng.random() < self.crossover:
            mixed = rng.random(len(child)) < 0.5
            crossed = self._crossed(rng, one[numeric], other[numeric])
            child[numeric] = np.where(mixed[numeric], crossed, one[numeric])
            child[kinds] = np.where(mixed[kinds], other[kinds], one[kinds])
        chance = self.mutation if self.mutation is not None else 1.0 / max(1, len(child))
        changed = rng.random(len(child)) < chance
        child[numeric] = np.where(
            changed[numeric], self._mutated(rng, child[numeric]), child[numeric]
        )
        # Categories have no neighbours: a new one comes from the prior.
        child[kinds] = np.where(changed[kinds], rng.random(len(kinds)), child[kinds])
        return child

    def _crossed(self, rng: np.random.Generator, one: FloatArray, other: FloatArray) -> FloatArray:
        """Return one of the two children of each coordinate, within the cube's sides."""
        low, high = np.minimum(one, other), np.maximum(one, other)
        gap = high - low
        apart = gap > _SAME
        # To the nearer side, so that no child lies beyond it.
        reach = 1.0 + 2.0 * np.minimum(low, 1.0 - high) / np.maximum(gap, _SAME)
        power = 1.0 / (self.spread + 1.0)
        alpha = 2.0 - reach ** -(self.spread + 1.0)
        u = rng.random(len(one))
        beta = np.where(u <= 1.0 / alpha, (u * alpha) ** power, (1.0 / (2.0 - u * alpha)) ** power)
        side = np.where(rng.random(len(one)) < 0.5, -1.0, 1.0)
        child = 0.5 * (low + high + side * beta * gap)
        return np.where(apart, np.clip(child, 0.0, 1.0), one)

    def _mutated(self, rng: np.random.Generator, units: FloatArray) -> FloatArray:
        """Return units that moved a little, the less likely the further."""
        power = 1.0 / (self.spread + 1.0)
        u = rng.random(len(units))
        down = (2.0 * u + (1.0 - 2.0 * u) * (1.0 - units) ** (self.spread + 1.0)) ** power - 1.0
        up = 1.0 - (2.0 - 2.0 * u + (2.0 * u - 1.0) * units ** (self.spread + 1.0)) ** power
        return np.clip(units + np.where(u < 0.5, down, up), 0.0, 1.0)
