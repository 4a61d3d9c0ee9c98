from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orion_k8s.errors import ConfigurationError, InvalidParams, UsageError
from orion_k8s.script.parsing import TEMPLATES, Command
from orion_k8s.script.values import word_of

VARIABLES = {name: f"<{name}>" for name in TEMPLATES}


def render(argv: list[str], params: dict[str, object], folder: Path) -> list[str]:
    return Command.parse(["true", *argv]).render(params, str(folder), VARIABLES)[1:]


@pytest.mark.parametrize(
    ("argv", "name", "prior", "filled"),
    [
        (["-x~uniform(-5, 5)"], "x", "uniform(-5, 5)", ["-x", "0.5"]),
        (["--lr~uniform(0, 1)"], "lr", "uniform(0, 1)", ["--lr", "0.5"]),
        (["--lr", "orion~uniform(0, 1)"], "lr", "uniform(0, 1)", ["--lr", "0.5"]),
        (["-x", "orion~uniform(0, 1)"], "x", "uniform(0, 1)", ["-x", "0.5"]),
        (["--lr=orion~uniform(0, 1)"], "lr", "uniform(0, 1)", ["--lr=0.5"]),
        (["-x=~uniform(0, 1)"], "x", "uniform(0, 1)", ["-x=0.5"]),
        (["x~uniform(0, 1)"], "x", "uniform(0, 1)", ["0.5"]),
        (["opt.lr=orion~uniform(0, 1)"], "opt.lr", "uniform(0, 1)", ["opt.lr=0.5"]),
        (["--rate", "lr~uniform(0, 1)"], "lr", "uniform(0, 1)", ["--rate", "0.5"]),
        (["a", "orion~uniform(0, 1)"], "_pos_2", "uniform(0, 1)", ["a", "0.5"]),
        (["--größe~uniform(0, 1)"], "größe", "uniform(0, 1)", ["--größe", "0.5"]),
        (["--a b.$c'\"~uniform(0, 1)"], "a b.$c'\"", "uniform(0, 1)", ["--a b.$c'\"", "0.5"]),
        (["--c~choices(['~', 'a'])"], "c", "choices(['~', 'a'])", ["--c", "0.5"]),
    ],
)
def test_each_spelling_is_found_and_filled(
    argv: list[str], name: str, prior: str, filled: list[str], tmp_path: Path
) -> None:
    command = Command.parse(["true", *argv])
    assert dict(command.priors) == {name: prior}
    assert command.render({name: 0.5}, str(tmp_path), VARIABLES) == ["true", *filled]


@pytest.mark.parametrize(
    "word",
    ["--data=~/set", "-o~", "-o~/x", "HEAD~1", "a~b", "--rev=HEAD~1", '{"a": 1}', "{}", "~", ""],
)
def test_other_words_with_a_tilde_or_braces_stay(word: str, tmp_path: Path) -> None:
    assert render([word, "-x~uniform(0, 1)"], {"x": 1}, tmp_path) == [word, "-x", "1"]


def test_priors_keep_the_order_of_the_command(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("b: orion~uniform(0, 1)\n")
    argv = ["true", "-z~uniform(0, 1)", "--config", str(config), "-a~uniform(0, 1)"]
    assert list(Command.parse(argv).priors) == ["z", "b", "a"]


@pytest.mark.parametrize("mark", ["+uniform(0, 1)", "-", ">y"])
@pytest.mark.parametrize("form", [["-x~{}"], ["--x", "orion~{}"], ["--x=orion~{}"]])
def test_branching_marks_are_refused(form: list[str], mark: str) -> None:
    with pytest.raises(UsageError, match="branching"):
        Command.parse(["true", *(word.format(mark) for word in form)])


def test_a_command_without_prior_is_told_how_to_write_one() -> None:
    with pytest.raises(UsageError, match=r"no prior.*--lr~'loguniform"):
        Command.parse(["true", "--lr", "0.1"])
    with pytest.raises(UsageError, match="no command"):
        Command.parse([])


def test_one_name_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="lr has two priors"):
        Command.parse(["true", "--lr~uniform(0, 1)", "--lr=orion~uniform(0, 2)"])
    config = tmp_path / "c.yaml"
    config.write_text("lr: orion~uniform(0, 1)\n")
    with pytest.raises(UsageError, match="lr has two priors"):
        Command.parse(["true", "--lr~uniform(0, 1)", f"--config={config}"])


@pytest.mark.parametrize(
    "argv",
    [["--betas", "0.9", "orion~uniform(0, 1)"], ["--flag", "a=b=orion~uniform(0, 1)"]],
)
def test_a_prior_without_a_clear_owner_is_refused(argv: list[str]) -> None:
    with pytest.raises(UsageError, match="not clear"):
        Command.parse(["true", *argv])


