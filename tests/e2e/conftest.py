"""What the tests on a real cluster share: the cluster that KUBECONFIG names, and a namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.helms import find
from tests.e2e.chart_release import Release
from tests.e2e.dask_clusters import Laptop, operator
from tests.e2e.kubectl import kubectl
from tests.e2e.ledger import Ledger
from tests.e2e.nodes import Nodes


@pytest.fixture(scope="session")
def cluster() -> str:
    """The path of a kubeconfig, whose cluster answers."""
    path = os.environ.get("KUBECONFIG", "")
    if not path or shutil.which("kubectl") is None:
        pytest.fail(
            "These tests need a cluster: set KUBECONFIG to a kubeconfig of one, and have kubectl "
            "on the PATH.",
            pytrace=False,
        )
    done = subprocess.run(
        ["kubectl", "get", "--raw", "/readyz"], capture_output=True, text=True, timeout=60
    )
    if done.returncode != 0:
        pytest.fail(f"The cluster of {path} does not answer: {done.stderr}", pytrace=False)
    return path


@pytest.fixture
def namespace(cluster: str) -> Iterator[str]:
    """A namespace of the test's own."""
    name = f"test-{uuid.uuid4().hex[:10]}"
    kubectl("create", "namespace", name)
    yield name
    kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def nodes(namespace: str) -> Iterator[Nodes]:
    """The cluster's machines, which are all brought back at the end."""
    tool = os.environ.get("TEST_CLUSTER", "")
    if not tool:
        pytest.skip("it breaks nodes: TEST_CLUSTER names the tool that does (tests/e2e/nodes.py)")
    nodes = Nodes(tool, namespace)
    yield nodes
    nodes.mend_all()


@pytest.fixture(scope="session")
def dask_operator(cluster: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Dask's operator, for all tests that need it."""
    with operator(tmp_path_factory.mktemp("operator")):
        yield


@pytest.fixture
def laptop(dask_operator: None, tmp_path: Path, namespace: str) -> Iterator[Laptop]:
    """Workers on this machine, whose Dask clusters are in the test's namespace."""
    laptop = Laptop(tmp_path, namespace)
    yield laptop
    laptop.close()


@pytest.fixture
def ledger(namespace: str) -> Ledger:
    """The independent log, in the test's namespace."""
    return Ledger(namespace)


@pytest.fixture
def release4(namespace: str) -> Release:
    """A release by Helm 4: where the Helm makes no difference."""
    return Release(find("helm4"), namespace)
