"""Several objectives: what a suggestion costs at any length, and how much of a front is found.

The front is told by its hypervolume below a corner, of what there is at most.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Algorithm
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.testing.simulated import run
from orion_k8s.trial import Row
from tests.benchmarks.figures import say
from tests.functions import hypervolume, zdt1, zdt2

SPACE = Space.parse({f"x{i}": "uniform(0, 1)" for i in range(10)})
CORNER = (1.1, 6.0)
FUNCTIONS: dict[str, tuple[Callable[[Sequence[float]], list[float]], Callable[[float], float]]] = {
    "zdt1": (zdt1, lambda f1: 1 - f1**0.5),
    "zdt2": (zdt2, lambda f1: 1 - f1**2),
}
SEEDS = 15
TRIALS = 300
SUGGESTIONS = 100


@pytest.mark.parametrize("name", ["nsga2", "tpe"])
@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("count", [1_000, 10_000, 100_000])
def test_a_suggestion_costs_the_same_at_any_length(name: str, objectives: int, count: int) -> None:
    dice = np.random.default_rng(0)
    history = History(SPACE, objectives=objectives)

    def row(number: int) -> Row:
        point, losses = dice.random(10).round(4).tolist(), dice.random(objectives).tolist()
        texts = json.dumps(point), f"t{number}"
        return Row(number, "completed", losses[0], *texts, losses=json.dumps(losses))

    history.fill(map(row, range(count)))
    algorithm = create({name: {}}, SPACE, 1, objectives)
    begun = time.process_time()
    algorithm.suggest(count, 0, history)
    first = time.process_time() - begun
    took = []
    for number in range(count, count + SUGGESTIONS):
        history.fill([row(number)])
        begun = time.process_time()
        algorithm.suggest(number + 1, 0, history)
        took.append(time.process_time() - begun)
    say(
        f"{name}, {objectives} objectives, {count} trials",
        f"{1e3 * statistics.median(took):.2f} ms",
        f"a new worker's first {first:.2f} s",
    )


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("in_flight", [1, 8])
def test_how_much_of_the_front_is_found(function: str, in_flight: int) -> None:
    objective, curve = FUNCTIONS[function]
    firsts = np.linspace(0, 1, 2001).tolist()
    most = hypervolume([(f1, curve(f1)) for f1 in firsts], CORNER)

    def measured(params: dict[str, Any]) -> list[float]:
        return objective(list(params.values()))

    said = []
    for name in ("random", "nsga2", "tpe"):
        shares = []
        for seed in range(SEEDS):

            def make(name: str = name, seed: int = seed) -> Algorithm:
                return create({name: {}}, SPACE, seed, 2)

            rows = run(make, measured, TRIALS, in_flight, turns=seed, objectives=2).rows.values()
            losses = [json.loads(row.losses) for row in rows if row.losses]
            shares.append(hypervolume(losses, CORNER) / most)
        said.append(f"{name} {statistics.median(shares):.3f}")
    say(f"{function}, {TRIALS} trials, {in_flight} in flight", ", ".join(said))
