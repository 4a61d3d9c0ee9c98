"""A MongoDB server of the test's own, which may be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.conftest import START_S, _answers, _server_program

# What a kill must not undo: every commit is handed to the operating system at once.
ENVIRONMENT = {"SECANTUS_WT_CONFIG_EXTRA": "transaction_sync=(enabled=true,method=none)"}


class Server:
    """A server that keeps its data and its port from one start to the next.

    TEST_MONGODB_SERVER names a program that starts the server of choice; it must know the words
    `up --port PORT --data DIR` (return when the server answers) and `kill DIR` (SIGKILL, return
    when it is gone). Without it the one that pip installs is taken.

    Args:
        folder: for its data and its log.

    Attributes:
        port: where it listens on loopback.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._tool = os.environ.get("TEST_MONGODB_SERVER")
        self._process: subprocess.Popen[bytes] | None = None
        self._up = False
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.start()

    @property
    def uri(self) -> str:
        """Its address, without a proxy between."""
        return self.uri_of(self.port)

    @staticmethod
    def uri_of(port: int, name: str = "") -> str:
        """Return the address of a database through a port."""
        return f"mongodb://127.0.0.1:{port}/{name}?directConnection=true"

    def start(self) -> None:
        """Start it, and return when it answers."""
        if self._tool:
            self._run("up", "--port", str(self.port), "--data", str(self.folder))
        else:
            self._start_own()
        self._up = True

    def kill(self) -> None:
        """Kill it at once, as a crash or the kernel would."""
        if not self._up:
            return
        self._up = False
        if self._tool:
            self._run("kill", str(self.folder))
        elif self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def _run(self, *words: str) -> None:
        assert self._tool is not None
        done = subprocess.run(
            [self._tool, *words], capture_output=True, text=True, timeout=START_S, check=False
        )
        assert done.returncode == 0, f"{self._tool} {' '.join(words)}: {done.stderr.strip()}"

    def _start_own(self) -> None:
        (self.folder / "empty.toml").touch()  # else it takes settings that happen to lie about
        with open(self.folder / "log", "a") as log:
            self._process = subprocess.Popen(
                [
                    *(_server_program(), f"--config={self.folder / 'empty.toml'}"),
                    *("--host=127.0.0.1", f"--port={self.port}"),
                    *(f"--storage-path={self.folder / 'db'}", "--cache-size=256M"),
                    "--log-level=WARNING",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={**os.environ, **ENVIRONMENT},
                start_new_session=True,
            )
        end = time.monotonic() + START_S
        while not _answers(self.uri):
            if self._process.poll() is not None or time.monotonic() > end:
                said = (self.folder / "log").read_text().strip().rpartition("\n")[2]
                raise AssertionError(f"the test server did not start: {said}")
