"""Where a Gaussian process is to be asked next: the largest expected improvement.

Sources: D. R. Jones, M. Schonlau and W. J. Welch, "Efficient Global Optimization of Expensive
Black-Box Functions", 1998, doi:10.1023/A:1008306431147; S. Ament, S. Daulton, D. Eriksson, M.
Balandat and E. Bakshy, "Unexpected Improvements to Expected Improvement for Bayesian
Optimization", NeurIPS 2023, arXiv:2310.20708 (its logarithm, which has a slope everywhere).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

from orion_k8s.algorithm.axes import FloatArray
from orion_k8s.algorithm.features import Features
from orion_k8s.algorithm.gaussian import Posterior

_DRAWS = 400
"""Points drawn over all the box, and as many near the best ones."""
_CHANGED = 20
"""About so many coordinates of a point near a best one are changed, as in TuRBO."""
_NEAREST, _FARTHEST = 1e-4, 0.3
"""How far they are moved."""
_STARTS, _STEPS = 3, 25
"""From so many points the search goes uphill, for so many steps."""
_ROUNDS, _MOST_NEIGHBOURS = 3, 256
_ROOT_2, _LOG_ROOT_2_PI = math.sqrt(2.0), 0.5 * math.log(2.0 * math.pi)
_LOG_HALF_PI = 0.5 * math.log(math.pi / 2.0)


class Box:
    """A part of the cube.

    Args:
        low: lower end in each coordinate, (width,) float64.
        high: upper end.
    """

    def __init__(self, low: FloatArray, high: FloatArray) -> None:
        self.low, self.high = low, high

    @classmethod
    def whole(cls, width: int) -> Box:
        """Return the cube."""
        return cls(np.zeros(width), np.ones(width))


def ranked(
    posterior: Posterior,
    features: Features,
    box: Box,
    best: FloatArray,
    rng: np.random.Generator,
    cells: FloatArray | None = None,
) -> FloatArray:
    """Return points in the order of their expected improvement, the largest first.

    Args:
        posterior: of the function; its `lowest` is to be improved.
        features: of the space.
        box: where the points may lie.
        best: points near which to look closer, (b, width) float64, b ≥ 1.
        rng: all chance.
        cells: all points of a small space, (c, width) float64, in place of draws over the box.

    Returns:
        (m, width) float64 in [0, 1].
    """
    wide = drawn(box, rng) if cells is None else cells.copy()
    best = np.clip(best, box.low, box.high)
    points = features.snap(np.vstack([wide, near(features, box, best, rng), best]))
    merit = improvement(posterior, features, points)
    order = np.argsort(-merit, kind="stable")
    points, merit = points[order], merit[order]
    climbed = [_climb(posterior, features, box, point) for point in points[:_STARTS]]
    if features.coarse:
        at = _around(posterior, features, climbed)
        climbed.append(_climb(posterior, features, box, at))
    found = np.array(climbed)
    merits = np.concatenate([improvement(posterior, features, found), merit])
    return np.vstack([found, points])[np.argsort(-merits, kind="stable")]


def drawn(box: Box, rng: np.random.Generator, count: int = _DRAWS) -> FloatArray:
    """Return points all over a box, (count, width) float64."""
    width = len(box.low)
    return box.low + (box.high - box.low) * rng.random((count, width))


def near(features: Features, box: Box, best: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return points that differ from some of the best in some coordinates, (n, width) float64."""
    width = len(box.low)
    points = best[rng.integers(len(best), size=_DRAWS)]
    changed = rng.random((_DRAWS, width)) < min(1.0, _CHANGED / max(width, 1))
    if width:
        changed[np.arange(_DRAWS), rng.integers(width, size=_DRAWS)] = True
    reach = np.exp(rng.uniform(math.log(_NEAREST), math.log(_FARTHEST), (_DRAWS, 1)))
    moved = points + reach * rng.standard_normal((_DRAWS, width))
    anew = rng.random((_DRAWS, width))
    for levels in features.coarse:  # a small step would end where it began
        leap = rng.random(_DRAWS) < 0.5
        moved[leap, levels.axis] = anew[leap, levels.axis]
    for kind in features.axes.kinds:
        moved[:, kind.axis] = anew[:, kind.axis]
    return np.clip(np.where(changed, moved, points), box.low, box.high)


