"""What `info` shows of an experiment, and of where each option's value came from."""

from __future__ import annotations

from pathlib import Path

import pytest
from hunting import Shell

PRIOR = "-x~uniform(-5, 5)"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def cells(text: str) -> dict[str, str]:
    """Return first word → the rest, of the indented lines."""
    lines = [line[2:].partition("  ") for line in text.splitlines() if line.startswith("  ")]
    return {word: rest.strip() for word, _, rest in lines}


def test_info_shows_the_whole_experiment(shell: Shell) -> None:
    (shell.folder / "c.yaml").write_text("experiment: {algorithm: {random: {seed: 7}}}")
    words = ("hunt", "-n", "my exp", "--max-trials", "3", "-c", "c.yaml")
    shell.ok(*words, shell.program(), PRIOR, "two words")
    out = shell.ok("info", "-n", "my exp").stdout
    assert out.startswith("Experiment 'my exp' version 1\n")
    record, shown = shell.experiment("my exp"), cells(out)
    assert shown["command"] == "./train.sh '-x~uniform(-5, 5)' 'two words'"
    assert shown["runs in"] == str(shell.folder)
    assert shown["algorithm"] == "random(seed=7), seed 7"
    assert shown["max trials"] == "3" and shown["max broken"] == "3"
    assert shown["folder"] == record.working_dir
    assert shown["database"].endswith("history.db")
    assert shown["x"] == shell_best(shell)[1] and "\n  x  uniform(-5, 5)\n" in out
    assert shown["completed"] == "3" and "first started" in shown
    assert shown["objective"] == shell_best(shell)[0]
    # Of versions the newest, or the one that was asked for.
    shell.ok("hunt", "-n", "my exp", "-v", "2", "--init-only", shell.program(), "-y~normal(0, 1)")
    out = shell.ok("info", "-n", "my exp").stdout
    assert "version 2" in out and "normal(0, 1)" in out and "Best" not in out
    assert "version 1" in shell.ok("info", "-n", "my exp", "-v", "1").stdout


def test_info_says_what_auto_takes(shell: Shell) -> None:
    (shell.folder / "c.yaml").write_text("experiment: {algorithm: auto}")
    words = ("hunt", "-n", "e", "--max-trials", "2", "-c", "c.yaml", "-V")
    ended = shell.ok(*words, shell.program(), "-x~randint(0, 2)")
    assert "auto takes random: all 2 points can be tried" in ended.stderr
    shown = cells(shell.ok("info", "-n", "e").stdout)
    assert shown["algorithm"].startswith("auto(), seed")
    assert shown["it takes"] == "random: all 2 points can be tried"


def shell_best(shell: Shell) -> tuple[str, str]:
    best = min(shell.trials("my exp"), key=lambda trial: trial.objective or 0.0)
    return f"{best.objective:.10g}", best.values.strip("[]")


def levels(text: str) -> dict[str, list[str]]:
    """Return option → value, level, where."""
    return {row[0]: row[1:] for row in (line.split() for line in text.splitlines())}


def test_config_shows_which_level_each_value_came_from(shell: Shell) -> None:
    shell.ok("hunt", "-n", "e", "--max-trials", "1", shell.program(), PRIOR)
    (shell.folder / "home/.config/orion.core").mkdir(parents=True)
    file = shell.folder / "home/.config/orion.core/orion_config.yaml"
    file.write_text("worker: {heartbeat: 30, grace: 3}\nexperiment: {max_trials: 99}\n")
    (shell.folder / "c.yaml").write_text("worker: {grace: 5}\n")
    env = {"ORION_N_WORKERS": "4"}
    words = ("info", "--config", "-n", "e", "-c", "c.yaml")
    shown = levels(shell.ok(*words, env=env).stdout)
    assert shown["option"] == ["value", "level", "where"]
    assert shown["worker.heartbeat"] == ["30.0", "global", "file", str(file)]
    assert shown["worker.grace"] == ["5.0", "local", "c.yaml"]
    assert shown["worker.n_workers"] == ["4", "environment", "ORION_N_WORKERS"]
    assert shown["worker.max_lost"] == ["3", "default"]
    assert shown["experiment.max_trials"] == [
        "1",
        "stored",
        "experiment",
        "the",
        "stored",
        "experiment",
    ]
    assert shown["experiment.name"] == ["e", "command", "line", "--name"]
    # Without an experiment, and without a database, too.
    other = shell.ok("info", "--config", env={"ORION_DB_ADDRESS": "mongodb://u:geheim@nowhere/x"})
    shown = levels(other.stdout)
    assert shown["experiment.max_trials"][0] == "99"
    assert shown["storage.database.host"][0] == "mongodb://u:***@nowhere/x"


def test_info_of_nothing(shell: Shell) -> None:
    assert "no experiment 'e'" in shell.refused(7, "info", "-n", "e")
    assert "Name it with -n NAME" in shell.refused(2, "info")
