"""A Gaussian process: a Matérn-5/2 kernel with a length of its own for each dimension.

Sources: C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006,
doi:10.7551/mitpress/3206.001.0001; C. Hvarfner, E. O. Hellsten and L. Nardi, "Vanilla Bayesian
Optimization Performs Great in High Dimensions", ICML 2024, arXiv:2402.02229 (lengths that grow
with the dimensions); T. Desautels, A. Krause and J. W. Burdick, "Parallelizing
Exploration-Exploitation Tradeoffs in Gaussian Process Bandit Optimization", JMLR 15, 2014 (what
is pending takes part in the variance alone).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky, solve_triangular
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from orion_k8s.algorithm.axes import FloatArray, IntArray

_LENGTH, _LENGTH_DEVIATION = 0.0, math.sqrt(3.0)
"""Of the logarithm of a length's prior, in one dimension; they expect longer ones, √2."""
_LENGTHS = (1e-2, 1e3)
_NOISE, _NOISE_DEVIATION = math.log(1e-5), 2.0
_NOISES = (1e-7, 1.0)
"""Of the noise's share of the variance: the prior's logarithm, and bounds."""
_VARIANCE = 1.0
"""How many observations of variance 1 the prior of the variance counts for."""
_STEPS = 30
_REFUSED = 1e25


@dataclass(frozen=True, eq=False)
class Lengths:
    """What is fitted.

    Attributes:
        columns: the length of each column, (F,) float64.
        noise: variance of the noise, where that of the function is 1.
    """

    columns: FloatArray
    noise: float


def fit(columns: FloatArray, outputs: FloatArray, dimension: IntArray) -> Lengths:
    """Return the likeliest lengths, the priors counted in (MAP), after a few steps of L-BFGS.

    The variance of the function is not searched for: of given lengths the best is known.

    Args:
        columns: (n, F) float64.
        outputs: (n,) float64 of mean 0 and deviation 1.
        dimension: of each column, (F,) int; those of one dimension share a length.
    """
    count = int(dimension.max()) + 1 if len(dimension) else 0
    middle = _LENGTH + 0.5 * math.log(max(count, 1))
    start = np.append(np.full(count, middle), _NOISE)

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = _misfit(theta, columns, outputs, dimension)
        off = np.append((theta[:-1] - middle) / _LENGTH_DEVIATION,
                        (theta[-1] - _NOISE) / _NOISE_DEVIATION)  # fmt: skip
        gradient[:-1] += off[:-1] / _LENGTH_DEVIATION
        gradient[-1] += off[-1] / _NOISE_DEVIATION
        return value + 0.5 * float(off @ off), gradient

    bounds = [tuple(map(math.log, _LENGTHS))] * count + [tuple(map(math.log, _NOISES))]
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}
    ).x
    return Lengths(np.exp(found[:-1])[dimension], float(np.exp(found[-1])))


