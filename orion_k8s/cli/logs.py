"""Where a command's words go: its log to stderr, and what to do when nobody reads its output."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from orion_k8s.cli import json_log

if TYPE_CHECKING:
    Handler = logging.StreamHandler[Any]
else:  # it takes no argument before Python 3.11
    Handler = logging.StreamHandler

BROKEN_PIPE = 141
"""128 + SIGPIPE: what a shell reports of a program that this signal ended."""


SAID = logging.INFO + 5
"""The level of what a command has to say anyway: written unless it is to be quiet."""

logging.addLevelName(SAID, "INFO")


def drop_stdout() -> None:
    """Whoever read our output has gone: the interpreter must not fail at its last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Stderr(Handler):
    """Writes to what stderr is now: a live display puts itself in front of it for a while."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, stream: Any) -> None:
        raise AttributeError("the stream is always stderr")


def set_up(quiet: bool, verbose: int) -> None:
    """Log errors alone where it is to be quiet, else warnings, information (1) or all (2)."""
    level = {0: SAID, 1: logging.INFO}.get(verbose, logging.DEBUG)
    handler = _Stderr()
    if json_log.wanted():
        handler.setFormatter(json_log.JsonFormatter())
    else:
        text = "%(asctime)s %(levelname)s %(message)s"
        handler.setFormatter(logging.Formatter(text, "%H:%M:%S"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("orion_k8s").setLevel(logging.ERROR if quiet else level)
