"""Quasi-random search: a scrambled Sobol' sequence, which covers a space more evenly.

Source: I. M. Sobol', USSR Comput. Math. Math. Phys. 7(4), 1967, doi:10.1016/0041-5553(67)90144-9;
direction numbers of S. Joe and F. Y. Kuo, SIAM J. Sci. Comput. 30, 2008, doi:10.1137/070709359;
scrambling of J. Matoušek, J. Complexity 14, 1998, doi:10.1006/jcom.1998.0489; as in
scipy.stats.qmc.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from orion_k8s.algorithm.sequence import FixedSequence
from orion_k8s.errors import ConfigurationError
from orion_k8s.space import Space

_BLOCK = 64
"""A power of two: only blocks of such a size are balanced."""
_MAX_WIDTH = 21_201
"""SciPy has direction numbers for so many coordinates."""


class Sobol(FixedSequence):
    """Sobol' points, scrambled by the seed."""

    name: ClassVar[str] = "sobol"

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        if space.width > _MAX_WIDTH:
            raise ConfigurationError(
                f"sobol: the space has {space.width} coordinates and {_MAX_WIDTH} are the most; "
                "use random."
            )
        self._batch = _BLOCK
        self._engine: Any = None
        self._generated = 0

    def draw(self, start: int, count: int) -> NDArray[np.float64]:
        """Return the next points: the sequence is derived from its beginning, once, in blocks."""
        if self.space.width == 0:
            return np.zeros((count, 0))
        if self._engine is None or start != self._generated:
            from scipy.stats import qmc  # 0.7 s: only for those who ask for it

            self._engine = qmc.Sobol(self.space.width, seed=np.random.default_rng(self.seed))
            if start:
                self._engine.fast_forward(start)
        self._generated = start + count
        return np.asarray(self._engine.random(count), dtype=np.float64)
