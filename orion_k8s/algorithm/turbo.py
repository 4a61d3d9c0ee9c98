"""Bayesian optimisation in a trust region, for many dimensions.

Source: D. Eriksson, M. Pearce, J. R. Gardner, R. D. Turner and M. Poloczek, "Scalable Global
Optimization via Local Bayesian Optimization", NeurIPS 2019, arXiv:1910.01739.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.acquisition import Box
from orion_k8s.algorithm.gp import GP
from orion_k8s.algorithm.parameters import number as checked_number
from orion_k8s.algorithm.parameters import whole
from orion_k8s.algorithm.rungs import whole_only
from orion_k8s.algorithm.surrogate import Surrogate
from orion_k8s.algorithm.trust_region import Region, Regions, Rules, key_of
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space

_LEAST_INITIAL, _MOST_INITIAL = 10, 100
_LEAST_FAILURES = 4


class TuRBO(GP):
    """A Gaussian process of the trials of a region, asked inside of it alone (TuRBO-1).

    Args:
        space: the search space. A fidelity is always given whole, and trials of another
            algorithm's that had less of it have no say.
        seed: of the experiment.
        n_initial_points: so many trials from the prior begin a region; twice as many as there are
            dimensions if None, 10 to 100.
        success_tolerance: after so many trials in a row that are better than the best by a
            thousandth, the region is twice as long.
        failure_tolerance: after so many in a row that are not, it is half as long; as many as
            there are dimensions if None, 4 at least.
        length_init: length of a new region, where the cube's side is 1. Along a dimension it is
            as much longer as the process's length is.
        length_min: a region that becomes shorter is given up, and a new one begins.
        length_max: the greatest length.

    Raises:
        ConfigurationError: a parameter does not fit, or the space has too many options.
    """

    name: ClassVar[str] = "turbo"

    def __init__(
        self,
        space: Space,
        seed: int,
        n_initial_points: int | None = None,
        success_tolerance: int = 3,
        failure_tolerance: int | None = None,
        length_init: float = 0.8,
        length_min: float = 0.5**7,
        length_max: float = 1.6,
    ) -> None:
        width = space.width
        initial = min(max(2 * width, _LEAST_INITIAL), _MOST_INITIAL)
        super().__init__(space, seed, initial if n_initial_points is None else n_initial_points)
        least = checked_number("turbo", "length_min", length_min, above=0)
        first = checked_number("turbo", "length_init", length_init, above=0)
        most = checked_number("turbo", "length_max", length_max, above=0)
        if not least <= first <= most:
            raise ConfigurationError(
                f"turbo: length_min, length_init and length_max must grow, and {least:g}, "
                f"{first:g}, {most:g} do not."
            )
        self._rules = Rules(
            initial=self._n_initial,
            successes=whole("turbo", "success_tolerance", success_tolerance),
            failures=max(width, _LEAST_FAILURES)
            if failure_tolerance is None
            else whole("turbo", "failure_tolerance", failure_tolerance),
            first=first,
            least=least,
            most=most,
        )
        self._configuration = {
            "n_initial_points": n_initial_points,
            "success_tolerance": success_tolerance,
            "failure_tolerance": failure_tolerance,
            "length_init": length_init,
            "length_min": length_min,
            "length_max": length_max,
        }
        self._history: History | None = None
        self._region = Region(-1, first)

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def follow(self, history: History) -> None:
        """Take in what is new in a history since the last call."""
        if history is not self._history:
            self._history, self._regions = history, Regions(self._rules, history)
            self._region = Region(-1, self._rules.first)
        region, before = self._regions.now(), self._region
        self._region = region
        if region.index != before.index:
            regions, all_of_it = self._regions, whole_only(self.space)
            self._surrogate = Surrogate(
                self._features,
                self.seed,
                lambda history, i: (
                    regions.is_of(i, region.index) and (all_of_it is None or all_of_it(history, i))
                ),
            )
        self._surrogate.follow(history)

    def box(self, history: History) -> Box:
        """Return the region around the best of its points, longer where the process is."""
        numeric = self._features.axes.numeric
        low, high = np.zeros(self.space.width), np.ones(self.space.width)
        if numeric:
            lengths = np.log(self._surrogate.lengths(history).columns[: len(numeric)])
            half = 0.5 * self._region.length * np.exp(lengths - lengths.mean())
            centre = self._surrogate.best(history, 1)[0][numeric]
            low[numeric] = np.clip(centre - half, 0.0, 1.0)
            high[numeric] = np.clip(centre + half, 0.0, 1.0)
        return Box(low, high)

    def decision(self, number: int) -> str:
        """Return what the trial of a number says of itself: which region it is for."""
        return key_of(self._region.index, number)
