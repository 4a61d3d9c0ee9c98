"""A person at a shell: the real command line in its own processes, on a test's own files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from orion_k8s.storage.sqlite import SQLite
from orion_k8s.trial import ExperimentRecord, Status, TrialRecord

DEADLINE_S = 60.0
"""Longer than anything here takes on a busy machine."""

SQUARE = """
printf '[{"name": "o", "type": "objective", "value": %s}]' "$2" > "$ORION_RESULTS_PATH"
"""
"""A program whose objective is the value of its first option."""


def until(condition: Callable[[], Any]) -> Any:
    """Return what the condition returns as soon as it is true."""
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


class Shell:
    """Runs the command line in a folder, with a home and a SQLite history of its own.

    Args:
        folder: where it stands.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "history.db"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("ORION", "XDG"))}
        self.env = {
            **kept,
            "HOME": str(folder / "home"),
            "XDG_CONFIG_DIRS": str(folder / "etc"),
            "ORION_DB_ADDRESS": str(self.database),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONWARNINGS": "error",
        }

    def program(self, text: str = SQUARE, name: str = "train.sh", shell: str = "/bin/sh") -> str:
        """Write a program and return what a person types to run it."""
        path = self.folder / name
        path.write_text(f"#!{shell}\n{text}")
        path.chmod(0o755)
        return f"./{name}"

    def start(self, *words: str, **more: Any) -> subprocess.Popen[str]:
        """Start a command."""
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(
            [sys.executable, "-m", "orion_k8s", *words],
            stdin=subprocess.DEVNULL,
            text=True,
            cwd=more.pop("cwd", self.folder),
            env={**self.env, **more.pop("env", {})},
            **more,
        )

    def run(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        with self.start(*words, **more) as process:
            return ended(process)

    def ok(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command that must succeed."""
        done = self.run(*words, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def refused(self, code: int, *words: str, **more: Any) -> str:
        """Run a command that must fail with one sentence, and return that."""
        done = self.run(*words, **more)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        said = done.stderr.strip().splitlines()
        assert len(said) == 1 and said[0].startswith("orion-k8s: "), done.stderr
        assert done.stdout == ""
        return said[0].removeprefix("orion-k8s: ")

    @contextmanager
    def history(self) -> Iterator[SQLite]:
        """Open the history."""
        with SQLite(str(self.database)) as storage:
            storage.setup()
            yield storage

    def experiment(self, name: str = "e", version: int = 1) -> ExperimentRecord:
        """Return a stored experiment."""
        with self.history() as storage:
            [found] = [e for e in storage.experiments(name) if e.version == version]
            return found

    def trials(self, name: str = "e", status: Status | None = None) -> list[TrialRecord]:
        """Return the stored trials of an experiment; none where it isn't there yet."""
        with self.history() as storage:
            found = storage.experiments(name)
            return list(storage.trials(found[-1].id, status)) if found else []

    def values(self, name: str = "e") -> list[list[Any]]:
        """Return the points of the completed trials, sorted."""
        return sorted(json.loads(t.values) for t in self.trials(name, Status.COMPLETED))


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Wait for a command and return how it ended."""
    try:
        out, err = process.communicate(timeout=DEADLINE_S)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        raise AssertionError(f"it did not end in time:\n{out}{err}") from None
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie doesn't."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
