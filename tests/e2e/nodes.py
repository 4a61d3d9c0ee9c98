"""Machines that die, are cut off, and come back, by the tool that TEST_CLUSTER names.

The tool takes `kill-node NAME`, `start-node NAME`, `cut NAME` and `heal NAME`.
"""

from __future__ import annotations

import json
import subprocess

import pytest

from orion_k8s.testing.executor.probes import until
from tests.e2e.kubectl import Object, kubectl

ALONE = pytest.mark.node
"""For tests that break a node: they run after all others, one by one."""

BACK_S = 120.0


def names() -> list[str]:
    """Return the cluster's nodes."""
    return kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}").split()


def ready(node: str) -> bool:
    """Whether a node is ready, as the cluster sees it."""
    jsonpath = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return kubectl("get", "node", node, "-o", jsonpath) == "True"


class Nodes:
    """The cluster's machines.

    Args:
        tool: that reaches them.
        namespace: of the test: what is in it may be lost.
    """

    def __init__(self, tool: str, namespace: str) -> None:
        self._tool = tool
        self._namespace = namespace
        self._mend: dict[str, str] = {}

    def victim(self) -> tuple[str, str]:
        """Return a node without pods of others, once there is one, and another node."""
        free: list[str] = []

        def one_is_free() -> bool:
            free[:] = [node for node in names() if not self._strangers(node)]
            return bool(free)

        until(one_is_free, "a node without pods of others", BACK_S)
        victim = free[-1]
        return victim, next(node for node in names() if node != victim)

    def kill(self, node: str) -> None:
        """End a node at once, with all that runs on it."""
        self._break(node, "kill-node", "start-node")

    def cut(self, node: str) -> None:
        """Cut a node's network: what runs there goes on."""
        self._break(node, "cut", "heal")

    def mend(self, node: str) -> None:
        """Bring a node back, and wait until it is ready."""
        self._tell(self._mend.pop(node), node)
        until(lambda: ready(node), f"{node} is ready", BACK_S)

    def mend_all(self) -> None:
        """Bring back what a test left broken."""
        for node in list(self._mend):
            self.mend(node)

    def _break(self, node: str, verb: str, mend: str) -> None:
        self._mend[node] = mend
        self._tell(verb, node)

    def _tell(self, verb: str, node: str) -> None:
        subprocess.run([self._tool, verb, node], check=True, capture_output=True, timeout=120)

    def _strangers(self, node: str) -> list[Object]:
        where = f"--field-selector=spec.nodeName={node}"
        pods: list[Object] = json.loads(kubectl("get", "pods", "-A", where, "-o", "json"))["items"]
        ours = (self._namespace, "kube-system")
        return [pod for pod in pods if pod["metadata"]["namespace"] not in ours]
