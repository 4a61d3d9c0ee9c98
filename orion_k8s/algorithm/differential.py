"""The operators of differential evolution: donors, mutation and crossover in the unit cube.

Source: R. Storn and K. Price, "Differential Evolution – A Simple and Efficient Heuristic for
Global Optimization over Continuous Spaces", Journal of Global Optimization 11, 1997,
doi:10.1023/A:1008202821328.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from orion_k8s.algorithm.axes import Axes, FloatArray, Levels

DONORS = {"best1bin": 2, "rand1bin": 3, "currenttobest1bin": 2, "randtobest1bin": 3}
"""How many others each strategy needs, by SciPy's names: what is moved, by how many differences,
and a binomial crossover."""


@dataclass(frozen=True)
class Operators:
    """How a new point is made of the points of a population.

    Attributes:
        axes: the coordinates.
        strategy: one of `DONORS`.
        mutation: factors between which the one of a difference is drawn.
        crossover: chance of each coordinate to come from the mutant.
    """

    axes: Axes
    strategy: str
    mutation: tuple[float, float]
    crossover: float

    @property
    def needs(self) -> int:
        """How many points there must be besides the target."""
        return DONORS[self.strategy]

    def offspring(
        self, rng: np.random.Generator, target: FloatArray, best: FloatArray, others: FloatArray
    ) -> FloatArray:
        """Return a new point, (width,) float64 in [0, 1].

        Args:
            rng: where it is drawn from.
            target: the point that it is to be better than, (width,) float64.
            best: of the population, (width,) float64.
            others: of the population but for the target, (n, width) float64, n ≥ `needs`.
        """
        donors = others[rng.choice(len(others), self.needs, replace=False)]
        factor = rng.uniform(*self.mutation)
        start, plus, minus = target, donors[-2], donors[-1]
        if self.strategy == "best1bin":
            start = best
        elif self.strategy != "currenttobest1bin":
            start = donors[0]
        mutant = start + factor * (plus - minus)
        if "tobest" in self.strategy:
            mutant += factor * (best - start)
        for kind in self.axes.kinds:
            mutant[kind.axis] = self._kind(rng, factor, kind, start, best, plus, minus)
        return self._crossed(rng, target, inside(rng, mutant, target))

    def _kind(
        self,
        rng: np.random.Generator,
        factor: float,
        kind: Levels,
        start: FloatArray,
        best: FloatArray,
        plus: FloatArray,
        minus: FloatArray,
    ) -> float:
        """Return the category of a mutant: categories have no difference, but one may replace one.

        Where two points differ, it is with the chance of the factor the first one's.
        """
        chosen, one, other = (
            kind.cells(np.array([point[kind.axis]]))[0] for point in (start, plus, minus)
        )
        if one != other and rng.random() < factor:
            chosen = one
        elif "tobest" in self.strategy and rng.random() < factor:
            chosen = kind.cells(best[kind.axis : kind.axis + 1])[0]
        return float(kind.units[chosen])

    def _crossed(
        self, rng: np.random.Generator, target: FloatArray, mutant: FloatArray
    ) -> FloatArray:
        """Return a point that has some coordinates of the mutant, one at least."""
        taken = rng.random(len(mutant)) < self.crossover
        taken[rng.integers(len(mutant))] = True
        return np.where(taken, mutant, target)


def inside(rng: np.random.Generator, mutant: FloatArray, target: FloatArray) -> FloatArray:
    """Return a mutant whose coordinates beyond a side lie between that side and the target."""
    part = rng.random(len(mutant))
    return np.where(
        mutant < 0.0,
        target * part,
        np.where(mutant > 1.0, 1.0 - (1.0 - target) * part, mutant),
    )
