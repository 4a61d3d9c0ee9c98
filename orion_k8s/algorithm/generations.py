"""Which trials each generation of CMA-ES was made of, as the history says.

A trial of a run says so in its decision: "cmaes run 0 trial 12". The one that is the first of a
generation names the trials that made it, "cmaes generation 3 of run 0 from 20-28,31", and that
key is unique in the experiment.
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from orion_k8s.history import ENDED, History, newest

_KEY = re.compile(r"cmaes (?:generation (\d+) of )?run (\d+) (?:trial \d+|from (nothing|[\d,-]+))")


@dataclass(frozen=True)
class Opening:
    """How a generation began.

    Attributes:
        number: of the trial that is the first of it.
        run: which it belongs to.
        members: numbers of the trials that made it, in order; none where the run before had
            nothing more to find.
    """

    number: int
    run: int
    members: tuple[int, ...]


class Generations:
    """The generations of a history, followed as it grows.

    Two workers may begin the same generation with different trials, if none saw the other's: then
    the lower number counts, whoever looks.

    Attributes:
        openings: how each generation but the first began.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._decided = 0
        self._pending = np.empty(0, dtype=np.intp)
        self._run_of: dict[int, int] = {}
        self._untold: dict[int, list[int]] = {}
        self._told: set[int] = set()
        self.openings: dict[int, Opening] = {}

    def follow(self) -> int | None:
        """Take in what is new; return the first generation whose beginning is another than it was.

        None where all that were there are as they were.
        """
        history = self._history
        changed = self._take(newest(history.decisions, self._decided))
        self._decided = len(history.decisions)
        ended = ENDED[history.status[self._pending]]
        if ended.any():
            for number in history.numbers[self._pending[ended]].tolist():
                if number not in self._told:
                    self._add(number)
            self._pending = self._pending[~ended]
        return changed

    def ready(self, run: int, count: int) -> tuple[int, ...]:
        """Return the first `count` trials of a run that ended and made no generation yet.

        None at all where there are fewer.
        """
        ended = self._untold.get(run, [])
        return tuple(ended[:count]) if len(ended) >= count else ()

    def after(self, generation: int) -> list[Opening]:
        """Return how the generations behind one began, as far as all their trials have ended.

        One that was read before the last of its trials has to wait for the next read.
        """
        found: list[Opening] = []
        while (opening := self.openings.get(generation + len(found) + 1)) is not None:
            indexes = [self._history.index(number) for number in opening.members]
            known = [index for index in indexes if index is not None]
            if len(known) < len(indexes) or not ENDED[self._history.status[known]].all():
                break
            found.append(opening)
        return found

    def tell(self, members: Iterable[int]) -> None:
        """Take note that trials made a generation."""
        for number in members:
            if number not in self._told:
                self._told.add(number)
                untold = self._untold.get(self._run_of.get(number, 0), [])
                place = bisect_left(untold, number)
                if place < len(untold) and untold[place] == number:
                    del untold[place]

    def forget_after(self, generation: int) -> None:
        """Take note that nothing behind a generation counts any more."""
        left = self._told
        counting = (o for g, o in self.openings.items() if g <= generation)
        self._told = {number for opening in counting for number in opening.members}
        for number in left - self._told:
            self._add(number)

    def _take(self, decisions: Iterable[tuple[str, int]]) -> int | None:
        """Take in decisions, the newest first."""
        fresh: list[int] = []
        changed: list[int] = []
        for key, index in decisions:
            found = _KEY.fullmatch(key)
            if found is None:
                continue
            number, run = int(self._history.numbers[index]), int(found[2])
            fresh.append(index)
            self._run_of[number] = run
            if found[1] is not None:
                generation = int(found[1])
                other = self.openings.get(generation)
                if other is None or number < other.number:
                    self.openings[generation] = Opening(number, run, _numbers(found[3]))
                    if other is not None:
                        changed.append(generation)
        self._pending = np.concatenate([self._pending, np.array(fresh, dtype=np.intp)])
        return min(changed, default=None)

    def _add(self, number: int) -> None:
        insort(self._untold.setdefault(self._run_of.get(number, 0), []), number)


def key_of_trial(run: int, number: int) -> str:
    """Return the decision of a trial that is not the first of a generation."""
    return f"cmaes run {run} trial {number}"


def key_of_generation(generation: int, run: int, members: Sequence[int]) -> str:
    """Return the decision of the first trial of a generation."""
    return f"cmaes generation {generation} of run {run} from {_text(members)}"


def _text(numbers: Sequence[int]) -> str:
    """Return numbers in order as "3-7,9"."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and parts[-1][1] == number - 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in parts) or "nothing"


def _numbers(text: str) -> tuple[int, ...]:
    """Return the numbers of a text as `_text` makes it."""
    found: list[int] = []
    for part in text.split(",") if text != "nothing" else []:
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)
