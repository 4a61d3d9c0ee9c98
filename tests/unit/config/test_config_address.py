"""Which of the options that say where the history is count together."""

from __future__ import annotations

from typing import Any

import pytest

from orion_k8s.config import Level, resolve
from orion_k8s.errors import ConfigurationError


def storage(local: dict[str, Any] | None = None, cli: str | None = None, **env: str) -> Any:
    config = resolve(
        local={f"storage.{key.replace('_', '.')}": value for key, value in (local or {}).items()},
        cli={"storage.url": cli},
        env={"HOME": "/home/ada", **env},
        global_paths=(),
    )
    return {key: value for key, value in config.storage().items() if value is not None}


def test_a_url_is_not_mixed_with_a_weaker_host() -> None:
    assert storage(
        cli="sqlite:///a.db",
        ORION_DB_TYPE="mongodb",
        ORION_DB_ADDRESS="db.example",
        ORION_DB_NAME="orion",
        ORION_DB_PORT="27017",
    ) == {"url": "sqlite:///a.db"}


def test_a_name_stays_where_the_url_names_no_database() -> None:
    assert storage(cli="mongodb://h:1/", ORION_DB_NAME="lab") == {
        "url": "mongodb://h:1/",
        "name": "lab",
    }
    assert storage(cli="mongodb://h:1/own", ORION_DB_NAME="lab") == {"url": "mongodb://h:1/own"}


@pytest.mark.parametrize(
    "stronger",
    [{"database_host": "db.example"}, {"database_type": "memory"}, {"type": "memory"}],
)
def test_a_stronger_host_or_type_voids_a_url(stronger: dict[str, str]) -> None:
    assert "url" not in storage(local=stronger, ORION_DB_URL="sqlite:///a.db")


def test_a_url_wins_at_the_same_level() -> None:
    assert storage(ORION_DB_URL="sqlite:///a.db", ORION_DB_ADDRESS="h") == {
        "url": "sqlite:///a.db"
    }


def test_a_host_that_is_a_url_voids_weaker_types() -> None:
    assert storage(
        local={"database_host": "mongodb://h/x"}, ORION_DB_TYPE="sqlite", ORION_DB_PORT="5"
    ) == {"host": "mongodb://h/x"}


def test_hosts_and_types_of_several_levels_go_together() -> None:
    assert storage(local={"database_host": "h"}, ORION_DB_TYPE="mongodb", ORION_DB_NAME="lab") == {
        "type": "mongodb",
        "host": "h",
        "name": "lab",
    }


def test_the_default_file_takes_no_name_of_a_database() -> None:
    said = storage(ORION_DB_NAME="lab", XDG_DATA_HOME="/data")
    assert said == {"url": "/data/orion.core/orion.db"}


def test_legacy_says_nothing_and_another_type_is_one_of_a_database() -> None:
    assert "url" in storage(local={"type": "legacy"})
    assert storage(local={"type": "memory"}) == {"type": "memory"}


def test_without_a_home_the_mistake_is_said_when_the_storage_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # a user id without an entry
    config = resolve(env={}, global_paths=())
    with pytest.raises(ConfigurationError, match="no home directory"):
        config.storage()
    assert resolve(env={"ORION_DB_URL": "x"}, global_paths=()).storage()["url"] == "x"


def test_a_null_in_a_file_takes_a_weaker_url_back() -> None:
    config = resolve(
        stored={"storage": {"url": None}},
        env={"HOME": "/home/ada", "ORION_DB_URL": "sqlite:///a.db"},
        global_paths=(),
    )
    assert config.source("storage.url").level is Level.DEFAULT
    assert config.storage()["url"] == "/home/ada/.local/share/orion.core/orion.db"
