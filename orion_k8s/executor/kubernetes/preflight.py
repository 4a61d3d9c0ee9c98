"""What is looked at before the first trial: the server, the account's rights, the template."""

from __future__ import annotations

import logging
import os
from concurrent.futures import ThreadPoolExecutor

from orion_k8s.errors import AccessRefused, ConfigurationError
from orion_k8s.executor.kubernetes.api import Away, Object, Refused, own_namespace
from orion_k8s.executor.kubernetes.cluster import Cluster
from orion_k8s.executor.kubernetes.manifest import make_manifest
from orion_k8s.executor.kubernetes.template import Template
from orion_k8s.script import ProgramRun

log = logging.getLogger(__name__)

NEEDED = (
    *(("batch", "jobs", "", verb) for verb in ("create", "delete", "list", "watch")),
    *(("", "pods", "", verb) for verb in ("delete", "list", "watch")),
    ("", "pods", "log", "get"),
)
"""API group, resource, subresource and verb of what the executor asks of its namespace."""

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"


def check(cluster: Cluster, template: Template, worker: str) -> None:
    """Raise where no trial could run, and say why.

    Raises:
        ConfigurationError: the server does not answer, or refuses the template.
        AccessRefused: the account lacks rights.
    """
    try:
        missing = _missing(cluster)
        if missing:
            raise AccessRefused(
                f"This worker's account may not {_and(missing)} in the namespace "
                f"{cluster.namespace!r}: give it the Role that docs/executors.md shows."
            )
        _try_template(cluster, template, worker)
    except Away as error:
        raise ConfigurationError(
            f"The Kubernetes API server {cluster.api.host} does not serve this worker ({error}): "
            "correct kubeconfig and context, or log in again."
        ) from error


def _missing(cluster: Cluster) -> list[str]:
    """Return what the account may not do, such as "create jobs.batch"."""

    def allowed(need: tuple[str, str, str, str]) -> bool:
        group, resource, subresource, verb = need
        attributes = {
            "namespace": cluster.namespace,
            "group": group,
            "resource": resource,
            "subresource": subresource,
            "verb": verb,
        }
        review: Object = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            answer = cluster.api.post(_REVIEWS, ("create", "selfsubjectaccessreviews"), review)
        except Refused:  # whoever may not even ask will see it at the first request
            return True
        return bool(answer.get("status", {}).get("allowed", True))

    with ThreadPoolExecutor(4, thread_name_prefix="orion-preflight") as threads:
        answers = list(threads.map(allowed, NEEDED))
    found: dict[str, list[str]] = {}
    for (group, resource, subresource, verb), may in zip(NEEDED, answers, strict=True):
        if not may:
            name = f"{resource}/{subresource}" if subresource else resource
            found.setdefault(f"{name}.{group}" if group else name, []).append(verb)
    return [f"{', '.join(verbs)} {name}" for name, verbs in found.items()]


def _try_template(cluster: Cluster, template: Template, worker: str) -> None:
    """Ask the server whether it would take a Job, which it does not keep."""
    environment = {
        "ORION_EXPERIMENT_ID": "0",
        "ORION_EXPERIMENT_NAME": f"check-{worker}",
        "ORION_TRIAL_ID": "0",
        "ORION_TRIAL_ATTEMPT": "1",
    }
    run = ProgramRun(["true"], "/orion-k8s/trial/attempt-1", environment)
    manifest = make_manifest(template, run, worker=worker, namespace=cluster.namespace)
    try:
        cluster.create_job(manifest, dry=True)
    except Refused as error:
        if "exceeded quota" in error.message:  # it may pass
            return
        if error.status == 404:
            raise ConfigurationError(
                f"There is no namespace {cluster.namespace!r} in the cluster {cluster.api.host}: "
                "correct namespace or context."
            ) from error
        raise ConfigurationError(
            f"Kubernetes refuses the template of the trials' Job: {error.message}"
        ) from error


def owner_of(cluster: Cluster) -> Object | None:
    """Return a reference to this worker's pod, where it runs in one in the same namespace.

    Kubernetes deletes a Job with its owner: whatever ends the worker's pod, nothing is left.
    """
    name = os.environ.get("POD_NAME") or os.environ.get("HOSTNAME")
    namespace = os.environ.get("POD_NAMESPACE") or own_namespace()
    if namespace is None or not name:
        return None
    # Looked up in any case: the Jobs of an owner that this cluster does not know are deleted.
    try:
        pod = cluster.pod_named(name) if namespace == cluster.namespace else None
    except (Away, Refused) as error:
        log.debug("the worker's own pod is not known: %s", error)
        return None
    known = os.environ.get("POD_UID")
    if pod is None or known not in (None, "", pod["metadata"]["uid"]):
        log.info("the worker's pod is not among the pods of its Jobs: they do not end with it")
        return None
    return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]}


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
