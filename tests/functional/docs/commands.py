"""The commands in a block of shell: found, and read by the real command line's parser."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from orion_k8s.cli.app import build
from orion_k8s.config import OPTIONS, resolve
from orion_k8s.script import Command
from orion_k8s.space import Space

PROGRAMS = ("orion-k8s", "orion")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_HERE = re.compile(r"<<'?(\w+)'?")


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of ours, without what stands before and behind it."""
    kept: list[str] = []
    end = ""
    for line in text.replace("\\\n", " ").splitlines():
        if end:
            end = "" if line.strip() == end else end
            continue
        kept.append(line)
        if here := _HERE.search(line):
            end = here[1]
    for line in kept:
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>()")
        lexer.whitespace_split = True
        words: list[str] = []
        for word in [*lexer, ";"]:
            if set(word) <= set("|&;<>()"):
                while words and (_ASSIGNMENT.match(words[0]) or words[0] in ("time", "exec")):
                    words.pop(0)
                if words and words[0] in PROGRAMS:
                    yield words
                words = []
            else:
                words.append(word)


def parse(words: list[str]) -> Any:
    """Let the command line's own parser read a command, down to its priors and its options.

    Raises:
        Exception: the command line would refuse it.
    """
    program, *rest = words
    group = build()
    context = group.make_context(program, list(rest))
    while hasattr(group, "resolve_command"):
        words_left = [*context._protected_args, *context.args]
        name, group, rest = group.resolve_command(context, words_left)
        context = group.make_context(name, list(rest), parent=context)
    typed = context.params
    resolve(cli={k: typed.get(k.replace(".", "_")) for k in OPTIONS}, env={}, global_paths=[])
    argv = typed.get("words") or []
    if context.info_name == "hunt" and any("~" in word for word in argv):
        metadata = {"argv": argv, "config_path": None, "config_text": None}
        told = Command.from_metadata({**metadata, "user_script_config": "-"})
        Space.parse(told.priors)
    return context
