"""Functions to minimise over the unit cube: round, curved, stretched, and with many valleys."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
