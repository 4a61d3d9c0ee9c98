"""Evolution strategies: what a suggestion costs as the history grows, and what a new worker's."""

from __future__ import annotations

import random
import time

import pytest

from orion_k8s.algorithm import Algorithm, Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, dump_values
from tests.benchmarks.bench_tpe import MIXED
from tests.benchmarks.figures import SPACE, say

SPACES = {"10 reals": SPACE, "4 reals, 3 integers, 3 categories": MIXED}
COUNTS = (1_000, 10_000, 100_000)
SUGGESTIONS = 400
IN_FLIGHT = 8


class Experiment:
    """One worker of eight slots on a noisy bowl, which no run of a strategy is ever done with."""

    def __init__(self, name: str, priors: dict[str, str]) -> None:
        self.name, self.space = name, Space.parse(priors)
        self.algorithm = self.make()
        self.history, self.rows, self.dice = History(self.space), [], random.Random(1)

    def make(self) -> Algorithm:
        return create({self.name: {}}, self.space, 1)

    def step(self) -> None:
        number = len(self.rows)
        answer = self.algorithm.suggest(number, 0, self.history)
        assert isinstance(answer, Suggestion)
        text = dump_values(answer.values)
        self.rows.append(
            Row(number, "reserved", None, text, f"t{number}", answer.parent, answer.decision)
        )
        self.history.fill(self.rows[-1:])
        if number >= IN_FLIGHT:
            ended = number - IN_FLIGHT
            distance = float(((self.history.points[ended] - 0.3) ** 2).sum())
            self.rows[ended] = self.rows[ended]._replace(
                status="completed", objective=distance + 0.1 * self.dice.random()
            )
            self.history.fill([self.rows[ended]])


@pytest.mark.parametrize("kind", SPACES)
@pytest.mark.parametrize("name", ["cmaes", "de"])
def test_a_suggestion(name: str, kind: str) -> None:
    experiment = Experiment(name, SPACES[kind])
    say(f"{name}, {kind}", "")
    for count in COUNTS:
        while len(experiment.rows) < count - SUGGESTIONS:
            experiment.step()
        began = time.process_time()
        while len(experiment.rows) < count:
            experiment.step()
        took = (time.process_time() - began) / SUGGESTIONS * 1e3
        say(f"  a suggestion at {count:,} trials, ms of the processor", f"{took:.2f}", "goal 2")
        began = time.process_time()
        fresh = History(experiment.space)
        fresh.fill(experiment.rows)
        answer = experiment.make().suggest(count, 0, fresh)
        took = time.process_time() - began
        assert answer == experiment.algorithm.suggest(count, 0, experiment.history)
        say(f"  a new worker's first at {count:,}, mirror included, s", f"{took:.2f}",
            "goal 0.5" if count == 10_000 else "")  # fmt: skip
