"""CMA-ES: a normal distribution that moves, turns and stretches towards the good points.

Sources: N. Hansen, "The CMA Evolution Strategy: A Tutorial", 2016, arXiv:1604.00772; the package
`cmaes` (M. Nomura and M. Shibata, 2024, arXiv:2402.01373) has the arithmetic.

The state of the distribution is in no file: it follows from the trials that each generation was
made of, and those are written in the history (see `generations`). A generation ends as soon as
enough trials of its run have ended, whichever they are. So nobody waits: trials that still run
then make a later one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.axes import Axes
from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.evolving import Distribution, package, start
from orion_k8s.algorithm.generations import (
    Generations,
    Opening,
    key_of_generation,
    key_of_trial,
)
from orion_k8s.algorithm.parameters import number as checked_number
from orion_k8s.algorithm.parameters import one_of, whole
from orion_k8s.algorithm.random import Random
from orion_k8s.algorithm.restarts import STRATEGIES, Run, next_run
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_MOST_DRAWS = 32
"""So many draws that were all tried already, and the run has converged."""
_KEPT = 16
"""So many generations back, the distribution is kept, for when another worker's end counts."""
_LEAST_POPULATION = 4


@dataclass(frozen=True)
class Stage:
    """Where the strategy is.

    Attributes:
        generation: how many generations began after the first.
        run: which run.
        spent: how many trials the run was told.
        past: the runs before with the trials that each was told.
        distribution: of the points.
    """

    generation: int
    run: Run
    spent: int
    past: tuple[tuple[Run, int], ...]
    distribution: Distribution


