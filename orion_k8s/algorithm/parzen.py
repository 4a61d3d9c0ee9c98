"""A Parzen estimator over the unit cube: a mixture of product kernels and of the prior.

Sources: J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, "Algorithms for Hyper-Parameter
Optimization", NIPS 2011, doi:10.5555/2986459.2986743 (truncated normal kernels, the prior as one
more kernel); S. Watanabe, 2023, arXiv:2304.11127 (product kernels of all kinds of dimension, the
least width); D. W. Scott, "Multivariate Density Estimation", 1992, doi:10.1002/9780470316849 (the
width of a kernel).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri

from orion_k8s.algorithm.axes import Axes, FloatArray, IntArray, Levels

_LOG_ROOT_2_PI = 0.5 * math.log(2 * math.pi)
_FINEST = 100.0
"""No kernel is narrower than the cube's side by this."""
_LEAST_MASS = 1e-300


class Parzen:
    """A density relative to the prior's, which is uniform in the unit cube.

    A kernel is a product: in a coordinate with an order, of a normal density cut off at the cube's
    sides (integrated over the cell of a value where there are few values); in one of categories,
    of a table that gives the point's own category the most.

    Args:
        axes: the coordinates it is a density over.
        points: one a kernel, (n, width) float64 in [0, 1].
        weights: of the kernels, (n,) float64, all above 0.
        prior_weight: of the prior, above 0.
        factor: by which kernels are wider than they would be.
        least: width that none goes below.
    """

    def __init__(
        self,
        axes: Axes,
        points: FloatArray,
        weights: FloatArray,
        prior_weight: float,
        factor: float = 1.0,
        least: float = 0.0,
    ) -> None:
        self._axes = axes
        self._weights = np.append(weights, prior_weight) / (weights.sum() + prior_weight)
        self._mu = points[:, axes.numeric]
        self._sigma = np.maximum(factor * widths(self._mu, len(axes)), least)
        self._below = ndtr(-self._mu / self._sigma)
        self._inside = ndtr((1.0 - self._mu) / self._sigma) - self._below
        self._tables = [
            likeness(kind, kind.cells(points[:, kind.axis]), prior_weight) for kind in axes.kinds
        ]

    def sample(self, rng: np.random.Generator, count: int) -> FloatArray:
        """Draw points.

        Returns:
            (count, width) float64 in [0, 1], 0 in coordinates that this is no density over.
        """
        axes, smooth = self._axes, len(self._axes.smooth)
        kernels = np.searchsorted(np.cumsum(self._weights[:-1]), rng.random(count), side="right")
        chance = rng.random((count, axes.width))
        drawn = kernels < len(self._mu)  # the others come from the prior
        kernels = kernels[drawn]
        units = chance[:, axes.numeric]
        quantiles = self._below[kernels] + units[drawn] * self._inside[kernels]
        normal = self._mu[kernels] + self._sigma * ndtri(quantiles)
        units[drawn] = np.clip(normal, 0.0, 1.0)
        points = np.zeros((count, axes.width))
        points[:, list(axes.smooth)] = units[:, :smooth]
        for column, step in enumerate(axes.steps, smooth):
            points[:, step.axis] = step.units[step.cells(units[:, column])]
        for kind, table in zip(axes.kinds, self._tables, strict=True):
            shares = np.tile(kind.weights, (count, 1))
            shares[drawn] = table[kernels]
            found = (np.cumsum(shares, axis=1) <= chance[:, kind.axis, None]).sum(axis=1)
            points[:, kind.axis] = kind.units[np.minimum(found, len(kind.units) - 1)]
        return points

    def log_density(self, points: FloatArray) -> FloatArray:
        """Return the logarithm of the density at points, relative to the prior's.

        Args:
            points: (m, width) float64 in [0, 1].

        Returns:
            (m,) float64.
        """
        axes, smooth = self._axes, len(self._axes.smooth)
        logs = np.zeros((len(points), len(self._weights)))  # the last column is the prior's
        kernels = logs[:, :-1]
        kernels += self._log_normal(points[:, list(axes.smooth)])
        for column, step in enumerate(axes.steps, smooth):
            kernels += self._log_mass(step, column, points[:, step.axis])
        for kind, table in zip(axes.kinds, self._tables, strict=True):
            kernels += np.log(table / kind.weights).T[kind.cells(points[:, kind.axis])]
        highest = logs.max(axis=1)
        return highest + np.log(np.exp(logs - highest[:, None]) @ self._weights)  # type: ignore[no-any-return]

    def _log_normal(self, points: FloatArray) -> FloatArray:
        """Return the kernels' logarithms over the smooth coordinates, (m, n) float64."""
        smooth = points.shape[1]
        sigma = self._sigma[:smooth]
        x, mu = points / sigma, self._mu[:, :smooth] / sigma
        # The square is multiplied out: a product of matrices instead of an (m, n, d) array.
        square = (x**2).sum(axis=1)[:, None] - 2.0 * x @ mu.T + (mu**2).sum(axis=1)
        cut_off = np.log(sigma * self._inside[:, :smooth]).sum(axis=1)
        return -0.5 * square - cut_off - smooth * _LOG_ROOT_2_PI  # type: ignore[no-any-return]

    def _log_mass(self, step: Levels, column: int, units: FloatArray) -> FloatArray:
        """Return the kernels' logarithms of the mass in the points' cells, (m, n) float64."""
        cells, point = np.unique(step.cells(units), return_inverse=True)
        # Kernels stand on few values, too: one row a value, not one a kernel.
        centres, kernel = np.unique(self._mu[:, column], return_inverse=True)
        sigma = self._sigma[column]
        at = (step.edges[np.stack([cells, cells + 1])][..., None] - centres) / sigma
        low, high = ndtr(at)
        inside = ndtr((1.0 - centres) / sigma) - ndtr(-centres / sigma)
        logs = np.log(np.maximum((high - low) / inside, _LEAST_MASS) / step.weights[cells, None])
        return logs[point[:, None], kernel]  # type: ignore[no-any-return]


def widths(points: FloatArray, dimensions: int) -> FloatArray:
    """Return the kernels' width in each coordinate by Scott's rule, (d,) float64.

    None is narrower than the cube's side by the number of kernels: where the few good points
    agree, that is what keeps them from agreeing for ever.
    """
    n = len(points)
    if not n:
        return np.ones(points.shape[1])
    scott = points.std(axis=0) * n ** (-1.0 / (dimensions + 4))
    return np.clip(scott, 1.0 / min(_FINEST, n + 2.0), 1.0)  # type: ignore[no-any-return]


def likeness(kind: Levels, cells: IntArray, prior_weight: float) -> FloatArray:
    """Return each kernel's probabilities of the categories, (n, L) float64.

    Each has its part of the prior, which is smaller the more kernels there are, and what the
    kernel adds: all to its own category, or less and less with the distance, on a normal curve.
    """
    share = prior_weight / (len(cells) + 1.0)
    if kind.distances is None:
        table = np.zeros((len(cells), len(kind.units)))
        table[np.arange(len(cells)), cells] = 1.0
    else:
        farthest = share / (1.0 + share)
        table = (farthest ** (kind.distances[cells] ** 2) - farthest) / (1.0 - farthest)
    table += share * len(kind.units) * kind.weights
    return table / table.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]
