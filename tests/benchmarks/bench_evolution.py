"""Evolution: what a suggestion costs as the history grows, a new worker's, and what is found."""

from __future__ import annotations

import heapq
import math
import random
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from orion_k8s.algorithm import Algorithm, Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, dump_values
from tests.benchmarks.bench_tpe import MIXED
from tests.benchmarks.figures import SPACE, say
from tests.functions import ellipsoid, rastrigin, rosenbrock, sphere

SPACES = {"10 reals": SPACE, "4 reals, 3 integers, 3 categories": MIXED}
COUNTS = (1_000, 10_000, 100_000)
SUGGESTIONS = 400
IN_FLIGHT = 8
Function = Callable[[Sequence[float]], float]


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


def best(name: str, width: int, function: Function, flight: int, seed: int) -> float:
    """Return the lowest objective of so many trials in flight, which take random times."""
    space = Space.parse({f"x{i}": "uniform(0, 1, precision=None)" for i in range(width)})
    algorithm, history = create({name: {}}, space, seed), History(space)
    dice, now, found = random.Random(seed), 0.0, math.inf
    running: list[tuple[float, int, Row]] = []
    for number in range(40 * width):
        answer = algorithm.suggest(number, 0, history)
        assert isinstance(answer, Suggestion)
        text = dump_values(answer.values)
        row = Row(number, "reserved", None, text, f"t{number}", None, answer.decision)
        history.fill([row])
        value = function(answer.values)
        found = min(found, value)
        row = row._replace(status="completed", objective=value)
        heapq.heappush(running, (now + dice.expovariate(1), number, row))
        if len(running) == flight:
            now, _, row = heapq.heappop(running)
            history.fill([row])
    return found


def packages(width: int, function: Function, seed: int) -> float:
    """Return the lowest objective of the loop of the package cmaes."""
    from cmaes import CMA

    sides = np.tile([0.0, 1.0], (width, 1))
    optimizer, found = CMA(np.full(width, 0.5), 0.2, sides, seed=seed), []
    while len(found) < 40 * width:
        points = [optimizer.ask() for _ in range(optimizer.population_size)]
        told = [(point, function(point)) for point in points]
        found += [value for _, value in told]
        optimizer.tell(told)
    return min(found[: 40 * width])


@pytest.mark.parametrize("width", [5, 10])
@pytest.mark.parametrize("function", [sphere, rosenbrock, ellipsoid, rastrigin])
def test_what_they_find(function: Function, width: int) -> None:
    seeds = range(15)
    say(f"{function.__name__}, {width} dimensions: best of {40 * width} trials, median", "")
    theirs = statistics.median(packages(width, function, seed) for seed in seeds)
    say("  the package cmaes", f"{theirs:.2g}")
    for name in ("cmaes", "de", "random"):
        for flight in (1, 8):
            ours = statistics.median(best(name, width, function, flight, s) for s in seeds)
            say(f"  {name}, {flight} in flight", f"{ours:.2g}")
