"""Early stopping in hunts: bad trials are stopped and counted, N is exact, nothing is lost."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hunting import Shell, ended, until

from orion_k8s.storage.mongo import MongoDB
from orion_k8s.trial import Curve, Status, Stopped, TrialRecord
from tests.chaos.proxy import Proxy

PRIOR = "x~uniform(0, 1)"

# A good one (x < 0.5) reports ten steps and ends; a bad one, or a deaf one, goes on for as long
# as it may.
LEARNER = """
import sys, time
from orion_k8s.client import report_objective, should_stop

x, listens = float(sys.argv[1]), sys.argv[2:] != ["deaf"]
for step in range(1, 11 if x < 0.5 else 10):
    report_objective(x, step=step)
step = 9.0 if x >= 0.5 else 10.0
ends = time.monotonic() + 120
while (x >= 0.5 or not listens) and not (listens and should_stop()):
    step += 0.001
    report_objective(x + 1, step=step)
    time.sleep(0.05)
    if time.monotonic() > ends:
        sys.exit("nobody stopped it")
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    (tmp_path / "learn.py").write_text(LEARNER)
    # Good ones and bad ones are among the first few, whenever it runs.
    (tmp_path / "seeded.yaml").write_text("experiment: {seed: 1}")
    return made


def x_of(trial: TrialRecord) -> float:
    return float(json.loads(trial.values)[0])


def stopped(trial: TrialRecord) -> Stopped | None:
    return Stopped.of(trial.results)


def curves(shell: Shell) -> dict[int, Curve]:
    with shell.history() as storage:
        return {c.number: c for c in storage.read_curves(shell.experiment().id)}


def hunt(shell: Shell, *words: str, trials: int = 1) -> list[str]:
    return [
        "hunt",
        "-n",
        "e",
        "-c",
        "seeded.yaml",
        "--max-trials",
        str(trials),
        *words,
        sys.executable,
        "learn.py",
        PRIOR,
    ]


def test_bad_trials_are_stopped_and_counted(shell: Shell) -> None:
    """By two workers, which compare with each other's trials."""
    rule = '{"median": {"min_steps": 9, "min_trials": 2}}'
    words = hunt(shell, "--stopping", rule, "--n-workers", "3", trials=24)
    with shell.start(*words) as one, shell.start(*words) as two:
        done = [ended(one), ended(two)]
    assert [(d.returncode, d.stderr.count("WARNING")) for d in done] == [(0, 0)] * 2
    trials = shell.trials()
    assert [t.status for t in trials] == [Status.COMPLETED] * 24
    bad = [t for t in trials if x_of(t) >= 0.5]
    assert bad and len(bad) < 24
    for trial in bad:
        mark = stopped(trial)
        assert mark is not None and mark.rule == "median" and mark.step > 9
        assert trial.objective == x_of(trial) + 1
        assert [r["type"] for r in trial.results] == ["objective", "statistic"]
    best = [t for t in trials if x_of(t) < min(map(x_of, trials)) + 1e-9]
    assert [stopped(t) for t in best] == [None]
    found = curves(shell)
    assert sorted(found) == [t.number for t in trials]
    for trial in trials:
        assert found[trial.number].values[-1] == trial.objective
    # A person sees it.
    said = shell.ok("info", "-n", "e").stdout
    assert "median(min_steps=9, min_trials=2)" in said
    assert f"stopped early   {sum(stopped(t) is not None for t in trials)}" in said
    assert "by median: best value" in shell.ok("status", "-n", "e", "--all").stdout


def test_the_rule_is_stored_with_the_experiment(shell: Shell) -> None:
    shell.ok(*hunt(shell, "--stopping", '{"threshold": {"upper": 0.9}}', "--init-only"))
    assert shell.experiment().metadata["stopping"] == {"threshold": {"upper": 0.9}}
    shell.ok("hunt", "-n", "e", "--max-trials", "6")  # with bad ones that only a rule ends
    trials = shell.trials()
    assert len(trials) == 6
    assert [x_of(t) >= 0.5 for t in trials] == [stopped(t) is not None for t in trials]
    assert any(stopped(t) for t in trials)
    assert "threshold" in shell.ok("info", "-n", "e", "--config").stdout
    shell.ok("hunt", "-n", "e", "--stopping", "none", "--max-trials", "6")
    assert shell.experiment().metadata["stopping"] == {}
    assert "early stopping" not in shell.ok("info", "-n", "e").stdout


def test_a_program_that_does_not_listen_is_ended(shell: Shell) -> None:
    words = hunt(shell, "--stopping", '{"threshold": {"upper": -1}}', "--stop-grace", "0.2")
    assert shell.ok(*words, "deaf").returncode == 0
    [trial] = shell.trials()
    mark = stopped(trial)
    assert trial.status is Status.COMPLETED and mark is not None
    assert trial.objective == curves(shell)[0].values[-1]


def test_from_a_shell(shell: Shell) -> None:
    """The program is a script that runs the small command."""
    program = shell.program(
        f"""
        report() {{ {sys.executable} -m orion_k8s report "$@"; }}
        step=0
        while [ $step -lt 200 ]; do
            step=$((step + 1))
            if [ "$(report "$2" --step $step --metric twice=2)" = stop ]; then exit 0; fi
        done
        exit 3
        """
    )
    words = ("--stopping", '{"threshold": {"upper": -1}}', program, "-x~uniform(0, 1)")
    shell.ok("hunt", "-n", "e", "--max-trials", "2", "--n-workers", "2", *words)
    for trial in shell.trials():
        assert trial.status is Status.COMPLETED and trial.objective == x_of(trial)
        assert stopped(trial) is not None
        curve = curves(shell)[trial.number]
        assert curve.metrics == {"twice": (2.0,) * len(curve)}


