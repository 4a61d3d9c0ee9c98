"""`k8s import-katib`: an Experiment of Katib as a values.yaml for the chart."""

from __future__ import annotations

import sys
from typing import Any

import typer

from orion_k8s.cli.options import Given, command

STDIN = "-"


@command()
def import_katib(
    given: Given,
    file: str = typer.Argument(..., metavar="FILE", help="the manifest (YAML); - for a pipe"),
) -> None:
    """Print a values.yaml for the chart that does what an Experiment of Katib does.

    What can't be carried over is said in comments and on stderr.
    """
    from orion_k8s.cli.k8s_values import tell
    from orion_k8s.k8s.katib import chart_values

    origin = "the manifest from standard input" if file == STDIN else file
    made = chart_values(_manifest(file, origin), origin)
    tell(made, given.quiet)
    typer.echo(made.text(), nl=False)


def _manifest(file: str, origin: str) -> Any:
    """Return the Experiment of a file, the first that is one.

    Raises:
        UsageError: the file can't be read.
        ConfigurationError: it is no YAML, or is empty.
    """
    import yaml

    from orion_k8s.errors import ConfigurationError, UsageError

    try:
        if file == STDIN:
            text = sys.stdin.read()
        else:
            with open(file, encoding="utf-8") as opened:
                text = opened.read()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise UsageError(f"{origin} is not UTF-8 text.") from None
    try:
        found = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{origin} is not valid YAML{where}.") from None
    if not found:
        raise ConfigurationError(f"{origin} is empty.")
    experiments = [d for d in found if isinstance(d, dict) and d.get("kind") == "Experiment"]
    return (experiments or found)[0]
