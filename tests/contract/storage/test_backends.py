"""The conformance suite on the backends that come with orion-k8s."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from orion_k8s.storage import Storage
from orion_k8s.storage.memory import Memory
from orion_k8s.storage.url import open_storage
from orion_k8s.testing.storage import StorageContract
from orion_k8s.trial import new_id


class TestSQLite(StorageContract):
    @pytest.fixture
    def storage_factory(self, tmp_path: Path) -> Callable[[], Storage]:
        return partial(open_storage, f"sqlite:///{tmp_path}/with space/history.sqlite")


class TestMemory(StorageContract):
    across_processes = False

    @pytest.fixture
    def storage_factory(self) -> Iterator[Callable[[], Storage]]:
        name = new_id()
        yield partial(open_storage, f"memory://{name}")
        Memory(name).drop()


NEED_KEYS_BACK = {
    "test_a_tombstone_keeps_its_number_and_gives_up_its_keys",
    "test_an_inserted_tombstone_keeps_its_number",
    "test_a_tombstone_that_was_put_back_holds_its_number_alone",
}


@pytest.mark.mongo
class TestMongoDB(StorageContract):
    @pytest.fixture
    def storage_factory(
        self, request: pytest.FixtureRequest, mongodb_name: str
    ) -> Callable[[], Storage]:
        strict = request.node.originalname in NEED_KEYS_BACK
        uri = request.getfixturevalue("strict_mongodb_uri" if strict else "mongodb_uri")
        return partial(open_storage, uri, name=mongodb_name)
