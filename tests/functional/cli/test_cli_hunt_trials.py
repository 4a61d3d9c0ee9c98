"""What `hunt` does when all is well."""

from __future__ import annotations

import json
import shlex
import socket
from contextlib import suppress
from pathlib import Path
from urllib.request import urlopen

import pytest
from hunting import Shell, ended, until

from orion_k8s.trial import Status

PRIOR = "-x~uniform(-5, 5)"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_hunt_from_nothing_to_its_summary(shell: Shell) -> None:
    done = shell.ok("hunt", "-n", "e", "--max-trials", "5", shell.program(), PRIOR)
    trials = shell.trials()
    assert [t.status for t in trials] == [Status.COMPLETED] * 5
    best = min(trials, key=lambda t: t.objective or 0.0)
    out = done.stdout
    assert "Done: 5 of 5 trials completed; 5 by this worker" in out
    assert f"trial {best.id} (number {best.number})" in out and f"{best.objective:.10g}" in out
    assert f"x = {json.loads(best.values)[0]}" in out
    folder = Path(shell.experiment().working_dir)
    assert f"Folder: {folder}" in out
    assert folder.parent == shell.folder / "home/.local/share/orion.core/trials"
    assert folder.name == f"e-v1-{shell.experiment().id[:8]}"
    assert sorted(path.name for path in folder.iterdir()) == sorted(t.id for t in trials)
    assert "orion-k8s hunt -n e --max-trials 25" in out and "orion-k8s status -n e" in out


def test_four_workers_started_at_once_complete_exactly_what_was_asked_for(shell: Shell) -> None:
    program = shell.program(f'echo "$ORION_TRIAL_ID" >> {shell.folder}/log\n' + SLOW)
    words = ("hunt", "-n", "e", "--max-trials", "30", "--n-workers", "2", program, PRIOR)
    workers = [shell.start(*words) for _ in range(4)]
    for done in map(ended, workers):
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("Traceback") == 0
    trials = shell.trials()
    assert [t.status for t in trials] == [Status.COMPLETED] * 30
    assert sorted((shell.folder / "log").read_text().split()) == sorted(t.id for t in trials)
    with shell.history() as storage:
        [_] = storage.experiments()


SLOW = """
sleep 0.05
printf '[{"name": "o", "type": "objective", "value": %s}]' "$2" > "$ORION_RESULTS_PATH"
"""


def test_the_name_alone_resumes_where_the_command_was_typed(shell: Shell) -> None:
    program = shell.program(f"pwd >> {shell.folder}/log\n" + SLOW)
    shell.ok("hunt", "-n", "e", "--init-only", program, PRIOR)
    assert shell.trials() == []
    (shell.folder / "elsewhere").mkdir()
    shell.ok("hunt", "-n", "e", "--max-trials", "2", cwd=shell.folder / "elsewhere")
    assert (shell.folder / "log").read_text().split() == [str(shell.folder)] * 2
    shell.ok("hunt", "-n", "e", "--max-trials", "3")
    assert len(shell.trials(status=Status.COMPLETED)) == 3


def test_max_trials_is_raised_while_a_worker_runs(shell: Shell) -> None:
    go = shell.folder / "go"
    program = shell.program(f"while [ ! -e {go} ]; do sleep 0.05; done\n" + SLOW)
    words = ("hunt", "-n", "e", "--heartbeat", "0.2")
    with shell.start(*words, "--max-trials", "1", program, PRIOR) as worker:
        until(lambda: shell.trials(status=Status.RESERVED))
        shell.ok(*words, "--max-trials", "3", "--init-only")
        go.touch()
        done = ended(worker)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 trials completed; 3 by this worker" in done.stdout
    assert len(shell.trials(status=Status.COMPLETED)) == 3


def test_a_limit_can_be_taken_away(shell: Shell) -> None:
    program = shell.program()
    shell.ok("hunt", "-n", "e", "--max-trials", "1", program, PRIOR)
    shell.ok("hunt", "-n", "e", "--max-trials", "none", "--worker-max-trials", "2")
    assert shell.experiment().max_trials is None
    assert len(shell.trials(status=Status.COMPLETED)) == 3


