from __future__ import annotations

import ctypes
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from commanding import History

from orion_k8s.cli import db_test
from orion_k8s.storage.sqlite import SQLite

STEPS = ["address", "reachable", "login", "schema", "may write", "trial", "lease", "clock"]


def steps(out: str) -> dict[str, str]:
    """Return step → "ok", "FAILED" or "-"."""
    lines = [
        line for line in out.splitlines() if line.split(maxsplit=1)[0] in ("ok", "FAILED", "-")
    ]
    return {line[8:18].strip(): line[:8].strip() for line in lines}


# --- setup ---------------------------------------------------------------------------------------


def test_setup_makes_the_database_and_says_where(cli: Callable[..., Any], any_url: str) -> None:
    said = cli("db", "setup", "--storage", any_url)
    assert said.code == 0 and "ready for use" in said.out
    assert cli("list", "--storage", any_url).code == 0


def test_setup_saves_the_address_where_every_command_finds_it(
    cli: Callable[..., Any], own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = own_home / ".config" / "orion.core" / "orion_config.yaml"
    said = cli("db", "setup", "--storage", "history of mine.db", "--save")
    assert (said.code, said.err) == (0, "")
    assert str(file) in said.out
    assert yaml.safe_load(file.read_text()) == {
        "storage": {"url": str(tmp_path / "history of mine.db")}
    }
    monkeypatch.chdir(own_home)
    assert str(tmp_path / "history of mine.db") in cli("list").out
    assert cli("db", "setup", "--save").code == 0
    assert not file.with_name("orion_config.yaml.bak").exists()  # nothing changed


def test_setup_keeps_what_else_the_file_says(
    cli: Callable[..., Any], own_home: Path, tmp_path: Path
) -> None:
    file = own_home / ".config" / "orion.core" / "orion_config.yaml"
    file.parent.mkdir(parents=True)
    before = "worker: {heartbeat: 5}  # faster\ndatabase: {type: sqlite, host: old.db}\n"
    file.write_text(before)
    said = cli("db", "setup", "--storage", tmp_path / "new.db", "--save")
    assert said.code == 0 and ".bak" in said.out
    assert yaml.safe_load(file.read_text()) == {
        "storage": {"url": str(tmp_path / "new.db")},
        "worker": {"heartbeat": 5},
    }
    assert file.with_name("orion_config.yaml.bak").read_text() == before


@pytest.mark.mongo
def test_setup_guards_a_password_in_the_file_and_hides_it_on_the_screen(
    cli: Callable[..., Any], own_home: Path, mongodb_uri: str, mongodb_name: str
) -> None:
    # The server takes anybody, so the password stands where this option is one.
    host, _, options = mongodb_uri.partition("/?")
    url = f"{host}/{mongodb_name}?{options}&appname=s3cr3t"
    said = cli("db", "setup", "--storage", url, "--save")
    assert said.code == 0 and "s3cr3t" not in said.out + said.err
    file = own_home / ".config" / "orion.core" / "orion_config.yaml"
    assert yaml.safe_load(file.read_text()) == {"storage": {"url": url}}
    assert file.stat().st_mode & 0o777 == 0o600


def test_setup_says_that_the_environment_is_stronger(
    cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ORION_DB_ADDRESS", str(tmp_path / "other.db"))
    said = cli("db", "setup", "--storage", tmp_path / "new.db", "--save")
    assert said.code == 0 and "ORION_DB_ADDRESS" in said.err


def test_setup_of_what_cannot_be_used(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "is a folder" in cli("db", "setup", "--storage", tmp_path).refused(5)
    (tmp_path / "file").touch()
    cli("db", "setup", "--storage", tmp_path / "file" / "h.db").refused(5)


# --- test ----------------------------------------------------------------------------------------


def test_all_checks_pass(any_url: str, shell: Callable[..., Any]) -> None:
    said = shell("db", "test", "--storage", any_url)
    assert (said.code, said.err) == (0, "")
    assert steps(said.out) == dict.fromkeys(STEPS, "ok")
    said = shell("list", "--storage", any_url)
    assert said.code == 0 and "no experiments" in said.out  # nothing is left of it


def failed_at(said: Any, step: str, code: int) -> str:
    """Return what the failed step said; those before it were passed, those after it not tried."""
    position = STEPS.index(step)
    assert steps(said.out) == {
        **dict.fromkeys(STEPS[:position], "ok"),
        step: "FAILED",
        **dict.fromkeys(STEPS[position + 1 :], "-"),
    }
    assert (said.code, said.err) == (code, "")
    (line,) = (line for line in said.out.splitlines() if line.startswith("FAILED"))
    return str(line)


def test_the_first_failure_ends_the_test(cli: Callable[..., Any], tmp_path: Path) -> None:
    assert "did you mean sqlite?" in failed_at(
        cli("db", "test", "--storage", "sqlit://x"), "address", 2
    )
    url = "mongodb://ada:s3cr3t@127.0.0.1:1/db?serverSelectionTimeoutMS=100"
    said = cli("db", "test", "--storage", url)
    assert "cannot be reached" in failed_at(said, "reachable", 5)
    assert "s3cr3t" not in said.out
    (tmp_path / "notes").write_text("not a database, but long enough to look at " * 40)
    failed_at(cli("db", "test", "--storage", tmp_path / "notes"), "schema", 6)


def test_a_newer_schema_fails(cli: Callable[..., Any], history: Any, sqlite_url: str) -> None:
    history.storage.close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "newer" in failed_at(cli("db", "test"), "schema", 6)
    assert "newer" in cli("db", "upgrade").refused(6)


def test_a_clock_that_stands_still_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db_test, "DEADLINE_S", 0.3)
    with SQLite(tmp_path / "h.db", monotonic=lambda: 1000.0) as storage:
        storage.setup()
        assert db_test._use(storage, db_test.Checks()) == 5
        assert storage.experiments() == []
    assert "clock stands still" in capsys.readouterr().out


def _obey_permissions() -> None:
    """Take the right to write everywhere from root, in the child that becomes the command."""
    capbset_drop, dac_override = 24, 1  # of linux/prctl.h and linux/capability.h
    assert ctypes.CDLL(None).prctl(capbset_drop, dac_override, 0, 0, 0) == 0


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder that may only be read, with a history in it."""
    folder = tmp_path / "read only"
    history = History(str(folder / "history.db"))
    with history.storage:
        history.completed(history.experiment(), 0, 1.0)
    (folder / "history.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def test_a_database_that_may_only_be_read(read_only: Path, shell: Callable[..., Any]) -> None:
    obeying = {"preexec_fn": _obey_permissions if os.getuid() == 0 else None}
    place = ("--storage", read_only / "history.db")
    for words in (
        ("db", "setup"),
        ("insert", "-n", "exp", "--x", "1"),
        ("db", "set", "exp", "max_trials=3"),
        ("db", "rm", "exp", "-f"),
    ):
        assert "cannot be written" in shell(*words, *place, **obeying).refused(5)
    said = shell("db", "test", *place, **obeying)
    assert said.code == 5 and "cannot be written" in said.out


# --- upgrade -------------------------------------------------------------------------------------


def test_upgrade_says_what_it_did(
    cli: Callable[..., Any], history: Any, sqlite_url: str, tmp_path: Path
) -> None:
    assert "up to date: schema 2" in cli("db", "upgrade").out
    record = history.experiment()
    history.completed(record, 0, 1.0)
    history.storage.close()
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
        database.execute("ALTER TABLE trials DROP COLUMN held_by")
        database.execute("ALTER TABLE trials DROP COLUMN losses")
        database.execute("ALTER TABLE experiments DROP COLUMN goal")
        database.execute("PRAGMA user_version = 0")
    database.close()
    assert "db upgrade" in cli("list").refused(6)
    assert "upgraded from schema 0 to 2" in cli("db", "upgrade").out
    assert cli("list").rows[0][:4] == ["exp", "1", "idle", "1"]
    missing = tmp_path / "none.db"
    assert "no history" in cli("db", "upgrade", "--storage", missing).refused(7)
    assert not missing.exists()
