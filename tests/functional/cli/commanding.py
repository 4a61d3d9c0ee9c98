"""A history of a test's own, what a command said, and a worker that waits."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
