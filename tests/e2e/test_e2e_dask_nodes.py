"""A node that is lost under the executor dask-kubernetes. Run it alone: it kills a machine.

The tool that kills and starts nodes is named by TEST_CLUSTER (as `cluster kill-node NAME`).
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orion_k8s.testing.executor.probes import until
from tests.e2e.dask_clusters import (
    START_S,
    Laptop,
    dask_pods,
    exactly,
    nothing_left,
    operator,
    started,
)
from tests.e2e.kubectl import Object, found, kubectl
from tests.e2e.ledger import Ledger

pytestmark = pytest.mark.timeout(540)

TOOL = os.environ.get("TEST_CLUSTER", "")
LOST_S = 240.0
"""Until a node counts as lost, and its pods are made elsewhere."""


@pytest.fixture(scope="session")
def dask_operator(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with operator(tmp_path_factory.mktemp("operator")):
        yield


@pytest.fixture
def laptop(dask_operator: None, tmp_path: Path, namespace: str) -> Iterator[Laptop]:
    laptop = Laptop(tmp_path, namespace)
    yield laptop
    laptop.close()


def strangers(node: str, namespace: str) -> list[str]:
    """Return the pods of others on a node."""
    pods: list[Object] = []
    for name in kubectl("get", "namespaces", "-o", "name").split():
        if name.removeprefix("namespace/") not in (namespace, "kube-system"):
            pods += found("pods", name.removeprefix("namespace/"))
    return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName") == node]


def start(node: str) -> None:
    """Start a node, and wait until it is ready."""
    subprocess.run([TOOL, "start-node", node], check=True, timeout=120)
    kubectl("wait", "--for=condition=Ready", f"node/{node}", "--timeout=110s")


@pytest.fixture
def power(cluster: str) -> Iterator[list[str]]:
    """Nodes that are killed; they are started again at the end."""
    if not TOOL:
        pytest.skip("TEST_CLUSTER names no tool that kills nodes")
    killed: list[str] = []
    yield killed
    for node in killed:
        start(node)


def test_a_node_is_lost(power: list[str], laptop: Laptop, namespace: str) -> None:
    """Whatever ran there, the scheduler or a Dask worker, comes back elsewhere."""
    nodes = [node["metadata"]["name"] for node in found("nodes", namespace)]
    label = "app.kubernetes.io/name=dask-kubernetes-operator"
    pods = json.loads(kubectl("get", "pods", "-A", "-l", label, "-o", "json"))["items"]
    needed = {pod["spec"].get("nodeName") for pod in pods}
    victim = next(node for node in nodes if node not in needed)
    if others := strangers(victim, namespace):
        pytest.fail(f"Others use the node {victim}: {', '.join(others)}.", pytrace=False)
    kubectl("cordon", victim)  # the ledger must live on
    try:
        ledger = Ledger(namespace)
    finally:
        kubectl("uncordon", victim)
    # Enough of them that some are on either node.
    worker = laptop.work(8, hold=True, n_workers=4)
    until(lambda: len(started(ledger)) == 4, "four trials run", START_S)
    there = [p for p in dask_pods(namespace) if p["spec"]["nodeName"] == victim]
    assert there, "none of our pods is on that node"
    power.append(victim)
    subprocess.run([TOOL, "kill-node", victim], check=True, timeout=120)
    lost = [p for p in there if p["metadata"]["labels"]["dask.org/component"] == "worker"]
    scheduler = len(lost) < len(there)
    again = 4 if scheduler else len(lost)
    until(lambda: len(started(ledger)) == 4 + again, "what was lost runs again", LOST_S)
    ledger.set("go")
    laptop.ended(worker)
    exactly(8, ledger, laptop, again=again)
    # Only the node itself can say that its pods have ended.
    start(power.pop())
    nothing_left(namespace)
