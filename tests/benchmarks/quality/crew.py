"""Many trials in flight, in virtual time, for any tuner that is asked and told."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any, Protocol

from orion_k8s.algorithm import Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import MOST_ATTEMPTS, Trials
from orion_k8s.trial import Status


class Tuner(Protocol):
    """What is compared."""

    def ask(self) -> tuple[Any, dict[str, Any]] | None:
        """Return a key of the next trial, and its parameters; None where there is none now."""

    def tell(self, key: Any, objective: float) -> None:
        """Take in a result."""


class Ours:
    """One of our algorithms on a simulated history."""

    def __init__(self, priors: dict[str, str], seed: int, name: str, **parameters: Any) -> None:
        self.space = Space.parse(priors)
        self.algorithm = create({name: parameters}, self.space, seed)
        self.trials, self.history = Trials(), History(self.space)

    def ask(self) -> tuple[int, dict[str, Any]] | None:
        number = len(self.trials.rows)
        for attempt in range(MOST_ATTEMPTS):
            answer = self.algorithm.suggest(number, attempt, self.history)
            if not isinstance(answer, Suggestion):
                return None
            if not self.trials.claim(number, answer):
                self.history.fill([self.trials.rows[number]])
                return number, self.space.params(answer.values)
        raise AssertionError(f"number {number}: no free point")

    def tell(self, key: int, objective: float) -> None:
        self.trials.end(key, Status.COMPLETED, objective)
        self.history.fill([self.trials.rows[key]])


class Optuna:
    """A sampler of Optuna's on a study in memory."""

    def __init__(self, priors: dict[str, str], seed: int, sampler: str, **parameters: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.study = optuna.create_study(
            sampler=getattr(optuna.samplers, sampler)(seed=seed, **parameters)
        )
        self.distributions = {
            dimension.name: self._distribution(dimension)
            for dimension in Space.parse(priors).dimensions
        }

    @staticmethod
    def _distribution(dimension: Any) -> Any:
        import optuna.distributions as d

        if dimension.kind == "categorical":
            return d.CategoricalDistribution(dimension.categories)
        low, high = dimension.interval
        log = dimension.head[0] == "loguniform"
        if dimension.kind == "integer":
            return d.IntDistribution(low, high, log=log)
        return d.FloatDistribution(low, high, log=log)

    def ask(self) -> tuple[Any, dict[str, Any]]:
        trial = self.study.ask(self.distributions)
        return trial, trial.params

    def tell(self, key: Any, objective: float) -> None:
        self.study.tell(key, objective)


def run(
    tuner: Tuner,
    objective: Callable[[dict[str, Any]], float],
    trials: int,
    workers: int,
    seed: int,
) -> list[float]:
    """Return the objectives of so many trials in the order of their ends.

    A trial's duration is log-normal (σ = 0.5), whatever its parameters.
    """
    dice = random.Random(seed)
    now, order, found = 0.0, 0, []
    running: list[tuple[float, int, Any, float]] = []
    while len(found) < trials:
        while len(running) < workers and order < trials:
            asked = tuner.ask()
            assert asked is not None, "the table is used up"
            key, params = asked
            heapq.heappush(
                running, (now + dice.lognormvariate(0.0, 0.5), order, key, objective(params))
            )
            order += 1
        now, _, key, value = heapq.heappop(running)
        tuner.tell(key, value)
        found.append(value)
    return found
