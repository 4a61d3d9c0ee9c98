"""How evolution changes the parameters of a winner: a few genes, each by a little.

Sources: E. Real et al., "Large-Scale Evolution of Image Classifiers", ICML 2017,
arXiv:1703.01041; the factors are those of Oríon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from orion_k8s.algorithm.explore import Values, draw
from orion_k8s.algorithm.parameters import number, one_of, whole
from orion_k8s.errors import ConfigurationError
from orion_k8s.space import Space
from orion_k8s.space.dimension import Dimension

_SHARE = 0.3
"""Of the genes so many are changed, one at least."""
_ORIONS = "orion.algo.mutate_functions.default_mutate"


@dataclass(frozen=True)
class Mutation:
    """What happens to a gene: a number, or one element of a dimension with a shape.

    Attributes:
        multiply_factor: a real is multiplied by a factor between its inverse and itself.
        add_factor: a whole number becomes so much larger or smaller.
        volatility: a real that would leave a bound lies within so much of it.
    """

    multiply_factor: float = 3.0
    add_factor: int = 1
    volatility: float = 0.001

    def mutated(self, rng: np.random.Generator, space: Space, values: Values) -> Values:
        """Return new values, some of whose genes are changed; categories are drawn anew."""
        genes = sum(dimension.size for dimension in space.dimensions if _has_genes(dimension))
        chosen = np.zeros(genes, dtype=bool)
        chosen[rng.permutation(genes)[: max(1, int(_SHARE * genes))]] = True
        # A value for what was not active, too: a changed parent may make it so.
        fresh = draw(rng, space, settled=False)
        marks = iter(chosen.tolist())
        changed = []
        for dimension, value, new in zip(space.dimensions, values, fresh, strict=True):
            if value is None:
                value = new
            if _has_genes(dimension):
                value = _each(
                    value, new, dimension.shape, partial(self._gene, rng, dimension, marks)
                )
            changed.append(value)
        return space.decode(space.encode([changed]))[0]  # to the precision of each

    def _gene(
        self,
        rng: np.random.Generator,
        dimension: Dimension,
        marks: Iterator[bool],
        value: Any,
        new: Any,
    ) -> Any:
        if not next(marks):
            return value
        if dimension.interval is None:
            return new
        low, high = dimension.interval
        if dimension.kind == "integer":
            step = self.add_factor if rng.random() < 0.5 else -self.add_factor
            return int(min(max(value + step, low), high))
        moved = value * rng.uniform(1.0 / self.multiply_factor, self.multiply_factor)
        inside = self.volatility * rng.random()
        if moved > high:
            return max(low, high - inside)
        return min(high, low + inside) if moved < low else moved


def parse_mutate(mutate: Any) -> Mutation:
    """Return the mutation that a parameter `mutate` asks for.

    Args:
        mutate: None for Oríon's default, or a mapping of `multiply_factor`, `add_factor` and
            `volatility`; the name of Oríon's function is taken, alone and as its `function`.

    Raises:
        ConfigurationError: it is none of these.
    """
    where = "mutate"
    if mutate is None or isinstance(mutate, str):
        mutate = {} if mutate is None else {"function": mutate}
    if not isinstance(mutate, Mapping):
        raise ConfigurationError(
            f"evolutiones: {where} must be a mapping of its factors, not {mutate!r}."
        )
    given = dict(mutate)
    if given.pop("function", _ORIONS) != _ORIONS:
        raise ConfigurationError(
            f"evolutiones: {where} takes no function of yours: give multiply_factor and "
            "add_factor, or write an algorithm (docs/plugins.md)."
        )
    for key in given:
        one_of("evolutiones", f"a key of {where}", key, list(Mutation.__dataclass_fields__))
    plain = Mutation()
    factor = number(
        "evolutiones",
        f"{where}.multiply_factor",
        given.get("multiply_factor", plain.multiply_factor),
        above=1,
    )
    step = whole("evolutiones", f"{where}.add_factor", given.get("add_factor", plain.add_factor))
    within = given.get("volatility", plain.volatility)
    return Mutation(factor, step, number("evolutiones", f"{where}.volatility", within, least=0))


def _has_genes(dimension: Dimension) -> bool:
    return dimension.kind != "fidelity"


def _each(value: Any, new: Any, shape: tuple[int, ...], change: Callable[[Any, Any], Any]) -> Any:
    """Return a value of that shape with each of its elements changed."""
    if not shape:
        return change(value, new)
    return [_each(v, n, shape[1:], change) for v, n in zip(value, new, strict=True)]
