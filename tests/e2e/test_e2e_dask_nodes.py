"""A node that is lost under the executor dask-kubernetes."""

from __future__ import annotations

import pytest

from orion_k8s.testing.executor.probes import until
from tests.e2e.dask_clusters import (
    START_S,
    Laptop,
    dask_pods,
    exactly,
    nothing_left,
    started,
)
from tests.e2e.ledger import Ledger
from tests.e2e.nodes import ALONE, Nodes

pytestmark = [ALONE, pytest.mark.timeout(540)]

LOST_S = 240.0
"""Until a node counts as lost, and its pods are made elsewhere."""


def test_a_node_is_lost(nodes: Nodes, laptop: Laptop, namespace: str) -> None:
    """Whatever ran there, the scheduler or a Dask worker, comes back elsewhere."""
    victim, other = nodes.victim()
    ledger = Ledger(namespace, node=other)
    # Enough of them that some are on either node.
    worker = laptop.work(8, hold=True, n_workers=4)
    until(lambda: len(started(ledger)) == 4, "four trials run", START_S)
    there = [p for p in dask_pods(namespace) if p["spec"]["nodeName"] == victim]
    assert there, "none of our pods is on that node"
    nodes.kill(victim)
    lost = [p for p in there if p["metadata"]["labels"]["dask.org/component"] == "worker"]
    scheduler = len(lost) < len(there)
    again = 4 if scheduler else len(lost)
    until(lambda: len(started(ledger)) == 4 + again, "what was lost runs again", LOST_S)
    ledger.set("go")
    laptop.ended(worker)
    exactly(8, ledger, laptop, again=again)
    # Only the node itself can say that its pods have ended.
    nodes.mend(victim)
    nothing_left(namespace)
