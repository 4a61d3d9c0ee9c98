"""`k8s status`: how a release and its experiment stand, read from outside of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from orion_k8s.cli.k8s_options import CONTEXT, NAMESPACE, RELEASE, experiment_in, found, history
from orion_k8s.cli.options import Given, command

if TYPE_CHECKING:
    from orion_k8s.k8s.cluster import Namespace
    from orion_k8s.k8s.release import Release


@command()
def status(
    given: Given,
    release: str | None = RELEASE,
    namespace: str | None = NAMESPACE,
    kube_context: str | None = CONTEXT,
    all: bool = typer.Option(False, "-a", "--all", help="a line for each trial"),
    json: bool = typer.Option(False, "--json", help="print JSON: the experiment alone"),
) -> None:
    """Show a release's workers and MongoDB, and how its experiment stands.

    The history is read through a port-forward, by the release's own Secret: nothing is configured.
    """
    from orion_k8s.cli.status import show

    with found(release, namespace, kube_context) as (here, it):
        if not json:
            typer.echo(f"release {it.name} in the namespace {here.name}")
            for line in _lines(here, it):
                typer.echo(f"  {line}")
            typer.echo()
        with history(here, it) as storage:
            show(storage, [experiment_in(here, it, storage)], all, False, json)


def _lines(here: Namespace, release: Release) -> Iterator[str]:
    """Yield how many pods of each kind are ready, and why others are not."""
    from orion_k8s.k8s.troubles import troubles

    for group in release.groups:
        name = "workers" if group.name == "worker" else f"workers of {group.name}"
        how = {"Complete": ", its Job is complete", "Failed": ", its Job failed"}
        yield f"{name}: {group.ready} of {group.wanted} ready{how.get(group.ended, '')}"
        if group.ready < group.wanted and group.ended != "Complete":
            pods = here.all("pods", release.labels(group.component))
            wanted = 0 if group.ended else group.wanted
            yield from map("  {}".format, troubles(group.object, wanted, pods, here.events))
    if release.mongodb is not None:
        ready = (release.mongodb.get("status") or {}).get("readyReplicas") or 0
        wanted = release.mongodb["spec"].get("replicas", 1)
        yield f"MongoDB: {ready} of {wanted} ready"
        if ready < wanted:
            pods = here.all("pods", release.labels("mongodb"))
            yield from map("  {}".format, troubles(release.mongodb, wanted, pods, here.events))
