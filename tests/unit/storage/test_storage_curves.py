"""A SQLite file that was made before there were learning curves."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from orion_k8s.errors import DamagedDatabase
from orion_k8s.storage.sqlite import SQLite
from orion_k8s.testing.storage.curves import curve_of
from orion_k8s.testing.storage.setting import LONG_S, claim_of, lease_of, record_of
from orion_k8s.trial import Status


@pytest.fixture
def older(tmp_path: Path) -> tuple[Path, str]:
    """A file with one trial and no table of curves, and its experiment."""
    path, record = tmp_path / "history.db", record_of()
    with SQLite(path) as storage:
        storage.setup()
        storage.create_experiment(record)
        storage.claim(record.id, claim_of(0), LONG_S)
    with sqlite3.connect(path) as file:
        file.execute("DROP TABLE curves")
    file.close()
    return path, record.id


def test_it_is_read_as_it_is(older: tuple[Path, str]) -> None:
    path, experiment = older
    with SQLite(path) as storage:
        assert list(storage.read_curves(experiment)) == []
        assert list(storage.read_curves(experiment, {0: 0})) == []
        storage.set_status(experiment, "0", Status.REMOVED, "")
        assert storage.remove_experiment(experiment) == 0


@pytest.mark.parametrize("verb", ["setup", "upgrade"])
def test_the_table_is_made_where_work_begins(older: tuple[Path, str], verb: str) -> None:
    path, experiment = older
    with SQLite(path) as storage:
        getattr(storage, verb)()
        getattr(storage, verb)()
        claim = claim_of(1)
        storage.claim(experiment, claim, LONG_S)
        storage.write_curves([(lease_of(claim), curve_of(1))])
        assert list(storage.read_curves(experiment)) == [curve_of(1)]
        assert len(list(storage.trials(experiment))) == 2


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "[1, 3, [1], [2, 3], {}]", '[1, 1, ["a"], [1], {}]']
)
def test_a_damaged_curve_is_said(older: tuple[Path, str], text: str) -> None:
    path, experiment = older
    with SQLite(path) as storage:
        storage.setup()
        claim = claim_of(1)
        storage.claim(experiment, claim, LONG_S)
        storage.write_curves([(lease_of(claim), curve_of(1))])
        storage._connection.write("UPDATE curves SET curve = ?", (text,))
        with pytest.raises(DamagedDatabase, match="curve of trial 1"):
            list(storage.read_curves(experiment))
