"""ORION_LOG_FORMAT=json: every line on stderr is an object, and tells whose it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hunting import Shell

from orion_k8s.trial import Status

PRIOR = "-x~uniform(-5, 5)"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    shell = Shell(tmp_path)
    shell.env["ORION_LOG_FORMAT"] = "json"
    return shell


def lines(text: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "message", "logger"} <= set(line) for line in found)
    return found


def test_a_hunt_tells_of_its_trials(shell: Shell) -> None:
    words = ("--max-trials", "3", shell.program("sleep 0.6;" + SAYS_NOTHING_ONCE), PRIOR)
    done = shell.ok("-v", "hunt", "-n", "ä e", *words)
    assert done.stdout == ""
    said = lines(done.stderr)
    trials = {trial.id: trial for trial in shell.trials("ä e")}
    [broken] = [t for t in trials.values() if t.status is Status.BROKEN]
    for line in said:
        assert (line["experiment"], line["version"]) == ("ä e", 1)
    about = [line for line in said if "trial" in line]
    for line in about:
        trial = trials[line["trial"]]
        assert (line["number"], line["attempt"]) == (trial.number, 1)
        assert line["worker"] and line["token"]
    begun = [line["trial"] for line in about if line["message"].endswith("begins")]
    assert sorted(begun) == sorted(trials)
    [why] = [line for line in about if "is broken: " in line["message"]]
    assert (why["level"], why["trial"]) == ("warning", broken.id)
    assert any(line.get("progress", {}).get("total") == 3 for line in said)
    last = said[-1]
    assert "3 of 3 trials completed, 1 broken" in last["message"]
    best = trials[last["best"]["trial"]]
    assert (
        last["best"]["objective"]
        == best.objective
        == min(t.objective for t in trials.values() if t.objective is not None)
    )
    assert list(last["best"]["params"].values()) == json.loads(best.values)


def test_an_error_is_a_line(shell: Shell) -> None:
    done = shell.run("hunt", "-n", "e", shell.program(), "-x~unifrom(0, 1)")
    assert done.returncode == 2
    [line] = lines(done.stderr)
    assert line["level"] == "error" and "did you mean" in line["message"]


def test_quiet_is_quiet(shell: Shell) -> None:
    done = shell.ok("hunt", "-q", "-n", "e", "--max-trials", "2", shell.program(), PRIOR)
    assert done.stdout == done.stderr == ""


SAYS_NOTHING_ONCE = """
if mkdir "$0.once" 2>/dev/null; then exit 1; fi
printf '[{"name": "o", "type": "objective", "value": %s}]' "$2" > "$ORION_RESULTS_PATH"
"""
