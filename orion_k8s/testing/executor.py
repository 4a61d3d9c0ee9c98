"""What every executor must do, as tests: subclass `ExecutorContract` and give the fixture `make`.

    class TestMine(ExecutorContract):
        processes = True

        @pytest.fixture
        def make(self):
            return lambda n_workers: MyExecutor(n_workers)

The functions that the tests run stand in this module, so that other processes can import them.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.executor.base import Ending, Executor, ExecutorError, Future

DEADLINE_S = 30.0

Make = Callable[[int], Executor]


def until(condition: Callable[[], object], what: str = "", deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition, and fail past the deadline."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not within {deadline_s} s: {what or condition}"
        time.sleep(0.005)


# --- functions that run in the executor ----------------------------------------------------------


def add(a: float, b: float = 1) -> float:
    """Return the sum."""
    return a + b


def pid(_: object = None) -> int:
    """Return the id of the process that runs the call."""
    return os.getpid()


def fail(message: str) -> None:
    """Raise an exception that can be pickled."""
    raise ValueError(message)


class Stubborn(Exception):
    """An exception that can't be pickled."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class Twisted(Exception):
    """An exception that can be pickled, and not be read again."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(f"{one} {two}")


def fail_stubbornly(kind: str) -> None:
    """Raise an exception that can't travel."""
    raise Stubborn("cannot travel") if kind == "stubborn" else Twisted("cannot", "travel")


def give_lock() -> Any:
    """Return what can't be pickled."""
    return threading.Lock()


def give_bytes(n: int) -> bytes:
    """Return `n` bytes."""
    return b"x" * n


def leave() -> None:
    """Raise SystemExit."""
    sys.exit(3)


def note_and_sleep(folder: str, seconds: float = 1000.0) -> str:
    """Write a file named after this process, and sleep."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(seconds)
    return "slept"


def note_child_and_sleep(folder: str) -> None:
    """Start a process that sleeps, write files named after both, and sleep."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    (Path(folder) / str(child.pid)).touch()
    note_and_sleep(folder)