def _misfit(
    theta: FloatArray, columns: FloatArray, outputs: FloatArray, dimension: IntArray
) -> tuple[float, FloatArray]:
    """Return minus the logarithm of the likelihood, and its gradient."""
    noise, scaled = math.exp(theta[-1]), columns / np.exp(theta[:-1])[dimension]
    square = _squares(scaled, scaled)
    kernel = _matern(square)
    kernel[np.diag_indices_from(kernel)] += noise
    try:
        lower = cholesky(kernel, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return _REFUSED, np.zeros(len(theta))
    weights = cho_solve((lower, True), outputs, check_finite=False)
    degrees = _VARIANCE + len(outputs)
    variance = (_VARIANCE + float(outputs @ weights)) / degrees
    value = 0.5 * degrees * math.log(variance) + float(np.log(lower.diagonal()).sum())
    inverse, _ = dpotri(lower, lower=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    pull = 0.5 * (inverse - np.outer(weights, weights) / variance)
    gradient = np.empty(len(theta))
    gradient[-1] = noise * pull.trace()
    pull *= _matern_slope(square)
    # Of the sum of pull times each column's square of differences, multiplied out.
    share = (scaled**2 * pull.sum(axis=1)[:, None]).sum(axis=0)
    share -= (scaled * (pull @ scaled)).sum(axis=0)
    gradient[:-1] = -4.0 * np.bincount(dimension, share, minlength=len(theta) - 1)
    return value, gradient


class Posterior:
    """What is known of a function where it was observed at some points.

    Args:
        lengths: see `fit`.
        observed: columns of the points whose outputs are known, (n, F) float64, n ≥ 1.
        outputs: there, (n,) float64.
        pending: columns of points whose outputs will be known, (p, F) float64.

    Attributes:
        lowest: the least mean at any of these points.
    """

    def __init__(
        self, lengths: Lengths, observed: FloatArray, outputs: FloatArray, pending: FloatArray
    ) -> None:
        self._lengths = lengths.columns
        self._scaled = np.vstack([observed, pending]) / self._lengths
        kernel = _matern(_squares(self._scaled, self._scaled))
        self._lower = _factor(kernel, lengths.noise)
        known = len(outputs)
        # The factor of the observed alone is the corner of that of all.
        corner = self._lower[:known, :known]
        self._weights = np.zeros(len(self._scaled))
        self._weights[:known] = cho_solve((corner, True), outputs, check_finite=False)
        explained = float(outputs @ self._weights[:known])
        self._variance = (_VARIANCE + explained) / (_VARIANCE + known)
        self.lowest = float((kernel @ self._weights).min())

    def at(self, columns: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return mean and standard deviation at (m, F) points, (m,) float64 each."""
        kernel = _matern(_squares(self._scaled, columns / self._lengths))
        solved = solve_triangular(self._lower, kernel, lower=True, check_finite=False)
        left = np.maximum(1.0 - (solved**2).sum(axis=0), 1e-12)
        return self._weights @ kernel, np.sqrt(self._variance * left)

    def slopes(self, column: FloatArray) -> tuple[float, float, FloatArray, FloatArray]:
        """Return mean, standard deviation and their gradients at one point.

        Args:
            column: (F,) float64.

        Returns:
            two numbers, and two (F,) float64.
        """
        scaled = column / self._lengths
        apart = scaled - self._scaled
        square = (apart**2).sum(axis=1)
        kernel = _matern(square)
        slope = (2.0 * _matern_slope(square))[:, None] * apart / self._lengths
        solved = cho_solve((self._lower, True), kernel, check_finite=False)
        deviation = math.sqrt(self._variance * max(1.0 - float(kernel @ solved), 1e-12))
        falling = -self._variance / deviation * (solved @ slope)
        return float(kernel @ self._weights), deviation, self._weights @ slope, falling


def _squares(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return the squared distances of (n, F) and (m, F) points, (n, m) float64."""
    square: FloatArray = (
        (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2.0 * one @ other.T
    )
    np.maximum(square, 0.0, out=square)
    return square


def _matern(square: FloatArray) -> FloatArray:
    """Return the kernel of squared distances, 1 where there is none."""
    root = np.sqrt(5.0 * square)
    return (1.0 + root + root**2 / 3.0) * np.exp(-root)


def _matern_slope(square: FloatArray) -> FloatArray:
    """Return the derivative of the kernel by the squared distance."""
    root = np.sqrt(5.0 * square)
    return -5.0 / 6.0 * (1.0 + root) * np.exp(-root)


def _factor(kernel: FloatArray, noise: float) -> FloatArray:
    """Return the lower factor of a kernel with noise; with more of it where that is needed."""
    while True:
        try:
            noisy = kernel + noise * np.eye(len(kernel))
            return cholesky(noisy, lower=True, overwrite_a=True, check_finite=False)  # type: ignore[no-any-return]
        except LinAlgError:
            noise *= 10.0