def improvement(posterior: Posterior, features: Features, points: FloatArray) -> FloatArray:
    """Return the logarithm of the expected improvement at points, (n,) float64."""
    mean, deviation = posterior.at(features.of(points))
    return np.log(deviation) + log_h((posterior.lowest - mean) / deviation)  # type: ignore[no-any-return]


def log_h(z: Any) -> Any:
    """Return log(φ(z) + z Φ(z)) of numbers, exact to where it is a hundred below any other."""
    z = np.asarray(z, dtype=np.float64)
    high, low = np.maximum(z, -1.0), np.minimum(z, -1.0)
    density = np.exp(-0.5 * high**2 - _LOG_ROOT_2_PI)
    near = np.log(density + high * np.exp(log_ndtr(high)))
    # 1 - |z| Φ(z) / φ(z), which goes to 1 / z²: too small a difference beyond some thousand.
    ratio = 1.0 + low * erfcx(-low / _ROOT_2) * math.exp(_LOG_HALF_PI)
    ratio = np.where(low > -1e3, ratio, 1.0 / low**2)
    return np.where(z > -1.0, near, -0.5 * low**2 - _LOG_ROOT_2_PI + np.log(ratio))


def _climb(posterior: Posterior, features: Features, box: Box, start: FloatArray) -> FloatArray:
    """Return the point that going uphill in the smooth coordinates leads to, (width,) float64."""
    smooth, count = list(features.axes.smooth), features.smooth
    if not count:
        return start
    column = features.of(start[None, :])[0]

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        column[:count] = x
        mean, deviation, mean_slope, deviation_slope = posterior.slopes(column)
        z = (posterior.lowest - mean) / deviation
        log = float(log_h(z))
        share = math.exp(float(log_ndtr(z)) - log)
        slope = deviation_slope - share * (mean_slope + z * deviation_slope)
        return -math.log(deviation) - log, -slope[:count] / deviation

    bounds = list(zip(box.low[smooth], box.high[smooth], strict=True))
    options = {"maxiter": _STEPS, "maxfun": 2 * _STEPS}
    found = minimize(
        loss,
        np.clip(start[smooth], box.low[smooth], box.high[smooth]),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options=options,
    ).x
    end: FloatArray = start.copy()
    end[smooth] = np.clip(found, box.low[smooth], box.high[smooth])
    return end


def _around(posterior: Posterior, features: Features, points: list[FloatArray]) -> FloatArray:
    """Return the best of points, after single changes of its coarse coordinates."""
    merits = improvement(posterior, features, np.array(points))
    at, merit = points[int(np.argmax(merits))], float(merits.max())
    for _ in range(_ROUNDS):
        neighbours = _neighbours(features, at)
        if not len(neighbours):
            break
        merits = improvement(posterior, features, neighbours)
        if float(merits.max()) <= merit:
            break
        at, merit = neighbours[int(np.argmax(merits))], float(merits.max())
    return at


def _neighbours(features: Features, point: FloatArray) -> FloatArray:
    """Return the points that differ by one step of a number, or in one category."""
    found = []
    for levels in features.coarse:
        own = int(levels.cells(point[levels.axis : levels.axis + 1])[0])
        others = [own - 1, own + 1] if levels in features.axes.steps else range(len(levels.units))
        for other in others:
            if other != own and 0 <= other < len(levels.units):
                moved = point.copy()
                moved[levels.axis] = levels.units[other]
                found.append(moved)
    return np.array(found[:_MOST_NEIGHBOURS])
