"""What KEDA asks the database: is there an experiment that workers are wanted for?"""

from __future__ import annotations

from collections.abc import Iterator

import pymongo
import pytest

from orion_k8s import build_experiment
from orion_k8s.client import ExperimentClient
from orion_k8s.errors import BrokenExperiment
from orion_k8s.storage.mongo import MongoDB
from orion_k8s.storage.mongo_documents import DEMAND
from orion_k8s.trial import Status

pytestmark = pytest.mark.mongo


class Scaler:
    """Counts documents, as KEDA's scaler of MongoDB does."""

    def __init__(self, uri: str, name: str) -> None:
        self._client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(uri)
        self._experiments = self._client[name].experiments

    def demand(self, name: str = "e") -> int:
        return self._experiments.count_documents({"name": name, **DEMAND})

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def scaler(mongodb_uri: str, mongodb_name: str) -> Iterator[Scaler]:
    scaler = Scaler(mongodb_uri, mongodb_name)
    yield scaler
    scaler.close()


@pytest.fixture
def experiment(mongodb_uri: str, mongodb_name: str) -> Iterator[ExperimentClient]:
    with (
        MongoDB(mongodb_uri, mongodb_name) as storage,
        build_experiment(
            "e",
            space={"x": "uniform(0, 4, discrete=True)"},
            algorithm="gridsearch",
            max_trials=2,
            max_broken=1,
            storage=storage,
        ) as client,
    ):
        yield client


def test_demand_ends_with_the_experiment_and_comes_back(
    experiment: ExperimentClient, scaler: Scaler
) -> None:
    assert scaler.demand() == 1
    experiment.workon(lambda x: x)
    assert scaler.demand() == 0
    experiment.max_trials = 3
    assert scaler.demand() == 1
    experiment.workon(lambda x: x)
    assert scaler.demand() == 0
    storage = experiment.storage
    trial = next(iter(experiment.fetch_trials()))
    storage.set_status(experiment.id, trial.id, Status.REMOVED, "by hand")
    assert scaler.demand() == 1
    experiment.workon(lambda x: x)
    assert scaler.demand() == 0


def test_no_demand_where_the_goal_is_reached(experiment: ExperimentClient, scaler: Scaler) -> None:
    experiment.max_trials = 5
    experiment.goal = 1.0
    experiment.workon(lambda x: x)
    assert scaler.demand() == 0
    experiment.goal = -1.0
    assert scaler.demand() == 1
    experiment.workon(lambda x: x)  # until the space is used up
    assert scaler.demand() == 0


def test_no_demand_where_the_space_is_used_up(
    experiment: ExperimentClient, scaler: Scaler
) -> None:
    experiment.max_trials = 10
    experiment.workon(lambda x: x)
    assert scaler.demand() == 0


def test_no_demand_where_it_is_broken(experiment: ExperimentClient, scaler: Scaler) -> None:
    def fails(x: int) -> float:
        raise ValueError("it does not work")

    with pytest.raises(BrokenExperiment):
        experiment.workon(fails)
    assert scaler.demand() == 0
    experiment.max_broken = 2
    assert scaler.demand() == 1


def test_a_word_that_comes_late_does_no_harm(experiment: ExperimentClient, scaler: Scaler) -> None:
    """Of a worker that saw the end before somebody raised the limit."""
    storage = experiment.storage
    before = storage.experiment(experiment.id)
    assert before is not None
    experiment.max_trials = 3
    storage.mark_ended(before)
    assert scaler.demand() == 1
