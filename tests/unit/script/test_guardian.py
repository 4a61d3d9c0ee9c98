from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orion_k8s.script.guardian import MARK, Guardian

WORKER = """
import os, signal, sys, threading, time
from orion_k8s.script.guardian import guardian
from orion_k8s.script.program import ProgramRun

folder, how = sys.argv[1:]
script = 'trap "" TERM HUP; echo $$ > "$0/pid"; mv "$0/pid" "$0/ready"; sleep 1000 & sleep 1000'
if how == "before the announcement":
    # The worker is killed after the program has started and before the watchdog is told.
    def add(group):
        while not os.path.exists(folder + "/1/ready"):
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGKILL)
    guardian.add = add
for number in range(1, 3):
    path = folder + "/" + str(number)
    os.makedirs(path, exist_ok=True)
    run = ProgramRun(["sh", "-c", script, path], path + "/attempt-1")
    if how == "exits" and number == 2:
        break
    threading.Thread(target=run, daemon=True).start()
if how == "has forked":
    while guardian.pid is None:
        time.sleep(0.005)
    if os.fork() == 0:
        open(folder + "/forked", "w").write(str(os.getpid()))
        time.sleep(1000)
if how == "exits":
    while not os.path.exists(folder + "/1/ready"):
        time.sleep(0.005)
else:
    time.sleep(1000)
"""


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


def group_is_gone(group: int) -> bool:
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and os.getpgid(process.pid) == group:
                return False
        except (psutil.Error, ProcessLookupError):
            pass
    return True


def children(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    return [] if worker.poll() is not None else psutil.Process(worker.pid).children()


def start(folder: Path, how: str) -> subprocess.Popen[bytes]:
    (folder / "1").mkdir()
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WORKER, str(folder), how], start_new_session=True
    )


@pytest.mark.parametrize("how", ["is killed", "has forked", "before the announcement"])
def test_programs_die_with_a_killed_worker(how: str, tmp_path: Path) -> None:
    worker = start(tmp_path, how)
    ready = [tmp_path / "1/ready"]
    if how != "before the announcement":
        ready.append(tmp_path / "2/ready")
    if how == "has forked":
        ready.append(tmp_path / "forked")
    until(lambda: all(path.exists() and path.read_text().strip() for path in ready))
    if how == "before the announcement":
        worker.wait(30)
    watchdogs = [child.pid for child in children(worker) if "-S" in child.cmdline()]
    assert len(watchdogs) == (how != "before the announcement")
    worker.kill()
    worker.wait()
    try:
        for path in ready:
            if path.name == "ready":
                group = int(path.read_text())
                until(lambda group=group: group_is_gone(group), 10)  # type: ignore[misc]
        for pid in watchdogs:
            until(lambda pid=pid: group_is_gone(pid))  # type: ignore[misc]
    finally:
        if how == "has forked":
            os.kill(int((tmp_path / "forked").read_text()), signal.SIGKILL)


def test_programs_die_with_a_worker_that_exits(tmp_path: Path) -> None:
    worker = start(tmp_path, "exits")
    worker.wait(30)
    group = int((tmp_path / "1/ready").read_text())
    until(lambda: group_is_gone(group), 10)


def test_the_watchdog_ignores_signals_and_is_replaced_when_killed() -> None:
    guardian = Guardian()
    program = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        guardian.add(program.pid)
        first = guardian.pid
        assert first is not None
        process = psutil.Process(first)
        assert process.terminal() is None
        until(lambda: "SigIgn:\t0000000000000000" not in Path(f"/proc/{first}/status").read_text())
        process.terminate()
        guardian.add(program.pid)
        assert guardian.pid == first
        process.kill()
        until(lambda: process.status() == psutil.STATUS_ZOMBIE)
        guardian.add(program.pid)
        assert guardian.pid not in (None, first)
        assert not psutil.pid_exists(first)
        second = guardian.pid
        guardian.close()
        assert program.wait(10) == -signal.SIGKILL
    finally:
        guardian.close()
        program.kill()
        program.wait()
    assert second is not None
    assert not psutil.pid_exists(second)
    assert guardian.pid is None


def test_a_group_that_was_discarded_is_left_alone() -> None:
    guardian = Guardian()
    program = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    try:
        guardian.add(program.pid)
        guardian.discard(program.pid)
        guardian.close()
        assert program.poll() is None
    finally:
        program.kill()
        program.wait()


def test_the_watchdog_is_small_and_does_not_carry_a_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MARK, "of an outer worker")
    guardian = Guardian()
    guardian.start()
    try:
        assert guardian.pid is not None
        process = psutil.Process(guardian.pid)
        until(lambda: "-S" in process.cmdline())
        assert MARK not in process.environ()
        assert process.memory_info().rss < 16 << 20
    finally:
        guardian.close()
