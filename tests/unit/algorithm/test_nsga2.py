"""NSGA-II and TPE on several objectives."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from orion_k8s.algorithm import Algorithm
from orion_k8s.algorithm.axes import Axes
from orion_k8s.algorithm.breeding import Breeding
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.space import Space
from orion_k8s.testing.simulated import run
from tests.functions import hypervolume, zdt1

D = 10
SPACE = Space.parse({f"x{i}": "uniform(0, 1)" for i in range(D)})


def objective(params: dict[str, Any]) -> list[float]:
    return zdt1(list(params.values()))


def found(name: str, parameters: dict[str, Any], trials: int, workers: int, seed: int) -> float:
    def make() -> Algorithm:
        return create({name: parameters}, SPACE, seed, 2)

    rows = run(make, objective, trials, workers, turns=seed, objectives=2).rows.values()
    losses = [json.loads(row.losses) for row in rows if row.losses]
    return hypervolume(losses, (1.1, 6.0))


@pytest.mark.parametrize("workers", [1, 8])
def test_both_find_more_of_the_front_than_random_search(workers: int) -> None:
    seeds = range(3)
    random = np.median([found("random", {}, 250, workers, s) for s in seeds])
    nsga2 = np.median([found("nsga2", {"population_size": 20}, 250, workers, s) for s in seeds])
    tpe = np.median([found("tpe", {}, 250, workers, s) for s in seeds])
    assert nsga2 > 1.1 * random and tpe > 1.1 * random


def test_the_same_trials_whoever_asks() -> None:
    def make() -> Algorithm:
        return create({"nsga2": {"population_size": 6}}, SPACE, 3, 2)

    one, two = (run(make, objective, 40, 4, turns=2, objectives=2) for _ in range(2))
    assert one.rows == two.rows


@pytest.mark.parametrize("name", ["cmaes", "de", "asha", "hyperband", "bohb", "dehb", "pbt"])
def test_others_refuse_several_objectives(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}' takes one objective, .* has 2: take"):
        create({name: {}}, SPACE, 1, 2)


@pytest.mark.parametrize("spread", [0.0, 1.0, 20.0])
def test_children_lie_in_the_cube_and_near_their_parents(spread: float) -> None:
    space = Space.parse(
        {"x": "uniform(0, 1)", "c": "choices(['a', 'b', 'c'])", "n": "randint(0, 9)"}
    )
    rng = np.random.default_rng(1)
    breeding = Breeding(Axes.of(space), 0.9, None, spread)
    one, other = np.array([0.25, 0.1, 0.5]), np.array([0.5, 0.9, 0.5])
    children = np.array([breeding.child(rng, one, other) for _ in range(2000)])
    assert ((children >= 0) & (children <= 1)).all()
    away = np.minimum(abs(children[:, 0] - 0.25), abs(children[:, 0] - 0.5))
    assert np.median(away) < 0.15 / (1 + spread) + 1e-3
    cells = {space.decode(child)[0][1] for child in children}
    assert cells == {"a", "b", "c"}  # the third by mutation alone
    same = Breeding(Axes.of(space), 0.0, 0.0, spread)
    assert same.child(rng, one, other).tolist() == one.tolist()


@pytest.mark.parametrize(
    "parameters",
    [{"population_size": 3}, {"crossover": 2}, {"mutation": -1}, {"spread": "wide"}, {"sped": 1}],
)
def test_parameters_are_checked(parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        create({"nsga2": parameters}, SPACE, 1)
