"""Ending a hunt: the program first, with its children, then the reservation; nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest
from hunting import SQUARE, Shell, alive, ended, until

from orion_k8s.trial import Status

PRIOR = "-x~uniform(-5, 5)"

WORDS = ("hunt", "-n", "e", "--max-trials", "1")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def pids(shell: Shell, name: str = "pids") -> list[int]:
    """Return the process ids that a program wrote into a file, one a line, when all are there."""

    def written() -> list[int] | None:
        path = shell.folder / name
        words = path.read_text().split() if path.exists() else []
        return [int(word) for word in words[:-1]] if words[-1:] == ["."] else None

    found: list[int] = until(written)
    return found


HANGS = """
sleep 1000 &
echo $$ $! . > pids
wait
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize("executor", ["", "joblib", "singleexecutor"])
def test_a_signal_ends_the_group_and_releases_the_trial(
    shell: Shell, number: signal.Signals, code: int, executor: str
) -> None:
    chosen = ["--executor", executor] if executor else []
    with shell.start(*WORDS, *chosen, shell.program(HANGS), PRIOR) as worker:
        group = pids(shell)
        worker.send_signal(number)
        done = ended(worker)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert not any(alive(pid) for pid in group)
    [trial] = shell.trials()
    assert trial.status is Status.INTERRUPTED and trial.lost == 0
    assert "Ended: 0 of 1 trials completed" in done.stdout
    assert "one more worker" in done.stdout
    # Another worker takes it at once: nothing has to run out.
    shell.ok(*WORDS, shell.program(), PRIOR)
    [trial] = shell.trials()
    assert trial.status is Status.COMPLETED and trial.attempt == 2


def test_a_terminal_that_is_closed_ends_a_hunt_as_sigterm_does(shell: Shell) -> None:
    with shell.start(*WORDS, shell.program(HANGS), PRIOR) as worker:
        group = pids(shell)
        worker.send_signal(signal.SIGHUP)
        assert ended(worker).returncode == 143
    assert not any(alive(pid) for pid in group)
    assert [t.status for t in shell.trials()] == [Status.INTERRUPTED]


def test_a_result_that_is_there_is_completed(shell: Shell) -> None:
    with shell.start(*WORDS, shell.program(SQUARE + HANGS), PRIOR) as worker:
        pids(shell)
        worker.send_signal(signal.SIGTERM)
        assert ended(worker).returncode == 143
    [trial] = shell.trials()
    assert trial.status is Status.COMPLETED and trial.attempt == 1


def test_a_program_may_save_its_state_in_the_grace(shell: Shell) -> None:
    save = f"save() {{\nsleep 0.3\nset -- -x 1\n{SQUARE}\nexit 0\n}}\ntrap save TERM\n"
    program = shell.program(save + HANGS)
    with shell.start(*WORDS, program, PRIOR) as worker:
        pids(shell)
        worker.send_signal(signal.SIGTERM)
        assert ended(worker).returncode == 143
    [trial] = shell.trials()
    assert trial.status is Status.COMPLETED


IGNORES = """
trap '' TERM INT
echo $$ . > pids
while :; do sleep 0.05; done
"""


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(shell: Shell) -> None:
    with shell.start(*WORDS, "--grace", "0.5", shell.program(IGNORES), PRIOR) as worker:
        [program] = pids(shell)
        worker.send_signal(signal.SIGTERM)
        assert ended(worker).returncode == 143
    assert not alive(program)
    assert [t.status for t in shell.trials()] == [Status.INTERRUPTED]


@pytest.mark.parametrize("executor", ["", "joblib", "singleexecutor"])
def test_the_second_ctrl_c_ends_at_once(shell: Shell, executor: str) -> None:
    chosen = ["--executor", executor] if executor else []
    words = (*WORDS, "--grace", "1000", *chosen, shell.program(IGNORES), PRIOR)
    with shell.start(*words) as worker:
        [program] = pids(shell)
        worker.send_signal(signal.SIGINT)
        # Signals of one number merge until the first is handled: ask again as a person would.
        until(lambda: _again(worker))
        done = ended(worker)
    assert done.returncode == 130, done.stderr
    assert not alive(program)
    assert [t.status for t in shell.trials()] == [Status.INTERRUPTED]


def _again(worker: subprocess.Popen[str]) -> bool:
    if worker.poll() is None:
        worker.send_signal(signal.SIGINT)
        time.sleep(0.2)
    return worker.poll() is not None


def test_a_worker_that_is_killed_leaves_no_program(shell: Shell) -> None:
    words = (*WORDS, "--heartbeat", "0.5")
    with shell.start(*words, shell.program(HANGS), PRIOR) as worker:
        group = pids(shell)
        worker.kill()
        ended(worker)
    until(lambda: not any(alive(pid) for pid in group))
    shell.ok(*words, shell.program(), PRIOR)
    [trial] = shell.trials()
    assert trial.status is Status.COMPLETED and trial.attempt == 2 and trial.lost == 1


def test_all_slots_are_ended(shell: Shell) -> None:
    program = shell.program("echo $$ >> started\nexec sleep 1000\n")
    words = ("hunt", "-n", "e", "--n-workers", "3", program, PRIOR)
    with shell.start(*words) as worker:
        started = shell.folder / "started"
        until(lambda: started.exists() and len(started.read_text().split()) == 3)
        worker.send_signal(signal.SIGTERM)
        assert ended(worker).returncode == 143
    assert not any(alive(int(pid)) for pid in started.read_text().split())
    assert [t.status for t in shell.trials()] == [Status.INTERRUPTED] * 3


def test_an_idle_worker_ends_at_once(shell: Shell) -> None:
    with shell.start(*WORDS, shell.program(HANGS), PRIOR) as busy:
        group = pids(shell)
        with shell.start(*WORDS, "--heartbeat", "1000") as idle:
            until(lambda: _reads(idle))
            idle.send_signal(signal.SIGTERM)
            assert ended(idle).returncode == 143
        assert all(alive(pid) for pid in group)
        busy.send_signal(signal.SIGTERM)
        assert ended(busy).returncode == 143
    [trial] = shell.trials()
    assert trial.status is Status.INTERRUPTED and trial.attempt == 1


def _reads(worker: subprocess.Popen[str]) -> bool:
    """Whether a worker has installed its handler of SIGTERM."""
    text = Path(f"/proc/{worker.pid}/status").read_text()
    [caught] = [line.split()[1] for line in text.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) >> (signal.SIGTERM - 1) & 1)
