"""Random, grid and Sobol: fixed sequences that any number of workers agree on."""

from __future__ import annotations

import json
import random
from collections import Counter

import numpy as np
import pytest

from orion_k8s.algorithm import Algorithm, Finished, Suggestion
from orion_k8s.algorithm.registry import create
from orion_k8s.history import History
from orion_k8s.space import Space
from orion_k8s.trial import Row, dump_values

SPACES = {
    "continuous": {"x": "uniform(0, 1)", "lr": "loguniform(1e-5, 1)"},
    "mixed": {"x": "normal(0, 1)", "n": "randint(0, 50)", "c": "choices(['a', 'b', 'c'])"},
    "coarse": {"x": "uniform(1, 2, precision=2)"},
    "finite": {"n": "randint(0, 6)", "c": "choices({'a': 0.9, 'b': 0.1})"},
    "shaped": {"w": "uniform(0, 1, shape=3)", "b": "choices([True, False])"},
    "fidelity": {"x": "uniform(0, 1)", "epochs": "fidelity(1, 16)"},
}
NAMES = ("random", "sobol", "gridsearch")


def make(name: str, space: Space, seed: int = 1, **parameters: object) -> Algorithm:
    return create({name: parameters}, space, seed)


def points(algorithm: Algorithm, numbers: range, history: History | None = None) -> list[str]:
    history = history or History(algorithm.space)
    found = [algorithm.suggest(number, 0, history) for number in numbers]
    return [dump_values(one.values) for one in found if isinstance(one, Suggestion)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", sorted(SPACES))
def test_a_number_has_its_point_whoever_asks_and_in_whatever_order(name: str, kind: str) -> None:
    space = Space.parse(SPACES[kind])
    history = History(space)
    one = points(make(name, space), range(10))
    shuffled = list(range(10))
    random.Random(3).shuffle(shuffled)
    fresh = make(name, space)
    other = {n: fresh.suggest(n, 0, history) for n in shuffled}
    found = [dump_values(v.values) for n in range(10) if isinstance(v := other[n], Suggestion)]
    assert found == one
    assert len(set(one)) == len(one)


@pytest.mark.parametrize("name", ["random", "sobol"])
def test_another_seed_gives_another_set(name: str) -> None:
    space = Space.parse(SPACES["continuous"])
    assert set(points(make(name, space, 1), range(20))) != set(
        points(make(name, space, 2), range(20))
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["finite", "coarse"])
def test_a_finite_space_is_used_up_exactly(name: str, kind: str) -> None:
    space = Space.parse(SPACES[kind])
    size = int(space.cardinality)
    algorithm = make(name, space)
    found = points(algorithm, range(size))
    assert len(set(found)) == size
    end = algorithm.suggest(size, 0, History(space))
    assert isinstance(end, Finished)
    assert f"all {size} points" in end.reason


def test_weights_are_kept_in_a_finite_space() -> None:
    space = Space.parse(SPACES["finite"])
    first = Counter(
        json.loads(points(make("random", space, seed), range(1))[0])[1] for seed in range(300)
    )
    assert 240 <= first["a"] <= 295


def test_random_draws_fill_the_unit_cube() -> None:
    space = Space.parse(
        {"x": "uniform(0, 1, precision=None)", "y": "uniform(0, 1, precision=None)"}
    )
    found = np.array([json.loads(text) for text in points(make("random", space), range(2000))])
    assert abs(found.mean(axis=0) - 0.5).max() < 0.03
    assert abs(np.corrcoef(found.T)[0, 1]) < 0.08


def test_sobol_covers_more_evenly_than_random() -> None:
    from scipy.stats import qmc

    space = Space.parse(
        {"x": "uniform(0, 1, precision=None)", "y": "uniform(0, 1, precision=None)"}
    )
    spread = {
        name: qmc.discrepancy(
            np.array([json.loads(t) for t in points(make(name, space), range(256))])
        )
        for name in ("random", "sobol")
    }
    assert spread["sobol"] < spread["random"] / 3


def test_the_grid_mixes_levels_log_scales_and_whole_dimensions() -> None:
    space = Space.parse(
        {"lr": "loguniform(0.001, 1)", "n": "randint(0, 3)", "c": "choices(['a', 'b'])"}
    )
    found = [
        json.loads(text) for text in points(make("gridsearch", space, n_values=4), range(100))
    ]
    assert len(found) == 4 * 3 * 2
    assert found[0] == [0.001, 0, "a"] and found[1] == [0.001, 0, "b"]
    assert sorted({row[0] for row in found}) == [0.001, 0.01, 0.1, 1.0]


def test_a_grid_of_many_dimensions_is_never_built() -> None:
    space = Space.parse({f"x{i}": "uniform(0, 1)" for i in range(20)})
    assert len(points(make("gridsearch", space), range(5))) == 5


def test_the_grid_takes_levels_by_name() -> None:
    space = Space.parse({"x": "uniform(0, 1)", "y": "uniform(0, 1)"})
    assert len(points(make("gridsearch", space, n_values={"x": 2, "y": 3}), range(100))) == 6


def test_inserted_points_are_passed_over_in_order() -> None:
    space = Space.parse(SPACES["finite"])
    plain = points(make("random", space), range(12))
    history = History(space)
    history.fill([Row(-1, "new", None, plain[2], "a"), Row(-2, "new", None, plain[3], "b")])
    assert points(make("random", space), range(10), history) == plain[:2] + plain[4:]
    assert isinstance(make("random", space).suggest(10, 0, history), Finished)


def test_a_refused_point_moves_on_to_one_that_nobody_has() -> None:
    space = Space.parse(SPACES["continuous"])
    plain = points(make("random", space), range(10))
    history = History(space)
    history.fill([Row(n, "reserved", None, plain[n], str(n)) for n in (4, 5)])
    found = make("random", space).suggest(4, 1, history)
    assert isinstance(found, Suggestion) and dump_values(found.values) == plain[6]


def test_a_removed_point_of_a_finite_space_is_tried_again() -> None:
    space = Space.parse(SPACES["finite"])
    plain = points(make("random", space), range(12))
    history = History(space)
    history.fill([Row(n, "completed", 1.0, plain[n], str(n)) for n in range(12) if n != 7])
    history.fill([Row(7, "removed", None, "", "7")])
    found = make("random", space).suggest(12, 0, history)
    assert isinstance(found, Suggestion) and dump_values(found.values) == plain[7]


def test_rare_cells_of_a_large_finite_space_are_reached_at_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from orion_k8s.algorithm import random as module
    from orion_k8s.algorithm import sequence

    monkeypatch.setattr(module, "_SMALL", 10)
    monkeypatch.setattr(sequence, "_PATIENCE", 500)
    space = Space.parse({"c": "choices({'a': 0.999999, 'b': 0.000001})", "n": "randint(0, 20)"})
    assert len(set(points(make("random", space), range(60)))) == 40


def test_the_fidelity_is_given_whole() -> None:
    space = Space.parse(SPACES["fidelity"])
    assert json.loads(points(make("random", space), range(1))[0])[1] == 16
