"""Older attempts of a trial: their Jobs are deleted, and gone, before the next one is made."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from orion_k8s.executor.kubernetes.api import Object, Refused
from orion_k8s.executor.kubernetes.common import Common, Lost
from orion_k8s.executor.kubernetes.manifest import ATTEMPT, WORKER, Identity
from orion_k8s.executor.kubernetes.news import News

log = logging.getLogger(__name__)

LEAVE_S = 15.0
"""A pod that should be gone has so long beyond its grace."""


def take_over(common: Common, news: News, identity: Identity) -> None:
    """Delete the Jobs of all other attempts of a trial, and wait until they are gone.

    A node that does not answer is waited for as long as a pod may take to end, and no longer: the
    result of what may still run there is refused by its token.

    Raises:
        Lost: a later attempt is under way, so this one is of no use any more.
        Cancelled, Refused: see `News.persist`.
    """
    cluster, trial = common.cluster, identity.trial
    limit: float | None = None
    while True:
        jobs, version = news.persist(lambda: cluster.jobs_of(trial), common.outage)
        others = [job for job in jobs if not is_own(job, common, identity)]
        if not others:
            return
        if any(attempt_of(job) > identity.attempt for job in others):
            raise Lost("a later attempt of it is under way")
        for job in others:
            if limit is None:
                log.info("trial %s: its older Job %s is deleted", trial, _name(job))
            news.persist(_deletion(common, job), common.outage)
        now = time.monotonic()
        limit = limit or now + max(map(_grace_s, others)) + LEAVE_S
        if _wait_gone(common, news, trial, others, version, limit):
            return
        news.check()
        if time.monotonic() >= limit:
            log.warning(
                "trial %s: its older Job %s does not end, for its node does not answer. The trial "
                "runs again; a result of the older Job would be refused.",
                trial,
                _name(others[0]),
            )
            return


def is_own(job: Object, common: Common, identity: Identity) -> bool:
    """Whether a Job is the one of this very attempt, made by this executor."""
    labels = job["metadata"].get("labels") or {}
    return (
        attempt_of(job) == identity.attempt
        and labels.get(WORKER) == common.worker
        and "deletionTimestamp" not in job["metadata"]
    )


def attempt_of(job: Object) -> int:
    """Return which attempt a Job is."""
    text = str((job["metadata"].get("labels") or {}).get(ATTEMPT, "0"))
    return int(text) if text.isdigit() else 0


def _wait_gone(
    common: Common, news: News, trial: str, jobs: list[Object], version: str, limit: float
) -> bool:
    uids = {job["metadata"]["uid"] for job in jobs}

    def wanted() -> bool:
        return news.grace_s is None and time.monotonic() < limit

    def wait() -> bool:
        try:
            return common.cluster.wait_gone(trial, uids, version, wanted)
        except Refused as error:
            if error.status != 410:
                raise
            return False  # the place is forgotten: list anew

    return news.persist(wait, common.outage)


def _deletion(common: Common, job: Object) -> Callable[[], None]:
    uid = job["metadata"]["uid"]
    return lambda: common.cluster.delete_job(_name(job), uid)


def _name(job: Object) -> str:
    return str(job["metadata"]["name"])


def _grace_s(job: Object) -> float:
    pod = job["spec"]["template"]["spec"]
    return float(pod.get("terminationGracePeriodSeconds", 30))
