"""Both Helms for every test that takes `helm`; no cluster."""

from __future__ import annotations

import pytest
from helms import find
from rendering import Helm


@pytest.fixture(scope="session", params=["helm4", "helm3"])
def helm(request: pytest.FixtureRequest) -> Helm:
    """Helm 4, then Helm 3."""
    return Helm(find(request.param))


@pytest.fixture(scope="session")
def helm4() -> Helm:
    """Helm 4 alone: for what both were seen to render alike."""
    return Helm(find("helm4"))


@pytest.fixture(scope="session")
def kubectl() -> str:
    """The path of kubectl, for its kustomize; it asks no cluster."""
    return find("kubectl")
