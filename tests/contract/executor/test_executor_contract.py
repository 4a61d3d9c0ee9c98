"""Every executor of ours, under the conformance suite that is shipped."""

from __future__ import annotations

from collections.abc import Iterator

import joblib
import pytest
from joblib._parallel_backends import LokyBackend, ThreadingBackend

from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor import ExecutorContract, Make


class TestSingle(ExecutorContract):
    calls = 1000
    source = "create_executor('singleexecutor')"

    @pytest.fixture
    def make(self) -> Make:
        return lambda n_workers: create_executor("singleexecutor", n_workers)


class TestThreads(ExecutorContract):
    calls = 1000
    source = "create_executor('joblib', 2, backend='threading')"

    @pytest.fixture
    def make(self) -> Make:
        return lambda n_workers: create_executor("joblib", n_workers, backend="threading")


class TestLoky(ExecutorContract):
    processes = True
    source = "create_executor('joblib', 2)"

    @pytest.fixture
    def make(self) -> Make:
        return lambda n_workers: create_executor("joblib", n_workers)


class TestPool(ExecutorContract):
    processes = True
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


class TestThirdPartyBackend(ExecutorContract):
    """The generic way. n_workers is at least 2: with one job joblib does not use the backend."""

    cancellable = False

    @pytest.fixture(params=[ThirdPartyThreads, OldThreads])
    def make(self, request: pytest.FixtureRequest) -> Iterator[Make]:
        joblib.register_parallel_backend("third-party", request.param)
        yield lambda n_workers: create_executor("joblib", n_workers, backend="third-party")
        del joblib.parallel.BACKENDS["third-party"]


class ThirdPartyProcesses(LokyBackend):
    """A backend of processes that we know nothing of."""


def test_third_party_processes() -> None:
    from orion_k8s.testing.executor import add, fail

    with create_executor("joblib", 2, backend=ThirdPartyProcesses(nesting_level=0)) as executor:
        futures = [executor.submit(add, i) for i in range(50)]
        assert executor.wait(futures) == list(range(1, 51))
        failed = executor.submit(fail, "oh")
        failed.wait()
        assert failed.outcome().reason.endswith("ValueError: oh")
        executor._backend._backend.abort_everything()  # its processes are kept by loky otherwise