def ignore_sigterm_and_sleep(folder: str) -> None:
    """Sleep on through SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note_and_sleep(folder)


def log_line(path: str, line: str) -> None:
    """Append a line to a file."""
    with open(path, "a") as file:
        file.write(line + "\n")


def die(how: str) -> None:
    """End the process that runs the call."""
    if how == "exit":
        os._exit(7)
    if how == "segfault":
        ctypes.string_at(0)
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(DEADLINE_S)


class Patient:
    """A callable that waits until its `cancel()` is called."""

    def __init__(self, folder: str, value: str | None = None) -> None:
        self.folder, self.value = folder, value

    def __call__(self) -> str:
        """Wait, then return the value or raise."""
        (Path(self.folder) / str(os.getpid())).touch()
        mark = Path(self.folder) / "cancelled"
        until(mark.exists)
        if self.value is None:
            raise RuntimeError("ended by cancel()")
        return self.value

    def cancel(self) -> None:
        """End the call."""
        (Path(self.folder) / "cancelled").touch()


def nested() -> list[float]:
    """Use an executor inside a call."""
    from orion_k8s.executor.registry import create_executor

    with create_executor("joblib", n_workers=2) as inner:
        return inner.wait([inner.submit(add, i) for i in range(4)])


# --- the contract --------------------------------------------------------------------------------


def pids(folder: Path) -> list[int]:
    """Return the ids of the processes that wrote files into the folder."""
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()]


def gone(number: int) -> bool:
    """Return whether a process has ended, with all its threads (a zombie has)."""
    try:
        with open(f"/proc/{number}/stat") as file:
            ended = file.read().rpartition(")")[2].split()[0] in "ZX"
        return ended and len(os.listdir(f"/proc/{number}/task")) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def leftovers() -> set[object]:
    """Return the threads and child processes of this process.

    Resource trackers are left out: there is one a Python process, for all who use
    multiprocessing, and it ends with it.
    """
    psutil = import_module("psutil")  # it brings no types

    found: set[object] = set(threading.enumerate())
    for child in psutil.Process().children(recursive=True):
        try:
            if child.status() != psutil.STATUS_ZOMBIE and not any(
                "resource_tracker" in word for word in child.cmdline()
            ):
                found.add(child)
        except psutil.NoSuchProcess:
            continue
    return found


class ExecutorContract(ABC):
    """The tests. See the module's docstring.

    Attributes:
        processes: whether calls run in other processes, which may crash and must pickle.
        cancellable: whether a call in another process can be ended.
        calls: number of calls in the test of many.
        source: a Python expression that makes an executor of two workers, for the tests that
            need a program of their own; "" leaves these out. `create_executor` is imported.
    """

    processes: ClassVar[bool] = False
    cancellable: ClassVar[bool] = True
    calls: ClassVar[int] = 300
    source: ClassVar[str] = ""

    @pytest.fixture
    @abstractmethod
    def make(self) -> Make:
        """Return what makes an executor of so many workers."""

    @pytest.fixture(autouse=True)
    def nothing_left(self) -> Iterator[None]:
        """No test may leave a thread or a process."""
        before = leftovers()
        yield
        until(lambda: leftovers() <= before, f"left behind: {leftovers() - before}")

    def only_processes(self) -> None:
        """Skip the test where calls run in this process."""
        if not self.processes:
            pytest.skip("calls run in this process")

    # --- values and failures ---

    def test_values_in_order(self, make: Make) -> None:
        with make(2) as executor:
            futures = [executor.submit(add, i, b=10) for i in range(5)]
            assert executor.wait(futures) == [10, 11, 12, 13, 14]
            assert all(f.done() for f in futures)
            assert futures[3].outcome().ending is Ending.RETURNED
            assert futures[3].get(timeout=0) == 13
            assert executor.slots() >= 1

    def test_many_calls(self, make: Make) -> None:
        with make(2) as executor:
            left = [executor.submit(add, i) for i in range(self.calls)]
            seen = []
            while left:
                done = executor.async_get(left, timeout=DEADLINE_S)
                assert done
                seen += [f.get() for f in done]
                left = [f for f in left if f not in done]
        assert sorted(seen) == list(range(1, self.calls + 1))

    def test_runs_in_another_process_or_not(self, make: Make) -> None:
        with make(1) as executor:
            assert (executor.submit(pid).get(DEADLINE_S) != os.getpid()) is self.processes

    def test_none_is_a_value(self, make: Make) -> None:
        with make(1) as executor:
            future = executor.submit(time.sleep, 0)
            future.wait()
            assert future.outcome().ending is Ending.RETURNED and future.get() is None

    def test_failure_tells_why(self, make: Make) -> None:
        with make(1) as executor:
            future = executor.submit(fail, "the bottom fell out")
            future.wait()
            outcome = future.outcome()
            assert outcome.ending is Ending.FAILED
            assert isinstance(outcome.error, ValueError)
            assert outcome.reason.endswith("ValueError: the bottom fell out")
            assert "in fail" in outcome.reason
            with pytest.raises(ExecutorError, match="the bottom fell out"):
                future.get()
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_long_reason_keeps_both_ends(self, make: Make) -> None:
        with make(1) as executor:
            future = executor.submit(fail, "x" * 100_000 + "the end")
            future.wait()
            reason = future.outcome().reason
            assert len(reason) <= 4096
            assert reason.startswith("ValueError: xxx") and reason.endswith("the end")

    @pytest.mark.parametrize("kind", ["stubborn", "twisted"])
    def test_exception_that_cannot_be_pickled(self, make: Make, kind: str) -> None:
        with make(1) as executor:
            future = executor.submit(fail_stubbornly, kind)
            future.wait()
            outcome = future.outcome()
            assert outcome.ending is Ending.FAILED
            assert kind in outcome.reason.lower() and "cannot travel" in outcome.reason
            if self.processes:
                assert outcome.error is None
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_outcome_of_a_call_that_runs(self, make: Make, tmp_path: Path) -> None:
        with make(1) as executor:
            future = executor.submit(Patient(str(tmp_path), "done"))
            with pytest.raises(RuntimeError, match="not ended"):
                future.outcome()
            if not executor.inline:
                with pytest.raises(TimeoutError):
                    future.get(timeout=0.01)
            (tmp_path / "cancelled").touch()
            assert future.get() == "done"

    # --- waiting ---

    def test_async_get_returns_the_first(self, make: Make, tmp_path: Path) -> None:
        with make(2) as executor:
            if executor.inline:
                pytest.skip("runs the first call first")
            slow = executor.submit(Patient(str(tmp_path), "slow"))
            fast = executor.submit(add, 1)
            assert executor.async_get([slow, fast], timeout=DEADLINE_S) == [fast]
            assert executor.async_get([slow], timeout=0.01) == []
            (tmp_path / "cancelled").touch()
            assert executor.async_get([slow], timeout=DEADLINE_S) == [slow]

    def test_async_get_of_nothing(self, make: Make) -> None:
        with make(1) as executor:
            assert executor.async_get([]) == []
            start = time.monotonic()
            assert executor.async_get([], timeout=0.05) == []
            assert time.monotonic() - start >= 0.05

    def test_queue_is_first_in_first_out(self, make: Make, tmp_path: Path) -> None:
        path = tmp_path / "log"
        with make(1) as executor:
            executor.wait([executor.submit(log_line, str(path), str(i)) for i in range(20)])
        assert path.read_text().split() == [str(i) for i in range(20)]

    def test_wake_before_the_wait_counts(self, make: Make) -> None:
        with make(1) as executor:
            executor.wake()
            start = time.monotonic()
            assert executor.async_get([], timeout=DEADLINE_S) == []
            assert time.monotonic() - start < DEADLINE_S / 2
            assert executor.async_get([], timeout=0.01) == []  # answered once

    def test_wake_from_a_thread(self, make: Make) -> None:
        with make(1) as executor:
            waker = threading.Timer(0.05, executor.wake)
            waker.start()
            start = time.monotonic()
            assert executor.async_get([], timeout=DEADLINE_S) == []
            assert time.monotonic() - start < DEADLINE_S / 2
            waker.join()

    def test_wake_from_a_signal_handler(self, make: Make) -> None:
        with make(1) as executor:
            before = signal.signal(signal.SIGALRM, lambda *_: executor.wake())
            try:
                for _ in range(20):
                    signal.setitimer(signal.ITIMER_REAL, 0.002)
                    start = time.monotonic()
                    assert executor.async_get([], timeout=DEADLINE_S) == []
                    assert time.monotonic() - start < DEADLINE_S / 2
            finally:
                signal.signal(signal.SIGALRM, before)

    def test_exception_of_a_signal_handler_ends_the_wait(self, make: Make, tmp_path: Path) -> None:
        class Stop(BaseException):
            pass

        def stop(*_: object) -> None:
            raise Stop

        before = signal.signal(signal.SIGALRM, stop)
        try:
            with make(1) as executor:
                future = executor.submit(Patient(str(tmp_path), "done"))
                signal.setitimer(signal.ITIMER_REAL, 0.2)
                with pytest.raises(Stop):
                    executor.async_get([future], timeout=DEADLINE_S)
                if executor.inline:
                    assert future.outcome().ending is Ending.CANCELLED
                else:
                    assert not future.done()
                (tmp_path / "cancelled").touch()
        finally:
            signal.signal(signal.SIGALRM, before)

    # --- cancel and close ---

    def test_cancel_before_it_starts(self, make: Make, tmp_path: Path) -> None:
        with make(1) as executor:
            first = executor.submit(Patient(str(tmp_path), "first"))
            second = executor.submit(log_line, str(tmp_path / "log"), "ran")
            second.cancel()
            assert second.done() and second.outcome().ending is Ending.CANCELLED
            (tmp_path / "cancelled").touch()
            assert first.get(DEADLINE_S) == "first"
            with pytest.raises(ExecutorError, match="cancelled"):
                second.get()
        assert not (tmp_path / "log").exists()

    def test_cancel_after_it_ended(self, make: Make) -> None:
        with make(1) as executor:
            future = executor.submit(add, 1)
            assert future.get(DEADLINE_S) == 2
            future.cancel()
            assert future.get() == 2
            assert executor.submit(add, 2).get(DEADLINE_S) == 3

    def test_cancel_while_it_runs(self, make: Make, tmp_path: Path) -> None:
        with make(2) as executor:
            if executor.inline or not self.cancellable:
                pytest.skip("a call cannot be ended from outside")
            work: Any = Patient(str(tmp_path))
            futures = [executor.submit(work) for _ in range(2)]
            until(lambda: pids(tmp_path), "the call runs")
            for future in futures:
                future.cancel()
            start = time.monotonic()
            for future in futures:
                future.wait(DEADLINE_S)
                assert future.outcome().ending is Ending.CANCELLED
            assert time.monotonic() - start < DEADLINE_S / 2
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_cancel_method_may_still_return(self, make: Make, tmp_path: Path) -> None:
        with make(1) as executor:
            if executor.inline or not self.cancellable:
                pytest.skip("a call cannot be ended from outside")
            future = executor.submit(Patient(str(tmp_path), "a last result"))
            until(lambda: pids(tmp_path), "the call runs")
            future.cancel(grace_s=DEADLINE_S)
            assert future.get(DEADLINE_S) == "a last result"
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    @pytest.mark.parametrize("work", [note_and_sleep, note_child_and_sleep])
    def test_cancel_ends_the_process(
        self, make: Make, tmp_path: Path, work: Callable[..., Any]
    ) -> None:
        self.only_processes()
        if not self.cancellable:
            pytest.skip("a call cannot be ended from outside")
        with make(2) as executor:
            future = executor.submit(work, str(tmp_path))
            until(lambda: len(pids(tmp_path)) == (2 if "child" in work.__name__ else 1))
            other_folder = tmp_path / "other"
            other_folder.mkdir()
            other = executor.submit(Patient(str(other_folder), "undisturbed"))
            until(lambda: pids(other_folder))
            future.cancel(grace_s=5)
            future.wait(DEADLINE_S)
            assert future.outcome().ending is Ending.CANCELLED
            for number in pids(tmp_path):
                until(partial(gone, number), f"process {number} is gone")
            (other_folder / "cancelled").touch()
            assert other.get(DEADLINE_S) == "undisturbed"

    def test_cancel_kills_after_the_grace(self, make: Make, tmp_path: Path) -> None:
        self.only_processes()
        if not self.cancellable:
            pytest.skip("a call cannot be ended from outside")
        with make(1) as executor:
            future = executor.submit(ignore_sigterm_and_sleep, str(tmp_path))
            until(lambda: pids(tmp_path), "the call runs")
            start = time.monotonic()
            future.cancel(grace_s=0.3)
            assert time.monotonic() - start < 0.3
            future.wait(DEADLINE_S)
            assert time.monotonic() - start >= 0.3
            assert future.outcome().ending is Ending.CANCELLED

    def test_close_twice(self, make: Make) -> None:
        executor = make(2)
        future = executor.submit(add, 1)
        executor.close()
        executor.close(cancel=True)
        assert future.get() == 2
        with pytest.raises(UsageError, match="closed"):
            executor.submit(add, 1)

    def test_close_unused(self, make: Make) -> None:
        make(2).close()

    def test_close_cancels(self, make: Make, tmp_path: Path) -> None:
        executor = make(1)
        if executor.inline:
            futures = [executor.submit(time.sleep, 1000)]
        else:
            futures = [executor.submit(Patient(str(tmp_path))) for _ in range(3)]
            until(lambda: pids(tmp_path), "the call runs")
        start = time.monotonic()
        executor.close(cancel=True)
        assert time.monotonic() - start < 10
        assert [f.outcome().ending for f in futures] == [Ending.CANCELLED] * len(futures)
        (tmp_path / "cancelled").touch()

    def test_an_exception_in_the_block_cancels(self, make: Make) -> None:
        futures: list[Future] = []
        with pytest.raises(KeyError), make(1) as executor:
            work = time.sleep if self.processes and self.cancellable else add
            futures += [executor.submit(work, 20) for _ in range(2)]
            raise KeyError
        assert all(f.done() for f in futures)

    def test_nested_use(self, make: Make) -> None:
        with make(2) as executor:
            assert executor.wait([executor.submit(nested)] * 2) == [[1, 2, 3, 4]] * 2

    # --- other processes ---

    @pytest.mark.parametrize(
        ("how", "told"), [("exit", "7"), ("SIGKILL", "SIGKILL"), ("segfault", "SIGSEGV")]
    )
    def test_crash_ends_its_own_call_alone(
        self, make: Make, tmp_path: Path, how: str, told: str
    ) -> None:
        self.only_processes()
        with make(2) as executor:
            other = executor.submit(Patient(str(tmp_path), "undisturbed"))
            until(lambda: pids(tmp_path), "the other call runs")
            for _ in range(2):
                crash = executor.submit(die, how)
                crash.wait(DEADLINE_S)
                assert crash.outcome().ending is Ending.CRASHED
                assert told in crash.outcome().reason
                assert not other.done()
            assert executor.submit(add, 1).get(DEADLINE_S) == 2
            (tmp_path / "cancelled").touch()
            assert other.get(DEADLINE_S) == "undisturbed"

    def test_process_that_died_idle_is_replaced(self, make: Make) -> None:
        self.only_processes()
        with make(1) as executor:
            number = executor.submit(pid).get(DEADLINE_S)
            os.kill(number, signal.SIGKILL)
            until(lambda: gone(number))
            assert executor.submit(pid).get(DEADLINE_S) != number

    def test_processes_are_kept(self, make: Make) -> None:
        self.only_processes()
        with make(1) as executor:
            assert len({executor.submit(pid).get(DEADLINE_S) for _ in range(5)}) == 1

    def test_system_exit_is_a_failure(self, make: Make) -> None:
        with make(1) as executor:
            if executor.inline:
                pytest.skip("goes through to the thread that waits")
            number = executor.submit(pid).get(DEADLINE_S)
            future = executor.submit(leave)
            future.wait(DEADLINE_S)
            assert future.outcome().ending is Ending.FAILED
            assert "SystemExit: 3" in future.outcome().reason
            assert executor.submit(pid).get(DEADLINE_S) == number

    def test_big_result(self, make: Make) -> None:
        self.only_processes()
        with make(1) as executor:
            n = 50 * 2**20
            assert len(executor.submit(give_bytes, n).get(DEADLINE_S)) == n
            assert executor.submit(len, b"x" * n).get(DEADLINE_S) == n

    def test_result_that_cannot_be_pickled(self, make: Make) -> None:
        self.only_processes()
        with make(1) as executor:
            future = executor.submit(give_lock)
            future.wait(DEADLINE_S)
            assert future.outcome().ending is Ending.FAILED
            assert "cannot be sent back" in future.outcome().reason
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    def test_call_that_cannot_be_pickled(self, make: Make) -> None:
        self.only_processes()
        with make(1) as executor:
            with pytest.raises(UsageError, match="cannot be sent to another process"):
                executor.submit(add, threading.Lock())
            assert executor.submit(add, 1).get(DEADLINE_S) == 2

    # --- programs of their own ---

    def program(self, folder: Path, body: str) -> Path:
        """Write a script that has an `executor`, and return its path."""
        if not self.source:
            pytest.skip("no source")
        script = folder / "script.py"
        lines = "\n".join(f"        {line}" for line in body.splitlines())
        script.write_text(
            "import os, sys, time\n"
            "from orion_k8s.executor.registry import create_executor\n"
            "from orion_k8s.testing.executor import note_and_sleep\n"
            "class Point:\n"
            "    def __init__(self, x):\n"
            "        self.x = x\n"
            "def twice(point):\n"
            "    return Point(2 * point.x)\n"
            "def main():\n"
            f"    with {self.source} as executor:\n{lines}\n"
            "if __name__ == '__main__':\n"
            "    main()\n"
        )
        return script

    def test_functions_of_a_script_go_by_value(self, tmp_path: Path) -> None:
        script = self.program(
            tmp_path,
            "k = 3\n"
            "future = executor.submit(lambda x: k * x, 5)\n"
            "point = executor.submit(twice, Point(4)).get()\n"
            "assert isinstance(point, Point), type(point)\n"
            "print(future.get(), point.x)",
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script)],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
        )
        assert (done.stdout, done.stderr, done.returncode) == ("15 8\n", "", 0)

    def test_processes_die_with_their_worker(self, tmp_path: Path) -> None:
        self.only_processes()
        folder = tmp_path / "pids"
        folder.mkdir()
        script = self.program(
            tmp_path,
            f"futures = [executor.submit(note_and_sleep, {str(folder)!r}) for _ in range(2)]\n"
            "executor.wait(futures)",
        )
        with subprocess.Popen([sys.executable, str(script)], stderr=subprocess.DEVNULL) as worker:
            try:
                until(lambda: len(pids(folder)) == 2, "both calls run")
            finally:
                worker.kill()
        for number in pids(folder):
            until(partial(gone, number), f"process {number} is gone", 10)
