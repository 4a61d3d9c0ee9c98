"""`k8s logs`: the log of the pod that ran a trial."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from orion_k8s.cli.k8s_options import CONTEXT, NAMESPACE, RELEASE, experiment_in, found, history
from orion_k8s.cli.options import Given, command

if TYPE_CHECKING:
    from orion_k8s.k8s.cluster import Namespace
    from orion_k8s.k8s.release import Release
    from orion_k8s.trial import TrialRecord

HOST_NAME = 63
"""Characters that Kubernetes leaves of a pod's name for its host name."""


@command()
def logs(
    given: Given,
    trial: str = typer.Argument(..., metavar="TRIAL", help="its number or its id"),
    release: str | None = RELEASE,
    namespace: str | None = NAMESPACE,
    kube_context: str | None = CONTEXT,
    previous: bool = typer.Option(
        False, "-p", "--previous", help="of the container before the last restart"
    ),
) -> None:
    """Print the log of the pod that ran a trial, also of one that has ended, while it exists.

    That is the trial's own pod with the executor kubernetes, else its worker's.
    """
    from orion_k8s.cli.choice import trial_in

    with found(release, namespace, kube_context) as (here, it):
        with history(here, it) as storage:
            chosen = trial_in(storage, experiment_in(here, it, storage), trial)
        pod, container = _pod_of(here, it, chosen)
        if not given.quiet:
            typer.echo(f"Trial {chosen.number} ran in the pod {pod}.", err=True)
        sys.stdout.flush()
        for piece in here.log(pod, container, previous="true" if previous else None):
            sys.stdout.buffer.write(piece)


def _pod_of(here: Namespace, release: Release, trial: TrialRecord) -> tuple[str, str]:
    """Return the names of the pod that ran a trial, and of its container.

    Raises:
        NotFound: it has not run, or its pod is gone.
    """
    from orion_k8s.errors import NotFound
    from orion_k8s.executor.kubernetes.manifest import TRIAL
    from orion_k8s.k8s.release import LABEL

    own = here.all("pods", {TRIAL: trial.id})
    if own:
        last = max(own, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
        return str(last["metadata"]["name"]), "trial"
    if not trial.worker:
        raise NotFound(f"Trial {trial.number} has not run yet: it is {trial.status.value}.")
    host = trial.worker.partition(":")[0]
    for pod in here.all("pods", {f"{LABEL}instance": release.name}):
        name = str(pod["metadata"]["name"])
        if name[:HOST_NAME].rstrip("-.") == host:
            return name, "worker"
    raise NotFound(
        f"Trial {trial.number} ran in {host}, and there is no such pod in the namespace "
        f"{here.name!r} any more: Kubernetes keeps a log only as long as its pod."
    )
