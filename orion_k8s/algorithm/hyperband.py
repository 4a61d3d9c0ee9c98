"""Hyperband: brackets of successive halving, from many short trials to few long ones.

Source: L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh and A. Talwalkar, "Hyperband: A Novel
Bandit-Based Approach to Hyperparameter Optimization", JMLR 18, 2018, arXiv:1603.06560.

A rung is halved when all its trials have ended, as in the paper. Nobody waits for that: whoever
finds no free place in a bracket goes on with the next bracket, or the next repetition of all. Each
place in a rung is taken by a decision whose key is unique in the experiment.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar

from orion_k8s.algorithm.base import Algorithm, Finished, Suggestion, Wait
from orion_k8s.algorithm.rungs import Roots, Rungs, Values, repetitions_of
from orion_k8s.history import CODES, History, newest
from orion_k8s.space import Space
from orion_k8s.trial import FINAL, Status

_ENDED = {CODES[status.value] for status in FINAL}
_SUSPENDED = CODES[Status.SUSPENDED.value]
_PLACE = re.compile(r"hyperband repetition (\d+) bracket (\d+) rung (\d+) slot (\d+)")


def sizes_of(rungs: int, base: float) -> list[list[int]]:
    """Return the size of each rung of each bracket; bracket b begins at budget b of `rungs`."""
    brackets = []
    for bracket in range(rungs):
        halvings = rungs - 1 - bracket
        first = math.ceil(rungs / (halvings + 1) * base**halvings - 1e-9)
        brackets.append([int(first / base**i + 1e-9) for i in range(halvings + 1)])
    return brackets


@dataclass
class Round:
    """One repetition of one bracket.

    Attributes:
        repetition: which.
        bracket: which.
        first_root: how many roots the rounds before have.
        sizes: of its rungs.
        taken: index of the trial in each slot that is taken, a mapping a rung.
    """

    repetition: int
    bracket: int
    first_root: int
    sizes: list[int]
    taken: list[dict[int, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.taken = [{} for _ in self.sizes]


class State(Enum):
    """Why a round has no trial to give."""

    CLOSED = "all its places are taken"
    WAITING = "its trials have to end first"
    NO_POINTS = "no new point is left at its lowest budget"


class Hyperband(Algorithm):
    """Hyperband, where no worker waits for the end of a rung.

    Args:
        space: the search space, with a fidelity: its bounds are the least and the greatest budget,
            its base the factor between two and the number of trials of which one goes on.
        seed: of the experiment.
        repetitions: how many times all brackets are run; without end if None.

    Raises:
        ConfigurationError: the space has no fidelity, or a parameter does not fit.
    """

    name: ClassVar[str] = "hyperband"

    def __init__(self, space: Space, seed: int, repetitions: int | None = None) -> None:
        super().__init__(space, seed)
        self._rungs = Rungs(self.name, space)
        self._repetitions = repetitions_of(self.name, repetitions)
        self._sizes = sizes_of(len(self._rungs), self._rungs.base)
        self._roots = Roots(space, seed, self._rungs)
        self._history: History | None = None

    @property
    def configuration(self) -> dict[str, Any]:
        """All parameters, as they were given."""
        return {"repetitions": self._repetitions}

    def suggest(self, number: int, attempt: int, history: History) -> Suggestion | Wait | Finished:
        """Return a trial for a free place of the first round that has one.

        See `Algorithm.suggest`.
        """
        self._follow(history)
        waiting, without_points, at = False, 0, self._first
        while (round_ := self._round(at)) is not None:
            found = self._in_round(round_, number, attempt, history)
            if isinstance(found, Suggestion):
                return found
            if found is State.NO_POINTS:
                without_points += 1
                if without_points == len(self._sizes):
                    break  # none at any budget: the rounds behind have none either
            elif found is State.WAITING:
                waiting = True
            elif at == self._first:
                self._first += 1
            at += 1
        if waiting:
            return Wait()
        return Finished("all places of all brackets are taken, or no new point is left")

    def _in_round(
        self, round_: Round, number: int, attempt: int, history: History
    ) -> Suggestion | State:
        """Return a trial of this round, or why there is none."""
        ranked: list[int] = []
        for rung, size in enumerate(round_.sizes):
            taken = round_.taken[rung]
            free = [slot for slot in range(size) if slot not in taken] if len(taken) < size else []
            halves = rung > 0 and self.halves(round_)
            if halves:
                went_on = {history.parents.get(index) for index in taken.values()}
                left = [index for index in ranked[:size] if history.ids[index] not in went_on]
                free = free[: len(left)]
            if free:
                # Workers at different numbers do not ask for the same place.
                chosen = number % len(free)
                key = (
                    f"hyperband repetition {round_.repetition} bracket {round_.bracket} "
                    f"rung {rung} slot {free[chosen]}"
                )
                if halves:
                    parent = left[chosen]
                    values = self._rungs.at(history.values(parent), round_.bracket + rung)
                    return Suggestion(values, decision=key, parent=history.ids[parent])
                new = self.point_for(round_, rung, free[chosen], attempt, history)
                if new is not None:
                    return Suggestion(new, decision=key)
                if not taken:
                    return State.NO_POINTS
            ended = self._ranked(taken, history)
            if ended is None:
                return State.WAITING
            ranked = ended
        return State.CLOSED

    def halves(self, round_: Round) -> bool:
        """Return whether the best of a rung go on to the next; else it has points of its own."""
        return True

    def point_for(
        self, round_: Round, rung: int, slot: int, attempt: int, history: History
    ) -> Values | None:
        """Return a new point for a slot, None where all were tried at its budget.

        Args:
            round_: whose slot it is.
            rung: of the round; 0 unless its rungs have points of their own.
            slot: of the rung.
            attempt: how many points were refused.
            history: the mirror.
        """
        return self.new_point(round_.first_root + slot, attempt, round_.bracket + rung, history)

    def take(self, round_: Round, rung: int, slot: int, index: int) -> None:
        """Take note of the trial in a slot, by its index in the history."""
        round_.taken[rung][slot] = index

    def new_point(self, place: int, attempt: int, rung: int, history: History) -> Values | None:
        """Return a point that was not tried at a rung's budget, None where all were.

        Args:
            place: of the point among all new ones.
            attempt: how many points were refused.
            rung: whose budget it gets.
            history: the mirror.
        """
        return self._roots.draw(place, attempt, rung, history)

    def _ranked(self, taken: dict[int, int], history: History) -> list[int] | None:
        """Return the trials of a rung from best to worst, None while one of them runs.

        A trial without an objective goes no further; neither does one that a person suspended.
        """
        status, objectives, numbers = history.status, history.objectives, history.numbers
        held = set(history.held_by_person)
        for index in taken.values():
            code = int(status[index])
            if code not in _ENDED and not (code == _SUSPENDED and int(numbers[index]) in held):
                return None
        indexes = [index for index in taken.values() if math.isfinite(objectives[index])]
        return sorted(indexes, key=lambda i: (float(objectives[i]), int(numbers[i])))

    # --- following the history -------------------------------------------------------------------

    def _follow(self, history: History) -> None:
        if history is not self._history:
            self._history = history
            self._rounds: list[Round] = []
            self._first = self._decided = 0
        fresh = newest(history.decisions, self._decided)
        self._decided = len(history.decisions)
        for key, index in fresh:
            place = _PLACE.fullmatch(key)
            if place is None:
                continue
            repetition, bracket, rung, slot = map(int, place.groups())
            if bracket < len(self._sizes) and rung < len(self._sizes[bracket]):
                round_ = self._round(repetition * len(self._sizes) + bracket)
                if round_ is not None:
                    self.take(round_, rung, slot, index)

    def _round(self, at: int) -> Round | None:
        """Return a round by its place in the order of all, None behind the last."""
        brackets = len(self._sizes)
        if self._repetitions is not None and at >= self._repetitions * brackets:
            return None
        while len(self._rounds) <= at:
            repetition, bracket = divmod(len(self._rounds), brackets)
            roots = [sizes[0] for sizes in self._sizes]
            first = repetition * sum(roots) + sum(roots[:bracket])
            self._rounds.append(Round(repetition, bracket, first, self._sizes[bracket]))
        return self._rounds[at]
