"""The command line, in this process and in others, on a history of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.cli import main
from orion_k8s.client.opening import ensure
from orion_k8s.storage import Lease, Storage
from orion_k8s.storage.url import open_storage
from orion_k8s.trial import (
    Claim,
    ExperimentRecord,
    Status,
    dump_values,
    identity_of,
    new_id,
    new_token,
)

DEADLINE_S = 60.0
SPACE = {"x": "uniform(-5, 5)"}
WEIRD = ["with spaces", "Größe 実験 🦉", "$where.$set", "'; DROP TABLE trials; --", "é" * 300]


@dataclass(frozen=True)
class Said:
    """What a command said.

    Attributes:
        code: its exit code.
        out, err: what it printed.
    """

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of the lines below the header."""
        return [line.split("\t") for line in self.out.splitlines()[1:]]

    def refused(self, code: int) -> str:
        """Return the sentence of a command that was refused: one line, no traceback, no output."""
        assert self.out == "", self
        return self.refused_after_output(code)

    def refused_after_output(self, code: int) -> str:
        """Return the sentence of a command that failed when it had printed something."""
        assert self.code == code, self
        (sentence,) = self.err.splitlines()
        assert sentence.startswith("orion-k8s: "), self
        return sentence


class History:
    """A history of the test's own, with ways to put experiments and trials into it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.storage: Storage = open_storage(url)
        self.storage.setup()

    def experiment(self, name: str = "exp", version: int = 1, **options: Any) -> ExperimentRecord:
        options.setdefault("space", SPACE)
        options.setdefault("seed", 1)
        return ensure(self.storage, name, version, **options)

    def reserved(
        self, record: ExperimentRecord, number: int, lease_s: float = 60.0, worker: str = "w1"
    ) -> Lease:
        values = dump_values([number / 100])
        claim = Claim(new_id(), number, values, identity_of(values), new_token(), worker)
        assert not self.storage.claim(record.id, claim, lease_s)
        return Lease(claim.id, claim.token)

    def completed(self, record: ExperimentRecord, number: int, objective: float) -> str:
        lease = self.reserved(record, number)
        result = {"name": "objective", "type": "objective", "value": objective}
        self.storage.complete(lease, objective, [result])
        return lease.trial

    def broken(self, record: ExperimentRecord, number: int, reason: str = "it failed") -> str:
        lease = self.reserved(record, number)
        self.storage.release(lease, Status.BROKEN, reason)
        return lease.trial

    def statuses(self, record: ExperimentRecord) -> dict[int, str]:
        return {t.number: t.status.value for t in self.storage.trials(record.id)}


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


WORKER = """
import os, sys, time
from orion_k8s import build_experiment
from orion_k8s.errors import OrionError

folder = {folder!r}

def work(x):
    with open(os.path.join(folder, "started"), "a") as file:
        file.write(f"{{x}}\\n")
    while not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.01)
    return x

if __name__ == "__main__":
    experiment = build_experiment({name!r}, storage={url!r}, heartbeat=0.2)
    try:
        experiment.workon(work, n_workers=1)
        print("done")
    except OrionError as error:
        print(type(error).__name__)
"""


class RunningWorker:
    """A worker in a process of its own, whose trials wait until `go`."""

    def __init__(self, folder: Path, url: str, name: str) -> None:
        self.folder = folder
        folder.mkdir()
        script = folder / "worker.py"
        script.write_text(WORKER.format(folder=str(folder), url=url, name=name))
        self.process = subprocess.Popen(
            [sys.executable, str(script)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def started(self) -> int:
        """Return how many trials were begun."""
        path = self.folder / "started"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def go(self) -> None:
        """Let the trials end."""
        (self.folder / "go").touch()

    def end(self) -> str:
        """Return how the worker ended."""
        out, err = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0, err
        return out.strip()


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
