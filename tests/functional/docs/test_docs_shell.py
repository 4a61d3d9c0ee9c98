"""The shell of each page: run where it can be, else read by the command line's parser."""

from __future__ import annotations

import re

import pytest
import typer
from commands import commands, parse
from docpages import NAMES, page
from visitors import Visitor

from orion_k8s.errors import UsageError

WRONG_USAGE = typer.BadParameter.__base__
WITH_SHELL = [name for name in NAMES if page(name).of("sh")]
RUN = [name for name in WITH_SHELL if not all(b.not_run for b in page(name).of("sh"))]


def fewer(text: str) -> str:
    """Return the text with few trials: the commands matter here, not the numbers."""
    return re.sub(r"(max-trials[ =])(\d+)", lambda m: f"{m[1]}{max(1, int(m[2]) // 20)}", text)


@pytest.mark.parametrize("name", WITH_SHELL)
def test_every_command_can_be_typed(name: str) -> None:
    found = [words for block in page(name).of("sh") for words in commands(block.text)]
    for words in found:
        parse(words)


@pytest.mark.parametrize("name", RUN)
def test_shell(name: str, visitor: Visitor) -> None:
    blocks = [block for block in page(name).of("sh") if not block.not_run]
    script = "set -eu\n" + "".join(f"# line {b.line}\n{fewer(b.text)}" for b in blocks)
    visitor.run("bash", "-c", script)


@pytest.mark.parametrize("name", NAMES)
def test_commands_in_the_text(name: str) -> None:
    """`orion-k8s db test` in a sentence: there is such a command."""
    for span in page(name).spans:
        words = span.split()
        if words[0] == "orion-k8s" and len(words) > 1 and re.fullmatch("[a-z]+", words[1]):
            upto = 3 if words[1] == "db" else 2
            with pytest.raises(typer.Exit) as end:
                parse([*words[:upto], "--help"])
            assert end.value.exit_code == 0


@pytest.mark.parametrize(
    "line",
    [
        "orion-k8s hunt --no-such-option x",
        "orion-k8s hunt -n e --heartbeat soon ./p -x~'uniform(0, 1)'",
        "orion-k8s hunt -n e ./p -x~'uniform(1, 0)'",
        "orion-k8s db nothing",
        "A=b orion-k8s status -n | head",
    ],
)
def test_the_parser_refuses(line: str) -> None:
    [words] = commands(line)
    with pytest.raises((WRONG_USAGE, UsageError)):
        parse(words)
