"""Directions, goals, constraints and points to try first at the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hunting import SQUARE, Shell, ended

from orion_k8s.trial import Status

PRIOR = "-x~uniform(0, 1)"
CONSTRAINED = """
import sys
from orion.client import report_results
x = float(sys.argv[2])
constraint = {"name": "c", "type": "constraint", "value": x - 0.5}
report_results([{"name": "o", "type": "objective", "value": x}, constraint])
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_hunts_go_up_until_the_goal(shell: Shell) -> None:
    words = ("hunt", "-n", "e", "--direction", "maximize", "--goal", "0.9", "--max-trials", "9999")
    workers = [shell.start(*words, shell.program(), PRIOR) for _ in range(2)]
    outs = []
    for done in map(ended, workers):
        assert done.returncode == 0, done.stderr
        outs.append(done.stdout)
    trials = shell.trials(status=Status.COMPLETED)
    best = max(json.loads(t.values)[0] for t in trials)
    assert best >= 0.9 and len(trials) < 1000
    for out in outs:
        assert "Done (a trial reached the goal)" in out and f"Best: {best:.10g}, trial" in out
        assert "orion-k8s hunt -n e --goal none" in out
    status = shell.ok("status", "-n", "e").stdout
    assert "done" in status and f"best: {best}" in status
    [told] = json.loads(shell.ok("status", "-n", "e", "--json").stdout)
    assert (told["direction"], told["goal"], told["status"]) == ("maximize", 0.9, "done")
    assert told["best_objective"] == told["best"]["objective"] == best
    listed = json.loads(shell.ok("status", "-n", "e", "--json", "--all").stdout)
    assert {t["objective"] for t in listed} == {json.loads(t.values)[0] for t in trials}
    info = shell.ok("info", "-n", "e").stdout
    assert "maximize; ends at 0.9" in info and f"{best:.10g}" in info

    # The name alone is done; another goal goes on; another direction is refused.
    assert shell.ok("hunt", "-n", "e").stdout.startswith("Done (a trial reached the goal)")
    more = str(len(trials) + 2)
    shell.ok("hunt", "-n", "e", "--goal", "none", "--max-trials", more)
    assert len(shell.trials(status=Status.COMPLETED)) == len(trials) + 2
    refused = shell.run("hunt", "-n", "e", "--direction", "minimize")
    assert refused.returncode == 2
    assert "is to maximize, not to minimize: make a new version with -v 2" in refused.stderr


def test_a_file_says_all_of_it(shell: Shell) -> None:
    (shell.folder / "e.yaml").write_text(
        "experiment:\n"
        "  name: e\n"
        "  direction: maximize\n"
        "  goal: 7\n"
        "  max_trials: 4\n"
        "  enqueue: [{x: 0.5}, {x: 0.25}]\n"
        "worker: {n_workers: 2}\n"
    )
    words = ("hunt", "-c", "e.yaml", shell.program(), PRIOR)
    workers = [shell.start(*words) for _ in range(2)]
    for done in map(ended, workers):
        assert done.returncode == 0, done.stderr
    trials = shell.trials(status=Status.COMPLETED)
    assert len(trials) == 4  # exactly, the enqueued ones among them, each once
    assert {t.number: json.loads(t.values) for t in trials if t.number < 0} == {
        -1: [0.5],
        -2: [0.25],
    }
    explained = shell.ok("info", "-n", "e", "--config").stdout
    assert "stored experiment" in next(
        line for line in explained.splitlines() if line.startswith("experiment.goal")
    )
    values = shell.ok("k8s", "values", "-n", "e").stdout
    assert "direction: maximize" in values and "goal: 7.0" in values


