"""Tree-structured Parzen estimator: points that are likely among the good and not among the bad.

Sources: J. Bergstra, R. Bardenet, Y. Bengio and B. Kégl, "Algorithms for Hyper-Parameter
Optimization", NIPS 2011, doi:10.5555/2986459.2986743; S. Falkner, A. Klein and F. Hutter, "BOHB",
ICML 2018, arXiv:1807.01774 (product kernels); S. Watanabe, "Tree-Structured Parzen Estimator:
Understanding Its Algorithm Components and Their Roles for Better Empirical Performance", 2023,
arXiv:2304.11127; Y. Ozaki, Y. Tanigaki, S. Watanabe and M. Onishi, "Multiobjective Tree-Structured
Parzen Estimator for Computationally Expensive Optimization Problems", GECCO 2020,
doi:10.1145/3377930.3389817 (several objectives: the good trials are those of the first fronts; of
the last front that is taken in part, those that have most room on it).

Nothing is saved and nothing grows: the best trials, a sample of the others, and the pending ones
make the two densities, so a suggestion costs the same at a hundred trials and at a hundred
thousand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.axes import Axes, FloatArray, IntArray
from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.lies import parse_lie
from orion_k8s.algorithm.parameters import flag, number, whole
from orion_k8s.algorithm.parzen import Parzen
from orion_k8s.algorithm.random import Random
from orion_k8s.algorithm.reference import Reference, by_number, without
from orion_k8s.algorithm.rungs import whole_only
from orion_k8s.algorithm.survivors import Survivors
from orion_k8s.algorithm.tpe_parameters import blocks_of, distances_of
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

MOST_GOOD = 25
MOST_BAD = 400
MOST_PENDING = 400
"""The most trials that a density is made of: what bounds the cost of a suggestion."""


class TPE(Algorithm):
    """TPE, over all dimensions at once, with pending trials taken for bad ones.

    Args:
        space: the search space. A fidelity is always given whole, and trials of another
            algorithm's that had less of it have no say.
        seed: of the experiment.
        n_initial_points: so many trials are completed before the first that follows results; until
            then points are drawn from the prior.
        n_ei_candidates: how many points are drawn from the density of the good trials, of which
            the one with the greatest ratio of the densities is tried.
        gamma: the share of the completed trials that is good; 25 trials at most.
        equal_weight: whether all trials weigh the same. If not, all but the newest weigh less the
            older they are.
        prior_weight: of the prior in both densities; a trial weighs 1.
        full_weight_num: how many of the newest weigh 1 without `equal_weight`.
        max_retry: so many times new candidates are drawn where all of them were tried already,
            before a point that nobody tried is taken from the prior.
        parallel_strategy: what pending trials are taken for: "max" (bad ones), "mean" (as good as
            the mean of the completed ones), "none" (left out), or Oríon's mapping.
        multivariate: whether dimensions are modelled together; each by itself if not.
        groups: names of dimensions that are modelled together, a list a group. Those that no group
            names make one more.
        distances: how unlike the categories of a dimension are: by its name, a symmetric matrix in
            the order of the categories. Where left out, any two differ equally.

    Raises:
        ConfigurationError: a parameter does not fit.
    """

    name: ClassVar[str] = "tpe"
    several_objectives: ClassVar[bool] = True

    def __init__(
        self,
        space: Space,
        seed: int,
        n_initial_points: int = 10,
        n_ei_candidates: int = 24,
        gamma: float = 0.1,
        equal_weight: bool = True,
        prior_weight: float = 1.0,
        full_weight_num: int = 25,
        max_retry: int = 100,
        parallel_strategy: str | Mapping[str, Any] | None = None,
        multivariate: bool = True,
        groups: Sequence[Sequence[str]] | None = None,
        distances: Mapping[str, Sequence[Sequence[float]]] | None = None,
    ) -> None:
        super().__init__(space, seed)
        self._n_initial = whole("tpe", "n_initial_points", n_initial_points)
        self._n_candidates = whole("tpe", "n_ei_candidates", n_ei_candidates)
        self._gamma = number("tpe", "gamma", gamma, above=0, most=1)
        self._equal_weight = flag("tpe", "equal_weight", equal_weight)
        self._prior_weight = number("tpe", "prior_weight", prior_weight, above=0)
        self._full_weight = whole("tpe", "full_weight_num", full_weight_num, least=0)
        self._max_retry = whole("tpe", "max_retry", max_retry, least=0)
        self._lie = parse_lie("tpe", parallel_strategy)
        axes = Axes.of(space, distances_of(space, distances))
        self._blocks = blocks_of(space, axes, flag("tpe", "multivariate", multivariate), groups)
        self._configuration = {
            "n_initial_points": n_initial_points,
            "n_ei_candidates": n_ei_candidates,
            "gamma": gamma,
            "equal_weight": equal_weight,
            "prior_weight": prior_weight,
            "full_weight_num": full_weight_num,
            "max_retry": max_retry,
            "parallel_strategy": parallel_strategy,
            "multivariate": multivariate,
            "groups": groups and [list(group) for group in groups],
            "distances": distances and {k: [list(r) for r in m] for k, m in distances.items()},
        }
        self._prior = Random(space, seed)
        self._reference = Reference(seed, MOST_GOOD, MOST_GOOD + MOST_BAD, whole_only(space))
        self._survivors = Survivors(2 * MOST_GOOD, whole_only(space))

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Finished:
        """Return the point of that number. See `Algorithm.suggest`."""
        known = history.known_values()
        if len(known) < self.space.cardinality:
            self._reference.follow(history)
            if self._reference.completed < self._n_initial:
                answer = self._prior.suggest(number, attempt, history)
                if isinstance(answer, Suggestion) and dump_values(answer.values) not in known:
                    return answer
            else:
                for values in self._candidates(number, attempt, history):
                    if dump_values(values) not in known:
                        return Suggestion(values)
        # The model comes back to the same few points, or two algorithms' points have mixed.
        return self._prior.untried(history)

    def _candidates(
        self, number: int, attempt: int, history: History
    ) -> Iterator[tuple[Any, ...]]:
        """Yield points in the order of their merit, and then those of further draws."""
        rng = np.random.default_rng([self.seed, number, attempt])
        good, bad = self._split(history)
        prior = self._prior_weight
        g, b = history.points[good], history.points[bad]
        weights_g, weights_b = self._weights(len(good)), self._weights(len(bad))
        models = [
            (Parzen(axes, g, weights_g, prior), Parzen(axes, b, weights_b, prior))
            for axes in self._blocks
        ]
        for _ in range(1 + self._max_retry):
            points = np.zeros((self._n_candidates, self.space.width))
            for likely, unlikely in models:
                drawn = likely.sample(rng, self._n_candidates)
                merit = likely.log_density(drawn) - unlikely.log_density(drawn)
                points += drawn[np.argsort(-merit, kind="stable")]
            for point in points:
                yield self.space.decode(point)[0]

    def _split(self, history: History) -> tuple[IntArray, IntArray]:
        """Return the indexes of the good trials and of the bad ones, each in order of number."""
        reference, objectives = self._reference, history.objectives
        count = min(MOST_GOOD, math.ceil(self._gamma * reference.completed))
        if history.width > 1:
            return self._split_fronts(history, count)
        good, pending = reference.best[:count], np.empty(0, dtype=np.intp)
        lie = self._lie.objective(objectives)
        if lie is not None:
            pending = by_number(history, reference.pending)[-MOST_PENDING:]
            if lie < objectives[good[-1]]:
                both = np.concatenate([good, pending])
                taken_for = np.concatenate([objectives[good], np.full(len(pending), lie)])
                good = both[np.lexsort((history.numbers[both], taken_for))[:count]]
                pending = without(pending, good)
        others = without(reference.sampled, good)[:MOST_BAD]
        bad = np.concatenate([others, pending])
        return by_number(history, good), by_number(history, bad)

    def _split_fronts(self, history: History, count: int) -> tuple[IntArray, IntArray]:
        """Return the same where there are several objectives.

        What a pending trial is taken for is no number there: it is bad, or left out.
        """
        self._survivors.follow(history)
        good = self._survivors.best[:count]
        bad = without(self._reference.sampled, good)[:MOST_BAD]
        if self._lie.kind != "none":
            pending = by_number(history, self._reference.pending)[-MOST_PENDING:]
            bad = np.concatenate([bad, pending])
        return by_number(history, good), by_number(history, bad)

    def _weights(self, count: int) -> FloatArray:
        """Return the weights of so many trials, the oldest first, (count,) float64."""
        weights = np.ones(count)
        older = count - self._full_weight
        if not self._equal_weight and older > 0:
            weights[:older] = np.linspace(1.0 / count, 1.0, older)
        return weights
