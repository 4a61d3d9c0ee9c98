"""Functions to minimise over the unit cube: round, curved, stretched, and with many valleys."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

from orion_k8s.testing.simulated import Trials


def sphere(x: Sequence[float]) -> float:
    """Least at 0.3."""
    return sum((v - 0.3) ** 2 for v in x)


def rosenbrock(x: Sequence[float]) -> float:
    """Least at 0.55, at the end of a bent valley."""
    y = [4 * v - 1.2 for v in x]
    return sum(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in pairwise(y))


def ellipsoid(x: Sequence[float]) -> float:
    """Least at 0.62; the last dimension weighs 10,000 times as much as the first."""
    return sum(1e4 ** (i / (len(x) - 1)) * (v - 0.62) ** 2 for i, v in enumerate(x))


def rastrigin(x: Sequence[float]) -> float:
    """Least at 0.4, among many valleys that are nearly as deep."""
    y = [10 * (v - 0.4) for v in x]
    return sum(10 + v**2 - 10 * math.cos(2 * math.pi * v) for v in y)


def best(trials: Trials) -> float:
    """Return the lowest objective of simulated trials."""
    return min(row.objective for row in trials.rows.values() if row.objective is not None)


def zdt1(point: Sequence[float]) -> list[float]:
    """Return ZDT1 of a point in the unit cube: a convex front (Zitzler, Deb and Thiele, 2000)."""
    g = 1 + 9 * sum(point[1:]) / (len(point) - 1)
    return [point[0], g * (1 - math.sqrt(point[0] / g))]


def zdt2(point: Sequence[float]) -> list[float]:
    """Return ZDT2 of a point in the unit cube: a concave front."""
    g = 1 + 9 * sum(point[1:]) / (len(point) - 1)
    return [point[0], g * (1 - (point[0] / g) ** 2)]


def hypervolume(points: Iterable[Sequence[float]], corner: tuple[float, float]) -> float:
    """Return how much of the plane two losses dominate below a corner."""
    total, top = 0.0, corner[1]
    for one, other in sorted(map(tuple, points)):
        if one < corner[0] and other < top:
            total += (corner[0] - one) * (top - other)
            top = other
    return total
