"""The Dask executor under the conformance suite, on a cluster of one Dask worker process."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from orion_k8s.executor.base import Ending
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor import (
    CancelContract,
    ConcurrentContract,
    ExecutorContract,
    Make,
    ProcessContract,
    ProgramContract,
)
from orion_k8s.testing.executor.probes import DEADLINE_S, leftovers, until
from orion_k8s.testing.executor.work import add, die
from tests.dask_processes import DaskProcesses, dask_processes


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    # Calls that use an executor themselves need Dask workers that may have children.
    environment = {"DASK_DISTRIBUTED__WORKER__DAEMON": "False"}
    with dask_processes(tmp_path_factory.mktemp("dask"), environment=environment) as dask:
        dask.scheduler()
        dask.worker(threads=2)
        with create_executor("dask", address=dask.address) as warm:
            # Dask's own threads, which stay for as long as this process lives, are started here.
            assert warm.submit(len, b"x" * 2**26).get(DEADLINE_S) == 2**26
        yield dask


def group(pid: int | None) -> int | None:
    try:
        return None if pid is None else os.getpgid(pid)
    except ProcessLookupError:
        return None


class TestDask(
    ExecutorContract, ConcurrentContract, CancelContract, ProcessContract, ProgramContract
):
    calls = 1000
    source = "create_executor('dask', 2)"

    @pytest.fixture
    def make(self, cluster: DaskProcesses) -> Make:
        return lambda n_workers: create_executor("dask", n_workers, address=cluster.address)

    @pytest.fixture(autouse=True)
    def nothing_left(self, cluster: DaskProcesses) -> Iterator[None]:
        """No test may leave anything but the cluster, which replaces its processes as it likes."""

        def left() -> set[object]:
            groups = {process.pid for process in cluster.running}
            return {o for o in leftovers() if group(getattr(o, "pid", None)) not in groups}

        before = left()
        yield
        until(lambda: left() <= before, f"left behind: {left() - before}")

    @pytest.mark.parametrize("how", ["exit", "SIGKILL", "segfault"])
    def test_crash_ends_its_own_call_alone(self, make: Make, how: str) -> None:
        """A crash takes the Dask worker, which looks like a lost machine; until the third time."""
        with make(1) as executor:
            for ending in [Ending.LOST, Ending.LOST, Ending.CRASHED]:
                crash = executor.submit(die, how)
                crash.wait(DEADLINE_S)
                assert crash.outcome().ending is ending
                assert "died" in crash.outcome().reason
                assert executor.submit(add, 1).get(DEADLINE_S) == 2