def test_a_changed_command_with_the_same_space_replaces_the_stored_one(shell: Shell) -> None:
    shell.ok("hunt", "-n", "e", "--max-trials", "1", shell.program(), PRIOR)
    other = shell.program(f"touch {shell.folder}/other\n" + SLOW, "other.sh")
    shell.ok("hunt", "-n", "e", "--max-trials", "2", other, PRIOR, "--fast")
    assert (shell.folder / "other").exists()
    (shell.folder / "other").unlink()
    assert shell.experiment().metadata["command"]["argv"] == [other, PRIOR, "--fast"]
    shell.ok("hunt", "-n", "e", "--max-trials", "3")
    assert (shell.folder / "other").exists()
    assert shell.experiment().metadata["user"]


def test_the_programs_words_are_its_own(shell: Shell) -> None:
    program = shell.program(f'for word; do echo "[$word]"; done > {shell.folder}/log\n' + SLOW)
    own = ["--debug", "-n", "other", "--max-trials", "7", "-q", "--", "a b", "$HOME", "--help"]
    shell.ok("hunt", "-n", "e", "--max-trials", "1", program, PRIOR, *own)
    seen = (shell.folder / "log").read_text().splitlines()
    [trial] = shell.trials()
    assert seen[2:] == [f"[{word}]" for word in own]
    assert seen[:2] == ["[-x]", f"[{json.loads(trial.values)[0]}]"]


def test_a_new_version_beside_the_old_one(shell: Shell) -> None:
    program = shell.program()
    shell.ok("hunt", "-n", "e", "--max-trials", "1", program, PRIOR)
    shell.ok("hunt", "-n", "e", "-v", "2", "--max-trials", "2", program, "-x~uniform(0, 1)")
    assert len(shell.trials()) == 2 and shell.experiment(version=1).max_trials == 1
    shell.ok("hunt", "-n", "e", "-v", "1", "--max-trials", "3")
    with shell.history() as storage:
        assert len(list(storage.trials(shell.experiment(version=1).id))) == 3


def test_a_file_holds_experiment_worker_storage_and_space(shell: Shell) -> None:
    program = shell.program(f'echo "$@" >> {shell.folder}/log\n' + SLOW)
    other = shell.folder / "other.db"
    (shell.folder / "c.yaml").write_text(
        "experiment:\n"
        "  name: from-file\n"
        "  max_trials: 4\n"
        "  algorithm: {random: {seed: 3}}\n"
        "  space:\n"
        "    x: uniform(-5, 5)\n"
        "    lr: loguniform(1e-5, 1)\n"
        "    layers: {width: 'uniform(2, 64, discrete=True)'}\n"
        "worker: {n_workers: 2}\n"
        f"storage: {{type: sqlite, database: {{host: {other}}}}}\n"
    )
    # What the command marks itself stays where it is; the rest is appended.
    shell.ok("hunt", "-c", "c.yaml", program, "-x~uniform(-5, 5)", env={"ORION_DB_ADDRESS": ""})
    lines = (shell.folder / "log").read_text().splitlines()
    assert len(lines) == 4
    assert [word for word in shlex.split(lines[0]) if word.startswith("-")][:1] == ["-x"]
    assert all("--lr" in line and "--layers.width" in line for line in lines)
    shell.database = other
    record = shell.experiment("from-file")
    assert list(record.space) == ["x", "lr", "layers.width"] and record.seed == 3
    # The same file resumes without a command, the limit being the command line's.
    words = ("hunt", "-c", "c.yaml", "--max-trials", "5", "-q")
    assert shell.ok(*words, env={"ORION_DB_ADDRESS": ""}).stdout == ""
    assert len(shell.trials("from-file")) == 5


def test_the_stored_experiment_is_stronger_than_the_environment(shell: Shell) -> None:
    env = {"ORION_EXP_MAX_TRIALS": "2", "ORION_WORKING_DIR": str(shell.folder / "w")}
    shell.ok("hunt", "-n", "e", shell.program(), PRIOR, env=env)
    assert shell.experiment().max_trials == 2
    assert shell.experiment().working_dir == str(shell.folder / "w")
    env = {"ORION_EXP_MAX_TRIALS": "9", "ORION_WORKING_DIR": str(shell.folder / "other")}
    shell.ok("hunt", "-n", "e", env=env)
    assert len(shell.trials()) == 2
    assert shell.experiment().working_dir == str(shell.folder / "w")