class CMAES(Algorithm):
    """CMA-ES, rebuilt from the history; for whole numbers and categories CatCMA with margin.

    Args:
        space: the search space. A fidelity is always given whole.
        seed: of the experiment.
        population_size: how many trials make a generation; 4 + ⌊3 ln d⌋ if None, where d is the
            number of coordinates.
        sigma: standard deviation at the start, where every dimension is as wide as 1.
        restart_strategy: what follows when a run has converged: "ipop" (a new one with a larger
            population), "bipop" (larger ones and short ones by turns), "none" (it goes on).
        inc_popsize: by which the population is multiplied.

    Raises:
        ConfigurationError: a parameter does not fit.
        MissingExtra: the package cmaes is not installed.
    """

    name: ClassVar[str] = "cmaes"

    def __init__(
        self,
        space: Space,
        seed: int,
        population_size: int | None = None,
        sigma: float = 0.2,
        restart_strategy: str = "ipop",
        inc_popsize: int = 2,
    ) -> None:
        super().__init__(space, seed)
        package()
        axes = Axes.of(space)
        self._axes = Axes(
            axes.width,
            axes.smooth,
            tuple(step for step in axes.steps if len(step.units) > 1),
            tuple(kind for kind in axes.kinds if len(kind.units) > 1),
        )
        if population_size is None:
            population = 4 + math.floor(3 * math.log(max(1, len(self._axes))))
        else:
            population = whole("cmaes", "population_size", population_size, _LEAST_POPULATION)
        width = checked_number("cmaes", "sigma", sigma, above=0, most=1)
        self._strategy = one_of("cmaes", "restart_strategy", restart_strategy, STRATEGIES)
        self._factor = whole("cmaes", "inc_popsize", inc_popsize, least=2)
        self._configuration = {
            "population_size": population_size,
            "sigma": sigma,
            "restart_strategy": restart_strategy,
            "inc_popsize": inc_popsize,
        }
        self._first = Run(0, population, width)
        self._prior = Random(space, seed)
        self._history: History | None = None
        self._next: tuple[Stage, tuple[int, ...], Stage] | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Finished:
        """Return a point of the newest generation, or the first of the next.

        See `Algorithm.suggest`.
        """
        if len(self._axes) and len(history.known_values()) < self.space.cardinality:
            self._follow(history)
            stage = self._stage
            members = self._generations.ready(stage.run.index, stage.run.population)
            if members:
                stage = self._after(stage, members, history)
            values = self._drawn(stage, number, attempt, history)
            if values is None and self._strategy != "none":
                stage = self._begun_anew(stage)
                values = self._drawn(stage, number, attempt, history)
            if values is not None:
                return Suggestion(values, decision=_key(self._stage, stage, number, members))
        # All that is drawn was tried: from here on, what nobody tried.
        return self._prior.untried(history)

    def _drawn(
        self, stage: Stage, number: int, attempt: int, history: History
    ) -> tuple[Any, ...] | None:
        """Return a point that nobody tried; None where none was found in a number of draws."""
        known = history.known_values()
        draws = stage.distribution.draws([self.seed, number, attempt])
        for point in islice(draws, _MOST_DRAWS):
            values = self.space.decode(point)[0]
            if dump_values(values) not in known:
                return values
        return None

    # --- generations -----------------------------------------------------------------------------

    def _after(self, stage: Stage, members: tuple[int, ...], history: History) -> Stage:
        """Return the stage that a generation leads to, a new run where this one has converged."""
        if self._next is not None and self._next[0] is stage and self._next[1] == members:
            return self._next[2]
        told = self._told(stage, members, history)
        ended = self._strategy != "none" and (
            told.spent >= told.run.most or told.distribution.converged()
        )
        after = self._begun_anew(told) if ended or told.distribution.failed else told
        self._next = (stage, members, after)
        return after

    def _told(self, stage: Stage, members: Sequence[int], history: History) -> Stage:
        """Return the stage after a generation, in the same run."""
        indexes = [history.index(number) for number in members]
        known = [i for i in indexes if i is not None]
        points, objectives = history.points[known], history.objectives[known]
        # A trial that was removed after it was named lies nowhere: at the middle, as the worst.
        points = np.where(np.isfinite(points), points, 0.5)
        generation = stage.generation + 1
        distribution = stage.distribution.told(points, objectives, [self.seed, generation])
        spent = stage.spent + len(members)
        return Stage(generation, stage.run, spent, stage.past, distribution)

    def _begun_anew(self, stage: Stage) -> Stage:
        """Return the beginning of the run after that of a stage, as the next generation."""
        past = (*stage.past, (stage.run, stage.spent))
        run = next_run(self._strategy, self._factor, past, self.seed)
        return self._begin(self._stage.generation + 1, run, past)

    def _fitting(self, stage: Stage, opening: Opening) -> Stage:
        """Return a stage whose population is that of the next generation.

        It is another where the parameter was changed: a run goes on as it began.
        """
        population = len(opening.members)
        if stage.spent or population in (0, stage.run.population):
            return stage
        return self._begin(stage.generation, replace(stage.run, population=population), stage.past)

    def _begin(self, generation: int, run: Run, past: tuple[tuple[Run, int], ...]) -> Stage:
        mean = np.full(self._axes.width, 0.5)
        if run.index:
            mean = np.random.default_rng([self.seed, run.index]).random(self._axes.width)
        distribution = start(self._axes, mean, run.sigma, run.population)
        return Stage(generation, run, 0, past, distribution)

    # --- following the history -------------------------------------------------------------------

    def _follow(self, history: History) -> None:
        if history is not self._history:
            self._history = history
            self._generations = Generations(history)
            self._begin_replay()
        changed = self._generations.follow()
        if changed is not None and changed <= self._stage.generation:
            self._go_back(changed - 1)
        ahead = self._generations.after(self._stage.generation)
        for opening in ahead:
            # Of a run that is over nothing counts but how long it was.
            self._advance(opening, history, over=opening.run < ahead[-1].run)

    def _begin_replay(self) -> None:
        self._stage = self._begin(0, self._first, ())
        self._kept: list[Stage] = []
        self._next = None
        self._over = False

    def _go_back(self, generation: int) -> None:
        """Return to an earlier generation: what came after it counts no more."""
        while self._kept and self._kept[-1].generation > generation:
            self._kept.pop()
        if self._kept and self._kept[-1].generation == generation:
            self._stage = self._kept.pop()
        else:
            self._begin_replay()
        self._generations.forget_after(self._stage.generation)

    def _advance(self, opening: Opening, history: History, over: bool) -> None:
        """Go on to the next generation, as the trial that is its first says.

        Args:
            opening: how it began.
            history: where its trials are looked up.
            over: whether the run that it belongs to has ended, so that nothing is drawn from it.
        """
        before, found = self._stage, self._next
        if (
            found is not None
            and found[:2] == (before, opening.members)
            and found[2].run.index == opening.run
        ):
            after = found[2]
        else:
            after = self._fitting(before, opening)
            if opening.members and opening.run == before.run.index and not over:
                after = self._told(after, opening.members, history)
            else:
                after = replace(after, spent=after.spent + len(opening.members))
            while after.run.index < opening.run:
                after = self._begun_anew(after)
            after = replace(after, generation=before.generation + 1)
        self._kept = [] if over or self._over else [*self._kept[1 - _KEPT :], before]
        self._stage, self._next, self._over = after, None, over
        self._generations.tell(opening.members)


def _key(before: Stage, after: Stage, number: int, members: Sequence[int]) -> str:
    """Return the decision of a trial of a stage, its first one where that is a new one."""
    if after is before:
        return key_of_trial(after.run.index, number)
    return key_of_generation(after.generation, after.run.index, members)