def test_the_environment_says_it_for_new_experiments_alone(shell: Shell) -> None:
    said = {"ORION_EXP_DIRECTION": "maximize", "ORION_EXP_GOAL": "5"}
    shell.ok("hunt", "-n", "e", "--init-only", shell.program(), PRIOR, env=said)
    assert shell.experiment().goal == {"direction": "maximize", "goal": 5.0}
    other = {"ORION_EXP_DIRECTION": "minimize", "ORION_EXP_GOAL": "-5"}
    shell.ok("hunt", "-n", "e", "--max-trials", "1", env=other)
    assert shell.experiment().goal == {"direction": "maximize", "goal": 5.0}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("direction: up", "must be minimize or maximize, not 'up'"),
        ("goal: high", "must be a finite number"),
        ("enqueue: {x: 1}", "must be a list of mappings"),
        ("enqueue: [{x: 2}]", "x"),
        ("objectives: {a: minimize}", "objectives must name 2 to 10"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_stored(
    shell: Shell, text: str, said: str
) -> None:
    (shell.folder / "e.yaml").write_text(f"experiment:\n  name: e\n  {text}\n")
    done = shell.run("hunt", "-c", "e.yaml", shell.program(), PRIOR)
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr
    assert "no experiment" in shell.run("hunt", "-n", "e").stderr


def test_a_program_with_a_constraint(shell: Shell) -> None:
    program = shell.program(CONSTRAINED, "train.py", sys.executable)
    for number, x in enumerate(("0.9", "0.75"), 1):
        (shell.folder / "e.yaml").write_text(f"experiment: {{enqueue: [{{x: {x}}}]}}\n")
        words = ("-n", "e", "-c", "e.yaml", "--direction", "maximize", "--max-trials", str(number))
        out = shell.ok("hunt", *words, program, PRIOR).stdout
        assert "Best: none that breaks no constraint" in out
    status = shell.ok("status", "-n", "e").stdout
    assert "none breaks no constraint; the nearest: 0.75" in status
    assert "every one breaks a constraint" in shell.ok("info", "-n", "e").stdout
    shell.ok("insert", "-n", "e", "-x", "0.25")
    shell.ok("hunt", "-n", "e", "--max-trials", "3")
    assert "best: 0.25" in shell.ok("status", "-n", "e").stdout


def test_a_bad_trial_is_bad_in_the_experiments_direction(shell: Shell) -> None:
    text = "from orion.client import report_bad_trial; report_bad_trial()"
    (shell.folder / "bad.py").write_text(text)
    words = ("--max-trials", "1", "python", "bad.py", PRIOR)
    for name, direction, value in (("up", "maximize", -1e10), ("down", "minimize", 1e10)):
        shell.ok("hunt", "-n", name, "--direction", direction, *words)
        [told] = json.loads(shell.ok("status", "-n", name, "--json").stdout)
        assert told["best_objective"] == value
        [trial] = shell.trials(name)
        assert trial.objective == 1e10


TWO = """
import sys
from orion.client import report_bad_trial, report_results
x = float(sys.argv[2])
if x > 0.9:
    report_bad_trial()
else:
    report_results([
        {"name": "cost", "type": "objective", "value": x},
        {"name": "score", "type": "objective", "value": x * x},
        {"name": "ok", "type": "constraint", "value": x - 0.5},
    ])
"""


def test_several_objectives(shell: Shell) -> None:
    (shell.folder / "e.yaml").write_text(
        "experiment:\n"
        "  objectives: {score: maximize, cost: minimize}\n"
        "  algorithm: nsga2\n"
        "  max_trials: 6\n"
        "  enqueue: [{x: 0.25}, {x: 0.5}, {x: 0.75}, {x: 0.95}]\n"
    )
    program = shell.program(TWO, "train.py", sys.executable)
    words = ("hunt", "-n", "e", "-c", "e.yaml", program, PRIOR)
    workers = [shell.start(*words) for _ in range(2)]
    for done in map(ended, workers):
        assert done.returncode == 0, done.stderr
        assert "trials that no other beats in all objectives" in done.stdout
    assert len(shell.trials(status=Status.COMPLETED)) == 6
    status = shell.ok("status", "-n", "e").stdout
    assert "(maximize score, minimize cost)" in status
    assert "cost 0.5, score 0.25" in status and "0.75" not in status
    [told] = json.loads(shell.ok("status", "-n", "e", "--json").stdout)
    assert told["objectives"] == {"score": "maximize", "cost": "minimize"}
    shown = [trial["objectives"] for trial in told["front"]]
    assert {"cost": 0.25, "score": 0.0625} in shown and {"cost": 0.5, "score": 0.25} in shown
    assert all(objectives["cost"] <= 0.5 or objectives["cost"] == 1e10 for objectives in shown)
    info = shell.ok("info", "-n", "e").stdout
    assert "cost 0.25, score 0.0625: x=0.25" in info
    refused = shell.run("hunt", "-n", "e", "--direction", "maximize")
    assert refused.returncode == 2 and "is to maximize score, minimize cost" in refused.stderr
    shell.ok("hunt", "-n", "e", "--max-trials", "7")
    values = shell.ok("k8s", "values", "-n", "e").stdout
    assert "objectives:\n    score: maximize\n    cost: minimize" in values


def test_points_are_measured_several_times(shell: Shell) -> None:
    log = shell.folder / "count"
    noisy = f'echo >> {log}\nset -- "$1" "$(wc -l < {log})"\n' + SQUARE
    (shell.folder / "e.yaml").write_text(
        "experiment: {repetitions: 2, direction: maximize, max_trials: 6}\n"
    )
    out = shell.ok("hunt", "-n", "e", "-c", "e.yaml", shell.program(noisy), PRIOR).stdout
    trials = shell.trials()
    assert [len({t.values for t in trials[i : i + 2]}) for i in (0, 2, 4)] == [1, 1, 1]
    assert f"Best: 5.5, trial {trials[4].id}" in out
    status = shell.ok("status", "-n", "e").stdout
    assert f"best: 5.5 (the mean of 2, first trial 4, {trials[4].id})" in status
    [told] = json.loads(shell.ok("status", "-n", "e", "--json").stdout)
    assert told["best_objective"] == told["best"]["objective"] == 5.5 and told["repetitions"] == 2
    assert "repetitions: 2" in shell.ok("k8s", "values", "-n", "e").stdout