def test_values_become_words(tmp_path: Path) -> None:
    def fill(value: object) -> list[str]:
        return render(["--x~normal(0, 1, shape=2)"], {"x": value}, tmp_path)[1:]

    assert fill([0.1, 2]) == ["0.1", "2"]
    assert fill([[1, 2], [3, 4]]) == ["1", "2", "3", "4"]
    assert fill("a b $HOME '\"{trial.id}") == ["a b $HOME '\"{trial.id}"]
    assert fill(-1e-05) == ["-0.00001"]
    assert fill(1e-05) == ["1e-05"]
    assert fill(True) == ["True"]
    assert fill({"a": "ü"}) == ['{"a": "ü"}']
    assert render(["--x=orion~f(1)"], {"x": [1, 2]}, tmp_path) == ["--x=1 2"]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_in_a_word_is_the_same_number(value: float) -> None:
    word = word_of(value)
    assert float(word) == value
    assert not (word.startswith("-") and "e" in word)


def test_templates_are_filled_and_other_braces_stay(tmp_path: Path) -> None:
    words = [f"{{{name}}}" for name in TEMPLATES]
    argv = [*words, "--dir={trial.working_dir}/{exp.name}", "{trial.params}", "-x~uniform(0, 1)"]
    assert render(argv, {"x": 1}, tmp_path) == [
        *(f"<{name}>" for name in TEMPLATES),
        "--dir=<trial.working_dir>/<exp.name>",
        "{trial.params}",
        "-x",
        "1",
    ]


def test_a_missing_parameter_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParams, match="value for y"):
        render(["-x~uniform(0, 1)", "-y~uniform(0, 1)"], {"x": 1}, tmp_path)


def test_metadata_carry_the_command_and_its_config_to_another_machine(tmp_path: Path) -> None:
    config = tmp_path / "größe.yaml"
    config.write_text("lr: orion~uniform(0, 1)  # ünicode\n", encoding="utf-8")
    command = Command.parse(["true", "-c", str(config), "-x~uniform(0, 1)", "$a '"], "c")
    metadata = json.loads(json.dumps(command.to_metadata()))
    config.unlink()
    again = Command.from_metadata(metadata)
    assert again == command
    argv = again.render({"lr": 0.25, "x": 1}, str(tmp_path / "new"), VARIABLES)
    copy = tmp_path / "new" / "config.yaml"
    assert argv == ["true", "-c", str(copy), "-x", "1", "$a '"]
    assert copy.read_text(encoding="utf-8") == "lr: 0.25  # ünicode\n"


def test_metadata_of_something_else_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="no command"):
        Command.from_metadata({"user": "me"})


def test_the_config_argument_can_be_renamed_and_joined(tmp_path: Path) -> None:
    config = tmp_path / "c.json"
    config.write_text('{"a": "orion~uniform(0, 1)"}')
    for argv in (["--config=" + str(config)], ["--config", str(config)]):
        assert list(Command.parse(["true", *argv]).priors) == ["a"]
    argv = ["true", f"--settings={config}", "--config", "orion~choices(['a', 'b'])"]
    command = Command.parse(argv, "settings")
    assert list(command.priors) == ["a", "config"]
    filled = command.render({"a": 1, "config": "b"}, str(tmp_path), VARIABLES)
    assert filled == ["true", f"--settings={tmp_path}/config.json", "--config", "b"]


def test_config_arguments_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        Command.parse(["true", "--config", str(tmp_path / "none.yaml")])
    with pytest.raises(UsageError, match="needs the path"):
        Command.parse(["true", "-x~uniform(0, 1)", "--config"])
    config = tmp_path / "c.yaml"
    config.write_text("a: orion~uniform(0, 1)\n")
    with pytest.raises(UsageError, match="twice"):
        Command.parse(["true", "--config", str(config), f"--config={config}"])


def test_programs_that_cannot_be_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prior = "-x~uniform(0, 1)"
    script = tmp_path / "train.py"
    script.write_text("#!/usr/bin/env python\n")
    monkeypatch.chdir(tmp_path)
    for program, message in (
        ("./none", "no program"),
        ("no-such-program-here", "PATH"),
        (str(tmp_path), "folder"),
        ("train.py", r"write \./train.py"),
        ("./train.py", r"chmod \+x \./train.py, or write python \./train.py"),
    ):
        with pytest.raises(UsageError, match=message):
            Command.parse([program, prior])
    with pytest.raises(UsageError, match=r"no script 'gone\.py'"):
        Command.parse(["python3", "gone.py", prior])
    script.chmod(0o755)
    Command.parse(["./train.py", prior])
    script.write_text("print()\n")
    with pytest.raises(UsageError, match=r"no #! line.*python \./train\.py"):
        Command.parse(["./train.py", prior])


def test_a_program_elsewhere_is_not_looked_for() -> None:
    command = Command.parse(["/only/in/the/image", "-x~uniform(0, 1)"], here=False)
    assert command.argv[0] == "/only/in/the/image"


def test_words_that_are_not_text_are_refused() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        Command.parse(["true", "-x~uniform(0, 1)", b"\xff".decode("utf-8", "surrogateescape")])
