"""Search distributions of CMA-ES over the unit cube, by the package `cmaes`.

Sources: N. Hansen, "The CMA Evolution Strategy: A Tutorial", 2016, arXiv:1604.00772; R. Hamano, S.
Saito, M. Nomura, K. Uchida and S. Shirakawa, "CatCMA with Margin", GECCO 2025, arXiv:2504.07884
(with whole numbers and categories); M. Nomura and M. Shibata, "cmaes: A Simple yet Practical
Python Library for CMA-ES", 2024, arXiv:2402.01373.

A distribution does not change: what it is told makes a new one. What is drawn from it depends on
the seed alone that is given for the draw.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from orion_k8s.algorithm.axes import Axes, FloatArray, Levels
from orion_k8s.errors import MissingExtra

_GREATEST = 1e300
"""Objectives are cut off there, so that their differences are finite."""
_FLAT = 1e-12
"""Objectives that differ by less are the same, as in the package."""


def package() -> Any:
    """Return the package `cmaes`.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import cmaes
    except ImportError as error:
        raise MissingExtra(
            "The algorithm cmaes needs the package cmaes, which cannot be imported "
            f"({error}): pip install 'orion-k8s[cmaes]'."
        ) from error
    return cmaes


_Self = TypeVar("_Self", bound="Distribution")


class Distribution(ABC):
    """A distribution over some coordinates of the cube.

    Attributes:
        population: how many points it is told at once.
        failed: whether its numbers got lost in rounding: nothing can be drawn from it.
    """

    _optimizer: Any

    def __init__(self, axes: Axes, population: int) -> None:
        self._axes = axes
        self.population = population
        self.failed = False

    def draws(self, seeds: Sequence[int]) -> Iterator[FloatArray]:
        """Yield points without end, (width,) float64 in [0, 1]; none where it failed.

        Args:
            seeds: of this draw, none below 0.
        """
        state = int(np.random.SeedSequence(list(seeds)).generate_state(1)[0])
        self._optimizer.reseed_rng(state)
        while not self.failed:
            try:
                asked = self._optimizer.ask()
            except np.linalg.LinAlgError:
                return
            yield self._point(asked)

    def told(
        self: _Self, points: FloatArray, objectives: FloatArray, seeds: Sequence[int]
    ) -> _Self:
        """Return the distribution after a generation.

        Args:
            points: (population, width) float64 in [0, 1].
            objectives: (population,) float64; one that is not finite is the worst.
            seeds: of what is drawn on the way, none below 0.
        """
        made = copy.copy(self)
        made._optimizer = _twin(self._optimizer)
        try:
            with np.errstate(all="ignore"):
                made._tell(points, graded(objectives), seeds)
            made.failed = not made._finite()
        except (np.linalg.LinAlgError, AssertionError):
            made.failed = True
        return made

    def converged(self) -> bool:
        """Return whether there is nothing more to be found from here."""
        try:
            with np.errstate(all="ignore"):
                return self.failed or self._converged()
        except np.linalg.LinAlgError:
            return True

    @abstractmethod
    def _point(self, asked: Any) -> FloatArray: ...

    @abstractmethod
    def _tell(self, points: FloatArray, objectives: FloatArray, seeds: Sequence[int]) -> None: ...

    @abstractmethod
    def _converged(self) -> bool: ...

    @abstractmethod
    def _finite(self) -> bool: ...


class Smooth(Distribution):
    """CMA-ES over coordinates that are all continuous.

    Args:
        axes: the coordinates.
        mean: (width,) float64 in [0, 1].
        sigma: standard deviation in every direction.
        population: size of a generation.
    """

    def __init__(self, axes: Axes, mean: FloatArray, sigma: float, population: int) -> None:
        super().__init__(axes, population)
        self._chosen = list(axes.smooth)
        self._optimizer = package().CMA(
            mean=mean[self._chosen],
            sigma=sigma,
            bounds=np.tile([0.0, 1.0], (len(self._chosen), 1)),
            population_size=population,
            seed=0,
        )

    def _point(self, asked: Any) -> FloatArray:
        point = np.full(self._axes.width, 0.5)
        point[self._chosen] = asked
        return point

    def _tell(self, points: FloatArray, objectives: FloatArray, seeds: Sequence[int]) -> None:
        found = points[:, self._chosen]
        self._optimizer.tell(list(zip(found, objectives.tolist(), strict=True)))

    def _converged(self) -> bool:
        return bool(self._optimizer.should_stop())

    def _finite(self) -> bool:
        made = self._optimizer
        return bool(np.isfinite(made.mean).all() and np.isfinite(made._sigma))


