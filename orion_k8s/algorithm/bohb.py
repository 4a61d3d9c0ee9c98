"""BOHB: Hyperband whose new points come from a model of the trials with the most budget.

Source: S. Falkner, A. Klein and F. Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization
at Scale", ICML 2018, arXiv:1807.01774. The densities are those of `parzen`: product kernels of
Scott's width, and the prior.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.axes import Axes, FloatArray
from orion_k8s.algorithm.hyperband import Hyperband
from orion_k8s.algorithm.parameters import number, whole
from orion_k8s.algorithm.parzen import Parzen
from orion_k8s.algorithm.reference import Reference, by_number, without
from orion_k8s.algorithm.rungs import Values, budget_of
from orion_k8s.algorithm.tpe import MOST_BAD, MOST_GOOD
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_PRIOR_WEIGHT = 1.0


class BOHB(Hyperband):
    """Hyperband with a model.

    Args:
        space: the search space, with a fidelity.
        seed: of the experiment.
        min_points_in_model: so many trials of a budget are good at least, and two more are
            completed before they make a model; one more than there are coordinates if None.
        top_n_percent: the share of a budget's trials that is good, in percent; 25 at most.
        num_samples: how many points are drawn from the good ones' density, of which one is tried.
        random_fraction: the share of new points that come from the prior all the same.
        bandwidth_factor: by which the kernels that points are drawn from are wider.
        min_bandwidth: width that no kernel goes below, where the cube's side is 1.
        repetitions: how many times all brackets are run; without end if None.

    Raises:
        ConfigurationError: the space has no fidelity, or a parameter does not fit.
    """

    name: ClassVar[str] = "bohb"

    def __init__(
        self,
        space: Space,
        seed: int,
        min_points_in_model: int | None = None,
        top_n_percent: float = 15,
        num_samples: int = 64,
        random_fraction: float = 1 / 3,
        bandwidth_factor: float = 3,
        min_bandwidth: float = 1e-3,
        repetitions: int | None = None,
    ) -> None:
        super().__init__(space, seed, repetitions)
        least = 1 + space.width if min_points_in_model is None else min_points_in_model
        self._least = whole("bohb", "min_points_in_model", least)
        self._share = number("bohb", "top_n_percent", top_n_percent, above=0, most=100) / 100
        self._samples = whole("bohb", "num_samples", num_samples)
        self._random = number("bohb", "random_fraction", random_fraction, least=0, most=1)
        self._factor = number("bohb", "bandwidth_factor", bandwidth_factor, above=0)
        self._narrowest = number("bohb", "min_bandwidth", min_bandwidth, least=0)
        self._axes = Axes.of(space)
        self._references = [
            Reference(seed, MOST_GOOD, MOST_GOOD + MOST_BAD, self._at_budget(budget))
            for budget in self._rungs.budgets
        ]
        self._parameters = {
            "min_points_in_model": min_points_in_model,
            "top_n_percent": top_n_percent,
            "num_samples": num_samples,
            "random_fraction": random_fraction,
            "bandwidth_factor": bandwidth_factor,
            "min_bandwidth": min_bandwidth,
        }

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return {**self._parameters, **super().configuration}

    def new_point(self, place: int, attempt: int, rung: int, history: History) -> Values | None:
        """Return a point of the model's, or of the prior's. See `Hyperband.new_point`."""
        rng = np.random.default_rng([self.seed, place, attempt])
        if rng.random() >= self._random:
            known = history.known_values()
            for point in self._drawn(rng, history):
                values = self._rungs.at(self.space.decode(point)[0], rung)
                if dump_values(values) not in known:
                    return values
        return super().new_point(place, attempt, rung, history)

    def _drawn(self, rng: np.random.Generator, history: History) -> FloatArray:
        """Return points in the order of their merit; none where no budget has trials enough."""
        for reference in reversed(self._references):
            reference.follow(history)
            if reference.completed >= self._least + 2:
                break
        else:
            return np.empty((0, self.space.width))
        count = max(self._least, math.ceil(self._share * reference.completed))
        good = by_number(history, reference.best[:count])
        others = without(reference.sampled, good)[:MOST_BAD]
        bad = by_number(history, np.concatenate([others, reference.pending]))
        likely, unlikely, wide = (
            Parzen(
                self._axes,
                history.points[trials],
                np.ones(len(trials)),
                _PRIOR_WEIGHT,
                factor=factor,
                least=self._narrowest,
            )
            for trials, factor in ((good, 1.0), (bad, 1.0), (good, self._factor))
        )
        drawn = wide.sample(rng, self._samples)
        merit = likely.log_density(drawn) - unlikely.log_density(drawn)
        return drawn[np.argsort(-merit, kind="stable")]

    def _at_budget(self, budget: float) -> Callable[[History, int], bool]:
        return lambda history, index: budget_of(self.space, history, index) == budget
