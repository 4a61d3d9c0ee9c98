"""The executor `kubernetes`: a slot is a Job."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from orion_k8s.backoff import Backoff
from orion_k8s.errors import ConfigurationError, OrionError, UsageError
from orion_k8s.executor.base import Ending, Outcome
from orion_k8s.executor.kubernetes.api import Api, Object
from orion_k8s.executor.kubernetes.arguments import seconds, word
from orion_k8s.executor.kubernetes.attempt import Attempt
from orion_k8s.executor.kubernetes.cluster import Cluster
from orion_k8s.executor.kubernetes.common import Common
from orion_k8s.executor.kubernetes.manifest import ATTEMPT, TRIAL, WORKER, make_manifest
from orion_k8s.executor.kubernetes.outage import Outage
from orion_k8s.executor.kubernetes.preflight import check, owner_of
from orion_k8s.executor.kubernetes.template import make_template
from orion_k8s.executor.kubernetes.watch import Watch
from orion_k8s.executor.slots import Slot, SlotExecutor, SlotFuture
from orion_k8s.executor.workers import flag
from orion_k8s.script import ProgramRun

SLOTS = 10
START_TIMEOUT_S = 600.0


class KubernetesJobs(SlotExecutor):
    """Runs each attempt of a trial's program as one Kubernetes Job.

    Args:
        n_workers: how many Jobs at once.
        template: path of a file with a Job, or the Job itself; the other arguments are written
            into it.
        image: of the program's container. One of `image` and `template` is needed.
        namespace: where the Jobs run; else the template's, the context's, or the worker's own.
        context: of the kubeconfig; None for its current one.
        kubeconfig: its path; None for the usual places, and in a pod its service account.
        env: name → value, in addition to what each program is told.
        resources: such as {"cpu": 2, "memory": "4Gi", "nvidia.com/gpu": 1}.
        node_selector: labels of nodes that will do.
        service_account: of the trials' pods.
        labels: of the trials' Jobs and pods.
        queue: of Kueue.
        deadline: seconds that a program may run.
        ttl: seconds for which an ended Job can be looked at; 600 unless the template says else.
        start_timeout: seconds that a Job may take until its program runs; None for no end.
        shared_files: whether the template mounts the folder of the trials, at the same path, as
            this worker sees it.

    Raises:
        ConfigurationError: an argument or the template can't be used, or the cluster can't be
            reached.
        AccessRefused: the worker's account lacks rights there.
        MissingExtra: the package kubernetes is not installed.
    """

    name: ClassVar[str] = "kubernetes"
    runs_here: ClassVar[bool] = False
    files_here = False

    def __init__(
        self,
        n_workers: int = SLOTS,
        *,
        template: str | Mapping[str, Any] | None = None,
        image: str | None = None,
        namespace: str | None = None,
        context: str | None = None,
        kubeconfig: str | None = None,
        env: Mapping[str, Any] | list[Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        node_selector: Mapping[str, str] | None = None,
        service_account: str | None = None,
        labels: Mapping[str, str] | None = None,
        queue: str | None = None,
        deadline: float | None = None,
        ttl: float | None = None,
        start_timeout: float | None = START_TIMEOUT_S,
        shared_files: bool = False,
    ) -> None:
        super().__init__(n_workers)
        self.shared_files = flag("shared_files", shared_files)
        self._template = make_template(
            template,
            image=image,
            env=env,
            resources=resources,
            node_selector=node_selector,
            service_account=service_account,
            labels=labels,
            queue=queue,
            deadline=deadline,
            ttl=ttl,
        )
        if start_timeout is not None:
            start_timeout = seconds("start_timeout", start_timeout)
        if namespace is not None:
            namespace = word("namespace", namespace)
        self._api = Api(kubeconfig, context)
        cluster = Cluster(self._api, namespace or self._template.namespace or self._api.namespace)
        outage = Outage(self._api.host)
        worker = uuid.uuid4().hex[:16]
        self._common = Common(cluster, worker, start_timeout, outage)
        self._running: dict[tuple[str, str], Attempt] = {}
        self._error: OrionError | None = None
        self._losses = Backoff(1.0, 60.0)
        self._rest_until = 0.0
        selector = f"{WORKER}={worker}"
        self._watches = [
            Watch(self._api, cluster.jobs_path, "jobs", selector, self._see_job, outage),
            Watch(self._api, cluster.pods_path, "pods", selector, self._see_pod, outage),
        ]
        try:
            check(cluster, self._template, worker)
            self._owner = owner_of(cluster)
            for watch in self._watches:
                watch.start()
        except BaseException:
            self._hang_up()
            raise

    @property
    def calls(self) -> Mapping[tuple[str, str], int]:
        """How many requests of a kind were made, such as ("create", "jobs")."""
        return self._api.calls

    # --- the contract ----------------------------------------------------------------------------

    def slots(self) -> int:
        """Return how many Jobs can run at once now: no more of them after a loss, for a while."""
        if self._error is not None:  # to be told of it at the next `submit`
            return self.n_workers
        if self._common.outage.now or time.monotonic() < self._rest_until:
            return min(self.n_workers, len(self._unfinished))
        return self.n_workers

    def prepare(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Attempt:
        """Return the attempt that a slot runs.

        Raises:
            UsageError: the call is no program's, or it can't be given to a Job.
            ConfigurationError: an earlier Job showed that none can run.
        """
        if self._error is not None:
            raise self._error
        if not isinstance(function, ProgramRun):
            raise UsageError(
                "The executor kubernetes runs programs (orion-k8s hunt … CMD), not Python "
                "functions: take the executor dask or joblib, or make a program of the function."
            )
        manifest = make_manifest(
            self._template,
            function,
            worker=self._common.worker,
            namespace=self._common.cluster.namespace,
            owner=self._owner,
            shared_files=self.shared_files,
        )
        return Attempt(self._common, function, manifest)

    def make_slot(self) -> Slot:
        """Return a slot, which waits for one Job after the other."""
        return _JobSlot(self)

    def close(self, cancel: bool = False) -> None:
        """End the executor. See `Executor.close`. Jobs that have ended stay for their `ttl`."""
        super().close(cancel)
        if os.getpid() == self._pid:
            self._hang_up()

    # --- for the slots ---------------------------------------------------------------------------

    def run(self, attempt: Attempt) -> Outcome:
        """Run an attempt, which is told what the watches see of it."""
        key = (attempt.identity.trial, str(attempt.identity.attempt))
        self._running[key] = attempt
        try:
            outcome = attempt()
        except ConfigurationError as error:
            self._error = error
            self.wake()
            return Outcome(Ending.LOST, reason=str(error), error=error)
        finally:
            del self._running[key]
        now = time.monotonic()
        if outcome.ending is not Ending.LOST:
            self._losses.reset()
        elif now >= self._rest_until:  # those that are lost together count once
            # Whatever it was, it may hit the next one as well.
            self._rest_until = now + self._losses.next()
        return outcome

    # --- inside ----------------------------------------------------------------------------------

    def _see_job(self, job: Object, gone: bool) -> None:
        if (attempt := self._attempt_of(job)) is not None:
            attempt.news.see_job(job, gone)

    def _see_pod(self, pod: Object, gone: bool) -> None:
        if (attempt := self._attempt_of(pod)) is not None:
            attempt.news.see_pod(pod, gone)

    def _attempt_of(self, seen: Object) -> Attempt | None:
        labels = seen["metadata"].get("labels") or {}
        return self._running.get((labels.get(TRIAL, ""), labels.get(ATTEMPT, "")))

    def _hang_up(self) -> None:
        for watch in self._watches:
            watch.close()
        self._api.close()


class _JobSlot(Slot):
    def __init__(self, executor: KubernetesJobs) -> None:
        self._executor = executor

    def run(self, future: SlotFuture) -> Outcome:
        attempt: Attempt = future.work
        return self._executor.run(attempt)

    def stop(self, future: SlotFuture, grace_s: float) -> None:
        attempt: Attempt | None = future.work
        if attempt is not None:
            attempt.news.cancel(grace_s)
