"""Conditional parameters of a program: absent from its command and from its configuration file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hunting import Shell, ended

from orion_k8s.trial import Status

OPTIMIZER = "--optimizer~choices(['sgd', 'adam'])"
RATE = "randint(1, 4, when=\"optimizer == 'sgd'\")"
PROGRAM = """
echo "$*" >> "$LOG"
printf '[{"name": "o", "type": "objective", "value": 1}]' > "$ORION_RESULTS_PATH"
"""


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ([f"--lr~{RATE}"], "--lr {}"),
        (["--lr", f"orion~{RATE}"], "--lr {}"),
        ([f"--lr=orion~{RATE}"], "--lr={}"),
        ([f"lr~{RATE}"], "{}"),
    ],
)
def test_workers_leave_the_argument_out(shell: Shell, words: list[str], written: str) -> None:
    log = shell.folder / "log"
    (shell.folder / "e.yaml").write_text("experiment: {algorithm: gridsearch}\n")
    line = [shell.program(PROGRAM), OPTIMIZER, *words, "--end"]
    started = [shell.start("hunt", "-n", "e", "-c", "e.yaml", *line, env={"LOG": str(log)})
               for _ in range(2)]  # fmt: skip
    for done in map(ended, started):
        assert done.returncode == 0, done.stderr
        assert "the search space is used up" in done.stdout
    ran = sorted(log.read_text().splitlines())
    expected = [f"--optimizer sgd {written.format(n)} --end" for n in (1, 2, 3)]
    assert ran == sorted(["--optimizer adam --end", *expected])
    assert len(shell.trials(status=Status.COMPLETED)) == 4
    assert "lr" in shell.ok("status", "-n", "e", "--all").stdout


@pytest.mark.parametrize(
    ("name", "text", "adam"),
    [
        ("c.json", json.dumps({"o": "orion~choices(['sgd', 'adam'])", "lr": "@"}), {"o": "adam"}),
        (
            "c.yaml",
            "o: \"orion~choices(['sgd', 'adam'])\"\nlr: @ # rate\n",
            'o: "adam"\nlr: null # rate\n',
        ),
        ("c.ini", "o = orion~choices(['sgd', 'adam'])\nlr = @\n", "o = adam\nlr = \n"),
    ],
)
def test_a_configuration_file(shell: Shell, name: str, text: str, adam: object) -> None:
    prior = "orion~randint(1, 3, when=\"o == 'sgd'\")"
    if name.endswith("json"):
        prior = json.dumps(prior)[1:-1]
    elif name.endswith("yaml"):
        prior = "'" + prior.replace("'", "''") + "'"
    (shell.folder / name).write_text(text.replace("@", prior))
    (shell.folder / "e.yaml").write_text("experiment: {algorithm: gridsearch}\n")
    program = shell.program('cat "$2" >> "$LOG.$ORION_TRIAL_ID"\n' + PROGRAM.replace("echo", ":"))
    env = {"LOG": str(shell.folder / "filled")}
    shell.ok("hunt", "-n", "e", "-c", "e.yaml", program, "--config", name, env=env)
    filled = [path.read_text() for path in shell.folder.glob("filled.*")]
    assert len(filled) == 3
    [found] = [text for text in filled if "adam" in text]
    assert (json.loads(found) if name.endswith("json") else found) == adam


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        ("uniform(0, 1, when='optimiser == 1')", "did you mean optimizer?"),
        ("uniform(0, 1, when=\"optimizer == 'sdg'\")", "never holds"),
        ("uniform(0, 1, when='lr > 0')", "in a circle"),
        ("uniform(0, 1, when='open(1)')", "is no comparison"),
    ],
)
def test_a_wrong_condition_is_one_sentence(shell: Shell, prior: str, said: str) -> None:
    line = (shell.program(), OPTIMIZER, f"--lr~{prior}")
    assert said in shell.refused(2, "hunt", "-n", "e", *line)
    assert shell.trials() == []


def test_insert_knows_conditions(shell: Shell) -> None:
    line = (shell.program(PROGRAM), OPTIMIZER, f"--lr~{RATE}")
    shell.ok("hunt", "-n", "e", "--init-only", *line)
    shell.ok("insert", "-n", "e", "--optimizer", "adam")
    said = shell.refused(2, "insert", "-n", "e", "--optimizer", "adam", "--lr", "2")
    assert "lr is there only when optimizer == 'sgd': leave it out" in said
    [trial] = shell.trials()
    assert trial.values == '["adam",null]'
