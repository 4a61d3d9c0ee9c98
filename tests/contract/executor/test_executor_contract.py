"""Every executor of ours, under the conformance suite that is shipped."""

from __future__ import annotations

from collections.abc import Iterator

import joblib
import pytest
from joblib._parallel_backends import LokyBackend, ThreadingBackend

from orion_k8s.executor.registry import create_executor
from orion_k8s.executor.threads import Threads
from orion_k8s.testing.executor import (
    CancelContract,
    ConcurrentContract,
    ExecutorContract,
    KillContract,
    Make,
    ProcessContract,
    ProgramContract,
)
from orion_k8s.testing.executor.work import add, fail


class TestSingle(ExecutorContract, ProgramContract):
    calls = 1000
    source = "create_executor('singleexecutor')"

    @pytest.fixture
    def make(self) -> Make:
        return lambda n_workers: create_executor("singleexecutor", n_workers)


class TestJoblibThreads(ExecutorContract, ConcurrentContract, CancelContract, ProgramContract):
    calls = 1000
    source = "create_executor('joblib', 2, backend='threading')"

    @pytest.fixture
    def make(self) -> Make:
        return lambda n_workers: create_executor("joblib", n_workers, backend="threading")


class TestThreads(ExecutorContract, ConcurrentContract, CancelContract):
    calls = 1000

    @pytest.fixture
    def make(self) -> Make:
        return Threads


class Processes(
    ExecutorContract,
    ConcurrentContract,
    CancelContract,
    ProcessContract,
    KillContract,
    ProgramContract,
):
    """Everything."""


class TestLoky(Processes):
    source = "create_executor('joblib', 2)"

    @pytest.fixture
    def make(self) -> Make:
        return lambda n_workers: create_executor("joblib", n_workers)


class TestPool(Processes):
    source = "create_executor('poolexecutor', 2)"

    @pytest.fixture
    def make(self) -> Make:
        return lambda n_workers: create_executor("poolexecutor", n_workers)


class ThirdPartyThreads(ThreadingBackend):
    """A backend that we know nothing of, which shares memory."""


class OldThreads(ThreadingBackend):
    """A backend as it was before joblib 1.5, and before callbacks brought results."""

    supports_retrieve_callback = False
    supports_sharedmem = False  # so that calls are packed

    def apply_async(self, func, callback=None):
        return self._get_pool().apply_async(func, (), callback=callback)

    submit = None
    del submit


class TestThirdPartyBackend(ExecutorContract, ConcurrentContract):
    """The generic way; its calls cannot be ended."""

    @pytest.fixture(params=[ThirdPartyThreads, OldThreads])
    def make(self, request: pytest.FixtureRequest) -> Iterator[Make]:
        joblib.register_parallel_backend("third-party", request.param)
        yield lambda n_workers: create_executor("joblib", n_workers, backend="third-party")
        del joblib.parallel.BACKENDS["third-party"]


class ThirdPartyProcesses(LokyBackend):
    """A backend of processes that we know nothing of."""


def test_third_party_processes() -> None:
    with create_executor("joblib", 2, backend=ThirdPartyProcesses(nesting_level=0)) as executor:
        futures = [executor.submit(add, i) for i in range(50)]
        assert executor.wait(futures) == list(range(1, 51))
        failed = executor.submit(fail, "oh")
        failed.wait()
        assert failed.outcome().reason.endswith("ValueError: oh")
        executor._backend._backend.abort_everything()  # its processes are kept by loky otherwise
