"""`k8s forward`: a port of this machine that leads to a release's history."""

from __future__ import annotations

import os
import shlex
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import typer

from orion_k8s.cli.k8s_options import CONTEXT, NAMESPACE, RELEASE, found
from orion_k8s.cli.options import Given, command


@command()
def forward(
    given: Given,
    release: str | None = RELEASE,
    namespace: str | None = NAMESPACE,
    kube_context: str | None = CONTEXT,
) -> None:
    """Keep a port to a release's history open until Ctrl-C, and print the line that uses it.

    Type that line in another shell: all commands work on the release's history there. The password
    is in a file that only you can read, and that is removed at the end.
    """
    from orion_k8s.k8s.history import reached

    with (
        _ended_in_order(),
        found(release, namespace, kube_context) as (here, it),
        reached(here, it) as address,
        tempfile.TemporaryDirectory(prefix="orion-k8s-") as folder,
    ):
        variables = {"ORION_DB_ADDRESS": address.url}
        if address.username:
            variables["ORION_DB_USERNAME"] = address.username
        if address.password:
            file = os.path.join(folder, "password")
            Path(file).touch(mode=0o600)
            Path(file).write_text(address.password, encoding="utf-8")
            variables["ORION_DB_PASSWORD_FILE"] = file
        words = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
        # At once, whoever reads it: a pipe would hold it back until the end.
        print(f"export {words}", flush=True)
        if not given.quiet:
            typer.echo("The history is there until Ctrl-C.", err=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Let a signal that ends this process leave nothing behind either."""

    def end(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    before = {n: signal.signal(n, end) for n in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
