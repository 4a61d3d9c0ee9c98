"""Grid search: every combination of evenly spaced levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from orion_k8s.algorithm.cells import Cells
from orion_k8s.algorithm.sequence import FixedSequence
from orion_k8s.errors import ConfigurationError
from orion_k8s.space import Space
from orion_k8s.space.plain import FloatArray

_N_VALUES = 100


class GridSearch(FixedSequence):
    """Grid search, in the order of the cells: the last dimension runs fastest.

    Args:
        space: the search space.
        seed: not used; the grid has no chance in it.
        n_values: levels a dimension, for all dimensions or by name (100 where left out). Levels
            are evenly spaced in the scale of the prior (a loguniform one on a log scale). A
            dimension with fewer values than that is taken whole.
    """

    name: ClassVar[str] = "gridsearch"

    def __init__(
        self, space: Space, seed: int, n_values: int | Mapping[str, int] = _N_VALUES
    ) -> None:
        super().__init__(space, seed)
        self._n_values = n_values
        by_name = n_values if isinstance(n_values, Mapping) else dict.fromkeys(space, n_values)
        for name, value in by_name.items():
            if name not in space:
                raise ConfigurationError(
                    f"gridsearch: n_values names the dimension '{name}', which the space does not "
                    f"have; it has {', '.join(space)}."
                )
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ConfigurationError(
                    f"gridsearch: n_values must be a whole number of at least 1, not {value!r}."
                )
        levels: list[FloatArray] = []
        for dimension in space.dimensions:
            if dimension.size:
                n = by_name.get(dimension.name, _N_VALUES)
                levels += [dimension.grid(n)] * dimension.size
        self._cells = Cells(levels)

    def draw(self, start: int, count: int) -> FloatArray:
        """Return the points of some cells; none beyond the last cell."""
        return self._cells.points(range(start, min(start + count, self._cells.count)))

    @property
    def configuration(self) -> dict[str, Any]:
        """The number of levels."""
        n_values = self._n_values
        return {"n_values": n_values if isinstance(n_values, int) else dict(n_values)}
