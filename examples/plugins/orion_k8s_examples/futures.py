"""Trials in a pool of `concurrent.futures`: of threads here, of your cluster where it has one."""

from concurrent.futures import ThreadPoolExecutor

from orion_k8s.executor.child import pack, run_packed, unpack
from orion_k8s.executor.slots import Slot, SlotExecutor


class Futures(SlotExecutor):
    """Each slot is a thread of the worker that hands a call over and waits for its end."""

    name = "futures"

    def __init__(self, n_workers=1):
        super().__init__(n_workers)
        self.pool = ThreadPoolExecutor(n_workers)

    def prepare(self, function, args, kwargs):
        return pack(function, args, kwargs)  # bytes, which travel to any process

    def make_slot(self):
        return FuturesSlot(self)

    def close(self, cancel=False):
        super().close(cancel)
        self.pool.shutdown(wait=not cancel)


class FuturesSlot(Slot):
    def __init__(self, executor):
        self.executor = executor

    def run(self, future):
        return unpack(self.executor.pool.submit(run_packed, future.work).result())

    def stop(self, future, grace_s):
        self.executor.abandon(future)  # such a pool can't end a call: its result is dropped
