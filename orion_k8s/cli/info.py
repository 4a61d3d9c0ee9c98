"""`info`: all about one experiment, and where each option's value came from."""

from __future__ import annotations

import typer

from orion_k8s.cli.options import EXPERIMENT, STORAGE, Given, command


@command(*EXPERIMENT, *STORAGE, config_flags=("-c",))
def info(
    given: Given,
    config: bool = typer.Option(
        False, "--config", help="show each option's value and which level it came from"
    ),
) -> None:
    """Show all about an experiment."""
    configuration = given.configuration()
    if config:
        for row in configuration.explain():
            print("\t".join(row))
