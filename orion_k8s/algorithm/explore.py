"""New parameters for a member of a population that goes on from another's trial.

Source: M. Jaderberg et al., "Population Based Training of Neural Networks", 2017,
arXiv:1711.09846.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from orion_k8s.algorithm.exploit import kind_of, nothing_else, parts
from orion_k8s.algorithm.parameters import number
from orion_k8s.space import Space

Values = tuple[Any, ...]


@dataclass(frozen=True)
class Resample:
    """Now and then, all parameters anew from the prior.

    Attributes:
        probability: of it.
    """

    probability: float = 0.2

    def explore(self, rng: np.random.Generator, space: Space, values: Values) -> Values | None:
        """Return new values, or None where they are left as they are."""
        return draw(rng, space) if rng.random() < self.probability else None


@dataclass(frozen=True)
class Perturb:
    """Each number multiplied or divided by a factor, each category drawn anew.

    Attributes:
        factor: by which.
        volatility: standard deviation of the distance from a bound that would be left.
    """

    factor: float = 1.2
    volatility: float = 1e-4

    def explore(self, rng: np.random.Generator, space: Space, values: Values) -> Values:
        """Return new values."""
        fresh = draw(rng, space, settled=False)
        changed = [
            self._perturb(rng, value, dimension.interval, dimension.kind == "integer")
            if dimension.interval is not None
            and dimension.kind in ("real", "integer")
            and value is not None  # it was not active
            else new
            for dimension, value, new in zip(space.dimensions, values, fresh, strict=True)
        ]
        return space.decode(space.encode([changed]))[0]  # to the precision of each

    def _perturb(
        self, rng: np.random.Generator, value: Any, bounds: tuple[float, float], whole: bool
    ) -> Any:
        if isinstance(value, (list, tuple)):
            return [self._perturb(rng, leaf, bounds, whole) for leaf in value]
        low, high = bounds
        new = value * self.factor if rng.random() < 0.5 else value / self.factor
        if not math.isfinite(new):
            return value
        if new > high:
            new = max(low, high - abs(rng.normal(0, self.volatility)))
        elif new < low:
            new = min(high, low + abs(rng.normal(0, self.volatility)))
        if not whole:
            return new
        rounded = round(new)
        if rounded == value and new != value:  # one step at least
            rounded += 1 if new > value else -1
        return int(min(max(rounded, low), high))


Step = Resample | Perturb

_DEFAULT: tuple[Step, ...] = (Resample(), Perturb())
"""The default of Oríon, and ours."""

_WORDS = {
    "perturbexplore": "PerturbExplore",
    "resampleexplore": "ResampleExplore",
    "pipelineexplore": "PipelineExplore",
}


def draw(rng: np.random.Generator, space: Space, settled: bool = True) -> Values:
    """Return a point of the prior; not settled, with a value for what is not active, too."""
    return space.decode(rng.random((1, space.width)), settled=settled)[0]


def explored(
    steps: tuple[Step, ...], rng: np.random.Generator, space: Space, values: Values
) -> Values:
    """Return what the first step makes that changes anything.

    Args:
        steps: in order.
        rng: of the decision.
        space: the search space.
        values: of the trial that is gone on from.
    """
    for step in steps:
        new = step.explore(rng, space, values)
        if new is not None:
            return new
    return values


def parse_explore(explore: Any, where: str = "explore") -> tuple[Step, ...]:
    """Return the steps that a parameter `explore` asks for, in order.

    Args:
        explore: None for Oríon's default, a name, or a mapping as Oríon has it: `of_type` with
            PerturbExplore, ResampleExplore or PipelineExplore, and its parameters.
        where: it stands, for errors.

    Raises:
        ConfigurationError: it is none of these.
    """
    if explore is None:
        return _DEFAULT
    kind, given = kind_of(explore, where, _WORDS)
    if kind == "PipelineExplore":
        inner = parts(given, where, "explore_configs")
        return tuple(s for place, one in inner for s in parse_explore(one, place))
    if kind == "ResampleExplore":
        probability = given.pop("probability", 0.2)
        nothing_else(where, given, ["probability"])
        return (Resample(number("pbt", f"{where}.probability", probability, least=0, most=1)),)
    factor, volatility = given.pop("factor", 1.2), given.pop("volatility", 1e-4)
    nothing_else(where, given, ["factor", "volatility"])
    return (
        Perturb(
            number("pbt", f"{where}.factor", factor, above=0),
            number("pbt", f"{where}.volatility", volatility, least=0),
        ),
    )
