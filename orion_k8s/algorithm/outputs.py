"""Objectives as a model takes them: of mean 0 and deviation 1, and none so far off that it rules.

An objective that fails badly may be 1e308, and most objectives have a long tail of bad values.
What is worse than most goes into the logarithm: it stays worse, and the model's eye stays on the
good ones.
"""

from __future__ import annotations

import numpy as np

from orion_k8s.algorithm.axes import FloatArray

_FAR_WORSE, _FAR_BETTER = 1.0, 4.0
"""In robust deviations from the median: what lies farther off goes into the logarithm."""
_TINY = 1e-12
_HUGE = 1e300
"""Beyond it differences of objectives may be infinite."""


def outputs(objectives: FloatArray) -> FloatArray:
    """Return what a model takes objectives for, in the same order; lower is better.

    Args:
        objectives: (n,) float64, n ≥ 1; NaN and infinite ones (of broken trials) become the worst
            of the others, or 0 where there are none.

    Returns:
        (n,) float64 of mean 0 and standard deviation 1; all 0 where they are equal.
    """
    found = np.array(objectives, dtype=np.float64)
    finite = np.isfinite(found)
    if not finite.any():
        return np.zeros(len(found))
    found[~finite] = found[finite].max()
    if np.abs(found).max() > _HUGE:
        found = found / 1e10
    middle = float(np.median(found))
    away = found - middle
    scale = _scale(away)
    if scale == 0.0:
        return np.zeros(len(found))
    with np.errstate(over="ignore"):
        away = np.minimum(away / scale, np.finfo(np.float64).max)
        away = np.maximum(away, -np.finfo(np.float64).max)
    worse, better = away > _FAR_WORSE, away < -_FAR_BETTER
    away[worse] = _FAR_WORSE * (1.0 + np.log(away[worse] / _FAR_WORSE))
    away[better] = -_FAR_BETTER * (1.0 + np.log(-away[better] / _FAR_BETTER))
    away -= away.mean()
    deviation = float(away.std())
    return away / deviation if deviation > _TINY else np.zeros(len(found))


def _scale(away: FloatArray) -> float:
    """Return a deviation that a few outliers do not move, 0 where all are equal."""
    spread = float(np.median(np.abs(away)))
    if spread == 0.0:  # more than half of them are equal
        others = np.abs(away[away != 0.0])
        spread = float(others.min()) if len(others) else 0.0
    return spread