class Mixed(Distribution):
    """CatCMA with margin: continuous coordinates, coarse numbers and categories.

    A coarse number is where its value lies in the cube, not how many values lie below it, so that
    a log scale remains one.

    Args:
        axes: the coordinates, of which those with levels have two or more.
        mean: (width,) float64 in [0, 1].
        sigma: standard deviation in every direction.
        population: size of a generation.
    """

    def __init__(self, axes: Axes, mean: FloatArray, sigma: float, population: int) -> None:
        super().__init__(axes, population)
        self._smooth = list(axes.smooth)
        self._steps = [step.axis for step in axes.steps]
        self._normal = [*self._smooth, *self._steps]
        options: dict[str, Any] = {}
        if self._smooth:
            options["x_space"] = [[0.0, 1.0]] * len(self._smooth)
        if axes.steps:
            options["z_space"] = [step.units.tolist() for step in axes.steps]
        if axes.kinds:
            options["c_space"] = [len(kind.units) for kind in axes.kinds]
            options["cat_param"] = _chances(axes)
        if self._normal:
            options["mean"] = mean[self._normal]
            options["sigma"] = sigma
            options["cov"] = np.eye(len(self._normal))
        self._solution = package().CatCMAwM.Solution
        self._optimizer = package().CatCMAwM(population_size=population, seed=0, **options)
        self._bounds = [_between(step) for step in axes.steps]
        self._patience = 10 + math.ceil(30 * len(axes) / population)
        self._ranges: tuple[tuple[float, float], ...] = ()

    def _point(self, asked: Any) -> FloatArray:
        point = np.full(self._axes.width, 0.5)
        if self._smooth:
            point[self._smooth] = asked.x
        if self._steps:
            point[self._steps] = asked.z
        for i, kind in enumerate(self._axes.kinds):
            point[kind.axis] = kind.units[int(np.argmax(asked.c[i]))]
        return point

    def _tell(self, points: FloatArray, objectives: FloatArray, seeds: Sequence[int]) -> None:
        raw = self._raw(points, seeds) if self._normal else None
        kinds = self._kinds(points) if self._axes.kinds else None
        # The package makes penalties of the differences between objectives; the points lie inside,
        # so that there is none, but differences of 0 would make it NaN.
        ranks = np.argsort(np.argsort(objectives, kind="stable"), kind="stable").astype(float)
        solutions = [
            self._solution(
                c=None if kinds is None else kinds[i], _v_raw=None if raw is None else raw[i]
            )
            for i in range(len(points))
        ]
        self._optimizer.tell(list(zip(solutions, ranks, strict=True)))
        extent = (float(objectives.min()), float(objectives.max()))
        self._ranges = (*self._ranges, extent)[-self._patience :]

    def _raw(self, points: FloatArray, seeds: Sequence[int]) -> FloatArray:
        """Return points of the normal distribution that have these values, (n, m) float64.

        What a whole number was drawn as is not known any more. It is drawn anew, from the part of
        the distribution that has that value: if it were the value itself, every point that is
        rounded to the same would seem to lie at no distance from the others.
        """
        raw: FloatArray = points[:, self._normal].copy()
        if not self._steps:
            return raw
        made, first = self._optimizer, len(self._smooth)
        rng = np.random.default_rng(list(seeds))
        means = made._mean[first:]
        deviations = (made._sigma * made._A * np.sqrt(np.diag(made._C)))[first:]
        for j, (step, bounds) in enumerate(zip(self._axes.steps, self._bounds, strict=True)):
            cells = step.cells(points[:, step.axis])
            low, high = bounds[cells], bounds[cells + 1]
            below = ndtr((low - means[j]) / deviations[j])
            above = ndtr((high - means[j]) / deviations[j])
            chance = below + rng.random(len(points)) * (above - below)
            drawn = means[j] + deviations[j] * ndtri(chance)
            inside = (low < drawn) & (drawn <= high) & np.isfinite(drawn)
            raw[:, first + j] = np.where(inside, drawn, step.units[cells])
        return raw

    def _kinds(self, points: FloatArray) -> NDArray[np.bool_]:
        most = max(len(kind.units) for kind in self._axes.kinds)
        hot: NDArray[np.bool_] = np.zeros((len(points), len(self._axes.kinds), most), dtype=bool)
        for i, kind in enumerate(self._axes.kinds):
            hot[np.arange(len(points)), i, kind.cells(points[:, kind.axis])] = True
        return hot

    def _converged(self) -> bool:
        if len(self._ranges) == self._patience:
            low = min(low for low, _ in self._ranges)
            if max(high for _, high in self._ranges) - low < _FLAT:
                return True
        # There is no normal distribution where all is categories, and the package warns.
        return bool(self._normal and self._optimizer.should_stop())

    def _finite(self) -> bool:
        made = self._optimizer
        parts = [made._q, made._s] if self._axes.kinds else []
        if self._normal:
            parts += [made._mean, made._A, made._sigma]
        return all(bool(np.isfinite(part).all()) for part in parts)


def start(axes: Axes, mean: FloatArray, sigma: float, population: int) -> Distribution:
    """Return the distribution that fits the coordinates, before it is told anything."""
    fits = Mixed if axes.steps or axes.kinds else Smooth
    return fits(axes, mean, sigma, population)


def graded(objectives: FloatArray) -> FloatArray:
    """Return objectives that are all finite: one that was not is as bad as the worst."""
    known = np.isfinite(objectives)
    worst = float(objectives[known].max()) if known.any() else 0.0
    return np.clip(np.where(known, objectives, worst), -_GREATEST, _GREATEST)


def _between(step: Levels) -> FloatArray:
    """Return the middles between the values of a number, with infinity at both ends."""
    middles: FloatArray = (step.units[1:] + step.units[:-1]) / 2
    return np.array([-np.inf, *middles.tolist(), np.inf])


def _chances(axes: Axes) -> FloatArray:
    """Return the prior probabilities of categories, none of them hopeless, (kinds, most)."""
    chances = np.zeros((len(axes.kinds), max(len(kind.units) for kind in axes.kinds)))
    for i, kind in enumerate(axes.kinds):
        size = len(kind.units)
        least = np.maximum(kind.weights, 0.1 / size)
        chances[i, :size] = least / least.sum()
    return chances


def _twin(optimizer: Any) -> Any:
    """Return a copy that can be told something else; much faster than by the copy module."""
    made = object.__new__(type(optimizer))
    made.__dict__.update(
        {
            key: value.copy() if isinstance(value, (np.ndarray, list)) else value
            for key, value in optimizer.__dict__.items()
        }
    )
    return made
