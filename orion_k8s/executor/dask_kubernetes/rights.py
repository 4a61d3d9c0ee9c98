"""What this worker may do, asked before anything is made: all that is missing in one sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from orion_k8s.errors import AccessRefused
from orion_k8s.executor.dask_kubernetes.resources import AUTOSCALERS, CLUSTERS, DASK
from orion_k8s.executor.kubernetes.api import Api, Away, Refused

log = logging.getLogger(__name__)

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


@dataclass(frozen=True)
class Right:
    """One verb on one kind of object."""

    verb: str
    plural: str
    group: str = ""
    subresource: str = ""

    def __str__(self) -> str:
        full = "/".join(filter(None, (self.plural, self.subresource)))
        return f"{self.verb} {full}.{self.group}" if self.group else f"{self.verb} {full}"


MAKE = tuple(Right(verb, CLUSTERS, DASK) for verb in ("create", "get", "delete"))
JOIN = (Right("get", CLUSTERS, DASK),)
ADAPT = (Right("create", AUTOSCALERS, DASK),)
LOOK = (Right("list", "pods"),)
# A WebSocket is opened by GET; newer servers ask for the verb of what it does, too.
FORWARD = tuple(Right(verb, "pods", subresource="portforward") for verb in ("get", "create"))


def check_rights(api: Api, namespace: str, rights: Iterable[Right]) -> None:
    """Accept a worker that may do all this.

    Raises:
        AccessRefused: it may not.
    """
    try:
        missing = [right for right in rights if not _allowed(api, namespace, right)]
    except (Refused, Away) as error:
        log.debug("rights are not told: %s", error)  # what is really refused says so itself
        return
    if missing:
        verbs = ", ".join(map(str, missing))
        raise AccessRefused(
            f"Kubernetes does not allow this worker to {verbs} in the namespace {namespace!r}: "
            "grant it, as the Role in docs/executors.md does (Dask on Kubernetes)."
        )


def _allowed(api: Api, namespace: str, right: Right) -> bool:
    attributes = {
        "namespace": namespace,
        "verb": right.verb,
        "group": right.group,
        "resource": right.plural,
        "subresource": right.subresource,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    answer = api.post(_REVIEWS, ("create", "selfsubjectaccessreviews"), review)
    return bool(answer["status"]["allowed"])
