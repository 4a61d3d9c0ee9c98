"""What the tests on a real cluster share: the cluster that KUBECONFIG names, and a namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.kubectl import kubectl


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
