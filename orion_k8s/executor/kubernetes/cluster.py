"""What is asked of a cluster, by name. All of it is in the Role of docs/executors.md."""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from orion_k8s.executor.kubernetes.api import Api, Away, Object, Refused, lines
from orion_k8s.executor.kubernetes.manifest import EXPERIMENT, TRIAL

LOG_BYTES = 8 << 20
"""Of a log its end is kept; a node keeps 10 MiB of a container's, unless it is told otherwise."""

SLICE_S = 2
"""A watch that somebody waits for is asked for anew so often, to see whether he still does."""


class Cluster:
    """One namespace of a cluster.

    Args:
        api: its server.
        namespace: where the trials run.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self.api = api
        self.namespace = namespace
        self.jobs_path = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self._events_path = f"/api/v1/namespaces/{namespace}/events"

    def create_job(self, manifest: Object, dry: bool = False) -> Object:
        """Make a Job, or ask whether it could be made.

        Unknown fields are refused: a misspelt one would be left out without a word.
        """
        return self.api.post(
            self.jobs_path,
            ("create", "jobs"),
            manifest,
            fieldValidation="Strict",
            dryRun="All" if dry else None,
        )

    def delete_job(self, name: str, uid: str | None = None) -> None:
        """Delete a Job and its pods; one that is gone is fine.

        The Job stays until its pods are gone: by it, others see that they are not.

        Args:
            name: of the Job.
            uid: of the very one that is meant; None for whichever has the name.
        """
        body: Object = {"propagationPolicy": "Foreground"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            self.api.delete(f"{self.jobs_path}/{name}", ("delete", "jobs"), body)
        except Refused as error:
            if error.status != 409:  # it is another one by now
                raise

    def delete_pod(self, pod: Object, grace_s: float) -> None:
        """End a pod: SIGTERM, and SIGKILL after the grace, of a second at least.

        Without one the server would forget the pod at once, and nobody would see it end.
        """
        body: Object = {
            "gracePeriodSeconds": max(1, math.ceil(grace_s)),
            "preconditions": {"uid": pod["metadata"]["uid"]},
        }
        name = pod["metadata"]["name"]
        try:
            self.api.delete(f"{self.pods_path}/{name}", ("delete", "pods"), body)
        except Refused as error:
            if error.status != 409:
                raise

    def jobs_of(self, trial: str) -> tuple[list[Object], str]:
        """Return all Jobs of a trial, whoever made them, and the place for a watch from here."""
        found = self.api.get(self.jobs_path, ("list", "jobs"), labelSelector=f"{TRIAL}={trial}")
        return list(found.get("items") or ()), str(found["metadata"]["resourceVersion"])

    def wait_gone(
        self, trial: str, uids: Iterable[str], version: str, wanted: Callable[[], bool]
    ) -> bool:
        """Wait until Jobs of a trial are gone with their pods; return whether they are.

        Args:
            trial: whose they are.
            uids: of the Jobs.
            version: the place in the history from which on to look.
            wanted: looked at every few seconds; once false, the waiting ends.

        Raises:
            Away, Refused: see `Api`; with the status 410 the place is forgotten.
        """
        left = set(uids)
        while left and wanted():
            with self.api.stream(
                self.jobs_path,
                ("watch", "jobs"),
                3.0 * SLICE_S,
                watch="true",
                labelSelector=f"{TRIAL}={trial}",
                resourceVersion=version,
                timeoutSeconds=SLICE_S,
            ) as stream:
                for line in lines(stream):
                    event = json.loads(line) if line.strip() else {}
                    item = event.get("object") or {}
                    if event.get("type") == "ERROR":
                        raise Refused(int(item.get("code", 410)), str(item.get("message")))
                    if not item:
                        continue
                    version = item["metadata"]["resourceVersion"]
                    if event["type"] == "DELETED":
                        left.discard(item["metadata"]["uid"])
                        if not left:
                            return True
        return not left

    def log_of(self, pod: Object, container: str) -> bytes:
        """Return the end of a container's log.

        Raises:
            Away, Refused: its node does not answer, or has no log of it any more.
        """
        pieces: deque[bytes] = deque()
        size = cut = 0
        path = f"{self.pods_path}/{pod['metadata']['name']}/log"
        for piece in self.api.text(path, ("get", "pods/log"), container=container):
            pieces.append(piece)
            size += len(piece)
            while size - len(pieces[0]) > LOG_BYTES:
                size -= len(pieces[0])
                cut += len(pieces.popleft())
        if cut:
            pieces.appendleft(f"[{cut} bytes before this are left out]\n".encode())
        return b"".join(pieces)

    def events_of(self, uid: str) -> list[Object]:
        """Return the events about an object; none where that is not allowed."""
        try:
            found = self.api.get(
                self._events_path, ("list", "events"), fieldSelector=f"involvedObject.uid={uid}"
            )
        except (Away, Refused):
            return []
        return list(found.get("items") or ())

    def runs_any(self, experiment: str) -> bool:
        """Whether a program of an experiment runs or ran, for whichever worker."""
        try:
            found = self.api.get(
                self.pods_path, ("list", "pods"), labelSelector=f"{EXPERIMENT}={experiment}"
            )
        except (Away, Refused):
            return False
        phases = {pod.get("status", {}).get("phase") for pod in found.get("items") or ()}
        return not phases.isdisjoint(("Running", "Succeeded"))

    def pod_named(self, name: str) -> Object | None:
        """Return a pod; by a list, since nothing else here needs the right to get one."""
        found = self.api.get(
            self.pods_path, ("list", "pods"), fieldSelector=f"metadata.name={name}"
        )
        items: list[Any] = found.get("items") or []
        return dict(items[0]) if items else None
