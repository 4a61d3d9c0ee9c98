"""What every executor must do, as tests.

Subclass the contracts that apply in a test module of yours:

    class TestMine(ExecutorContract, ConcurrentContract, ProcessContract):
        @pytest.fixture
        def make(self):
            return lambda n_workers: MyExecutor(n_workers)

and call `pytest.register_assert_rewrite("orion_k8s.testing.executor")` in your conftest.py.

`ExecutorContract` is for all; `ConcurrentContract` where calls run beside the thread that waits;
`CancelContract` where running calls can be ended; `ProcessContract` where they run in other
processes; `KillContract` where these are ended with their call; `ProgramContract` where scripts
can make the executor from a name.
"""

from __future__ import annotations

from orion_k8s.testing.executor.calls import CallContract
from orion_k8s.testing.executor.cancelling import CancelContract
from orion_k8s.testing.executor.closing import ClosingContract
from orion_k8s.testing.executor.concurrent import ConcurrentContract
from orion_k8s.testing.executor.killing import KillContract
from orion_k8s.testing.executor.processes import ProcessContract
from orion_k8s.testing.executor.programs import ProgramContract
from orion_k8s.testing.executor.setting import Make
from orion_k8s.testing.executor.waiting import WaitingContract

__all__ = [
    "CancelContract",
    "ConcurrentContract",
    "ExecutorContract",
    "KillContract",
    "Make",
    "ProcessContract",
    "ProgramContract",
]


class ExecutorContract(CallContract, WaitingContract, ClosingContract):
    """Every sentence of `orion_k8s.executor.base` that holds for all executors."""
