"""A Dask scheduler and Dask workers as processes of their own, which a test kills and starts."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from orion_k8s.testing.executor.probes import until

START_S = 60.0
ROOT = Path(__file__).parents[1]


def free_port() -> int:
    """A port that is free, and that the system gives to no connection before it is taken."""
    for port in random.sample(range(20_000, 32_000), 100):
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
    raise OSError("no port is free")


class DaskProcesses:
    """One scheduler at a fixed address, and its workers.

    Args:
        folder: for logs and files.
        tls: options of `dask scheduler` and `dask worker` that name certificates; () for none.
        environment: added to this process's own.
    """

    def __init__(
        self, folder: Path, tls: Sequence[str] = (), environment: dict[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.address = f"{'tls' if tls else 'tcp'}://127.0.0.1:{self.port}"
        self._tls = list(tls)
        # The Dask workers import the functions that a test sends.
        self._environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        self._count = 0
        self.running: list[subprocess.Popen[bytes]] = []
        self.logs: dict[subprocess.Popen[bytes], Path] = {}

    def scheduler(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the scheduler, and wait until it listens."""
        return self._start(
            "scheduler", "--host=127.0.0.1", f"--port={self.port}", "--dashboard-address=:0",
            *options, ready="Scheduler at",
        )  # fmt: skip

    def worker(self, *options: str, threads: int = 1) -> subprocess.Popen[bytes]:
        """Start a worker with its nanny, and wait until it is registered."""
        return self._start(
            "worker", self.address, f"--nthreads={threads}", "--host=127.0.0.1",
            "--dashboard-address=:0", f"--local-directory={self.folder}", *options,
            ready="Registered to",
        )  # fmt: skip

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a process and all that it started, as if its machine were lost."""
        self._signal(process, signal.SIGKILL)

    def leave(self, process: subprocess.Popen[bytes]) -> None:
        """End a process as an orderly machine does."""
        process.terminate()
        process.wait(START_S)
        self._signal(process, signal.SIGKILL)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Let a process and all that it started hang."""
        os.killpg(process.pid, signal.SIGSTOP)

    def go_on(self, process: subprocess.Popen[bytes]) -> None:
        """Let a process that hangs go on."""
        os.killpg(process.pid, signal.SIGCONT)

    def close(self) -> None:
        """End everything."""
        for process in list(self.running):
            self.kill(process)

    def _signal(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            pass
        process.wait(START_S)
        self.running.remove(process)

    def _start(self, kind: str, *arguments: str, ready: str) -> subprocess.Popen[bytes]:
        self._count += 1
        path = self.folder / f"dask-{kind}-{self._count}.log"
        with open(path, "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", kind, *arguments, *self._tls],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self.running.append(process)
        self.logs[process] = path

        def started() -> bool:
            assert process.poll() is None, path.read_text()
            return ready in path.read_text()

        until(started, f"dask {kind} runs", START_S)
        return process


@contextmanager
def dask_processes(
    folder: Path, tls: Sequence[str] = (), environment: dict[str, str] | None = None
) -> Iterator[DaskProcesses]:
    """Give a scheduler's address and what starts processes there; all are ended afterwards."""
    processes = DaskProcesses(folder, tls, environment)
    try:
        yield processes
    finally:
        processes.close()
