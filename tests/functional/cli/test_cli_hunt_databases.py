"""Databases that can't be used: one sentence, a documented code; and hunts on MongoDB."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hunting import Shell, ended

from orion_k8s.storage.mongo import MongoDB
from orion_k8s.trial import Status
from tests.chaos.proxy import Proxy

PRIOR = "-x~uniform(-5, 5)"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def refused(shell: Shell, code: int, url: str | None = None) -> str:
    where = [] if url is None else ["--storage", url]
    words = ("hunt", "-n", "e", *where, "--max-trials", "1", shell.program(), PRIOR)
    return shell.refused(code, *words)


def test_a_server_that_does_not_answer(shell: Shell) -> None:
    url = "mongodb://me:geheim@127.0.0.1:1/orion?serverSelectionTimeoutMS=500"
    sentence = refused(shell, 5, url)
    assert "cannot be reached now" in sentence and "127.0.0.1:1" in sentence
    assert "geheim" not in sentence


@pytest.mark.mongo
def test_a_wrong_password(shell: Shell, guarded_mongodb: str) -> None:
    url = f"mongodb://worker:%s@{guarded_mongodb}/orion?authSource=admin&directConnection=true"
    sentence = refused(shell, 5, url % "geheim")
    assert "password" in sentence
    assert "geheim" not in sentence
    bare = f"mongodb://{guarded_mongodb}/orion?authSource=admin&directConnection=true"
    assert "password" in refused(shell, 5, bare)
    words = ("hunt", "-n", "e", "--max-trials", "1", shell.program(), PRIOR)
    env = {"ORION_DB_ADDRESS": bare, "ORION_DB_USERNAME": "worker", "ORION_DB_PASSWORD": "s3cret"}
    done = shell.ok(*words, env=env)
    assert "s3cret" not in done.stdout + done.stderr


def test_a_path_that_cannot_be(shell: Shell) -> None:
    assert "train.sh cannot be made" in refused(shell, 5, "train.sh/history.db")
    (shell.folder / "folder").mkdir()
    assert "is a folder" in refused(shell, 5, "folder")


def test_a_scheme_that_is_unknown(shell: Shell) -> None:
    assert "did you mean mongodb?" in refused(shell, 2, "mongdb://localhost/x")
    assert "pickleddb does not exist here" in refused_by_type(shell, "pickleddb")


def refused_by_type(shell: Shell, kind: str) -> str:
    words = ("hunt", "-n", "e", shell.program(), PRIOR)
    return shell.refused(2, *words, env={"ORION_DB_TYPE": kind})


def test_a_file_that_is_no_database(shell: Shell) -> None:
    shell.database.write_text("once upon a time there was no database\n" * 30)
    assert "damaged or no SQLite database" in refused(shell, 6)


def test_a_database_of_somebody_else(shell: Shell) -> None:
    with sqlite3.connect(shell.database) as connection:
        connection.execute("CREATE TABLE experiments (id INTEGER, title TEXT)")
    connection.close()
    assert "a database of another program (its tables: experiments)" in refused(shell, 6)


def test_a_newer_schema(shell: Shell) -> None:
    shell.ok("hunt", "-n", "e", "--max-trials", "1", shell.program(), PRIOR)
    with sqlite3.connect(shell.database) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "has schema 99, made by a newer orion-k8s" in refused(shell, 6)


def test_a_damaged_file(shell: Shell) -> None:
    shell.ok("hunt", "-n", "e", "--max-trials", "1", shell.program(), PRIOR)
    data = bytearray(shell.database.read_bytes())
    data[100:] = b"\xff" * (len(data) - 100)
    shell.database.write_bytes(data)
    for beside in ("-wal", "-shm"):
        Path(f"{shell.database}{beside}").unlink(missing_ok=True)
    assert "damaged" in refused(shell, 6)


@pytest.mark.mongo
def test_four_workers_on_mongodb(shell: Shell, mongodb_uri: str, mongodb_name: str) -> None:
    env = {"ORION_DB_ADDRESS": mongodb_uri, "ORION_DB_NAME": mongodb_name}
    program = shell.program(
        f'echo "$ORION_TRIAL_ID" >> {shell.folder}/log\nsleep 0.05\n'
        """printf '[{"name": "o", "type": "objective", "value": %s}]' "$2" """
        '> "$ORION_RESULTS_PATH"\n'
    )
    words = ("hunt", "-n", "e", "--max-trials", "20", "--n-workers", "2", program, PRIOR)
    workers = [shell.start(*words, env=env) for _ in range(4)]
    for done in map(ended, workers):
        assert done.returncode == 0, done.stderr
    with MongoDB(mongodb_uri, mongodb_name) as storage:
        [record] = storage.experiments("e")
        trials = list(storage.trials(record.id))
    assert [t.status for t in trials] == [Status.COMPLETED] * 20
    assert sorted((shell.folder / "log").read_text().split()) == sorted(t.id for t in trials)
    done = shell.ok("info", "-n", "e", env=env)
    assert "completed" in done.stdout and mongodb_name in done.stdout


@pytest.mark.mongo
def test_it_waits_for_a_database_that_is_away(
    shell: Shell, mongodb_uri: str, mongodb_name: str
) -> None:
    port = urlsplit(mongodb_uri).port
    assert port is not None
    with closing(Proxy(port)) as proxy:
        proxy.set("cut")
        url = (
            f"mongodb://127.0.0.1:{proxy.ports[0]}/{mongodb_name}"
            "?directConnection=true&serverSelectionTimeoutMS=300"
        )
        words = ("hunt", "-n", "e", "--max-trials", "2", shell.program(), PRIOR)
        with shell.start(*words, env={"ORION_DB_ADDRESS": url, "ORION_DB_WAIT": "inf"}) as hunt:
            assert hunt.stderr is not None
            assert "the database is away" in hunt.stderr.readline()
            proxy.set("pass")
            done = ended(hunt)
    assert done.returncode == 0, done.stderr
    assert "the database is there after" in done.stderr


def test_it_waits_no_longer_than_it_may(shell: Shell) -> None:
    url = "mongodb://127.0.0.1:1/orion?serverSelectionTimeoutMS=100"
    words = ("hunt", "-n", "e", "--db-wait", "3", "--storage", url, shell.program(), PRIOR)
    done = shell.run(*words)
    assert done.returncode == 5
    away, sentence = done.stderr.splitlines()
    assert "the database is away" in away
    assert "cannot be reached now" in sentence
