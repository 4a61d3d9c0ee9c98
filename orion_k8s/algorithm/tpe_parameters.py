"""Which dimensions TPE models together, and how unlike their categories are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orion_k8s.algorithm.axes import Axes, FloatArray
from orion_k8s.algorithm.parameters import one_of
from orion_k8s.errors import ConfigurationError
from orion_k8s.space import Categorical, Space


def blocks_of(space: Space, axes: Axes, multivariate: bool, groups: Any) -> list[Axes]:
    """Return the coordinates that are modelled together, block by block.

    Args:
        space: the search space.
        axes: all its coordinates.
        multivariate: whether they make one block; each is a block of its own if not.
        groups: names of dimensions, a list a block; the others are one more. None: no groups.

    Raises:
        ConfigurationError: the groups are no lists of names, each named once.
    """
    if groups is None:
        return [axes] if multivariate else [axes.only([axis]) for axis in range(axes.width)]
    if not multivariate:
        raise ConfigurationError(
            "tpe: groups are modelled together, so they need multivariate to be true: leave out "
            "one of the two."
        )
    if not _is_list(groups) or not all(map(_is_list, groups)):
        raise ConfigurationError(f"tpe: groups must be lists of names, not {groups!r}.")
    coordinates: dict[str, list[int]] = {}
    start = 0
    for dimension in space.dimensions:
        coordinates[dimension.name] = list(range(start, start + dimension.size))
        start += dimension.size
    blocks: list[list[int]] = []
    for group in groups:
        blocks.append([])
        for given in group:
            name = one_of("tpe", "a dimension of groups", given, space.names)
            if name not in coordinates:
                raise ConfigurationError(f"tpe: groups name {name} twice: keep one.")
            blocks[-1] += coordinates.pop(name)
    rest = [axis for left in coordinates.values() for axis in left]
    return [axes.only(block) for block in [*blocks, rest] if block]


def distances_of(space: Space, distances: Any) -> dict[str, FloatArray]:
    """Return the distances between categories by dimension, the greatest of each 1.

    Raises:
        ConfigurationError: a name is no categorical dimension, or a matrix does not fit it.
    """
    if distances is None:
        return {}
    if not isinstance(distances, Mapping):
        raise ConfigurationError(
            f"tpe: distances must give a matrix by the name of a dimension, not {distances!r}."
        )
    found = {}
    categorical = [d.name for d in space.dimensions if isinstance(d, Categorical)]
    for name, given in distances.items():
        one_of("tpe", "a dimension of distances", name, categorical)
        size = int(space[name].count)
        try:
            matrix = np.array(given, dtype=np.float64)
        except (TypeError, ValueError):
            matrix = np.empty(0)
        fits = (
            matrix.shape == (size, size)
            and np.isfinite(matrix).all()
            and (matrix == matrix.T).all()
            and (matrix >= 0).all()
            and not matrix.diagonal().any()
        )
        if not fits:
            raise ConfigurationError(
                f"tpe: distances of {name} must be a symmetric matrix of {size} rows and columns, "
                "with zeros between a category and itself and no number below 0."
            )
        if matrix.any():
            found[name] = matrix / matrix.max()
    return found


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))
