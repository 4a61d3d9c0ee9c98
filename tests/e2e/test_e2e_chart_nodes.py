"""The chart's workers on machines that die, are cut off, or are drained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.chart.helms import find
from tests.e2e.chart_release import Release, exactly, experiment, ready, until
from tests.e2e.kubectl import Object, found, kubectl
from tests.e2e.ledger import Ledger, Note
from tests.e2e.nodes import ALONE, Nodes

pytestmark = [ALONE, pytest.mark.timeout(540)]

LOST_S = 60.0
"""Two heartbeats of 15 s, the other worker's look around, and a pod's start."""


class Scene:
    """A worker on a node that will be lost, another one on the node where everything else is.

    Both hold a trial's first attempt until they are told to go.
    """

    def __init__(self, release: Release, nodes: Nodes) -> None:
        self.release, self.nodes = release, nodes
        self.victim, self.other = nodes.victim()
        self.ledger = Ledger(release.namespace, node=self.other)
        values = experiment(
            "hold-first",
            6,
            worker={"replicas": 2, "grace": 2, "affinity": APART},
            mongodb={"nodeSelector": {"kubernetes.io/hostname": self.other}},
        )
        release.install(values)
        until(lambda: len(self.ledger.notes("start")) == 2)
        [self.pod] = [p for p in release.pods("worker") if p["spec"]["nodeName"] == self.victim]
        # A worker is named after its pod.
        begins = self.pod["metadata"]["name"] + ":"
        [self.held] = [t.id for t in release.trials() if (t.worker or "").startswith(begins)]

    def runs_again(self) -> list[Note]:
        """Return the later starts of the trial that the node held."""
        starts = self.ledger.notes("start")
        return [note for note in starts if note.trial == self.held and note.attempt > 1]

    def ends_exactly(self) -> None:
        """Wait for the end: six trials, each by one program."""
        self.release.completes(6)
        exactly(self.release, self.ledger, 6)


APART: Object = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": {"matchLabels": {"app.kubernetes.io/component": "worker"}},
            }
        ]
    }
}


@pytest.fixture
def scene(namespace: str, nodes: Nodes) -> Scene:
    return Scene(Release(find("helm4"), namespace), nodes)


@contextmanager
def measured(what: str) -> Iterator[None]:
    """Print how long something takes."""
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.1f} s")


def test_a_node_that_dies(scene: Scene) -> None:
    """Its trial is back within two heartbeats, though its pod hangs in Terminating."""
    scene.nodes.kill(scene.victim)
    scene.ledger.set("go")
    with measured("node killed → its trial runs again"):
        until(scene.runs_again, LOST_S)
    scene.ends_exactly()
    scene.nodes.mend(scene.victim)
    scene.ends_exactly()


def test_a_node_that_is_cut_off_and_healed(scene: Scene) -> None:
    """Its program goes on, for it cannot know; nobody takes its word when it is back."""
    scene.nodes.cut(scene.victim)
    scene.ledger.set("go")
    with measured("node cut off → its trial runs again"):
        until(scene.runs_again, LOST_S)
    scene.nodes.mend(scene.victim)
    scene.release.completes(6)
    until(lambda: all(ready(pod) for pod in scene.release.pods("worker")))
    scene.ends_exactly()
    [held] = [trial for trial in scene.release.trials() if trial.id == scene.held]
    assert held.attempt == 2
    assert [past["attempt"] for past in held.story] == [1]


def test_a_node_that_is_drained(scene: Scene) -> None:
    """The program is told to end, its trial is back at once, the pod goes elsewhere if it can."""
    try:
        options = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s")
        kubectl("drain", scene.victim, *options)
        [told] = [n for n in scene.ledger.notes("term") if n.trial == scene.held]
        scene.ledger.set("go")
        until(scene.runs_again, LOST_S)
        assert told.attempt == 1
        [pending] = [
            p for p in scene.release.pods("worker") if p["spec"].get("nodeName") != scene.other
        ]
        assert pending["metadata"]["name"] != scene.pod["metadata"]["name"]
    finally:
        kubectl("uncordon", scene.victim)
    scene.ends_exactly()
    until(lambda: all(ready(pod) for pod in found("pods", scene.release.namespace)))
