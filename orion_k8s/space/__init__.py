"""The search space: dimensions, the prior language, unit-cube coding. Knows no database."""

from __future__ import annotations

from orion_k8s.space.categorical import Categorical
from orion_k8s.space.dimension import NO_DEFAULT, Dimension
from orion_k8s.space.fidelity import Fidelity
from orion_k8s.space.integer import Integer
from orion_k8s.space.priors import parse_prior
from orion_k8s.space.real import Real
from orion_k8s.space.space import Space

__all__ = [
    "NO_DEFAULT",
    "Categorical",
    "Dimension",
    "Fidelity",
    "Integer",
    "Real",
    "Space",
    "parse_prior",
]