@pytest.mark.parametrize("executor", ["singleexecutor", "joblib", "poolexecutor"])
def test_an_executor_that_was_chosen_is_honoured(shell: Shell, executor: str) -> None:
    program = shell.program("tr '\\0' ' ' < /proc/$PPID/cmdline >> parents\n" + SLOW)
    shell.ok(
        *("hunt", "-n", "e", "--max-trials", "2", "--executor", executor, program, PRIOR),
    )
    assert len(shell.trials(status=Status.COMPLETED)) == 2
    parents = (shell.folder / "parents").read_text()
    direct = "-m orion_k8s hunt" in parents
    assert direct == (executor == "singleexecutor"), parents


def test_by_default_a_program_is_the_workers_own_child(shell: Shell) -> None:
    program = shell.program("echo $PPID >> parents\n" + SLOW)
    words = ("hunt", "-n", "e", "--max-trials", "4", "--n-workers", "3", program, PRIOR)
    with shell.start(*words) as worker:
        assert ended(worker).returncode == 0
    assert set((shell.folder / "parents").read_text().split()) == {str(worker.pid)}


def test_a_finite_space_that_is_used_up_ends_the_hunt(shell: Shell) -> None:
    done = shell.ok("hunt", "-n", "e", shell.program(), "-x~uniform(1, 3, discrete=True)")
    assert shell.values() == [[1], [2], [3]]
    assert done.stdout.startswith("Done (") and ": 3 trials completed" in done.stdout


def test_where_stderr_is_no_terminal_progress_is_a_plain_line(shell: Shell) -> None:
    go = shell.folder / "go"
    program = shell.program(f"while [ ! -e {go} ]; do sleep 0.05; done\n" + SLOW)
    words = ("hunt", "-n", "e", "--max-trials", "1", program, PRIOR)
    with shell.start(*words) as worker:
        assert worker.stderr is not None
        assert worker.stderr.readline() == "e v1: 0/1 done, 1 running, 1 worker\n"
        go.touch()
        assert ended(worker).returncode == 0


def test_quiet_says_nothing(shell: Shell) -> None:
    done = shell.ok("hunt", "-q", "-n", "e", "--max-trials", "2", shell.program(), PRIOR)
    assert done.stdout == "" and done.stderr == ""


def test_a_worker_with_a_limit_of_its_own_says_that_others_still_run(shell: Shell) -> None:
    go = shell.folder / "go"
    waiting = shell.program(f"while [ ! -e {go} ]; do sleep 0.05; done\n" + SLOW, "wait.sh")
    words = ("hunt", "-n", "e", "--max-trials", "9", "--worker-max-trials", "1")
    with shell.start(*words, waiting, PRIOR) as other:
        until(lambda: shell.trials(status=Status.RESERVED))
        done = shell.ok(*words, shell.program(), PRIOR)
        go.touch()
        assert ended(other).returncode == 0
    assert "This worker is done: 1 of 9 trials completed; 1 by this worker" in done.stdout
    assert "1 trial runs still, in other workers." in done.stdout
    assert "one more worker" in done.stdout


def test_the_limit_of_a_worker_is_that_of_all_its_slots(shell: Shell) -> None:
    words = ("hunt", "-n", "e", "--worker-max-trials", "3", "--n-workers", "2")
    shell.ok(*words, shell.program(), PRIOR)
    assert [t.status for t in shell.trials()] == [Status.COMPLETED] * 3


def test_an_idle_worker_ends_with_its_own_code(shell: Shell) -> None:
    go = shell.folder / "go"
    program = shell.program(f"while [ ! -e {go} ]; do sleep 0.05; done\n" + SLOW)
    words = ("hunt", "-n", "e", "--max-trials", "1")
    with shell.start(*words, program, PRIOR) as other:
        until(lambda: shell.trials(status=Status.RESERVED))
        done = shell.run(*words, "--idle-timeout", "0.1")
        go.touch()
        assert ended(other).returncode == 0
    assert done.returncode == 4, done.stderr
    assert "Nothing to do for 0.1 s" in done.stderr


