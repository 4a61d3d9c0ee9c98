"""The command line, in this process and in others, on a history of the test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from commanding import DEADLINE_S, History, RunningWorker, Said

from orion_k8s.cli import main


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any configuration, and an environment that says nothing."""
    for name in list(os.environ):
        if name.startswith(("ORION", "XDG")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "etc"))
    return home


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/with space/history.db"


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.mongo)])
def any_url(request: pytest.FixtureRequest) -> str:
    """A history of the test's own, on each backend that processes can share."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    uri: str = request.getfixturevalue("mongodb_uri")
    name: str = request.getfixturevalue("mongodb_name")
    host, _, options = uri.partition("/?")
    return f"{host}/{name}?{options}"


def _history(url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    monkeypatch.setenv("ORION_DB_URL", url)
    history = History(url)
    with history.storage:
        yield history


@pytest.fixture
def history(own_home: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[History]:
    """A history in SQLite that the commands of the test find by themselves."""
    yield from _history(sqlite_url, monkeypatch)


@pytest.fixture
def any_history(
    own_home: Path, any_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[History]:
    """The same on each backend."""
    yield from _history(any_url, monkeypatch)


@pytest.fixture
def cli(own_home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in this process."""

    def run(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def shell(own_home: Path) -> Callable[..., Said]:
    """Run a command in a process of its own, as a person does; `stdin` is a pipe."""

    def run(*words: object, stdin: str = "", **options: Any) -> Said:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "orion_k8s", *map(str, words)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            **options,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sit a person at a terminal who types something."""

    def type_(words: str) -> None:
        import io

        class Keyboard(io.StringIO):
            def isatty(self) -> bool:
                return True

        monkeypatch.setattr(sys, "stdin", Keyboard(words))

    return type_


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., RunningWorker]]:
    """Start a worker on an experiment."""
    import signal

    made: list[RunningWorker] = []

    def start(url: str, name: str = "exp") -> RunningWorker:
        made.append(RunningWorker(tmp_path / f"worker{len(made)}", url, name))
        return made[-1]

    yield start
    for one in made:
        if one.process.poll() is None:
            os.killpg(one.process.pid, signal.SIGKILL)
        one.process.communicate()


@pytest.fixture
def until() -> Callable[..., Any]:
    """Wait until a condition is true, and return what it returned."""
    import time

    def wait(condition: Callable[[], Any]) -> Any:
        end = time.monotonic() + DEADLINE_S
        while not (value := condition()):
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.02)
        return value

    return wait
