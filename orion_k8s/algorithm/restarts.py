"""When an evolution strategy has converged: with how many points, and how widely, it begins anew.

Sources: A. Auger and N. Hansen, "A Restart CMA Evolution Strategy With Increasing Population
Size", CEC 2005, doi:10.1109/CEC.2005.1554902 (IPOP); N. Hansen, "Benchmarking a BI-Population
CMA-ES on the BBOB-2009 Function Testbed", GECCO 2009, doi:10.1145/1570256.1570333 (BIPOP).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

STRATEGIES = ("ipop", "bipop", "none")
_MOST_INCREASES = 9
"""As in the BIPOP paper; a space that is nearly used up would be begun anew without end."""


@dataclass(frozen=True)
class Run:
    """One run of the strategy, from a new start until it has converged.

    Attributes:
        index: which, 0, 1, …
        population: how many trials make a generation.
        sigma: standard deviation at the start, where the cube's side is 1.
        increases: how many times the population was increased; None for a small run of BIPOP.
        most: trials after which the run is ended.
    """

    index: int
    population: int
    sigma: float
    increases: int | None = 0
    most: float = math.inf


def next_run(strategy: str, factor: int, past: Sequence[tuple[Run, int]], seed: int) -> Run:
    """Return the run after those before it.

    Args:
        strategy: "bipop"; every other is IPOP.
        factor: by which a population grows.
        past: all runs before, with the number of trials that each was told; at least one.
        seed: of the experiment.
    """
    first = past[0][0]
    index = len(past)
    large = [(run, spent) for run, spent in past[1:] if run.increases is not None]
    increases = min(len(large) + 1, _MOST_INCREASES)
    grown = replace(
        first,
        index=index,
        population=first.population * factor**increases,
        increases=increases,
    )
    if strategy != "bipop" or not large:
        return grown
    small = sum(spent for run, spent in past if run.increases is None)
    if sum(spent for _, spent in large) <= small:
        return grown
    rng = np.random.default_rng([seed, index, 1])
    ratio = large[-1][0].population / first.population
    population = math.floor(first.population * (ratio / 2) ** (rng.random() ** 2))
    return Run(
        index,
        max(first.population, population),
        first.sigma * 10 ** (-2 * rng.random()),
        increases=None,
        most=large[-1][1] / 2,
    )
