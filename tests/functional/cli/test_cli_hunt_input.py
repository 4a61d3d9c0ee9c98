"""What a person can type or write wrongly: one sentence, a documented code, nothing stored."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hunting import Shell

PRIOR = "-x~uniform(-5, 5)"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def nothing_stored(shell: Shell) -> bool:
    with shell.history() as storage:
        return storage.experiments() == []


@pytest.mark.parametrize(
    ("priors", "said"),
    [
        (["-x~unifrm(0, 1)"], "unifrm is unknown; did you mean uniform?"),
        (["-x~uniform(0, 1"], "a parenthesis is not closed"),
        (["-x~uniform(2, 1)"], "low (2) must be below high (1)"),
        (["-x~uniform(1, 1)"], "low (1) must be below high (1)"),
        (["-x~uniform(__import__('os').getpid(), 1)"], "literal arguments, not code"),
        (["-x~__import__('os').system('touch gotcha')"], "literal arguments, not code"),
        ([PRIOR, "-x~uniform(0, 1)"], "The parameter x has two priors"),
        (["-x~fidelity(1, 9)", "-y~fidelity(1, 9)"], "one fidelity at most, not x and y"),
        (["-x", "3"], "The command has no prior"),
    ],
)
def test_a_prior_that_is_wrong(shell: Shell, priors: list[str], said: str) -> None:
    sentence = shell.refused(2, "hunt", "-n", "e", shell.program(), *priors)
    assert said in sentence
    assert not (shell.folder / "gotcha").exists()
    assert nothing_stored(shell)


def test_a_program_that_cannot_be_started(shell: Shell) -> None:
    words = ("hunt", "-n", "e")
    assert "no program './nope'" in shell.refused(2, *words, "./nope", PRIOR)
    assert "no program 'nope' on the PATH" in shell.refused(2, *words, "nope", PRIOR)
    (shell.folder / "train.py").write_text("print(1)\n")
    assert "chmod +x ./train.py" in shell.refused(2, *words, "./train.py", PRIOR)
    assert "write ./train.py" in shell.refused(2, *words, "train.py", PRIOR)
    assert "no script 'no.py'" in shell.refused(2, *words, sys.executable, "no.py", PRIOR)
    (shell.folder / "train").mkdir()
    assert "'./train' is a folder" in shell.refused(2, *words, "./train", PRIOR)
    assert nothing_stored(shell)


def test_a_stored_program_that_is_gone(shell: Shell) -> None:
    shell.ok("hunt", "-n", "e", "--init-only", shell.program(), PRIOR)
    (shell.folder / "train.sh").unlink()
    assert "no program './train.sh'" in shell.refused(2, "hunt", "-n", "e")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("worker: {n_workers: 3", "c.yaml, line 1"),
        ("worker: {n_worker: 3}", "did you mean 'worker.n_workers'?"),
        ("wroker: {n_workers: 3}", "did you mean 'worker'?"),
        ("heartbeat: 3", "it belongs in the section worker"),
        ("worker: {n_workers: many}", "must be a whole number from 1 up"),
        ("worker: {n_workers: '3'}", "must be a whole number from 1 up"),
        ("worker: {heartbeat: -1}", "must be a number of seconds above 0"),
        ("experiment: {algorithm: rondom}", "Unknown algorithm 'rondom': did you mean 'random'?"),
        ("experiment: {algorithm: {random: {sed: 1}}}", "seed"),
        ("experiment: {space: {y: 'uniform(1, 0)'}}", "low (1) must be below high (0)"),
        ("[1, 2]", "must hold a mapping with sections"),
    ],
)
def test_a_configuration_file_that_is_wrong(shell: Shell, text: str, said: str) -> None:
    (shell.folder / "c.yaml").write_text(text)
    assert said in shell.refused(2, "hunt", "-n", "e", "-c", "c.yaml", shell.program(), PRIOR)
    assert nothing_stored(shell)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--max-trials", "many"], "--max-trials must be a whole number from 0 up, or none"),
        (["--heartbeat", "0"], "--heartbeat must be a number of seconds above 0"),
        (["--executor", "jobliib"], "no executor 'jobliib': did you mean 'joblib'?"),
        (["--executor-configuration", "{"], "--executor-configuration must be JSON"),
        (["--max-trails", "3"], "No such option: --max-trails"),
        (["-c", "nope.yaml"], "There is no configuration file nope.yaml"),
        (["-v", "3"], "would skip versions: its next one is 1, not 3"),
        (["--executor-configuration", '{"jobs": 2}'], "takes no argument 'jobs'"),
    ],
)
def test_an_option_that_is_wrong(shell: Shell, words: list[str], said: str) -> None:
    code = 7 if "skip versions" in said else 2
    assert said in shell.refused(code, "hunt", "-n", "e", *words, shell.program(), PRIOR)
    assert nothing_stored(shell)


def test_no_name_no_command_no_experiment(shell: Shell) -> None:
    assert "Name it with -n NAME" in shell.refused(2, "hunt", shell.program(), PRIOR)
    assert "no experiment 'e'" in shell.refused(7, "hunt", "-n", "e")
    shell.ok("hunt", "-n", "digits", "--init-only", shell.program(), PRIOR)
    assert "did you mean 'digits'?" in shell.refused(7, "hunt", "-n", "digit")
    assert "has no version 2, only: 1" in shell.refused(7, "hunt", "-n", "digits", "-v", "2")


def test_a_space_that_changed(shell: Shell) -> None:
    program = shell.program()
    shell.ok("hunt", "-n", "e", "--max-trials", "1", program, PRIOR)
    before = shell.experiment()
    sentence = shell.refused(2, "hunt", "-n", "e", program, "-x~uniform(-5, 6)")
    assert "x: uniform(-5, 5) became uniform(-5, 6)" in sentence and "-v 2" in sentence
    (shell.folder / "c.yaml").write_text("experiment: {space: {y: 'uniform(0, 1)'}}")
    assert "y" in shell.refused(2, "hunt", "-n", "e", "-c", "c.yaml")
    assert shell.experiment() == before


@pytest.mark.parametrize("folder", ["/proc/trials", "train.sh/trials", "/dev/null"])
def test_a_folder_that_cannot_be_used(shell: Shell, folder: str) -> None:
    words = ("hunt", "-n", "e", "--working-dir", folder, shell.program(), PRIOR)
    sentence = shell.refused(2, *words)
    assert "cannot be used" in sentence and "--working-dir" in sentence
    assert nothing_stored(shell)


@pytest.mark.parametrize(
    "name",
    [
        "two words",
        "größe-π-試験",
        "$HOME",
        ".hidden",
        "../up",
        "a/b",
        "-n",
        "'\"`",
        "%s{}",
        "e" * 300,
    ],
)
def test_a_name_of_any_kind(shell: Shell, name: str) -> None:
    shell.ok("hunt", f"--name={name}", "--max-trials", "1", shell.program(), PRIOR)
    done = shell.ok("hunt", f"--name={name}", "--max-trials", "2")
    assert "Done: 2 of 2" in done.stdout
    record = shell.experiment(name)
    home = shell.folder / "home/.local/share/orion.core/trials"
    assert Path(record.working_dir).parent == home and len(list(home.iterdir())) == 1


def test_a_name_that_is_too_long_or_empty(shell: Shell) -> None:
    for name in ("e" * 301, "", " "):
        sentence = shell.refused(2, "hunt", f"--name={name}", shell.program(), PRIOR)
        assert "name" in sentence
    assert nothing_stored(shell)


def test_debug_shows_the_traceback_too(shell: Shell) -> None:
    words = ("hunt", "-n", "e", "--debug", shell.program(), "-x~uniform(2, 1)")
    done = shell.run(*words)
    assert done.returncode == 2
    assert "Traceback" in done.stderr and "low (2) must be below" in done.stderr.splitlines()[-1]
    # A --debug behind the program's name is the program's.
    shell.refused(2, "hunt", "-n", "e", shell.program(), "-x~uniform(2, 1)", "--debug")
