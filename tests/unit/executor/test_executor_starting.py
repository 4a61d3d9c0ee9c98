"""Processes while they start: Ctrl-C, cancellation, deaths; and executors after a fork."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Executor as Pool_
from pathlib import Path

import pytest

from orion_k8s.errors import UsageError
from orion_k8s.executor.base import Ending
from orion_k8s.executor.joblib import Loky
from orion_k8s.executor.pool import HINT, Pool
from orion_k8s.executor.processes import ProcessSlot
from orion_k8s.executor.registry import create_executor
from orion_k8s.testing.executor.probes import DEADLINE_S, pids, until
from orion_k8s.testing.executor.work import add, note_and_sleep


def ctrl_c() -> None:
    """What a terminal sends to the whole foreground group."""
    os.kill(os.getpid(), signal.SIGINT)


def dies_once(mark: str) -> None:
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os._exit(9)


def dies() -> None:
    os._exit(9)


def waits_for(gate: str) -> None:
    Path(gate + ".reached").touch()
    until(Path(gate).exists)


def sigint_state() -> tuple[bool, bool]:
    blocked = signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    return blocked, signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_does_not_reach_a_process_that_starts() -> None:
    with Loky(1, initializer=ctrl_c) as executor:
        assert executor.submit(add, 1).get(DEADLINE_S) == 2


@pytest.mark.parametrize("kind", [Loky, Pool])
def test_a_call_itself_can_be_interrupted(kind: Callable[[], Loky | Pool]) -> None:
    with kind() as executor:
        assert executor.submit(sigint_state).get(DEADLINE_S) == (False, True)


def test_a_call_cancelled_while_its_process_starts(tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    with Loky(1, initializer=waits_for, initargs=(gate,)) as executor:
        future = executor.submit(add, 1)
        until(Path(gate + ".reached").exists)
        future.cancel(grace_s=DEADLINE_S)
        future.wait(DEADLINE_S / 2)
        assert future.outcome().ending is Ending.CANCELLED
        after = executor.submit(add, 2)
        assert not after.done()
        Path(gate).touch()
        assert after.get(DEADLINE_S) == 3


def test_a_process_that_dies_once_while_it_starts(tmp_path: Path) -> None:
    """It was killed for the memory of others, say: no trial is broken by that."""
    with Loky(1, initializer=dies_once, initargs=(str(tmp_path / "mark"),)) as executor:
        assert executor.submit(add, 1).get(DEADLINE_S) == 2


def test_a_process_that_always_dies_while_it_starts() -> None:
    class Dying(Pool):
        def make_slot(self) -> ProcessSlot:
            return ProcessSlot(self.pool_that_dies, hint=HINT)

        def pool_that_dies(self) -> Pool_:
            from joblib.externals.loky import ProcessPoolExecutor

            made: Pool_ = ProcessPoolExecutor(1, initializer=dies)
            return made

    with Dying() as executor:
        future = executor.submit(add, 1)
        future.wait(DEADLINE_S)
        outcome = future.outcome()
        assert outcome.ending is Ending.CRASHED
        assert outcome.reason.startswith(
            "The process for the call died while it started. A script"
        )


def in_fork(body: Callable[[], None]) -> None:
    """Run it in a forked child, and fail where it fails there."""
    child = os.fork()
    if child == 0:
        try:
            body()
        except BaseException:
            traceback.print_exc(file=sys.stderr)
            os._exit(1)
        os._exit(0)
    end = time.monotonic() + DEADLINE_S
    while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    assert ended[1] == 0


@pytest.mark.parametrize(
    ("name", "configuration"), [("joblib", {}), ("joblib", {"backend": "threading"})]
)
def test_a_forked_child_leaves_its_parent_s_executor_alone(
    tmp_path: Path, name: str, configuration: dict[str, str]
) -> None:
    def child() -> None:
        with pytest.raises(UsageError, match="forked from"):
            executor.submit(add, 1)
        executor.close()
        executor.close(cancel=True)
        with create_executor(name, 1, **configuration) as own:
            assert own.submit(add, 5).get(DEADLINE_S) == 6

    with create_executor(name, 1, **configuration) as executor:
        running = executor.submit(note_and_sleep, str(tmp_path), 0.5)
        until(lambda: pids(tmp_path))
        with executor._lock:  # type: ignore[attr-defined]  # as another thread might
            in_fork(child)
        assert running.get(DEADLINE_S) == "slept"
        assert executor.submit(add, 1).get(DEADLINE_S) == 2
