"""What the executor dask-kubernetes makes of a Dask cluster, wherever that is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest

from orion_k8s.executor.dask import Dask
from orion_k8s.executor.dask_kubernetes import cluster as module
from orion_k8s.executor.dask_kubernetes.cluster import KubernetesCluster
from orion_k8s.executor.dask_kubernetes.place import Place
from orion_k8s.testing.executor.probes import until
from tests.dask_processes import DaskProcesses, dask_processes
from tests.functional.dask.objectives import square

DEADLINE_S = 60.0


class Here(Place):
    """A cluster of this machine, in the place of one in Kubernetes."""

    name = "here"

    def __init__(self, address: str) -> None:
        self.where = address
        self.idle_s = 0.0
        self.closed = False

    def address(self) -> str:
        return self.where

    def why_no_worker(self) -> str | None:
        return "no node can take it"

    def give_up(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def _ensure(self) -> None:
        pass


@pytest.fixture
def place(dask: DaskProcesses) -> Here:
    return Here(dask.address)


@pytest.fixture
def impatient() -> Iterator[None]:
    """Dask's client gives up soon."""
    with dask_config({"distributed.comm.timeouts.connect": "2s"}):
        yield


dask_config = dask.config.set


def test_a_cluster_in_use_is_not_idle(place: Here) -> None:
    """Though nothing runs there: its idle time begins anew with each look."""

    def idle_since(dask_scheduler: Any = None) -> float | None:
        """Return what the operator is told, which asks again and again."""
        dask_scheduler.check_idle()
        found: float | None = dask_scheduler.check_idle()
        return found

    def look(dask_scheduler: Any = None) -> float | None:
        found: float | None = dask_scheduler.idle_since
        return found

    cluster = KubernetesCluster(place)
    try:
        assert cluster.client.run_on_scheduler(idle_since) is not None
        cluster.count()
        assert cluster.client.run_on_scheduler(look) is not None
        place.idle_s = 1e-6
        cluster.count()
        assert cluster.client.run_on_scheduler(look) is None
    finally:
        cluster.close()
    assert place.closed


def test_workers_that_come_are_counted_before_they_are_there(
    dask: DaskProcesses, place: Here
) -> None:
    cluster = KubernetesCluster(place, pods=2)
    try:
        assert (cluster.count(), cluster.coming) == (0, 2)
        dask.worker()
        until(lambda: cluster.count() == 1, "one is there", DEADLINE_S)
        assert cluster.coming == 2
        last = dask.worker(threads=3)
        until(lambda: cluster.count() == 4, "both are there", DEADLINE_S)
        assert (cluster.coming, cluster.threads_per_worker) == (0, 2.0)
        dask.kill(last)
        until(lambda: cluster.count() == 1, "one has gone", DEADLINE_S)
        assert cluster.coming == 0
    finally:
        cluster.close()


@pytest.mark.parametrize("patience_s", [0.0, 300.0])
def test_it_is_said_why_no_worker_comes(
    patience_s: float,
    place: Here,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "LONELY_S", patience_s)
    with caplog.at_level(logging.WARNING, "orion_k8s"):
        cluster = KubernetesCluster(place, may_be_empty=True)
        cluster.close()
    assert ("has had no worker for 0 s: no node can take it" in caplog.text) == (patience_s == 0)


def test_a_cluster_that_moves_is_followed(
    dask: DaskProcesses, place: Here, tmp_path: Path, impatient: None
) -> None:
    """Another port, or a whole cluster that was made anew; no thread of the old client is left."""

    class Follower(Dask):
        def __init__(self, cluster: KubernetesCluster) -> None:
            self._begin(cluster, limit=None, priority=0)

    dask.worker()
    before = set(threading.enumerate())
    with Follower(KubernetesCluster(place)) as executor:
        assert executor.submit(square, 2).get(DEADLINE_S) == 4
        folder = tmp_path / "other"
        folder.mkdir()
        with dask_processes(folder) as other:
            other.scheduler()
            other.worker(threads=2)
            place.where = other.address
            for process in list(dask.running):
                dask.kill(process)
            until(lambda: executor.slots() == 2, "the other one is there", DEADLINE_S)
            assert executor.submit(square, 3).get(DEADLINE_S) == 9
    until(lambda: set(threading.enumerate()) <= before, "all threads have ended", DEADLINE_S)