def test_an_experiment_that_is_removed_ends_its_workers(shell: Shell) -> None:
    go = shell.folder / "go"
    program = shell.program(f"while [ ! -e {go} ]; do sleep 0.05; done\n" + SLOW)
    words = ("hunt", "-n", "e", "--max-trials", "1", "--heartbeat", "0.2", program, PRIOR)
    with shell.start(*words) as worker:
        until(lambda: shell.trials(status=Status.RESERVED))
        with shell.history() as storage:
            storage.remove_experiment(shell.experiment().id)
        done = ended(worker)
    assert done.returncode == 8 and "removed from the database" in done.stderr


def test_trials_that_a_person_suspended_end_a_worker_with_its_own_code(shell: Shell) -> None:
    shell.ok("hunt", "-n", "e", "--max-trials", "1", "--init-only", shell.program(), PRIOR)
    shell.ok("insert", "-n", "e", "x=1")
    with shell.history() as storage:
        record = shell.experiment()
        [trial] = storage.trials(record.id)
        storage.set_status(record.id, trial.id, Status.SUSPENDED, "by hand")
    done = shell.run("hunt", "-n", "e")
    assert done.returncode == 9 and "suspended" in done.stderr


def test_on_a_terminal_progress_is_one_live_line(shell: Shell) -> None:
    import os
    import pty

    go = shell.folder / "go"
    program = shell.program(f"while [ ! -e {go} ]; do sleep 0.05; done\n" + SLOW)
    words = ("hunt", "-n", "e", "--max-trials", "1", program, PRIOR)
    terminal, slave = pty.openpty()
    seen = b""
    with shell.start(*words, stderr=slave, env={"TERM": "xterm", "COLUMNS": "100"}) as worker:
        os.close(slave)
        while b"0/1 done" not in seen or b"1 worker" not in seen:
            seen += os.read(terminal, 4096)
        go.touch()
        assert worker.wait(60) == 0
    os.close(terminal)
    assert b"e v1" in seen and b"\x1b[" in seen and b"1 running" in seen


def test_a_reader_who_goes_away_does_not_end_the_worker(shell: Shell) -> None:
    words = ("hunt", "-n", "e", "--max-trials", "3", shell.program(SLOW), PRIOR)
    with shell.start(*words) as worker:
        assert worker.stdout is not None and worker.stderr is not None
        worker.stdout.close()
        worker.stderr.close()
        worker.wait(60)
    assert worker.returncode == 0
    assert len(shell.trials(status=Status.COMPLETED)) == 3


def test_help_of_hunt_and_of_all(shell: Shell) -> None:
    out = shell.ok("--help").stdout
    for word in ("hunt", "insert", "list", "status", "info", "db", "143"):
        assert word in out
    out = shell.ok("hunt", "--help").stdout
    for flag in ("--max-trials, --exp-max-trials N", "--working-dir", "--grace", "--init-only"):
        assert flag in out
    assert shell.ok("db").stdout == shell.ok("db", "--help").stdout
    assert shell.ok("--version").stdout.startswith("orion-k8s ")


def test_a_worker_waits_at_the_end_and_tells_how_it_is(shell: Shell) -> None:
    """As a Deployment runs it: more trials are asked for, and the same process goes on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    env = {"ORION_AT_END": "wait", "ORION_METRICS_PORT": str(port)}
    words = ("--heartbeat", "0.5", "--max-trials", "2", shell.program(), PRIOR)
    with shell.start("hunt", "-n", "e", *words, env=env) as hunt:

        def completed() -> int:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                for line in answer.read().decode().splitlines():
                    if line.startswith("orion_trials{") and 'status="completed"' in line:
                        return int(float(line.split()[-1]))
            return 0

        until(lambda: completed() == 2)
        shell.ok("hunt", "-n", "e", "--max-trials", "4", "--init-only")
        until(lambda: completed() == 4)
        hunt.terminate()
        done = ended(hunt)
    assert done.returncode == 143
    assert "waiting for more to do" in done.stderr
