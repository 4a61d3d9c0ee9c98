"""Dask's operator, and workers on this machine and in pods whose trials run in its clusters."""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.testing.executor.probes import until
from orion_k8s.trial import Status
from tests.e2e.jobs import account, kubeconfig, role_of_the_docs
from tests.e2e.kubectl import Object, apply, found, kubectl
from tests.e2e.ledger import Ledger
from tests.functional.cli.hunting import Shell

ROOT = Path(__file__).parents[2]
IMAGE = os.environ.get("ORION_K8S_IMAGE", "orion-k8s:test")
OPERATOR_IMAGE = os.environ.get("DASK_OPERATOR_IMAGE", "dask-operator:test")

START_S = 180.0
"""Longer than a cluster's start takes on a busy machine."""


# --- the operator --------------------------------------------------------------------------------


@contextmanager
def operator(folder: Path) -> Iterator[None]:
    """Have Dask's operator: the one that is there, or else the chart of dask-kubernetes' wheel."""
    running = ["get", "deployments", "-A", "-o", "name"]
    running += ["-l", "app.kubernetes.io/name=dask-kubernetes-operator"]
    if kubectl(*running).strip():
        yield
        return
    spec = find_spec("dask_kubernetes")
    assert spec is not None and spec.origin is not None
    wheel = Path(spec.origin).parent
    chart = folder / "chart"
    shutil.copytree(wheel / "operator/deployment/helm/dask-kubernetes-operator", chart)
    about = chart / "Chart.yaml"
    about.write_text(re.sub(r"(?m)^version: .*", "version: 0.0.1", about.read_text()))
    name, _, tag = OPERATOR_IMAGE.rpartition(":")
    helm(
        *("install", "dask-operator", str(chart), "-n", "dask-operator", "--create-namespace"),
        *("--set", f"image.name={name}", "--set", f"image.tag={tag}", "--wait"),
    )
    try:
        yield
    finally:
        helm("uninstall", "dask-operator", "-n", "dask-operator", "--wait")


def helm(*words: str) -> None:
    done = subprocess.run(["helm", *words], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


# --- workers -------------------------------------------------------------------------------------


@functools.cache
def python_of_the_image() -> str:
    """Return a Python of this machine that speaks with the one of the image."""
    name = f"python-of-the-image-{uuid.uuid4().hex[:8]}"  # several processes may ask at once
    code = "import sys; print('Python', *sys.version_info[:2], sep='.')"
    kubectl(
        *("run", name, f"--image={IMAGE}", "--restart=Never", "--image-pull-policy=IfNotPresent"),
        *("--command", "--", "python", "-c", code),
    )
    try:
        path = "--for=jsonpath={.status.phase}=Succeeded"
        kubectl("wait", path, f"pod/{name}", "--timeout=60s")
        said = re.search(r"Python\.(\d+\.\d+)", kubectl("logs", name))
    finally:
        kubectl("delete", "pod", name, "--wait=false")
    assert said is not None
    version = said[1]
    if version == "{}.{}".format(*sys.version_info[:2]):
        return sys.executable
    other = ROOT / f".venv-{version}" / "bin" / "python"
    if not other.exists():
        pytest.fail(
            f"The image {IMAGE} has Python {version}, and a worker here needs the same: run "
            f"`make PYTHON=python{version} venv` first.",
            pytrace=False,
        )
    return str(other)


class Laptop(Shell):
    """A person's machine, with the rights of the docs and no more.

    Args:
        folder: where the person stands, with a history of one's own.
        namespace: where the clusters are made.
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        super().__init__(folder)
        self.namespace = namespace
        account(namespace, role_of_the_docs("orion-k8s-dask"))
        self.env["KUBECONFIG"] = str(kubeconfig(folder / "kubeconfig", namespace))
        self.env["PYTHONPATH"] = str(ROOT)
        self.workers: list[subprocess.Popen[str]] = []

    def work(self, max_trials: int, hold: bool = False, **executor: Any) -> subprocess.Popen[str]:
        """Start a worker; what it says goes into the file `log`."""
        arguments = settings(self.namespace, max_trials, hold, **executor)
        arguments["storage"] = str(self.database)
        program = str(ROOT / "tests/e2e/dask_worker.py")
        with open(self.log, "a") as log:
            worker = subprocess.Popen(
                [python_of_the_image(), program, json.dumps(arguments)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                env=self.env,
                cwd=self.folder,
            )
        self.workers.append(worker)
        return worker

    @property
    def log(self) -> Path:
        """What its workers said."""
        return self.folder / "log"

    def ended(self, worker: subprocess.Popen[str], code: int = 0) -> str:
        """Wait for a worker's end; return what all of them said."""
        try:
            worker.wait(START_S)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it did not end in time:\n{self.log.read_text()}") from None
        assert worker.returncode == code, self.log.read_text()
        return self.log.read_text()

    def close(self) -> None:
        """End what a test that failed has left."""
        for worker in self.workers:
            worker.kill()
            worker.wait()


def settings(
    namespace: str, max_trials: int, hold: bool, image: str | None = IMAGE, **executor: Any
) -> Object:
    """Return what `dask_worker.py` is told."""
    if "cluster" not in executor and "custom_cluster_spec" not in executor and image:
        executor["image"] = image
    return {
        "max_trials": max_trials,
        "ledger": f"http://ledger.{namespace}:8000",
        "hold": hold,
        "executor": executor,
    }


def worker_pod(namespace: str, max_trials: int, hold: bool, **executor: Any) -> Object:
    """Return a pod with a worker, whose history lives as long as the pod."""
    arguments = settings(namespace, max_trials, hold, image=None, **executor)
    arguments["storage"] = "/tmp/history.db"
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    container = {
        "name": "worker",
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "/code/dask_worker.py", json.dumps(arguments)],
        "securityContext": restricted,
        "volumeMounts": [
            {"name": "code", "mountPath": "/code"},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "worker"},
        "spec": {
            "serviceAccountName": "worker",
            "restartPolicy": "OnFailure",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": "code", "configMap": {"name": "code"}},
                {"name": "tmp", "emptyDir": {}},
            ],
        },
    }


