"""Programs that fail, each in its way: the trial is broken and the reason told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hunting import SQUARE, Shell, alive, until

from orion_k8s.trial import Status

PRIOR = "-x~uniform(-5, 5)"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def report(text: str) -> str:
    return f"cat > $ORION_RESULTS_PATH <<'END'\n{text}\nEND\n"


quoted = '"low"'
OBJECTIVE = '{"name": "o", "type": "objective", "value": %s}'


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo first >&2; echo 'last line' >&2; exit 3", ["exit code 3", "last line"]),
        ("kill -SEGV $$", ["SIGSEGV"]),
        ("exit 0", ["exited 0 without a result"]),
        (report("objective = 3"), ["not JSON"]),
        (report(f"[{OBJECTIVE % 'NaN'}]"), ["'o' is nan"]),
        (report(f"[{OBJECTIVE % '-Infinity'}]"), ["'o' is -inf"]),
        (report(f"[{OBJECTIVE % quoted}]"), ["is a text, not a number"]),
        (report('[{"name": "s", "type": "statistic", "value": 1}]'), ["no objective"]),
        (report(f"[{OBJECTIVE % 1}, {OBJECTIVE % 2}]"), ["2 objectives"]),
        (report('{"o": 1}'), ["holds a mapping, not a list"]),
    ],
)
def test_a_broken_program_is_told_and_ends_the_hunt(
    shell: Shell, program: str, said: list[str]
) -> None:
    words = ("hunt", "-n", "e", "--max-trials", "5", "--max-broken", "2")
    done = shell.run(*words, shell.program(program), PRIOR)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    trials = shell.trials()
    assert [t.status for t in trials] == [Status.BROKEN] * 2
    for trial in trials:
        for part in said:
            assert part in (trial.reason or "") and part in done.stderr
        assert f"trial {trial.id} is broken" in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("orion-k8s: The experiment is broken: 2 of its trials failed")
    assert "Ended: 0 of 5 trials completed, 2 broken" in done.stdout
    assert "--max-broken 5" in done.stdout


def test_a_broken_trial_is_replaced(shell: Shell) -> None:
    program = shell.program(f"mkdir {shell.folder}/once 2>/dev/null && exit 1\n" + SQUARE)
    shell.ok("hunt", "-n", "e", "--max-trials", "4", program, PRIOR)
    statuses = [t.status for t in shell.trials()]
    assert statuses.count(Status.COMPLETED) == 4 and statuses.count(Status.BROKEN) == 1


def test_a_worker_ends_by_its_own_limit_of_broken_trials(shell: Shell) -> None:
    words = ("hunt", "-n", "e", "--max-broken", "9", "--worker-max-broken", "1")
    done = shell.run(*words, shell.program("exit 1"), PRIOR)
    assert done.returncode == 3 and "This worker broke 1 trial" in done.stderr
    assert len(shell.trials()) == 1


def test_a_program_that_asks_to_be_run_again(shell: Shell) -> None:
    program = shell.program(
        '[ "$ORION_TRIAL_ATTEMPT" = 1 ] && exit $ORION_INTERRUPT_CODE\n' + SQUARE
    )
    words = ("hunt", "-n", "e", "--max-trials", "1", "--interrupt-signal-code", "77")
    shell.ok(*words, program, PRIOR)
    [trial] = shell.trials()
    assert trial.status is Status.COMPLETED and trial.attempt == 2


def test_100_mb_of_output_go_to_the_disk_and_not_through_memory(shell: Shell) -> None:
    program = shell.program(
        "head -c 104857600 /dev/zero\nhead -c 104857600 /dev/zero >&2\n"
        f"grep VmHWM /proc/$PPID/status > {shell.folder}/peak\n" + SQUARE
    )
    # The second program tells how much memory its worker needed for the first, at most.
    shell.ok("hunt", "-n", "e", "--max-trials", "2", program, PRIOR)
    trial, _ = shell.trials()
    attempt = Path(shell.experiment().working_dir) / trial.id / "attempt-1"
    assert (attempt / "stdout.txt").stat().st_size == 104857600
    assert (attempt / "stderr.txt").stat().st_size == 104857600
    peak_kb = int((shell.folder / "peak").read_text().split()[1])
    assert peak_kb < 200 * 1024  # numpy's import alone takes some 60 MB


def test_what_a_program_leaves_behind_is_ended_with_it(shell: Shell) -> None:
    program = shell.program(f"sleep 1000 & echo $! > {shell.folder}/child\n" + SQUARE)
    shell.ok("hunt", "-n", "e", "--max-trials", "1", program, PRIOR)
    child = int((shell.folder / "child").read_text())
    until(lambda: not alive(child))


def test_the_database_is_no_business_of_the_program(shell: Shell) -> None:
    program = shell.program("env > env.txt\n" + SQUARE)
    env = {"ORION_DB_PASSWORD": "geheim", "ORION_DB_USERNAME": "me"}
    shell.ok("hunt", "-n", "e", "--max-trials", "1", program, PRIOR, env=env)
    assert "ORION_DB_" not in (shell.folder / "env.txt").read_text()


def test_a_script_written_for_orion_reports_through_its_own_import(shell: Shell) -> None:
    import sys

    program = shell.program(
        "import sys\n"
        "from orion.client import report_objective\n"
        "report_objective(float(sys.argv[2]) ** 2)\n",
        "train.py",
        sys.executable,
    )
    shell.ok("hunt", "-n", "e", "--max-trials", "2", program, PRIOR)
    for trial in shell.trials(status=Status.COMPLETED):
        assert trial.objective == pytest.approx(float(trial.values.strip("[]")) ** 2)


def test_a_folder_that_becomes_unusable_while_the_worker_runs(shell: Shell) -> None:
    folder = shell.folder / "w"
    program = shell.program(f"rm -rf {folder}; touch {folder}\n")
    words = ("hunt", "-n", "e", "--max-trials", "3", "--working-dir", str(folder))
    done = shell.run(*words, program, PRIOR)
    assert done.returncode == 2, done.stderr
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert Status.RESERVED not in {t.status for t in shell.trials()}
