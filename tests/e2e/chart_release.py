"""A person who installs the chart: Helm, kubectl, and the history behind a port-forward."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orion_k8s.client.report
from orion_k8s.errors import OrionError
from orion_k8s.storage.url import open_storage
from orion_k8s.trial import Status, TrialRecord
from tests.e2e.kubectl import Object, found, kubectl
from tests.e2e.ledger import Ledger

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "orion-k8s"
# REPOSITORY:TAG of the image that the cluster's nodes have or can pull.
IMAGE = os.environ.get("ORION_K8S_IMAGE", "orion-k8s:test")
PROGRAM = [ROOT / "tests" / "e2e" / "trial.py", Path(orion_k8s.client.report.__file__)]
MINUTES_S = 240.0
# The ledger is no part of the release.
LEDGER = {"to": [{"podSelector": {"matchLabels": {"app": "ledger"}}}], "ports": [{"port": 8000}]}
SMALL = {"requests": {"cpu": "10m", "memory": "64Mi"}}


def until(condition: Callable[[], object], deadline_s: float = MINUTES_S) -> None:
    """Wait for a condition, which may fail while pods come and go; fail past the deadline."""
    end = time.monotonic() + deadline_s
    why: Exception | None = None
    while True:
        try:
            if condition():
                return
            why = None
        except (AssertionError, OrionError) as error:
            why = error
        assert time.monotonic() < end, f"not within {deadline_s} s: {why or 'still false'}"
        time.sleep(0.3)


class Failed(Exception):
    """Helm failed; the text is what it said."""


class Release:
    """One release of the chart in a namespace.

    Args:
        helm: path of the program.
        namespace: of its own.
        name: of the release.
    """

    def __init__(self, helm: str, namespace: str, name: str = "r") -> None:
        self.program = helm
        self.namespace = namespace
        self.name = name
        self.fullname = f"{name}-orion-k8s"
        self.uri_options = "directConnection=true"

    # --- what a person types ---------------------------------------------------------------------

    def helm(self, *words: str, values: Object | None = None) -> str:
        """Run a command of Helm; what it prints.

        Raises:
            Failed: it failed.
        """
        done = subprocess.run(
            [self.program, *words, "--namespace", self.namespace],
            input=None if values is None else json.dumps(values),
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(done.stdout + done.stderr)
        return done.stdout

    def install(self, values: Object, *words: str) -> str:
        """Install the chart; what Helm prints."""
        return self.helm("install", self.name, str(CHART), "-f", "-", *words, values=values)

    def upgrade(self, values: Object, *words: str) -> str:
        """Upgrade the release to other values."""
        return self.helm("upgrade", self.name, str(CHART), "-f", "-", *words, values=values)

    def uninstall(self) -> str:
        """Uninstall it, and wait until its pods are gone."""
        said = self.helm("uninstall", self.name, "--wait", "--timeout=3m")
        until(lambda: not self.pods())
        return said

    def scale(self, count: int, component: str = "worker") -> None:
        """Do as a person does: kubectl scale."""
        kubectl(
            *("scale", f"deploy/{self.fullname}-{component}", f"--replicas={count}"),
            namespace=self.namespace,
        )

    # --- what there is ---------------------------------------------------------------------------

    @property
    def selector(self) -> str:
        """What finds all of the release."""
        return f"app.kubernetes.io/instance={self.name}"

    def pods(self, component: str = "") -> list[Object]:
        """Return the pods of a component, or all."""
        more = f",app.kubernetes.io/component={component}" if component else ""
        return found("pods", self.namespace, self.selector + more)

    def deployment(self, component: str = "worker") -> Object:
        """Return a Deployment."""
        name = f"{self.fullname}-{component}"
        found: Object = json.loads(
            kubectl("get", "deploy", name, "-o", "json", namespace=self.namespace)
        )
        return found

    def replicas(self) -> int:
        """Return how many workers are asked for."""
        return int(self.deployment()["spec"]["replicas"])

    def restarts(self, component: str = "worker") -> int:
        """Return how often containers of a component were started again."""
        return sum(
            status["restartCount"]
            for pod in self.pods(component)
            for status in pod["status"].get("containerStatuses", [])
        )

    # --- the history -----------------------------------------------------------------------------

    @contextmanager
    def forward(self) -> Iterator[int]:
        """Forward a port of this machine to MongoDB."""
        command = ["kubectl", "-n", self.namespace, "port-forward"]
        process = subprocess.Popen(
            [*command, f"svc/{self.fullname}-mongodb", ":27017"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            port = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert port is not None, line + process.stdout.read()
            yield int(port[1])
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    def trials(self) -> list[TrialRecord]:
        """Return all trials of the only experiment, in the order of their numbers."""
        secret = json.loads(
            kubectl(
                *("get", "secret", f"{self.fullname}-mongodb", "-o", "json"),
                namespace=self.namespace,
            )
        )
        password = base64.b64decode(secret["data"]["mongodb-password"]).decode()
        environ = {"ORION_DB_USERNAME": "orion", "ORION_DB_PASSWORD": password}
        with self.forward() as port:
            uri = f"mongodb://127.0.0.1:{port}/orion?{self.uri_options}"
            with open_storage(uri, environ=environ) as storage:
                records = storage.experiments()
                assert len(records) <= 1
                return [trial for one in records for trial in storage.trials(one.id)]

    def counts(self) -> Counter[Status]:
        """Return how many trials there are in each state."""
        return Counter(trial.status for trial in self.trials())

    def completes(self, n: int) -> None:
        """Wait until n trials are completed, and nothing else is there."""
        until(lambda: self.counts() == {Status.COMPLETED: n})


def experiment(what: str, max_trials: int, **values: Any) -> Object:
    """Return the values of an experiment that runs tests/e2e/trial.py.

    Args:
        what: the program does; see there.
        max_trials: of the experiment.
        values: more of the chart's, section by section.
    """
    repository, _, tag = IMAGE.rpartition(":")
    base: Object = {
        "image": {"repository": repository, "tag": tag},
        "experiment": {
            "name": "e2e",
            "maxTrials": max_trials,
            "command": ["python", "/experiment/trial.py", what, "x~uniform(0, 1)"],
            "files": {path.name: path.read_text(encoding="utf-8") for path in PROGRAM},
        },
        "worker": {"resources": SMALL},
        "mongodb": {"resources": SMALL},
        "networkPolicy": {"extraEgress": [LEDGER]},
    }
    return merged(base, values)


def dask_values(mode: str, **more: object) -> Object:
    """Return the values of an executor of Dask."""
    small = {"resources": {"requests": {"cpu": "10m"}}}
    workers = {"replicas": 2, **small}
    return {"type": "dask", "dask": {"mode": mode, "workers": workers, "scheduler": small, **more}}


def ready(pod: Object) -> bool:
    """Whether a pod is ready."""
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def merged(one: Object, other: Object) -> Object:
    """Return a mapping laid over another, at every depth."""
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if isinstance(one[key], dict) and isinstance(other[key], dict):
            both[key] = merged(one[key], other[key])
    return both


def exactly(release: Release, ledger: Ledger, n: int) -> None:
    """Exactly n trials completed, each attempt was one program, and the ledger has it so, too."""
    trials = release.trials()
    completed = {trial.id for trial in trials if trial.status is Status.COMPLETED}
    stories = "\n".join(trial.tell() for trial in trials if trial.story)
    assert len(completed) == n == len(trials), stories
    started = Counter((note.trial, note.attempt) for note in ledger.notes("start"))
    assert set(started.values()) == {1}, stories
    ended = Counter((note.trial, note.attempt) for note in ledger.notes("end"))
    for trial in trials:
        # A program may have come to its end when its worker or its Dask worker was lost.
        for past in trial.story:
            ended.pop((trial.id, past["attempt"]), None)
    assert ended == {(trial.id, trial.attempt): 1 for trial in trials}, stories