def start_worker_pod(namespace: str, pod: Object) -> None:
    """Start a worker in a pod, with the rights of the docs and no more."""
    account(namespace, role_of_the_docs("orion-k8s-dask"))
    code = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "code"},
        "data": {"dask_worker.py": (ROOT / "tests/e2e/dask_worker.py").read_text()},
    }
    apply(code, pod, namespace=namespace)


# --- what is there -------------------------------------------------------------------------------


def clusters(namespace: str) -> list[Object]:
    """Return the DaskClusters."""
    return found("daskclusters.kubernetes.dask.org", namespace)


def dask_pods(namespace: str, part: str = "") -> list[Object]:
    """Return the Dask pods, or those of one part: scheduler or worker."""
    selector = "dask.org/cluster-name" + (f",dask.org/component={part}" if part else "")
    return found("pods", namespace, selector)


def nothing_left(namespace: str) -> None:
    """Wait until no DaskCluster and no Dask pod is there any more."""
    until(lambda: not clusters(namespace), "no DaskCluster is left", START_S)
    until(lambda: not dask_pods(namespace), "no Dask pod is left", START_S)


def started(ledger: Ledger) -> list[tuple[str, int]]:
    """Return the attempts that began, in order."""
    return [(note.trial, note.attempt) for note in ledger.notes("start")]


def exactly(n: int, ledger: Ledger, laptop: Laptop, again: int = 0) -> None:
    """N trials completed, each attempt ran once, and only the lost ones ran again.

    Args:
        n: how many.
        ledger: what the trials said themselves.
        laptop: whose history it is.
        again: how many were interrupted.
    """
    trials = laptop.trials()
    assert Counter(trial.status for trial in trials) == {Status.COMPLETED: n}
    ends = Counter(note.trial for note in ledger.notes("end"))
    assert ends == {trial.id: 1 for trial in trials}
    attempts = Counter(started(ledger))
    assert set(attempts.values()) == {1}
    assert Counter(trial for trial, _ in attempts) == {t.id: t.attempt for t in trials}
    assert sorted(t.attempt for t in trials) == [1] * (n - again) + [2] * again
