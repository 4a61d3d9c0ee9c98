"""Dimensions that are there only sometimes, with real workers."""

from __future__ import annotations

from typing import Any

import pytest

from orion_k8s import Status, build_experiment
from orion_k8s.errors import DuplicateTrial, InvalidParams, SpaceChanged

SPACE = {
    "optimizer": "choices(['sgd', 'adam', 'none'])",
    "lr": {"sgd": "randint(1, 6, when=\"optimizer == 'sgd'\")"},
    "momentum": "choices([0.5, 0.9], when='lr.sgd > 3')",
}
POINTS = 2 + 3 + 2 * 2

WORKER = """
import sys
from orion_k8s import build_experiment

def loss(optimizer, lr=None, momentum=None):
    assert (lr is not None) == (optimizer == "sgd")
    assert (momentum is not None) == (lr is not None and lr["sgd"] > 3)
    return len(optimizer)

with build_experiment("e", storage=sys.argv[1], heartbeat=0.5) as experiment:
    print(experiment.workon(loss, n_workers=2))
"""


@pytest.mark.parametrize("algorithm", ["gridsearch", "random", "tpe"])
def test_a_finite_space_ends_when_each_distinct_point_was_tried(
    url: str, scripts: Any, algorithm: str
) -> None:
    with build_experiment("e", space=SPACE, storage=url, algorithm=algorithm) as experiment:
        workers = [scripts.start(WORKER, url) for _ in range(2)]
        outs = [worker.communicate(timeout=120) for worker in workers]
        assert [(w.returncode, err) for w, (_, err) in zip(workers, outs, strict=True)] == [
            (0, "")
        ] * 2
        trials = experiment.fetch_trials()
        assert [t.status for t in trials] == [Status.COMPLETED] * POINTS
        seen = {tuple(sorted(t.params.items())) for t in trials}
        assert len(seen) == POINTS and (("optimizer", "adam"),) in seen
        assert experiment.is_done
        table = experiment.to_pandas()
        assert table["momentum"].notna().sum() == 4


def test_a_person_gives_what_is_there(url: str) -> None:
    with build_experiment("e", space=SPACE, storage=url, max_trials=3) as experiment:
        inserted = experiment.insert({"optimizer": "adam"}, 1.0)
        assert inserted.params == {"optimizer": "adam"} == inserted.arguments
        with pytest.raises(DuplicateTrial):
            experiment.insert({"optimizer": "adam"}, 2.0)
        with pytest.raises(InvalidParams, match=r"lr.sgd is there only when optimizer == 'sgd'"):
            experiment.insert({"optimizer": "adam", "lr.sgd": 2}, 1.0)
        trial = experiment.enqueue({"optimizer": "sgd", "lr": {"sgd": 4}, "momentum": 0.9})
        assert trial.arguments == {"optimizer": "sgd", "lr": {"sgd": 4}, "momentum": 0.9}
        with pytest.raises(SpaceChanged, match="momentum"):
            build_experiment("e", storage=url, space={**SPACE, "momentum": "choices([0.5, 0.9])"})
