from __future__ import annotations

import subprocess
import sys

import pytest

from orion_k8s.cli import app, main
from orion_k8s.cli.app import COMMANDS, DB_COMMANDS, Entry, load
from orion_k8s.errors import OrionError, SchemaError

ALL = {**COMMANDS, **{f"db {name}": entry for name, entry in DB_COMMANDS.items()}}


@pytest.mark.parametrize("name", ALL)
def test_every_command_of_the_table_has_its_own_help(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*name.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: orion-k8s {name} ")
    for flag in ("-q, --quiet", "-V, --verbose", "--debug"):
        assert flag in out, flag
    assert ("--storage, --db URL" in out) == (name != "report")  # which knows no database


def test_help_imports_nothing_that_it_does_not_need() -> None:
    # Which is what makes it fast: numpy alone takes longer than all of it.
    code = (
        "import sys; from orion_k8s.cli import main; main(['--help']); main(['db', '--help']);"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    heavy = {"numpy", "scipy", "pymongo", "joblib", "rich", "yaml", "orion_k8s.config"}
    assert "typer" in loaded and not heavy & loaded
    assert not [name for name in loaded if name.startswith("orion_k8s.cli.db_")]


class Failing(Exception):
    """Something that nobody thought of."""


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OrionError("It is so: do that."), 1, "orion-k8s: It is so: do that.\n"),
        (SchemaError("Old: upgrade."), 6, "orion-k8s: Old: upgrade.\n"),
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (Failing("oh"), 1, "orion-k8s: Unexpected Failing: oh (a fault of orion-k8s itself:"),
        (PermissionError(13, "denied"), 1, "orion-k8s: Unexpected PermissionError"),
    ],
)
def test_an_error_is_a_sentence_and_a_code(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fails() -> None:
        raise error

    monkeypatch.setattr(app, "load", lambda entry, name: _command(fails))
    monkeypatch.setattr(app, "drop_stdout", lambda: None)
    assert main(["list"]) == code
    err = capfd.readouterr().err
    assert err.startswith(said) and err.count("\n") == bool(said) and "Traceback" not in err


def _command(function: object) -> object:
    fails = sys.modules[__name__]
    fails.fails = function  # type: ignore[attr-defined]
    return load(Entry(f"{__name__}:fails", "help"), "list")


def test_wrong_usage_is_told_with_where_to_look(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lst"]) == 2
    assert "No such command 'lst'. Did you mean 'list'" in capsys.readouterr().err
    assert main(["info", "--nme", "e"]) == 2
    assert "`orion-k8s info --help`" in capsys.readouterr().err
