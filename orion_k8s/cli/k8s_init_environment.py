"""`k8s init-environment`: bring orion-k8s into a pod whose image has none, as the chart does."""

from __future__ import annotations

from pathlib import Path

import typer

from orion_k8s.cli.options import Given, command


@command()
def init_environment(
    given: Given,
    folder: Path = typer.Argument(
        ..., exists=True, file_okay=False, help="where the volume is mounted here"
    ),
) -> None:
    """Copy the environment of the image into a volume, Python and all.

    The pod's program container mounts the volume at /opt/orion-k8s and runs
    /opt/orion-k8s/code/bin/orion-k8s, whatever its own image holds.
    """
    from orion_k8s.k8s.environment import copy_environment

    copy_environment(folder)
