"""`k8s init-mongodb` on a server with users, as the chart runs it.

The servers here call themselves the only member of a replica set: the initiation itself and more
members are for a real MongoDB to show.
"""

from __future__ import annotations

from pathlib import Path

import pymongo
import pytest
from hunting import Shell, ended
from pymongo.errors import OperationFailure

PASSWORDS = {"root": "s3cret", "worker": "p w/ä"}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    for user, password in PASSWORDS.items():
        (tmp_path / user).write_text(f"{password}\n", encoding="utf-8")
    return Shell(tmp_path)


def environment(shell: Shell, address: str, **more: str) -> dict[str, str]:
    return {
        "ORION_MONGODB_MEMBERS": address,
        "ORION_MONGODB_SELF": address,
        "ORION_MONGODB_REPLICA_SET": "rs0",
        "ORION_MONGODB_ROOT_USERNAME": "worker",  # as the test's server has it
        "ORION_MONGODB_ROOT_PASSWORD_FILE": str(shell.folder / "root"),
        "ORION_MONGODB_USERNAME": "hunter",
        "ORION_MONGODB_PASSWORD_FILE": str(shell.folder / "worker"),
        "ORION_MONGODB_DATABASE": "set_up",
        **more,
    }


def hunt(shell: Shell, address: str, code: int = 0) -> str:
    env = {
        "ORION_DB_ADDRESS": f"mongodb://{address}/set_up?directConnection=true",
        "ORION_DB_USERNAME": "hunter",
        "ORION_DB_PASSWORD_FILE": str(shell.folder / "worker"),
    }
    words = ("hunt", "-n", "e", "--max-trials", "2", shell.program(), "-x~uniform(0, 1)")
    done = shell.run(*words, env=env)
    assert done.returncode == code, done.stderr
    return done.stderr


@pytest.mark.mongo
def test_it_makes_the_workers_user_and_follows_its_password(
    shell: Shell, guarded_mongodb: str
) -> None:
    env = environment(shell, guarded_mongodb)
    assert "password" in hunt(shell, guarded_mongodb, code=5)
    done = shell.ok("k8s", "init-mongodb", env=env)
    assert "the user hunter is made" in done.stderr
    assert "p w" not in done.stderr + done.stdout
    assert shell.ok("k8s", "init-mongodb", env=env).stderr == ""
    hunt(shell, guarded_mongodb)

    (shell.folder / "worker").write_text("another")
    assert "password" in hunt(shell, guarded_mongodb, code=5)
    assert "has a new password" in shell.ok("k8s", "init-mongodb", env=env).stderr
    hunt(shell, guarded_mongodb)

    url = f"mongodb://hunter:another@{guarded_mongodb}/set_up?directConnection=true"
    with pymongo.MongoClient(url) as client, pytest.raises(OperationFailure):
        client.elsewhere.trials.insert_one({})


@pytest.mark.mongo
def test_a_worker_waits_for_its_user(shell: Shell, guarded_mongodb: str) -> None:
    env = environment(shell, guarded_mongodb, ORION_MONGODB_USERNAME="later")
    own = {
        "ORION_DB_ADDRESS": f"mongodb://{guarded_mongodb}/set_up?directConnection=true",
        "ORION_DB_USERNAME": "later",
        "ORION_DB_PASSWORD_FILE": str(shell.folder / "worker"),
        "ORION_DB_WAIT": "inf",
    }
    words = ("hunt", "-n", "later", "--max-trials", "2", shell.program(), "-x~uniform(0, 1)")
    with shell.start(*words, env=own) as process:
        assert process.stderr is not None
        assert "trying again" in process.stderr.readline()
        shell.ok("k8s", "init-mongodb", env=env)
        assert ended(process).returncode == 0


def test_only_the_first_members_pod_does_the_work(shell: Shell) -> None:
    env = environment(shell, "first-0.members:27017,first-1.members:27017", POD_NAME="first-1")
    assert shell.ok("k8s", "init-mongodb", env=env).stderr == ""


def test_a_password_file_that_is_missing(shell: Shell) -> None:
    env = environment(shell, "127.0.0.1:1", ORION_MONGODB_ROOT_PASSWORD_FILE="/nowhere/password")
    sentence = shell.refused(2, "k8s", "init-mongodb", env=env)
    assert "/nowhere/password cannot be read: No such file" in sentence


def test_it_tries_on_while_the_server_is_away(shell: Shell) -> None:
    with shell.start("k8s", "init-mongodb", env=environment(shell, "127.0.0.1:1")) as process:
        assert process.stderr is not None
        assert "MongoDB is not ready, trying again" in process.stderr.readline()
        process.terminate()
        assert ended(process).returncode == -15
