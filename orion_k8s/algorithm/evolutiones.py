"""Evolution with hurdles: a population competes in pairs, and those that win train for longer.

Sources: D. R. So, C. Liang and Q. V. Le, "The Evolved Transformer", ICML 2019, arXiv:1901.11117
(hurdles: only who passes gets more budget); E. Real et al., "Large-Scale Evolution of Image
Classifiers", ICML 2017, arXiv:1703.01041 (pairs).

Which trial a member has in a generation is a decision with a key that is unique in the
experiment. It follows two trials of the generation before, so nobody waits for the slowest of all.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion, Wait
from orion_k8s.algorithm.explore import Values
from orion_k8s.algorithm.mutate import parse_mutate
from orion_k8s.algorithm.parameters import whole
from orion_k8s.algorithm.rungs import Roots, Rungs, fidelity_of, repetitions_of
from orion_k8s.algorithm.teams import Place, Teams, key_of
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Status, dump_values

_MOST_OPEN = 100
"""So many populations at once, and what is still left to try is found by waiting."""


class EvolutionES(Algorithm):
    """A population whose losers are replaced by mutated winners, at each budget.

    Args:
        space: the search space, with a fidelity.
        seed: of the experiment.
        repetitions: how many populations, one after another; no end to them if None.
        nums_population: members of a population.
        mutate: how a winner's parameters are changed: see `parse_mutate`.
        max_retries: so many mutations where all were tried already, before a draw from the prior.

    Raises:
        ConfigurationError: the space has no fidelity, or a parameter does not fit.
    """

    name: ClassVar[str] = "evolutiones"

    def __init__(
        self,
        space: Space,
        seed: int,
        repetitions: int | None = None,
        nums_population: int = 20,
        mutate: Any = None,
        max_retries: int = 1000,
    ) -> None:
        super().__init__(space, seed)
        self._repetitions = repetitions_of("evolutiones", repetitions)
        self._size = whole("evolutiones", "nums_population", nums_population, least=2)
        self._mutation = parse_mutate(mutate)
        self._max_retries = whole("evolutiones", "max_retries", max_retries, least=0)
        self._rungs = Rungs("evolutiones", space, budgets=_budgets(space))
        self._roots = Roots(space, seed, self._rungs)
        self._configuration = {
            "repetitions": self._repetitions,
            "nums_population": nums_population,
            "mutate": mutate,
            "max_retries": max_retries,
        }
        self._history: History | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Wait | Finished:
        """Return a trial of the first population with one due. See `Algorithm.suggest`."""
        if history is not self._history:
            self._history = history
            self._teams = Teams(self._size, self.seed, self._rungs, history)
        teams = self._teams
        teams.follow()
        last = teams.first + _MOST_OPEN
        if self._repetitions is not None:
            last = min(last, self._repetitions)
        for repetition in range(teams.first, last):
            for generation in range(len(self._rungs)):
                due = teams.due(repetition, generation)
                if not due:
                    continue
                # By the number, so that workers at different numbers do not ask for the same.
                place = repetition, generation, due[number % len(due)]
                values, parent = self._next(place, attempt, history)
                if values is not None:
                    return Suggestion(values, decision=key_of(place), parent=parent)
        if history.count(Status.NEW, Status.RESERVED, Status.INTERRUPTED):
            return Wait()
        return Finished("every member of every population has had all its budgets")

    def _next(
        self, place: Place, attempt: int, history: History
    ) -> tuple[Values | None, str | None]:
        """Return what a member tries next, and the trial that it continues."""
        repetition, generation, member = place
        draw = repetition * self._size + member
        if not generation:
            return self._roots.draw(draw, attempt, 0, history), None
        teams = self._teams
        own = repetition, generation - 1, member
        other = repetition, generation - 1, teams.opponent(repetition, generation - 1, member)
        winner = min(own, other, key=lambda one: (teams.objective(one), one))
        known = history.known_values()
        if np.isfinite(teams.objective(winner)):
            index = teams.holders[winner]
            values = history.values(index)
            if winner == own and not attempt:
                return self._rungs.at(values, generation), history.ids[index]
            rng = np.random.default_rng([self.seed, *place, attempt])
            for _ in range(1 + self._max_retries):
                values = self._mutation.mutated(rng, self.space, values)
                found = self._rungs.at(values, generation)
                if dump_values(found) not in known:
                    return found, None
        return self._roots.draw(draw, attempt, generation, history), None


def _budgets(space: Space) -> list[int] | None:
    """Return all whole budgets where the fidelity's base is 1, else None: a factor apart.

    Raises:
        ConfigurationError: the space has no fidelity, or one of base 1 that is not of whole ones.
    """
    fidelity = fidelity_of("evolutiones", space)
    low, high = fidelity.low, fidelity.high
    if fidelity.base != 1 or low == high:
        return None
    if not (isinstance(low, int) and isinstance(high, int)):
        raise ConfigurationError(
            f"evolutiones takes every whole budget where a fidelity's base is 1, and "
            f"{fidelity.prior} has others: give it a base above 1."
        )
    return list(range(low, high + 1))
