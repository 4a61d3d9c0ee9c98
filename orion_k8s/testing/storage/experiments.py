"""Tests of the database itself and of the experiments' records."""

# ruff: noqa: D102  (a test's name says it)

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest

from orion_k8s.errors import ExperimentExists, NotFound, UsageError
from orion_k8s.storage import Storage
from orion_k8s.storage.base import SCHEMA
from orion_k8s.testing.storage.setting import LONG_S, Setting, claim_of, record_of
from orion_k8s.trial import Status

NAMES = [
    "plain",
    "with spaces  and\ttabs",
    "Größe 実験 🦉",
    "$where.$set",
    "a.b.$c",
    "'; DROP TABLE trials; --",
    '"quoted" \\ back',
    "é" * 300,
    " ",
]


class ExperimentContract(Setting):
    """The database, and the experiments in it."""

    def test_setup_may_be_repeated(self, storage: Storage, other: Storage) -> None:
        storage.setup()
        other.setup()
        assert storage.schema_version() == other.schema_version() == SCHEMA

    def test_an_empty_database_has_no_schema(self, storage_factory: Callable[[], Storage]) -> None:
        with storage_factory() as storage:
            assert storage.schema_version() is None

    def test_upgrade_of_the_current_schema_changes_nothing(
        self, storage: Storage, experiment: str
    ) -> None:
        before = storage.experiments()
        assert storage.upgrade() == (SCHEMA, SCHEMA)
        assert storage.experiments() == before

    def test_upgrade_sets_an_empty_database_up(
        self, storage_factory: Callable[[], Storage]
    ) -> None:
        with storage_factory() as storage:
            assert storage.upgrade() == (SCHEMA, SCHEMA)
            storage.create_experiment(record_of())

    def test_it_says_where_it_is(self, storage: Storage) -> None:
        assert storage.describe()
        assert storage.kind

    def test_a_closed_storage_can_be_used_again(self, storage: Storage, experiment: str) -> None:
        storage.close()
        storage.close()
        assert storage.experiment(experiment) is not None

    def test_threads_share_a_storage(self, storage: Storage, experiment: str) -> None:
        refused: list[object] = []

        def claim(start: int) -> None:
            for number in range(start, start + 10):
                refused.extend(storage.claim(experiment, claim_of(number), LONG_S))

        threads = [threading.Thread(target=claim, args=(10 * i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert refused == []
        assert storage.counts(experiment) == {Status.RESERVED: 80}

    # --- experiments -----------------------------------------------------------------------------

    def test_what_was_stored_is_read_back(self, storage: Storage, other: Storage) -> None:
        record = record_of(
            version=7,
            space={"a.b": "uniform(0, 1)", "$x": "normal(0, 1)", "": "choices(['ü', '$'])"},
            algorithm={"tpe": {"gamma": 0.25, "n": 3, "deep": {"$a.b": [1, None, True]}}},
            seed=2**200,
            max_trials=None,
            max_broken=5,
            working_dir="/tmp/with space/ü",
            metadata={"$k.e.y": {"nested": [1.5, "x", None]}, "command": ["{x}", "$HOME"]},
            goal={"objectives": {"$a.b": "maximize", "": "minimize"}, "goal": {"$a.b": 0.5}},
        )
        storage.create_experiment(record)
        assert other.experiment(record.id) == record
        assert list(other.experiments()[0].space) == ["a.b", "$x", ""]  # in order

    @pytest.mark.parametrize("name", NAMES)
    def test_any_name_works(self, storage: Storage, name: str) -> None:
        record = record_of(name=name)
        storage.create_experiment(record)
        assert storage.experiments(name) == [record]
        with pytest.raises(ExperimentExists):
            storage.create_experiment(record_of(name=name))
        claim = claim_of(0, worker=name, decision=name)
        assert not storage.claim(record.id, claim, LONG_S)
        assert storage.live_workers(record.id) == [name]
        assert self.get(storage, record.id).decision == name

    def test_name_and_version_are_unique(self, storage: Storage, other: Storage) -> None:
        storage.create_experiment(record_of())
        with pytest.raises(ExperimentExists, match="some experiment"):
            other.create_experiment(record_of())
        other.create_experiment(record_of(version=2))
        assert [r.version for r in storage.experiments("some experiment")] == [1, 2]

    def test_creating_it_once_more_is_content(self, storage: Storage) -> None:
        record = record_of()
        storage.create_experiment(record)
        storage.create_experiment(record)
        assert storage.experiments() == [record]

    def test_experiments_are_ordered_by_name_and_version(self, storage: Storage) -> None:
        for name, version in [("b", 2), ("a", 10), ("b", 1), ("a", 9), ("ä", 1), ("B", 1)]:
            storage.create_experiment(record_of(name=name, version=version))
        found = [(r.name, r.version) for r in storage.experiments()]
        assert found == [("B", 1), ("a", 9), ("a", 10), ("b", 1), ("b", 2), ("ä", 1)]
        assert [r.version for r in storage.experiments("a")] == [9, 10]
        assert storage.experiments("nobody") == []

    def test_an_unknown_experiment_is_none(self, storage: Storage) -> None:
        assert storage.experiment("0" * 24) is None

    def test_update_changes_what_was_asked(self, storage: Storage, other: Storage) -> None:
        record = record_of()
        storage.create_experiment(record)
        changes = {
            "max_trials": None,
            "max_broken": 9,
            "working_dir": "$elsewhere",
            "algorithm": {"tpe": {"a.b": 1}},
            "metadata": {"$user": "eve"},
            "goal": {"direction": "maximize", "goal": 0.5},
        }
        for key, value in changes.items():
            other.update_experiment(record.id, {key: value})
        assert storage.experiment(record.id) == dataclasses.replace(record, **changes)  # type: ignore[arg-type]

    @pytest.mark.parametrize("key", ["id", "name", "version", "space", "seed", "generation", "x"])
    def test_update_changes_nothing_else(
        self, storage: Storage, experiment: str, key: str
    ) -> None:
        before = storage.experiment(experiment)
        with pytest.raises(UsageError, match=key):
            storage.update_experiment(experiment, {key: 1, "max_trials": 99})
        assert storage.experiment(experiment) == before

    def test_update_of_an_unknown_experiment_is_refused(self, storage: Storage) -> None:
        for changes in ({"max_trials": 3}, {}):
            with pytest.raises(NotFound):
                storage.update_experiment("0" * 24, changes)

    def test_remove_takes_the_trials_along_and_nothing_else(
        self, storage: Storage, experiment: str
    ) -> None:
        kept = record_of(name="kept")
        storage.create_experiment(kept)
        for number in range(3):
            self.claimed(storage, experiment, number)
        survivor = self.claimed(storage, kept.id)
        assert storage.remove_experiment(experiment) == 3
        assert storage.experiment(experiment) is None
        assert list(storage.read_all(experiment)) == []
        assert storage.trial(kept.id, survivor.trial) is not None
        assert storage.remove_experiment(experiment) == 0

    def test_the_name_is_free_after_remove(self, storage: Storage, experiment: str) -> None:
        storage.remove_experiment(experiment)
        again = record_of()
        storage.create_experiment(again)
        assert storage.counts(again.id) == {}
        self.claimed(storage, again.id)
