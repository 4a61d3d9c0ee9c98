"""Population based training: the worst go on from the best, with other parameters.

Source: M. Jaderberg, V. Dalibard, S. Osindero, W. M. Czarnecki, J. Donahue, A. Razavi, O. Vinyals,
T. Green, I. Dunning, K. Simonyan, C. Fernando and K. Kavukcuoglu, "Population Based Training of
Neural Networks", 2017, arXiv:1711.09846.

Which trial a member has in a generation is a decision with a key that is unique in the
experiment. It follows the trials of the generation before that are completed by then, so nobody
waits for the slowest.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion, Wait
from orion_k8s.algorithm.exploit import Key, parse_exploit
from orion_k8s.algorithm.explore import Values, draw, explored, parse_explore
from orion_k8s.algorithm.members import Members, key_of
from orion_k8s.algorithm.parameters import number as checked_number
from orion_k8s.algorithm.parameters import whole
from orion_k8s.algorithm.rungs import Roots, Rungs, fidelity_of
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import dump_values

_MOST_DRAWS = 20
"""New parameters that were all tried from one parent; then as many from the prior. Where those
were tried too the space is small, so look at what is left."""


class PBT(Algorithm):
    """PBT: a population is trained a generation at a time, each member as soon as it can.

    Args:
        space: the search space, with a fidelity.
        seed: of the experiment.
        population_size: how many members.
        generations: how many times each is trained further; the budgets of the fidelity are as
            many and one, evenly spaced where its base is 1, else by a factor. Whole budgets that
            are the same when rounded are one.
        exploit: who goes on from another's trial, and from which: see `parse_exploit`.
        explore: how its parameters are changed: see `parse_explore`.
        fork_timeout: of Oríon's, in seconds; without effect, as a decision has no search in it.

    Raises:
        ConfigurationError: the space has no fidelity with several budgets, or a parameter does
            not fit.
    """

    name: ClassVar[str] = "pbt"

    def __init__(
        self,
        space: Space,
        seed: int,
        population_size: int = 50,
        generations: int = 10,
        exploit: Any = None,
        explore: Any = None,
        fork_timeout: float = 60,
    ) -> None:
        super().__init__(space, seed)
        self._size = whole("pbt", "population_size", population_size, least=2)
        whole("pbt", "generations", generations)
        self._rungs = Rungs("pbt", space, budgets=_budgets(space, generations))
        self._exploit = parse_exploit(exploit)
        self._explore = parse_explore(explore)
        checked_number("pbt", "fork_timeout", fork_timeout, least=0)
        self._quorum = max(rule.quorum for rule in self._exploit)
        self._roots = Roots(space, seed, self._rungs)
        self._configuration = {
            "population_size": population_size,
            "generations": generations,
            "exploit": exploit,
            "explore": explore,
            "fork_timeout": fork_timeout,
        }
        self._history: History | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return dict(self._configuration)

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Wait | Finished:
        """Return a trial of the earliest generation with one due. See `Algorithm.suggest`."""
        if history is not self._history:
            self._history = history
            self._members = Members(self._size, self._rungs, history)
        members = self._members
        members.follow()
        size = self._size
        for generation, waiting in enumerate(members.open):
            if not waiting:
                continue
            # By the number, so that workers at different numbers do not ask for the same.
            member = waiting[number % len(waiting)]
            if generation == 0:
                found = self._root(member, attempt, history)
                if found is None:  # a small space: there are no more members
                    size -= len(waiting)
            elif self._ranks(generation - 1, size):
                found = self._child(generation, member, attempt, history)
            else:
                found = None
            if found is not None:
                return found
        if members.pending:
            return Wait()
        return Finished("every member of the population has had all its generations")

    def _ranks(self, generation: int, size: int) -> bool:
        """Return whether enough trials of a generation have ended to compare them."""
        ended = len(self._members.ranked[generation])
        wanted = min(self._quorum, size)
        return ended >= wanted or ended + self._members.suspended(generation) >= wanted

    def _root(self, member: int, attempt: int, history: History) -> Suggestion | None:
        tried = self._members.next_try((0, member))
        values = self._roots.draw(member + tried * self._size, attempt, 0, history)
        if values is None:
            return None
        return Suggestion(values, decision=key_of(0, member, tried))

    def _child(
        self, generation: int, member: int, attempt: int, history: History
    ) -> Suggestion | None:
        """Return what a member does after its last trial; None where all was tried."""
        members = self._members
        tried = members.next_try((generation, member))
        rng = np.random.default_rng([self.seed, generation, member, tried, attempt])
        own = members.holders[generation - 1, member]
        ranked = members.ranked[generation - 1]
        parent = self._choose(own, generation - 1, rng) if not tried else None
        if parent is None:  # it broke: it is replaced from one of the best
            parent = self._exploit[-1].one_of_the_best(ranked, rng)
        elif parent == own:
            found = self._continue(parent, history.values(parent[2]), generation, history)
            if found is not None:
                return self._decided(found, generation, member, tried)
        before = history.values(parent[2])
        for drawn in range(2 * _MOST_DRAWS):
            values = (
                explored(self._explore, rng, self.space, before)
                if drawn < _MOST_DRAWS
                else draw(rng, self.space)
            )
            found = self._continue(parent, values, generation, history)
            if found is not None:
                return self._decided(found, generation, member, tried)
        for other in ranked:
            found = self._continue(other, history.values(other[2]), generation, history)
            if found is not None:
                return self._decided(found, generation, member, tried)
        return None

    def _choose(self, own: Key, generation: int, rng: np.random.Generator) -> Key:
        """Return the trial that the first rule chooses which leaves the member's own."""
        members = self._members
        for rule in self._exploit:
            ranking = members.elites if rule.backtracks else members.ranked
            chosen = rule.choose(own, ranking[generation], rng)
            if chosen != own:
                return chosen
        return own

    def _continue(
        self, parent: Key, values: Values, generation: int, history: History
    ) -> Suggestion | None:
        """Return the trial that continues another with these values; None where it was made."""
        point, trial = self._rungs.at(values, generation), history.ids[parent[2]]
        if (trial, dump_values(point)) in self._members.children:
            return None
        return Suggestion(point, parent=trial)

    def _decided(self, found: Suggestion, generation: int, member: int, tried: int) -> Suggestion:
        return Suggestion(found.values, key_of(generation, member, tried), found.parent)


def _budgets(space: Space, generations: int) -> list[int | float]:
    """Return the budget of each generation, the lowest first.

    Raises:
        ConfigurationError: the space has no fidelity, or one of a single budget.
    """
    fidelity = fidelity_of("pbt", space)
    low, high = fidelity.low, fidelity.high
    shares = [i / generations for i in range(generations)]
    if fidelity.base == 1:
        budgets: list[int | float] = [low + (high - low) * share for share in shares]
    else:
        budgets = [low * (high / low) ** share for share in shares]
    if isinstance(low, int) and isinstance(high, int):
        budgets = [round(budget) for budget in budgets]
    found = list(dict.fromkeys([*budgets, high]))
    if len(found) < 2:
        raise ConfigurationError(
            f"pbt trains a population further from budget to budget, and {fidelity.prior} has "
            "one alone: give its high a larger value."
        )
    return found
