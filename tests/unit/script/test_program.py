from __future__ import annotations

import os
import pickle
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orion_k8s.script import process
from orion_k8s.script.guardian import guardian
from orion_k8s.script.program import ProgramResult, ProgramRun

RESULT = '[{"name": "o", "type": "objective", "value": 0.5}]'
WRITE = f"printf '%s' '{RESULT}' > \"$ORION_RESULTS_PATH\"; "


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(params=["pidfd", "polling"])
def waiting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to wait for a program's exit."""
    if request.param == "polling":
        monkeypatch.delattr(os, "pidfd_open")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    guardian.start()
    own = psutil.Process()
    children = set(own.children(recursive=True))
    descriptors = len(os.listdir("/proc/self/fd"))
    yield
    until(lambda: set(own.children(recursive=True)) <= children, 5)
    assert len(os.listdir("/proc/self/fd")) <= descriptors


def shell(script: str, folder: Path, **more: object) -> ProgramRun:
    return ProgramRun(["sh", "-c", script], str(folder / "attempt-1"), **more)  # type: ignore[arg-type]


def cancelled(run: ProgramRun, when: Callable[[], bool]) -> ProgramResult:
    """Run, and cancel from another thread as soon as `when` holds."""

    def wait_and_cancel() -> None:
        until(when)
        run.cancel()

    thread = threading.Thread(target=wait_and_cancel)
    thread.start()
    try:
        return run()
    finally:
        thread.join()


@pytest.mark.parametrize(
    ("script", "kind", "reason"),
    [
        (WRITE, "completed", ""),
        (WRITE + "exit 130", "interrupted", "asked for it"),
        ("exit 130", "interrupted", "asked for it"),
        (WRITE + "echo sorry >&2; exit 3", "broken", "ended with exit code 3.\nsorry"),
        ("true", "broken", "exited 0 without a result"),
        ("echo x > $ORION_RESULTS_PATH; echo why >&2", "broken", "not JSON"),
        ("kill -SEGV $$", "broken", "ended with SIGSEGV."),
        ("kill -KILL $$", "broken", "SIGKILL (out of memory?)"),
    ],
)
def test_how_a_program_ends(
    script: str, kind: str, reason: str, tmp_path: Path, waiting: None
) -> None:
    result = shell(script, tmp_path)()
    assert result.kind == kind
    assert reason in result.reason
    if kind == "completed":
        assert result == ProgramResult(
            "completed", 0.5, ({"name": "o", "type": "objective", "value": 0.5},), exit_code=0
        )


def test_the_interrupt_code_can_be_another(tmp_path: Path) -> None:
    run = shell("exit $ORION_INTERRUPT_CODE", tmp_path, interrupt_code=77)
    assert run().exit_code == 77
    assert run().kind == "interrupted"
    assert shell("exit 130", tmp_path, interrupt_code=77)().kind == "broken"


def test_programs_that_do_not_start(tmp_path: Path) -> None:
    (tmp_path / "noexec").write_text("text")
    for argv, cwd in (
        (["/no/such/program"], None),
        ([str(tmp_path / "noexec")], None),
        (["true", "\0"], None),
        (["true"], "/no/such/folder"),
        (["true", "x" * 10_000_000], None),
    ):
        result = ProgramRun(argv, str(tmp_path / "a"), cwd=cwd)()
        assert result.kind == "broken"
        assert "did not start" in result.reason
        assert result.exit_code is None


def test_the_environment_of_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORION_DB_ADDRESS", "mongodb://user:secret@host")
    monkeypatch.setenv("ORION_DB_PASSWORD", "secret")
    monkeypatch.setenv("PYTHONPATH", "/first::/second")
    monkeypatch.setenv("MINE", "a $b 'c'")
    run = shell("cat; env -0; pwd >&2", tmp_path, environment={"ORION_TRIAL_ID": "ü 1"})
    run()
    folder = tmp_path / "attempt-1"
    text = (folder / "stdout.txt").read_text()
    env = dict(line.split("=", 1) for line in text.strip("\0").split("\0"))
    assert "secret" not in text
    assert not [name for name in env if name.startswith("ORION_DB")]
    assert env["ORION_RESULTS_PATH"] == str(folder / "results.json")
    assert env["ORION_INTERRUPT_CODE"] == "130"
    assert env["ORION_TRIAL_ID"] == "ü 1"
    assert env["MINE"] == "a $b 'c'"
    first, second, shim = env["PYTHONPATH"].split(":")
    assert (first, second) == ("/first", "/second")
    assert (Path(shim) / "orion" / "client.py").is_file()
    assert (folder / "stderr.txt").read_text().strip() == os.getcwd()


