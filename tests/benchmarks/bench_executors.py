"""Executors beside the bare libraries that they stand on, with calls that cost nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from pathlib import Path
from typing import Any

import pytest

from orion_k8s.executor.base import Executor, Future
from orion_k8s.executor.registry import create_executor
from tests.benchmarks.figures import experiment, median, noop, say
from tests.dask_processes import DaskProcesses, dask_processes

CALLS = 200
REPETITIONS = 5
"""Ours and its peer take turns; the median of the ratios is printed."""
POINT = {f"x{i}": 0.5 for i in range(10)}


@pytest.fixture(scope="module")
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskProcesses]:
    """A scheduler and one Dask worker of two threads."""
    with dask_processes(tmp_path_factory.mktemp("dask")) as dask:
        dask.scheduler()
        dask.worker(threads=2)
        yield dask


def per_call(executor: Executor, slots: int, calls: int = CALLS) -> float:
    """Return the seconds a call of an executor whose slots are kept full, as a worker does."""
    left, running = calls, []
    began = time.perf_counter()
    while left or running:
        while left and len(running) < slots:
            running.append(executor.submit(noop, **POINT))
            left -= 1
        for future in executor.async_get(running):
            future.get()
            running.remove(future)
    return (time.perf_counter() - began) / calls


def bare_per_call(submit: Callable[[], Any], slots: int, calls: int = CALLS) -> float:
    """The same with the library's own futures."""
    left, running = calls, set()
    began = time.perf_counter()
    while left or running:
        while left and len(running) < slots:
            running.add(submit())
            left -= 1
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            future.result()
    return (time.perf_counter() - began) / calls


def dask_per_call(client: Any, slots: int, calls: int = CALLS) -> float:
    """The same with Dask's: its own way to take futures as they end."""
    from distributed import as_completed

    left = calls - slots
    began = time.perf_counter()
    running = as_completed(
        [client.submit(noop, **POINT, pure=False) for _ in range(slots)], loop=client.loop
    )
    for future in running:
        future.result()
        if left > 0:
            running.add(client.submit(noop, **POINT, pure=False))
            left -= 1
    return (time.perf_counter() - began) / calls


def per_trial(path: Path, executor: str, slots: int, **configuration: Any) -> float:
    """Return the seconds a trial of a worker, with its history in SQLite."""
    with experiment(path, max_trials=CALLS + 2 * slots) as client:
        with client.tmp_executor(executor, n_workers=slots, **configuration):
            client.workon(noop, max_trials=2 * slots)  # processes start here
            began = time.perf_counter()
            assert client.workon(noop, max_trials=CALLS) == CALLS
            return (time.perf_counter() - began) / CALLS


@pytest.mark.parametrize("slots", [1, 2])
def test_loky(tmp_path: Path, slots: int) -> None:
    from joblib.externals.loky import ProcessPoolExecutor

    over, whole = [], []
    bare = ProcessPoolExecutor(slots)
    with create_executor("joblib", slots) as ours:
        warm = [bare.submit(time.sleep, 0.5) for _ in range(slots)]
        warm_ours: list[Future] = [ours.submit(time.sleep, 0.5) for _ in range(slots)]
        wait(warm)
        ours.wait(warm_ours)
        for repetition in range(REPETITIONS):
            alone = bare_per_call(lambda: bare.submit(noop, **POINT), slots)
            over.append(per_call(ours, slots) - alone)
            whole.append(per_trial(tmp_path / f"{repetition}.db", "joblib", slots) - alone)
    bare.shutdown(wait=True, kill_workers=True)
    say(f"loky, slots: {slots}; a call over bare loky, ms", f"{1e3 * statistics.median(over):.2f}",
        "goal 2")  # fmt: skip
    say("  a trial with its history in SQLite over it, ms",
        f"{1e3 * statistics.median(whole):.2f}", "goal 2")  # fmt: skip


@pytest.mark.parametrize("slots", [1, 2])
def test_dask(dask: DaskProcesses, tmp_path: Path, slots: int) -> None:
    from distributed import Client

    calls, trials, alone = [], [], []
    with (
        Client(dask.address, set_as_default=False) as client,
        create_executor("dask", slots, address=dask.address) as ours,
    ):
        per_call(ours, slots, 50)
        dask_per_call(client, slots, 50)
        for repetition in range(REPETITIONS):
            alone.append(dask_per_call(client, slots))
            calls.append(per_call(ours, slots) / alone[-1])
            path = tmp_path / f"{repetition}.db"
            trial = per_trial(path, "dask", slots, address=dask.address)
            trials.append(trial / alone[-1])
    say(f"Dask, slots: {slots}; a call of bare client.submit, ms",
        f"{1e3 * statistics.median(alone):.2f}")  # fmt: skip
    say("  a call of ours", f"{statistics.median(calls):.2f} times", "goal 1.3")
    say("  a trial with its history in SQLite", f"{statistics.median(trials):.2f} times",
        "goal 1.3")  # fmt: skip


def stamp(path: str, **params: float) -> float:
    """Write down when the trial began."""
    with open(path, "a") as file:
        file.write(f"{time.time()!r}\n")
    return params["x0"]


def test_switching_in_mid_experiment(dask: DaskProcesses, tmp_path: Path) -> None:
    """From the end of one executor's last trial to the begin of the next one's first."""
    kinds: list[tuple[str, dict[str, Any]]] = [
        ("singleexecutor", {}),
        ("joblib", {"n_workers": 2}),
        ("dask", {"address": dask.address}),
    ]
    log = tmp_path / "log"

    def switch(name: str, configuration: dict[str, Any]) -> float:
        before = time.time()
        with client.tmp_executor(name, **configuration):
            client.workon(stamp, max_trials=2, path=str(log))
        return float(log.read_text().splitlines()[-2]) - before

    def bare() -> float:
        from joblib.externals.loky import ProcessPoolExecutor

        before = time.time()
        pool = ProcessPoolExecutor(2)
        wait([pool.submit(stamp, str(log), **POINT) for _ in range(2)])
        pool.shutdown(wait=True, kill_workers=True)
        return float(log.read_text().splitlines()[-2]) - before

    with experiment(tmp_path / "db", max_trials=10**6) as client:
        for name, configuration in kinds:
            seconds = median(lambda n=name, c=configuration: switch(n, c), REPETITIONS)
            say(f"switching to {name}, s", f"{seconds:.2f}", "goal 1")
            if name == "joblib":
                say("  the first call of a bare pool of loky", f"{median(bare, REPETITIONS):.2f}")
