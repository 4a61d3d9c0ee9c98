"""Several workers on one experiment, in one thread and without a database.

It keeps the rules of the shared history: a trial's number, the identity of its parameters and the
key of its decision are each taken once.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from orion_k8s.algorithm import Algorithm, Finished, Suggestion, Wait
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, Status, dump_values, identity_of

MOST_ATTEMPTS = 1000
"""An algorithm that offers so many points for one number that are all taken goes round."""


@dataclass
class Trials:
    """The trials of an experiment as they are shared.

    Attributes:
        rows: by number, as they are now.
    """

    rows: dict[int, Row] = field(default_factory=dict)
    _identities: set[str] = field(default_factory=set)
    _decisions: set[str] = field(default_factory=set)

    def claim(self, number: int, suggestion: Suggestion) -> str:
        """Reserve a new trial; return "" or what is taken: "number", "parameters", "decision"."""
        values = dump_values(suggestion.values)
        identity = identity_of(values, suggestion.parent)
        if number in self.rows:
            return "number"
        if suggestion.decision is not None and suggestion.decision in self._decisions:
            return "decision"
        if identity in self._identities:
            return "parameters"
        self._identities.add(identity)
        if suggestion.decision is not None:
            self._decisions.add(suggestion.decision)
        self.rows[number] = Row(
            number,
            Status.RESERVED.value,
            None,
            values,
            f"trial-{number}",
            suggestion.parent,
            suggestion.decision,
        )
        return ""

    def insert(self, values: Iterable[Any]) -> int:
        """Add a trial of a person's own; return its number: -1, then -2, and so on."""
        number = min([0, *self.rows]) - 1
        text = dump_values(tuple(values))
        self._identities.add(identity_of(text))
        self.rows[number] = Row(number, Status.NEW.value, None, text, f"trial{number}")
        return number

    def end(
        self, number: int, status: Status, objective: float | Sequence[float] | None = None
    ) -> None:
        """End a trial, with its loss or with several."""
        losses = None
        if isinstance(objective, Sequence):
            losses, objective = json.dumps(list(objective)), objective[0]
        self.rows[number] = self.rows[number]._replace(
            status=status.value, objective=objective, losses=losses
        )

    def count(self, *statuses: Status) -> int:
        """Return how many trials have one of these statuses."""
        wanted = {status.value for status in statuses}
        return sum(row.status in wanted for row in self.rows.values())


class Worker:
    """A worker with a mirror and an algorithm of its own."""

    def __init__(self, trials: Trials, algorithm: Algorithm, objectives: int = 1) -> None:
        self.trials, self.algorithm = trials, algorithm
        self.history = History(algorithm.space, objectives=objectives)
        self.running: list[int] = []

    def look(self) -> None:
        """Bring the mirror up to date."""
        self.history.fill(self.trials.rows.values())

    def claim(self) -> Suggestion | Wait | Finished | None:
        """Claim the first number that this worker's mirror has free; None where it was taken."""
        number = next(n for n in range(10**9) if self.history.index(n) is None)
        for attempt in range(MOST_ATTEMPTS):
            answer = self.algorithm.suggest(number, attempt, self.history)
            if not isinstance(answer, Suggestion):
                return answer
            taken = self.trials.claim(number, answer)
            if not taken:
                self.running.append(number)
                self.look()
                return answer
            self.look()
            if taken != "parameters":
                return None
        raise AssertionError(f"number {number}: {MOST_ATTEMPTS} points, and all were taken")


def run(
    make: Callable[[], Algorithm],
    objective: Callable[[dict[str, Any]], float | Sequence[float]],
    max_trials: int,
    workers: int = 1,
    turns: int = 0,
    trials: Trials | None = None,
    broken: Callable[[int], bool] = lambda number: False,
    most_steps: int = 100_000,
    objectives: int = 1,
) -> Trials:
    """Run an experiment to its end, the workers taking turns at random.

    A worker's mirror is as old as its last look, and trials end in any order.

    Args:
        make: returns a new algorithm, one a worker.
        objective: of parameters by name; a list where there are several.
        max_trials: completed trials that end it.
        workers: how many, one slot each.
        turns: seed of who comes next; it must have no say in what an algorithm does.
        trials: that are there already.
        broken: whether the trial of a number fails.
        most_steps: an experiment that goes on for longer is stuck.
        objectives: how many there are.

    Returns:
        the trials. Fewer than `max_trials` are completed where the algorithm had finished.
    """
    trials = trials if trials is not None else Trials()
    dice = random.Random(turns)
    crew = [Worker(trials, make(), objectives) for _ in range(workers)]
    space: Space = crew[0].algorithm.space
    for _ in range(most_steps):
        worker = dice.choice(crew)
        if worker.running and dice.random() < 0.5:
            number = worker.running.pop()
            if broken(number):
                trials.end(number, Status.BROKEN)
            else:
                index = worker.history.index(number)
                assert index is not None
                params = space.params(worker.history.values(index))
                trials.end(number, Status.COMPLETED, objective(params))
            continue
        if trials.count(Status.COMPLETED) >= max_trials:
            return trials
        if dice.random() < 0.7:
            worker.look()
        going = trials.count(Status.COMPLETED, Status.RESERVED)
        if worker.running or going >= max_trials:
            continue
        answer = worker.claim()
        if isinstance(answer, Finished) and not any(other.running for other in crew):
            worker.look()
            if isinstance(worker.claim(), Finished):
                return trials
    raise AssertionError(
        f"the experiment is stuck: {trials.count(Status.COMPLETED)} trials completed of "
        f"{max_trials} after {most_steps} steps"
    )
