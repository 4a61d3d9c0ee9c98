"""The command line: `orion-k8s`, `orion`, and `python -m orion_k8s`."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code. What it needs is imported when it is needed."""
    words = sys.argv[1:] if argv is None else argv
    if words and words[0] == "report":
        from orion_k8s.cli.report import quick

        code = quick(words[1:])
        if code is not None:
            return code
    from orion_k8s.cli.app import run

    return run(argv)


def kubectl() -> int:
    """Run as kubectl's plug-in: `kubectl orion status` is `orion-k8s k8s status`."""
    return main(["k8s", *sys.argv[1:]])
