"""Tables of the documentation against what they tell of: options, exit codes, a program's end."""

from __future__ import annotations

import dataclasses
import inspect
import re
import shlex

import pytest
from docpages import code, page
from options_table import PAGE, filled
from visitors import Visitor

import orion_k8s
from orion_k8s import errors
from orion_k8s.algorithm.registry import _OURS, find
from orion_k8s.cli.app import DB_COMMANDS, K8S_COMMANDS
from orion_k8s.cli.texts import EXIT_CODES
from orion_k8s.config import Level
from orion_k8s.script import Command
from orion_k8s.script.parsing import TEMPLATES
from orion_k8s.script.results import TYPES
from orion_k8s.storage.mongo_schema import TRIAL_INDEXES
from orion_k8s.trial.states import BY_HAND, Status

PROGRAMS = page("docs/programs.md")
CONFIGURATION = page("docs/configuration.md")


# --- configuration.md ----------------------------------------------------------------------------


def test_the_table_of_options_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == filled(text), "run python tests/functional/docs/options_table.py"


def test_the_levels_are_in_order() -> None:
    assert [row[0] for row in CONFIGURATION.rows("Who wins")] == [str(level) for level in Level]


def test_the_algorithms_and_their_parameters() -> None:
    told = {
        code(row[0]): re.findall(r"`(\w+)`", row[1]) for row in CONFIGURATION.rows("Algorithms")
    }
    known = {
        name: [p for p in inspect.signature(find(name)).parameters if p != "space"]
        for name in _OURS
    }
    assert told == known


# --- exit-codes.md -------------------------------------------------------------------------------


def test_exit_codes() -> None:
    told = {int(row[0]): row[1] for row in page("docs/exit-codes.md").rows("Exit codes")}
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    known = {kind.exit_code for kind in kinds if issubclass(kind, errors.OrionError)}
    assert known | {0, 130, 143} == set(told)
    in_help = {int(number) for number in re.findall(r"\b\d+\b", EXIT_CODES)}
    assert in_help == set(told)


# --- programs.md ---------------------------------------------------------------------------------


@pytest.mark.parametrize("row", PROGRAMS.rows("The command"), ids=lambda row: row[0])
def test_spellings(row: list[str]) -> None:
    command = Command.parse(["true", *shlex.split(code(row[0]))])
    [name] = command.priors
    words = command.render({name: 0.5}, "", dict.fromkeys(TEMPLATES, ""))
    assert shlex.join(words[1:]) == code(row[1])


def test_templates() -> None:
    assert [code(row[0])[1:-1] for row in PROGRAMS.rows("Templates")] == list(TEMPLATES)


def test_types_of_results() -> None:
    assert sorted(code(row[0]) for row in PROGRAMS.rows("The result")) == sorted(TYPES)


def test_what_a_program_is_told(visitor: Visitor) -> None:
    """Trials that continue another, which are told most, are among these."""
    script = 'env >> told; printf \'[{"name":"o","type":"objective","value":%s}]\' "$1"'
    (visitor.folder / "p.sh").write_text(script + ' > "$ORION_RESULTS_PATH"\n')
    (visitor.folder / "asha.yaml").write_text("experiment: {algorithm: asha}\n")
    words = ["orion-k8s", "hunt", "-n", "e", "-c", "asha.yaml", "--max-trials", "6"]
    visitor.run(*words, "sh", "p.sh", "x~uniform(1, 2)", "epochs~fidelity(1, 2)")
    lines = (visitor.folder / "told").read_text().splitlines()
    given = {line.partition("=")[0] for line in lines if line.startswith("ORION_")}
    assert given == {code(row[0]) for row in PROGRAMS.rows("What it is told")}


# --- databases.md --------------------------------------------------------------------------------


DATABASES = page("docs/databases.md")


@pytest.mark.parametrize("also", [{}, {"ORION_DB_TYPE": "sqlite"}])
def test_where_the_default_file_is(visitor: Visitor, also: dict[str, str]) -> None:
    del visitor.env["ORION_DB_ADDRESS"]
    visitor.env.update(also)
    told = visitor.run("orion-k8s", "db", "setup").stdout
    [path] = {span for span in DATABASES.spans if span.startswith("~/.local/share")}
    assert path.replace("~", visitor.env["HOME"]) in told


def test_what_a_person_may_set() -> None:
    rows = DATABASES.rows("States that a person may set")
    told = {Status(row[0]): set(map(Status, row[1].split(", "))) for row in rows}
    assert told == {status: moves for status, moves in BY_HAND.items() if moves}


def test_commands_of_the_database() -> None:
    told = [code(row[0]) for row in DATABASES.rows("Commands")]
    assert told == [f"orion-k8s db {name}" for name in DB_COMMANDS]


def test_commands_for_kubernetes() -> None:
    rows = page("docs/kubernetes-cli.md").rows("The command line for Kubernetes")
    assert [code(row[0]) for row in rows] == [f"orion-k8s k8s {name}" for name in K8S_COMMANDS]


def test_collections_and_indexes() -> None:
    told = [code(row[0]) for row in DATABASES.rows("Indexes of `trials`")]
    assert told == list(TRIAL_INDEXES)


# --- python.md -----------------------------------------------------------------------------------

PYTHON = page("docs/python.md")


def test_arguments_of_python() -> None:
    for heading, function in (
        ("An experiment", orion_k8s.build_experiment),
        ("Let workers run a function", orion_k8s.ExperimentClient.workon),
    ):
        told = [name for row in PYTHON.rows(heading) for name in re.findall(r"`(\w+)`", row[0])]
        known = list(inspect.signature(function).parameters)
        assert told == [name for name in known if name not in ("self", "fn", "kwargs")]


def test_attributes_of_python() -> None:
    for row in PYTHON.rows("Look at it"):
        for name in re.findall(r"`(\w+)[`(]", row[0]):
            assert hasattr(orion_k8s.ExperimentClient, name), name
    [sentence] = re.findall(r"A trial has (.+?)\. ", "\n".join(PYTHON.prose), re.DOTALL)
    told = set(re.findall(r"`(\w+)`", sentence))
    fields = {field.name for field in dataclasses.fields(orion_k8s.Trial)} - {"record"}
    own = {name for name in vars(orion_k8s.Trial) if not name.startswith("_")}
    assert told == (fields | own) - {"record"}


def test_exceptions() -> None:
    told = {code(row[0]) for row in PYTHON.rows("Exceptions")}
    public = {name for name in orion_k8s.__all__ if hasattr(errors, name)}
    assert told == public - {"OrionError"}
