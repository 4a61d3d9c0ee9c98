"""Jobs on a node that falls silent, or dies."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orion_k8s.testing.executor.probes import until
from orion_k8s.trial import Status
from tests.e2e.jobs import Hunter, template
from tests.e2e.kubectl import Object, found, kubectl
from tests.e2e.ledger import Ledger
from tests.e2e.nodes import ALONE, Nodes

LOST_S = 300.0
"""The cluster notices (40 s), gives the node up (30 s), and the worker waits for the pod twice."""


GHOST = "orion-test/ghost"
"""A taint that keeps everybody else's pods away."""


@contextmanager
def a_ghost() -> Iterator[str]:
    """Add a node that is ready once and never heard of again; its name."""
    name = f"ghost-{uuid.uuid4().hex[:8]}"
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}},
        "spec": {"taints": [{"key": GHOST, "effect": "NoSchedule"}]},
    }
    kubectl("create", "-f", "-", stdin=json.dumps(node))
    room = {"cpu": "4", "memory": "8Gi", "pods": "10"}
    ready_now = {"type": "Ready", "status": "True", "reason": "Ghost", "message": "once"}
    status = {"capacity": room, "allocatable": room, "conditions": [ready_now]}
    try:
        patch("node", name, status)
        yield name
    finally:
        kubectl("delete", "node", name)


def patch(kind: str, name: str, status: Object, namespace: str | None = None) -> None:
    """Change the status of an object, as its kubelet would."""
    words = ("patch", kind, name, "--subresource=status", "--type=merge", "-p")
    kubectl(*words, json.dumps({"status": status}), namespace=namespace)


def pretend_to_run(pod: Object) -> None:
    """Let a pod on the ghost run."""
    began = "2026-01-01T00:00:00Z"
    container = {
        **{"name": "trial", "image": "i", "imageID": "", "restartCount": 0},
        **{"ready": True, "started": True, "state": {"running": {"startedAt": began}}},
    }
    status = {"phase": "Running", "startTime": began, "containerStatuses": [container]}
    patch("pod", pod["metadata"]["name"], status, pod["metadata"]["namespace"])


def test_a_node_that_falls_silent(tmp_path: Path, namespace: str) -> None:
    """Its trials run again elsewhere, though its pods never go."""
    ledger = Ledger(namespace)
    hunter = Hunter(tmp_path, namespace)
    with a_ghost() as node:
        options = ("--max-trials", "3", "--n-workers", "2", "--grace", "1")
        words = hunter.words("report", *options, template=at_best_on(node))
        worker = hunter.start(*words)
        until(lambda: len(hunter.pods()) == 2, "two pods", 60.0)
        until(
            lambda: {pod["spec"].get("nodeName") for pod in hunter.pods()} == {node},
            "they are on the ghost",
        )
        lost = {pod["metadata"]["labels"]["orion-k8s/trial"] for pod in hunter.pods()}
        for pod in hunter.pods():
            pretend_to_run(pod)
        out, err = worker.communicate(timeout=LOST_S)
    assert worker.returncode == 0, out + err
    assert hunter.counts() == {"completed": 3}
    attempts = {(trial.id, trial.attempt) for trial in hunter.trials()}
    assert {trial for trial, attempt in attempts if attempt == 2} == lost
    starts = Counter((note.trial, note.attempt) for note in ledger.notes("start"))
    assert starts == dict.fromkeys(attempts, 1)
    assert err.count("runs again: its node went away") == 2
    assert err.count("does not end, for its node does not answer") == 2


def at_best_on(node: str) -> Object:
    """Return a template whose pods go elsewhere only where that node is gone."""
    terms = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]
    preferred = [{"weight": 100, "preference": {"matchExpressions": terms}}]
    affinity = {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
    whole = template()
    pod = whole["spec"]["template"]["spec"]
    pod["affinity"], pod["tolerations"] = affinity, [{"key": GHOST, "operator": "Exists"}]
    return whole


@ALONE
def test_a_node_that_dies(nodes: Nodes, tmp_path: Path, namespace: str) -> None:
    """Its trials run again elsewhere, each completes once, and the worker says what happened."""
    victim, other = nodes.victim()
    ledger = Ledger(namespace, node=other)
    hunter = Hunter(tmp_path, namespace)
    options = ("--max-trials", "3", "--n-workers", "2")
    worker = hunter.start(*hunter.words("hold", *options, template=at_best_on(victim)))
    until(lambda: len(ledger.notes("start")) == 2, "two programs run", 60.0)
    assert {pod["spec"]["nodeName"] for pod in hunter.pods()} == {victim}
    lost = {note.trial for note in ledger.notes("start")}
    nodes.kill(victim)
    until(lambda: len(ledger.notes("start")) == 4, "they run again", LOST_S)
    ledger.set("go")
    out, err = worker.communicate(timeout=120)
    assert worker.returncode == 0, out + err
    assert hunter.counts() == {"completed": 3}
    completed = {trial.id for trial in hunter.trials(status=Status.COMPLETED)}
    starts = Counter((note.trial, note.attempt) for note in ledger.notes("start"))
    assert set(starts.values()) == {1}
    assert {trial for trial, attempt in starts if attempt == 2} == lost
    assert Counter(note.trial for note in ledger.notes("end")) == dict.fromkeys(completed, 1)
    assert err.count("runs again: ") == 2
    nodes.mend(victim)
    until(
        lambda: not [p for p in found("pods", namespace) if p["spec"].get("nodeName") == victim],
        "what ran there is ended",
        120.0,
    )
    assert Counter(note.trial for note in ledger.notes("end")) == dict.fromkeys(completed, 1)
