"""The executor joblib on every backend: by name and by outer context, with arguments, warm."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

import joblib
import pytest
from joblib._parallel_backends import ThreadingBackend

from orion_k8s.executor.base import Executor
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import leftovers, until
from orion_k8s.testing.executor.work import add, pid

CONTEXTS = [joblib.parallel_config, joblib.parallel_backend]
PROCESSES = ["loky", "multiprocessing"]
DEADLINE_S = 60.0


class Noted(ThreadingBackend):
    """A third party's backend, which knows arguments of its own."""

    made: list[Noted] = []  # noqa: RUF012

    def __init__(self, colour: str = "blue", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.colour = colour
        self.calls = 0
        self.made.append(self)

    def submit(self, func: Any, callback: Any = None) -> Any:
        self.calls += 1
        return super().submit(func, callback)


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    joblib.register_parallel_backend("noted", Noted)
    Noted.made.clear()
    yield
    del joblib.parallel.BACKENDS["noted"]


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    before = leftovers()
    yield
    until(lambda: leftovers() <= before, f"left behind: {leftovers() - before}")


def where(_: int = 0) -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def initialize(name: str, value: str) -> None:
    os.environ[name] = value


def environment(name: str) -> str | None:
    return os.environ.get(name)


def places(executor: Executor, calls: int = 20) -> set[tuple[int, int]]:
    return {*executor.wait([executor.submit(where, i) for i in range(calls)])}


# --- every backend, by every way -----------------------------------------------------------------

BACKENDS: list[tuple[str, bool]] = [  # name, whether calls run in other processes
    ("loky", True),
    ("multiprocessing", True),
    ("threading", False),
    ("sequential", False),
    ("noted", False),
]


@pytest.mark.parametrize(("backend", "elsewhere"), BACKENDS)
@pytest.mark.parametrize("how", ["by name", *CONTEXTS])
def test_every_backend(backend: str, elsewhere: bool, how: Any) -> None:
    """It runs there, on as many slots as were asked for."""
    if how == "by name":
        executor = create_executor("joblib", 2, backend=backend)
    else:
        with how(backend, n_jobs=2):
            executor = create_executor("joblib")
    with executor:
        assert executor.slots() == (1 if backend == "sequential" else 2)
        found = places(executor)
    assert ({number for number, _ in found} == {os.getpid()}) is not elsewhere
    assert len(found) <= 2
    assert sum(made.calls for made in Noted.made) == (20 if backend == "noted" else 0)


def test_no_backend_of_joblib_is_forgotten() -> None:
    """A new one of joblib's own has to be looked at here."""
    known = {name for name, _ in BACKENDS}
    assert {*joblib.parallel.BACKENDS} - {"dask", "ray"} == known
    assert {*joblib.parallel.EXTERNAL_BACKENDS} <= {"dask", "ray"}


def test_an_instance_as_backend() -> None:
    backend = Noted(colour="green", nesting_level=0)
    with create_executor("joblib", 2, backend=backend) as executor:
        assert executor.submit(add, 1).get(DEADLINE_S) == 2
    assert backend.calls == 1 and Noted.made == [backend]


# --- arguments -----------------------------------------------------------------------------------


def test_arguments_of_a_third_party() -> None:
    with create_executor("joblib", 2, backend="noted", colour="red") as executor:
        assert executor.submit(add, 1).get(DEADLINE_S) == 2
    with joblib.parallel_config("noted", n_jobs=2, colour="green"):
        with create_executor("joblib") as executor:
            assert executor.submit(add, 1).get(DEADLINE_S) == 2
    assert [made.colour for made in Noted.made if made.calls] == ["red", "green"]


@pytest.mark.parametrize("how", ["by name", *CONTEXTS])
def test_arguments_of_loky(how: Any) -> None:
    """An initializer, and the inner threads of numerical libraries."""
    arguments = {
        "initializer": initialize,
        "initargs": ("ORION_TEST_INITIALIZED", "yes"),
        "inner_max_num_threads": 3,
    }
    if how == "by name":
        executor = create_executor("joblib", 2, backend="loky", **arguments)
    else:
        with how("loky", n_jobs=2, **arguments):
            executor = create_executor("joblib")
    with executor:
        for name, value in {"ORION_TEST_INITIALIZED": "yes", "OMP_NUM_THREADS": "3"}.items():
            assert executor.submit(environment, name).get(DEADLINE_S) == value


# --- processes that are kept, and replaced -------------------------------------------------------


@pytest.mark.parametrize("backend", PROCESSES)
def test_processes_are_kept_warm(backend: str) -> None:
    """No process is started for a call: two slots, two processes, however many calls."""
    with create_executor("joblib", 2, backend=backend) as executor:
        assert len(executor.wait([executor.submit(pid) for _ in range(40)])) == 40
        found = {number for number, _ in places(executor, 40)}
    assert len(found) <= 2


@pytest.mark.parametrize("backend", PROCESSES)
def test_processes_are_replaced(backend: str) -> None:
    """After so many calls, which bounds what they can leak."""
    with create_executor("joblib", 1, backend=backend, max_trials_per_process=3) as executor:
        ran = executor.wait([executor.submit(pid) for _ in range(10)])
    assert [ran.count(number) for number in dict.fromkeys(ran)] == [3, 3, 3, 1]


kept: list[bytes] = []


def leak(megabytes: int) -> int:
    """Keep memory for ever; return how much the process has kept, in megabytes."""
    kept.append(b"x" * (megabytes << 20))
    return sum(map(len, kept)) >> 20


def test_a_leak_is_bounded() -> None:
    leaking: Callable[..., int] = leak
    with create_executor("joblib", 1, max_trials_per_process=4) as executor:
        most = max(executor.wait([executor.submit(leaking, 5) for _ in range(12)]))
    assert most == 20
