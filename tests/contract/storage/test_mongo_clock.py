"""What only MongoDB does with leases: the server's clock jumps, a worker's does not matter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pymongo
import pytest

from orion_k8s.storage.mongo import MongoDB
from orion_k8s.testing.storage.setting import claim_of, lease_of, record_of, until
from orion_k8s.trial import Status

pytestmark = pytest.mark.mongo


@pytest.fixture
def storage(mongodb_uri: str, mongodb_name: str) -> Iterator[MongoDB]:
    with MongoDB(mongodb_uri, mongodb_name) as storage:
        storage.setup()
        yield storage


def test_a_lease_further_ahead_than_its_length_is_cut(
    storage: MongoDB, mongodb_uri: str, mongodb_name: str
) -> None:
    """As a primary whose clock was an hour ahead leaves it."""
    record, claim = record_of(), claim_of(0)
    storage.create_experiment(record)
    storage.claim(record.id, claim, 0.3)
    with pymongo.MongoClient(mongodb_uri) as client:
        trials = client[mongodb_name]["trials"]
        stored = trials.find_one({"_id": claim.id})
        assert stored is not None
        trials.update_one(
            {"_id": claim.id}, {"$set": {"lease": stored["lease"] + timedelta(hours=1)}}
        )
    assert storage.requeue_lost(record.id, 3) == []  # it is cut, and runs for its length
    until(lambda: storage.requeue_lost(record.id, 3) == [(0, Status.INTERRUPTED)])


def test_a_lease_that_runs_is_not_cut(storage: MongoDB) -> None:
    record, claim = record_of(), claim_of(0)
    storage.create_experiment(record)
    storage.claim(record.id, claim, 60.0)
    assert storage.requeue_lost(record.id, 3) == []
    assert storage.renew([lease_of(claim)], 60.0) == {}
