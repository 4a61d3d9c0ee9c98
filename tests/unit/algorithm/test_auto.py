"""What `auto` takes, and that all workers take the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orion_k8s import build_experiment
from orion_k8s.algorithm.auto import choose
from orion_k8s.algorithm.registry import create
from orion_k8s.errors import ConfigurationError
from orion_k8s.history import History
from orion_k8s.space import Space

PLANE = {"x": "uniform(0, 1)", "y": "uniform(0, 1)"}
WIDE = {f"x{i}": "uniform(0, 1)" for i in range(30)}
NAMES = {"c": "choices(['a', 'b', 'c'], shape=3)", "x": "uniform(0, 1)"}
MANY = {"c": f"choices({list(range(10_000))})", **PLANE}


@pytest.mark.parametrize(
    ("priors", "max_trials", "name"),
    [
        (PLANE, 100, "gp"),
        (PLANE, 10, "sobol"),
        (PLANE, 10_000, "tpe"),
        (PLANE, None, "tpe"),
        ({**PLANE, "e": "fidelity(1, 27, base=3)"}, 100, "bohb"),
        ({**PLANE, "e": "fidelity(1, 27, base=1)"}, 100, "gp"),
        ({**PLANE, "e": "fidelity(9, 9)"}, 100, "gp"),
        ({"n": "randint(0, 50)"}, 50, "random"),
        ({"n": "randint(0, 51)"}, 50, "gp"),
        (NAMES, 100, "gp"),
        (WIDE, 100, "gp"),
        (WIDE, 300, "turbo"),
        (MANY, 100, "tpe"),
    ],
)
def test_what_it_takes(priors: dict[str, Any], max_trials: int | None, name: str) -> None:
    space = Space.parse(priors)
    choice = choose(space, max_trials)
    assert choice.name == name and choice.reason
    algorithm = create({"auto": {}}, space, 1, max_trials=max_trials)
    assert algorithm.remark == f"{name}: {choice.reason}"
    alone = create({name: {}}, space, 1)
    assert algorithm.suggest(0, 0, History(space)) == alone.suggest(0, 0, History(space))


def test_a_budget_of_its_own() -> None:
    space = Space.parse(PLANE)
    own = create({"auto": {"max_trials": 5_000}}, space, 1, max_trials=100)
    assert own.remark.startswith("tpe")
    with pytest.raises(ConfigurationError, match="auto: max_trials must be a whole number"):
        create({"auto": {"max_trials": "many"}}, space, 1)


def test_it_follows_the_experiment_s_record(tmp_path: Path) -> None:
    storage = str(tmp_path / "history.db")
    for _ in range(2):  # made, and joined
        client = build_experiment(
            "e", space=PLANE, algorithm="auto", max_trials=200, storage=storage
        )
        assert client.remark.startswith("gp: 200 trials in 2 dimensions")
        client.close()
    client = build_experiment("e", algorithm="auto", max_trials=2_000, storage=storage)
    assert client.remark.startswith("tpe") and client.record.algorithm == {"auto": {}}
    client.close()
