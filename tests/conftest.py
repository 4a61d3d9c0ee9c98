"""What all tests share: a MongoDB server, and a database in it for each test."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.register_assert_rewrite("orion_k8s.testing")

# A shell that starts the suite in the background ignores these, and so would all that it starts.
for _number, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


@pytest.fixture(autouse=True)
def _loud() -> Iterator[None]:
    """A command that ran quietly in this process leaves the next test its log."""
    log = logging.getLogger("orion_k8s")
    level = log.level
    yield
    log.setLevel(level)


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that SQLite is given, as they come."""
    from orion_k8s.storage.sqlite_connection import Connection

    seen: list[str] = []
    run = Connection._run

    def spy(self: Connection, sql: str, parameters: Any) -> Any:
        seen.append(" ".join(sql.split()))
        return run(self, sql, parameters)

    monkeypatch.setattr(Connection, "_run", spy)
    return seen


# A server on MongoDB's own storage engine that pip can install. Pinned: it is a moving target.
SERVER = "secantusdb==0.7.0b3"
PROGRAM = "secantusd-py"
START_S = 60.0


def _server_program() -> Path:
    """Return the server's program, installed into a cache of its own where it is missing."""
    here = shutil.which(PROGRAM, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if here:
        return Path(here)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orion-k8s-tests"
    home = cache / f"{SERVER}-{sys.version_info[0]}.{sys.version_info[1]}"
    program = home / "bin" / PROGRAM
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test runs at once install it once
        if program.exists():
            return program
        venv.create(home, with_pip=True, clear=True)
        done = subprocess.run(
            [home / "bin" / "python", "-m", "pip", "install", "--quiet", SERVER],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not program.exists():
            shutil.rmtree(home, ignore_errors=True)
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            pytest.fail(
                "These tests need a MongoDB: set TEST_MONGODB_URI to one, or let pip install "
                f"{SERVER} (which failed: {last}).",
                pytrace=False,
            )
    return program


def _answers(uri: str) -> bool:
    import pymongo
    from pymongo.errors import PyMongoError

    with pymongo.MongoClient(uri, serverSelectionTimeoutMS=1_000) as client:
        try:
            client.admin.command("ping")
        except PyMongoError:
            return False
    return True


@contextmanager
def _started(folder: Path, *flags: str) -> Iterator[str]:
    """Start the server that pip installs, with its data in a folder; its URI."""
    program = _server_program()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (folder / "empty.toml").touch()  # else it takes settings that happen to lie about
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(
            [
                *(program, f"--config={folder / 'empty.toml'}", "--host=127.0.0.1"),
                *(f"--port={port}", f"--storage-path={folder / 'db'}"),
                *("--cache-size=256M", "--log-level=WARNING", *flags),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            start_new_session=True,
        )
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true"
    try:
        end = time.monotonic() + START_S
        while not _answers(uri):
            if server.poll() is not None or time.monotonic() > end:
                said = (folder / "log").read_text().strip().rpartition("\n")[2]
                pytest.fail(f"The test server {SERVER} did not start: {said}", pytrace=False)
        yield uri
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def mongodb_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a server: TEST_MONGODB_URI, or one that is started for this session."""
    given = os.environ.get("TEST_MONGODB_URI")
    if given:
        if not _answers(given):
            pytest.fail("The MongoDB that TEST_MONGODB_URI names does not answer.", pytrace=False)
        yield given
        return
    with _started(tmp_path_factory.mktemp("mongodb")) as uri:
        yield uri


@pytest.fixture(scope="session")
def strict_mongodb_uri(
    mongodb_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URI of a server that gives up a unique key with the document that held it.

    MongoDB does. Of the servers that stand in for it one (SecantusDB's Rust version, 0.5.3) keeps
    the old key of a document that was updated: tests that need it take another server then.
    """
    if _gives_keys_up(mongodb_uri):
        yield mongodb_uri
        return
    with _started(tmp_path_factory.mktemp("strict")) as uri:
        yield uri


def _gives_keys_up(uri: str) -> bool:
    import pymongo
    from pymongo.errors import DuplicateKeyError

    with pymongo.MongoClient(uri) as client:
        name = f"test_{uuid.uuid4().hex[:16]}"
        keys = client[name]["keys"]
        try:
            keys.create_index("key", unique=True)
            keys.insert_one({"_id": 1, "key": "a"})
            keys.update_one({"_id": 1}, {"$set": {"key": "b"}})
            keys.insert_one({"_id": 2, "key": "a"})
        except DuplicateKeyError:
            return False
        finally:
            client.drop_database(name)
    return True


@pytest.fixture(scope="session")
def guarded_mongodb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of a server that lets in the user "worker" with the password "s3cret" alone."""
    import pymongo

    folder = tmp_path_factory.mktemp("guarded")
    with _started(folder) as uri, pymongo.MongoClient(uri) as client:
        client.admin.command("createUser", "worker", pwd="s3cret", roles=["root"])
    with _started(folder, "--auth") as uri:
        yield uri.removeprefix("mongodb://").partition("/")[0]


@pytest.fixture
def mongodb_name(mongodb_uri: str) -> Iterator[str]:
    """The name of a database of the test's own; it is dropped at the end."""
    import pymongo

    name = f"test_{uuid.uuid4().hex[:16]}"
    yield name
    with pymongo.MongoClient(mongodb_uri) as client:
        client.drop_database(name)
