"""`k8s init-mongodb`: set up the chart's MongoDB. All comes by the environment that it gives."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from orion_k8s.cli.options import Given, command

if TYPE_CHECKING:
    from orion_k8s.k8s.mongodb import Login, ReplicaSet

LOOK_S = 60.0
"""With --stay, how often all is looked at again."""


@command()
def init_mongodb(
    given: Given,
    members: str = typer.Option(
        ..., envvar="ORION_MONGODB_MEMBERS", help="HOST:PORT of each member, with commas"
    ),
    near: str = typer.Option(
        ..., "--self", envvar="ORION_MONGODB_SELF", help="HOST:PORT of the member beside us"
    ),
    replica_set: str = typer.Option(
        ..., envvar="ORION_MONGODB_REPLICA_SET", help="name of the replica set"
    ),
    root_username: str = typer.Option("root", envvar="ORION_MONGODB_ROOT_USERNAME"),
    root_password_file: Path = typer.Option(..., envvar="ORION_MONGODB_ROOT_PASSWORD_FILE"),
    username: str = typer.Option(
        None, envvar="ORION_MONGODB_USERNAME", help="the workers' user; nobody is made without it"
    ),
    password_file: Path = typer.Option(None, envvar="ORION_MONGODB_PASSWORD_FILE"),
    database: str = typer.Option("orion", envvar="ORION_MONGODB_DATABASE"),
    ca_file: str = typer.Option(
        None, envvar="ORION_MONGODB_TLS_CA_FILE", help="certificate authority; TLS is used with it"
    ),
    pod: str = typer.Option(
        None, envvar="POD_NAME", help="this pod: only the one of the first member does the work"
    ),
    stay: bool = typer.Option(False, "--stay", help="look again once a minute, for ever"),
) -> None:
    """Initiate the replica set of the chart's MongoDB, and make the workers' user.

    It may be run again at any time: what is done already is left as it is.
    """
    from orion_k8s.k8s.mongodb import ReplicaSet, set_up

    hosts = [member.strip() for member in members.split(",") if member.strip()]
    if pod and hosts[0].partition(".")[0].partition(":")[0] != pod:
        while stay:
            time.sleep(LOOK_S)
        return

    def wanted() -> ReplicaSet:
        # Read anew each time: a Secret's files follow the Secret.
        worker = _login(username, password_file, database) if username else None
        options = {"tls": True, "tlsCAFile": ca_file} if ca_file else {}
        root = _login(root_username, root_password_file, "admin")
        return ReplicaSet(replica_set, hosts, near, root, worker, options)

    set_up(wanted)
    while stay:
        time.sleep(LOOK_S)
        set_up(wanted)


def _login(user: str, password_file: Path | None, database: str) -> Login:
    """Return a user with the password that a file holds.

    Raises:
        UsageError: it can't be read.
    """
    from orion_k8s.errors import UsageError
    from orion_k8s.k8s.mongodb import Login
    from orion_k8s.storage.url import read_password

    if password_file is None:
        raise UsageError(f"Give the password of {user} with --password-file.")
    password = read_password(password_file, f"The password file {password_file}")
    return Login(user, password, database)
