from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from orion_k8s.testing.executor.probes import leftovers, until
from tests.functional.jobs.apiserver import ApiServer
from tests.functional.jobs.making import Jobs

pytest.importorskip("kubernetes", reason="an extra of orion-k8s")


@pytest.fixture
def server() -> Iterator[ApiServer]:
    before = leftovers()
    state = ApiServer()
    yield state
    state.close()
    until(lambda: leftovers() <= before, f"left behind: {leftovers() - before}")


@pytest.fixture
def kubeconfig(server: ApiServer, tmp_path: Path) -> str:
    path = tmp_path / "kubeconfig"
    data = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": server.address}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(json.dumps(data))
    return str(path)


@pytest.fixture
def jobs(kubeconfig: str, tmp_path: Path) -> Iterator[Jobs]:
    made = Jobs(kubeconfig, tmp_path)
    yield made
    for executor in made.made:
        executor.close(cancel=True)


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "orion_k8s")
