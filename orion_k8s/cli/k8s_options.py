"""Options of the commands that ask a cluster, and what those commands have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from orion_k8s.k8s.cluster import Namespace
    from orion_k8s.k8s.release import Release
    from orion_k8s.storage import Storage
    from orion_k8s.trial import ExperimentRecord

RELEASE: Any = typer.Option(
    None, "-r", "--release", metavar="RELEASE", help="the release; needed if there are several"
)
NAMESPACE: Any = typer.Option(
    None, "--namespace", metavar="NAMESPACE", help="where it is; else that of the context"
)
CONTEXT: Any = typer.Option(
    None, "--context", metavar="NAME", help="of the kubeconfig; else its current one"
)


@contextmanager
def found(
    release: str | None, namespace: str | None, context: str | None
) -> Iterator[tuple[Namespace, Release]]:
    """Give the namespace and the release that were named, or the only one.

    Raises:
        NotFound, UsageError, AccessRefused: see `orion_k8s.k8s.release.find_release`.
    """
    from orion_k8s.k8s.cluster import Namespace
    from orion_k8s.k8s.release import find_release

    with Namespace(namespace, context) as here:
        yield here, find_release(here, release)


@contextmanager
def history(here: Namespace, release: Release) -> Iterator[Storage]:
    """Give the history of a release, which must be there already.

    Raises:
        NotFound: no worker has begun yet, or a Secret is missing.
        DatabaseError: it can't be used.
    """
    from orion_k8s.errors import NotFound
    from orion_k8s.k8s.history import reached
    from orion_k8s.storage.base import SCHEMA

    with reached(here, release) as address, address.open() as storage:
        version = storage.schema_version()
        if version is None:
            raise NotFound(
                f"The release '{release.name}' has no history yet: its first worker makes it "
                f"(`kubectl -n {here.name} get pods -l app.kubernetes.io/instance={release.name}` "
                "shows whether one has begun)."
            )
        if version != SCHEMA:
            storage.setup()  # says what is wrong
        yield storage


def experiment_in(here: Namespace, release: Release, storage: Storage) -> ExperimentRecord:
    """Return the experiment that a release works on.

    Raises:
        NotFound: no worker has begun it yet.
    """
    from orion_k8s.client.opening import fetch
    from orion_k8s.k8s.history import experiment_of

    name, version = experiment_of(here, release)
    return fetch(storage, name, version)
