"""DEHB: Hyperband whose rungs are populations, which differential evolution moves.

Source: N. Awad, N. Mallik and F. Hutter, "DEHB: Evolutionary Hyperband for Scalable, Robust and
Efficient Hyperparameter Optimization", IJCAI 2021, arXiv:2105.09575.

Every budget has a population of its own. The first bracket is one of successive halving. In every
other, a rung has new points: each is to be better than one of its budget's population, and is made
of the best of the population of the budget below, so that what is learnt where trials are short
goes up. As in `hyperband`, a place in a rung is a decision with a unique key, and nobody waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.axes import Axes, IntArray
from orion_k8s.algorithm.de import factors_of
from orion_k8s.algorithm.differential import DONORS, Operators
from orion_k8s.algorithm.hyperband import Hyperband, Round
from orion_k8s.algorithm.parameters import number, one_of
from orion_k8s.algorithm.population import Population
from orion_k8s.algorithm.reference import without
from orion_k8s.algorithm.rungs import Values
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_MOST_DRAWS = 32
"""So many points that were all tried already, and one is taken from the prior."""


class DEHB(Hyperband):
    """DEHB, where no worker waits for the end of a rung.

    Args:
        space: the search space, with a fidelity (see `Hyperband`).
        seed: of the experiment.
        mutation_factor: by which a difference is multiplied; or two numbers, between which the
            factor of each new point is drawn.
        crossover_prob: chance of each coordinate to be changed.
        strategy: what is moved and by which differences (see `DE`).
        repetitions: how many times all brackets are run; without end if None.

    Raises:
        ConfigurationError: the space has no fidelity, or a parameter does not fit.
    """

    name: ClassVar[str] = "dehb"

    def __init__(
        self,
        space: Space,
        seed: int,
        mutation_factor: Any = 0.5,
        crossover_prob: float = 0.5,
        strategy: str = "rand1bin",
        repetitions: int | None = None,
    ) -> None:
        super().__init__(space, seed, repetitions)
        self._operators = Operators(
            Axes.of(space),
            one_of("dehb", "strategy", strategy, DONORS),
            factors_of("dehb", "mutation_factor", mutation_factor),
            number("dehb", "crossover_prob", crossover_prob, least=0, most=1),
        )
        paired = isinstance(mutation_factor, (list, tuple))
        self._parameters = {
            "mutation_factor": list(mutation_factor) if paired else mutation_factor,
            "crossover_prob": crossover_prob,
            "strategy": strategy,
        }
        # Of budget b in bracket a: rung b - a. The largest rung of a budget is its population.
        rungs = range(len(self._sizes))
        self._at = [[self._sizes[a][b - a] for a in range(b + 1)] for b in rungs]
        self._populations = [
            Population(max(sizes), self._places_at(budget))
            for budget, sizes in enumerate(self._at)
        ]
        self._place: dict[int, tuple[int, int]] = {}

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return {**self._parameters, **super().configuration}

    def halves(self, round_: Round) -> bool:
        """Return whether it is the first bracket of all. See `Hyperband.halves`."""
        return round_.repetition == 0 and round_.bracket == 0

    def take(self, round_: Round, rung: int, slot: int, index: int) -> None:
        """Take note of the trial in a slot. See `Hyperband.take`."""
        super().take(round_, rung, slot, index)
        self._place[index] = (round_.bracket + rung, self._target(round_, rung, slot))

    def point_for(
        self, round_: Round, rung: int, slot: int, attempt: int, history: History
    ) -> Values | None:
        """Return a point that is to be better than its target. See `Hyperband.point_for`."""
        budget = round_.bracket + rung
        found = None
        if not self.halves(round_):
            found = self._offspring(round_, rung, slot, attempt, history)
        if found is None:
            place = round_.first_root + slot
            found = self.new_point(place, attempt, budget, history)
        return found

    def _offspring(
        self, round_: Round, rung: int, slot: int, attempt: int, history: History
    ) -> Values | None:
        budget = round_.bracket + rung
        rng = np.random.default_rng(
            [self.seed, round_.repetition, round_.bracket, rung, slot, attempt]
        )
        target = int(self._populations[budget].holders[self._target(round_, rung, slot)])
        parents = self._parents(budget, rung, round_.sizes[rung], target, history)
        if len(parents) < self._operators.needs:
            return None
        points, known = history.points, history.known_values()
        # Where nothing holds the place yet, a point of the prior does, as in the paper.
        to_beat = points[target] if target >= 0 else rng.random(self.space.width)
        best, others = points[parents[0]], points[parents]
        for _ in range(_MOST_DRAWS):
            point = self._operators.offspring(rng, to_beat, best, others)
            values = self._rungs.at(self.space.decode(point)[0], budget)
            if dump_values(values) not in known:
                return values
        return None

    def _parents(
        self, budget: int, rung: int, size: int, target: int, history: History
    ) -> IntArray:
        """Return the trials that a new point is made of, the best of the pool first.

        In the first rung of a bracket, its budget's own population; in another, so many of the
        best at the budget below as the rung has slots. Those of all budgets, the highest first,
        make up what is missing.
        """
        if rung:
            pool = self._populations[budget - 1].ranked(history)[:size]
        else:
            pool = self._populations[budget].ranked(history)
        pool = without(pool, np.array([target]))
        if len(pool) < self._operators.needs:
            more = [population.ranked(history) for population in reversed(self._populations)]
            everyone = np.concatenate([pool, *more])
            _, first = np.unique(everyone, return_index=True)
            rest = without(everyone[np.sort(first)], np.array([target]))
            pool = rest[: max(size, self._operators.needs)]
        return pool

    # --- following the history -------------------------------------------------------------------

    def _follow(self, history: History) -> None:
        if history is not self._history:
            self._place = {}
        super()._follow(history)
        for population in self._populations:
            population.follow(history)

    def _target(self, round_: Round, rung: int, slot: int) -> int:
        """Return the place in its budget's population of a slot: one after another, in turns."""
        sizes = self._at[round_.bracket + rung]
        before = round_.repetition * sum(sizes) + sum(sizes[: round_.bracket])
        return (before + slot) % max(sizes)

    def _places_at(self, budget: int) -> Callable[[History, IntArray], IntArray]:
        """Return what gives the places of trials in the population of a budget."""

        def places(history: History, indexes: IntArray) -> IntArray:
            found = [self._place.get(index, (-1, -1)) for index in indexes.tolist()]
            return np.array([p if b == budget else -1 for b, p in found], dtype=np.intp)

        return places
