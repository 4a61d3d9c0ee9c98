from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DEADLINE_S = 60.0


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongo)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A history of the test's own, on each backend that processes can share."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'history.db'}"
    uri: str = request.getfixturevalue("mongodb_uri")
    name: str = request.getfixturevalue("mongodb_name")
    host, _, options = uri.partition("/?")
    return f"{host}/{name}?{options}"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'history.db'}"


class Scripts:
    """Python programs as people write them, in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def start(self, source: str, *argv: str) -> subprocess.Popen[str]:
        path = self.folder / f"script{len(self.started)}.py"
        path.write_text(source)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(path), *argv],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, source: str, *argv: str) -> str:
        """Run to the end and return what was printed; nothing may come on stderr."""
        process = self.start(source, *argv)
        out, err = process.communicate(timeout=2 * DEADLINE_S)
        assert (process.returncode, err) == (0, "")
        return out

    def end(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def scripts(tmp_path: Path) -> Iterator[Scripts]:
    folder = tmp_path / "scripts"
    folder.mkdir()
    made = Scripts(folder)
    yield made
    made.end()


def wait_for(condition: Callable[[], Any], what: str = "", seconds: float = DEADLINE_S) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what or condition}"
        time.sleep(0.01)
    return value


@pytest.fixture
def until() -> Callable[..., Any]:
    return wait_for
