"""`k8s scale`: more workers of a release, or fewer."""

from __future__ import annotations

import typer

from orion_k8s.cli.k8s_options import CONTEXT, NAMESPACE, RELEASE, found
from orion_k8s.cli.options import Given, command


@command()
def scale(
    given: Given,
    count: int = typer.Argument(..., metavar="N", min=0, help="how many workers"),
    release: str | None = RELEASE,
    group: str | None = typer.Option(
        None, "--group", metavar="NAME", help="of `workerGroups`; else the chart's own"
    ),
    namespace: str | None = NAMESPACE,
    kube_context: str | None = CONTEXT,
) -> None:
    """Set how many workers a release has. Nothing is lost, and an upgrade keeps the number."""
    from orion_k8s.errors import UsageError

    with found(release, namespace, kube_context) as (here, it):
        chosen = it.group(group)
        if chosen.ended:
            raise UsageError(
                f"The Job {chosen.object_name} has ended ({chosen.ended.lower()}), and no number "
                "starts it again: `helm upgrade` with other values makes a new one."
            )
        before = chosen.wanted
        if chosen.resource == "deployments":
            answer = here.patch(
                "deployments", chosen.object_name, "scale", {"spec": {"replicas": count}}
            )
            after = answer["spec"].get("replicas", 0)
        else:
            answer = here.patch("jobs", chosen.object_name, "", {"spec": {"parallelism": count}})
            after = answer["spec"].get("parallelism", 0)
    typer.echo(f"{chosen.object_name}: {before} → {after} workers.")