def test_a_program_that_only_reports_has_its_last_value(shell: Shell) -> None:
    program = shell.program(
        'for step in 3 2 1; do echo "{\\"value\\": $step}" >> "$ORION_REPORTS_PATH"; done'
    )
    shell.ok("hunt", "-n", "e", "--max-trials", "1", program, "-x~uniform(0, 1)")
    [trial] = shell.trials()
    assert (trial.status, trial.objective, stopped(trial)) == (Status.COMPLETED, 1.0, None)
    assert list(curves(shell)[0]) == [(1, 3), (2, 2), (3, 1)]


GATED = """
import os, sys, time
from pathlib import Path
from orion_k8s.client import report_objective, should_stop

report_objective(1, step=1)
Path("began").touch()
while not os.path.exists("cut"):
    time.sleep(0.02)
for step in range(2, 10):
    report_objective(step, step=step)
while not should_stop():
    time.sleep(0.02)
report_objective(10, step=10)
Path("stopped").touch()
"""

RESUMED = """
import os, sys, time
from pathlib import Path
from orion_k8s.client import report_objective

checkpoint = Path(os.environ["ORION_WORKING_DIR"], "step")
first = int(checkpoint.read_text()) if checkpoint.exists() else 1
for step in range(first, first + 3):
    report_objective(int(os.environ["ORION_TRIAL_ATTEMPT"]), step=step)
    checkpoint.write_text(str(step))
if first == 1:
    time.sleep(120)
"""


def test_a_worker_killed_mid_trial_leaves_its_curve_to_a_fresh_one(shell: Shell) -> None:
    (shell.folder / "learn.py").write_text(RESUMED)
    words = hunt(shell, "--heartbeat", "0.2")
    with shell.start(*words) as worker:

        def written() -> Any:
            there = (shell.folder / "history.db").exists() and shell.trials()
            return there and curves(shell).get(0)

        first = until(written)
        worker.send_signal(signal.SIGKILL)
        worker.communicate()
    assert first.attempt == 1
    shell.ok(*words)
    [trial] = shell.trials()
    assert (trial.status, trial.attempt, trial.objective) == (Status.COMPLETED, 2, 2.0)
    curve = curves(shell)[0]
    assert (curve.attempt, curve.steps, curve.values) == (2, (3, 4, 5), (2, 2, 2))


def test_a_signal_gives_the_trial_back_with_its_curve(shell: Shell) -> None:
    (shell.folder / "learn.py").write_text(RESUMED)
    with shell.start(*hunt(shell)) as worker:
        until(lambda: shell.database.exists() and shell.trials() and curves(shell))
        worker.send_signal(signal.SIGTERM)
        assert ended(worker).returncode == 143
    [trial] = shell.trials()
    assert trial.status is Status.INTERRUPTED and curves(shell)[0].attempt == 1


@pytest.mark.mongo
def test_the_database_is_away_meanwhile(shell: Shell, mongodb_uri: str, mongodb_name: str) -> None:
    """A trial is stopped all the same; its reports and its result wait, and arrive whole."""
    port = urlsplit(mongodb_uri).port
    assert port is not None
    (shell.folder / "learn.py").write_text(GATED)
    with closing(Proxy(port)) as proxy:
        url = (
            f"mongodb://127.0.0.1:{proxy.ports[0]}/{mongodb_name}"
            "?directConnection=true&serverSelectionTimeoutMS=300"
        )
        words = hunt(shell, "--stopping", '{"threshold": {"upper": 5}}', "--heartbeat", "0.5")
        with shell.start(*words, env={"ORION_DB_ADDRESS": url}) as worker:
            until((shell.folder / "began").exists)
            proxy.set("cut")
            (shell.folder / "cut").touch()
            until((shell.folder / "stopped").exists)
            assert worker.stderr is not None
            assert any("the database is away" in line for line in worker.stderr)
            proxy.set("pass")
            done = ended(worker)
    assert done.returncode == 0, done.stderr
    with MongoDB(mongodb_uri, mongodb_name) as storage:
        [record] = storage.experiments("e")
        [trial] = storage.trials(record.id)
        [curve] = storage.read_curves(record.id)
    assert (trial.status, trial.attempt, trial.objective) == (Status.COMPLETED, 1, 10.0)
    assert Stopped.of(trial.results) == Stopped("threshold", 9, "value 9 > 5")
    assert list(curve) == [(step, step) for step in range(1, 11)]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--stopping", "medain"), "did you mean 'median'"),
        (("--stopping", '{"median": {"steps": 3}}'), "did you mean 'min_steps'"),
        (("--stopping", "[1]"), "Unknown rule"),
        (("--stopping", '{"median": 3}'), "a mapping such as"),
    ],
)
def test_mistakes(shell: Shell, words: tuple[str, ...], sentence: str) -> None:
    assert sentence in shell.refused(2, *hunt(shell, *words))
    assert not shell.database.exists() or shell.trials() == []
