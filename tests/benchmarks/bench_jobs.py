"""The executor kubernetes on the cluster of KUBECONFIG: how soon, and how many requests."""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.executor.kubernetes import KubernetesJobs
from orion_k8s.executor.registry import create_executor
from orion_k8s.script import ProgramResult, ProgramRun
from tests.benchmarks.figures import say

IMAGE = "python:3.13-slim"
CLOCK = (
    "import json, os, time; now = time.time(); print(now); "
    "path = os.environ.get('ORION_RESULTS_PATH', '/dev/null'); "
    "out = [{'name': 'now', 'type': 'objective', 'value': now}]; "
    "open(path, 'w').write(json.dumps(out))"
)
"""A program that tells when it began. The cluster's clock must be this machine's."""


def kubectl(*words: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["kubectl", *words], input=stdin, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@pytest.fixture
def namespace() -> Iterator[str]:
    if not os.environ.get("KUBECONFIG"):
        pytest.skip("KUBECONFIG names no cluster")
    name = f"bench-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


def run(folder: Path, trial: str, command: str = CLOCK) -> ProgramRun:
    attempt = folder / trial / "attempt-1"
    attempt.mkdir(parents=True)
    environment = {
        "ORION_EXPERIMENT_ID": "e",
        "ORION_EXPERIMENT_NAME": "bench",
        "ORION_TRIAL_ID": trial,
        "ORION_TRIAL_ATTEMPT": "1",
    }
    return ProgramRun(["python", "-c", command], str(attempt), environment=environment)


@contextmanager
def jobs(namespace: str, n_workers: int = 1, **configuration: Any) -> Iterator[KubernetesJobs]:
    with create_executor(
        "kubernetes", n_workers, image=IMAGE, namespace=namespace, **configuration
    ) as executor:
        assert isinstance(executor, KubernetesJobs)
        yield executor


def by_kubectl(namespace: str) -> tuple[float, float]:
    """Run a bare Job; seconds until its program began, and until its output is here."""
    name = f"bare-{uuid.uuid4().hex[:8]}"
    began = time.time()
    kubectl(
        "-n", namespace, "create", "job", name, f"--image={IMAGE}", "--", "python", "-c", CLOCK
    )
    kubectl("-n", namespace, "wait", "--for=condition=Complete", f"job/{name}", "--timeout=60s")
    said = float(kubectl("-n", namespace, "logs", f"job/{name}"))
    return said - began, time.time() - began


def by_executor(executor: KubernetesJobs, folder: Path) -> tuple[float, float]:
    """Run a trial; the same."""
    began = time.time()
    value = executor.submit(run(folder, uuid.uuid4().hex[:24])).get(60.0)
    assert isinstance(value, ProgramResult) and value.objective is not None, value
    return value.objective - began, time.time() - began


def test_how_soon_a_program_begins(namespace: str, tmp_path: Path) -> None:
    bare, ours = [], []
    began = time.perf_counter()
    with jobs(namespace) as executor:
        say("the executor is ready, s", f"{time.perf_counter() - began:.2f}", "goal 1")
        by_kubectl(namespace), by_executor(executor, tmp_path)
        for _ in range(7):
            bare.append(by_kubectl(namespace))
            ours.append(by_executor(executor, tmp_path))
    for number, what in enumerate(("until the program began, s", "until its result is here, s")):
        theirs = statistics.median(pair[number] for pair in bare)
        mine = statistics.median(pair[number] for pair in ours)
        say(f"kubectl create job, {what}", f"{theirs:.2f}")
        say(f"a trial's Job, {what}", f"{mine:.2f} ({mine - theirs:+.2f})", "goal +1")


def test_requests_of_a_trial(namespace: str, tmp_path: Path) -> None:
    with jobs(namespace, 4) as executor:
        until_then = sum(executor.calls.values())
        futures = [executor.submit(run(tmp_path, uuid.uuid4().hex[:24])) for _ in range(20)]
        for future in futures:
            future.get(120.0)
        made = sum(executor.calls.values()) - until_then
        say("requests of an executor at its start", str(until_then))
        say("requests a trial", f"{made / 20:.2f}", "goal a handful")
        say("of these", json.dumps({" ".join(k): v for k, v in executor.calls.items()}))


def test_memory_of_many_slots(namespace: str, tmp_path: Path) -> None:
    """Two hundred Jobs that wait for room: they are suspended, so that no node feels them."""

    def peak_mb() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    with jobs(namespace, 1) as executor:
        by_executor(executor, tmp_path)  # all is imported now
    before = peak_mb()
    with jobs(namespace, 200, queue="nobody", start_timeout=None) as executor:
        began = time.perf_counter()
        futures = [executor.submit(run(tmp_path, uuid.uuid4().hex[:24])) for _ in range(200)]
        while executor.calls["create", "jobs"] < 201:
            time.sleep(0.01)
        say("200 Jobs are made, s", f"{time.perf_counter() - began:.1f}")
        say("memory of 200 slots above imports, MB", f"{peak_mb() - before:.0f}", "goal 100")
        for future in futures:
            future.cancel()
        for future in futures:
            future.wait(120.0)