def test_the_program_leads_a_session_of_its_own(tmp_path: Path) -> None:
    run = shell("ps -o pid=,pgid=,sid= -p $$ || echo $$ $$ $$", tmp_path)
    run()
    pid, group, session = (tmp_path / "attempt-1/stdout.txt").read_text().split()
    assert pid == group == session != str(os.getpid())


def test_a_hundred_megabytes_of_output_use_no_memory(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = shell(
        "head -c 50000000 /dev/zero | tr '\\0' 'a'; head -c 50000000 /dev/zero >&2; "
        "printf '\\n\\377ünd\\nlast\\n' >&2; exit 1",
        tmp_path,
    )
    result = run()
    grown_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert os.path.getsize(tmp_path / "attempt-1/stdout.txt") == 50_000_000
    assert result.reason.endswith("\n\ufffdünd\nlast")
    assert len(result.reason) <= 4200
    assert grown_kb < 20_000


def test_the_reason_holds_the_last_twenty_lines(tmp_path: Path) -> None:
    result = shell(
        "i=0; while [ $i -lt 50 ]; do echo l$i >&2; i=$((i+1)); done; exit 1", tmp_path
    )()
    assert result.reason.splitlines()[1:] == [f"l{i}" for i in range(30, 50)]


def test_cancel_lets_a_program_save_its_state(tmp_path: Path, waiting: None) -> None:
    ready = tmp_path / "ready"
    run = shell(
        f"trap 'echo saved > {tmp_path}/saved; exit 1' TERM; touch {ready}; "
        "while :; do sleep 0.02; done",
        tmp_path,
    )
    assert cancelled(run, ready.exists).kind == "interrupted"
    assert (tmp_path / "saved").exists()


def test_a_result_of_an_ended_program_counts(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    run = shell(f"{WRITE} touch {ready}; sleep 1000", tmp_path)
    result = cancelled(run, ready.exists)
    assert (result.kind, result.objective) == ("completed", 0.5)
    assert run.collect().kind == "completed"


def test_half_a_result_of_an_ended_program_does_not_count(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    run = shell(f"printf '[{{' > $ORION_RESULTS_PATH; touch {ready}; sleep 1000", tmp_path)
    assert cancelled(run, ready.exists).kind == "interrupted"
    assert run.collect().kind == "interrupted"


def test_a_program_that_ignores_sigterm_is_killed_after_the_grace(
    tmp_path: Path, waiting: None
) -> None:
    ready = tmp_path / "ready"
    run = shell(
        f"trap '' TERM; touch {ready}; while :; do sleep 0.05; done", tmp_path, grace_s=0.3
    )
    start = time.monotonic()
    result = cancelled(run, ready.exists)
    assert (result.kind, result.exit_code) == ("interrupted", -signal.SIGKILL)
    assert 0.3 <= time.monotonic() - start < 10


def test_a_child_of_a_shell_that_dies_at_once_gets_its_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = (
        f"save() {{ sleep 0.2; {WRITE} exit 0; }}; trap save TERM; touch {ready}; "
        "while :; do sleep 0.02; done"
    )
    run = ProgramRun(["sh", "-c", 'sh -c "$1"; true', "sh", child], str(tmp_path / "attempt-1"))
    result = cancelled(run, ready.exists)
    assert (result.kind, result.exit_code) == ("completed", -signal.SIGTERM)


def test_cancel_before_and_after(tmp_path: Path) -> None:
    run = shell(WRITE + f"touch {tmp_path}/started", tmp_path)
    run.cancel()
    assert run().kind == "interrupted"
    assert not (tmp_path / "started").exists()
    run = shell(WRITE, tmp_path)
    assert run().kind == "completed"
    run.cancel()


def test_cancel_at_any_moment_ends_the_call(tmp_path: Path) -> None:
    for number in range(30):
        run = shell("sleep 1000", tmp_path)
        timer = threading.Timer(number * 0.0005, run.cancel)
        timer.start()
        assert run().kind == "interrupted"
        timer.join()


def test_children_that_a_program_leaves_are_ended(tmp_path: Path) -> None:
    # They hold stdout open too, which must not make us wait.
    result = shell(f"trap '' HUP TERM; sleep 1000 & echo $! > {tmp_path}/pid; {WRITE}", tmp_path)()
    assert result.kind == "completed"
    pid = int((tmp_path / "pid").read_text())
    until(lambda: gone(pid))


def test_an_exception_out_of_a_signal_handler_ends_the_program(tmp_path: Path) -> None:
    class Stop(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Stop

    ready = tmp_path / "ready"
    run = shell(
        f"trap 'touch {tmp_path}/saved; exit' TERM; touch {ready}; while :; do sleep 0.02; done",
        tmp_path,
    )

    def send() -> None:
        until(ready.exists)
        os.kill(os.getpid(), signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, stop)
    thread = threading.Thread(target=send)
    thread.start()
    try:
        with pytest.raises(Stop):
            run()
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert (tmp_path / "saved").exists()


def test_sigterm_of_an_executors_process_ends_the_program_with_its_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    program = tmp_path / "program.sh"
    program.write_text(
        f"#!/bin/sh\nsave() {{ {WRITE} exit 0; }}\ntrap save TERM\ntouch {ready}\n"
        "while :; do sleep 0.02; done\n"
    )
    program.chmod(0o755)
    run = ProgramRun([str(program)], str(tmp_path / "attempt-1"))

    def send() -> None:
        until(ready.exists)
        os.kill(os.getpid(), signal.SIGTERM)

    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    thread = threading.Thread(target=send)
    thread.start()
    assert run().kind == "completed"
    thread.join()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_run_can_be_pickled(tmp_path: Path) -> None:
    run = shell(WRITE, tmp_path, environment={"A": "b"}, grace_s=1.5)
    again = pickle.loads(pickle.dumps(run))
    assert again == run
    result = again()
    assert pickle.loads(pickle.dumps(result)) == result
    assert result.kind == "completed"


def test_many_programs_at_once_in_threads(tmp_path: Path) -> None:
    kinds: list[str] = []

    def run(number: int) -> None:
        kinds.append(shell(WRITE, tmp_path / str(number))().kind)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds == ["completed"] * 16


def test_group_is_alive_sees_members_but_no_zombies(tmp_path: Path) -> None:
    import subprocess

    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1, start_new_session=True)
    assert process.group_is_alive(child.pid)
    child.kill()
    assert process.wait_exited(child, None, 10)
    assert not process.group_is_alive(child.pid)
    child.communicate()


def test_cancelled_once_more_a_program_gets_no_grace(tmp_path: Path, waiting: None) -> None:
    started = tmp_path / "started"
    script = f"trap '' TERM; echo > {started}; while :; do sleep 0.05; done"
    run = shell(script, tmp_path, grace_s=1000.0)

    def twice() -> bool:
        if started.exists():
            run.cancel()
        return started.exists()

    assert cancelled(run, twice).kind == "interrupted"


# --- reports -------------------------------------------------------------------------------------


def test_a_program_without_a_result_has_its_last_report(tmp_path: Path) -> None:
    result = shell("echo '{\"value\": 3}' >> $ORION_REPORTS_PATH; " * 2, tmp_path)()
    assert (result.kind, result.objective) == ("completed", 3.0)
    assert [dict(one) for one in result.results] == [
        {"name": "objective", "type": "objective", "value": 3.0}
    ]


def test_a_result_counts_for_more_than_reports(tmp_path: Path) -> None:
    text = """
    echo '{"value": 3}' >> $ORION_REPORTS_PATH
    printf '[{"name": "o", "type": "objective", "value": 0.5}]' > "$ORION_RESULTS_PATH"
    """
    assert shell(text, tmp_path)().objective == 0.5
    wrong = shell(text.replace('"o"', "o"), tmp_path)()
    assert wrong.kind == "broken" and "not JSON" in wrong.reason


def test_reports_save_no_program_that_fails(tmp_path: Path) -> None:
    report = "echo '{\"value\": 3}' >> $ORION_REPORTS_PATH; "
    assert shell(report + "exit 3", tmp_path)().kind == "broken"
    assert shell(report + "exit 130", tmp_path)().kind == "interrupted"


def test_what_an_earlier_process_of_the_attempt_left_is_removed(tmp_path: Path) -> None:
    run = shell("test ! -e $ORION_STOP_PATH && test ! -e $ORION_REPORTS_PATH", tmp_path)
    run.channel.ask_to_stop()
    Path(run.channel.reports).write_text('{"value": 3}\n')
    result = run()
    assert result.kind == "broken" and "without a result" in result.reason
