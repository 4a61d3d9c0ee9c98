"""The life of one attempt: older ones first, then its Job, its pod, its log, its verdict."""

from __future__ import annotations

import logging
import os
import signal
import time

from orion_k8s.backoff import Backoff
from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.base import Ending, Outcome
from orion_k8s.executor.kubernetes.api import Away, Object, Refused
from orion_k8s.executor.kubernetes.common import Common, Lost
from orion_k8s.executor.kubernetes.ending import End, How, disruption_of, ending
from orion_k8s.executor.kubernetes.manifest import Identity
from orion_k8s.executor.kubernetes.news import Cancelled, News
from orion_k8s.executor.kubernetes.outage import BACKOFF_S
from orion_k8s.executor.kubernetes.start import StartClock
from orion_k8s.executor.kubernetes.starting import Hold, running
from orion_k8s.executor.kubernetes.takeover import LEAVE_S, is_own, take_over
from orion_k8s.script import ProgramResult, ProgramRun
from orion_k8s.script.process import tail_of

log = logging.getLogger(__name__)

LOG = "log.txt"
"""In the attempt's folder: what the program printed. A pod has one stream for both."""

SETTLE_S = 3.0
"""A pod whose program failed has so long to end itself, and tell why."""

CANCEL_S = 20.0
"""A pod that was cancelled has so long beyond its grace, and the API server to answer. A worker
that waits for less leaves the trial to its lease."""

BLAMED = 3
"""A trial that so often met what may be its own fault (a node short of memory, a program that is
not there) is to blame for it."""

_FATAL = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGKILL", "SIGSEGV", "SIGTERM")


class Attempt:
    """One attempt of a trial as one Job. Call it once, in a thread of its own.

    Args:
        common: of all attempts of the executor.
        run: of the trial's program.
        manifest: of the Job.

    Attributes:
        news: what others tell it.
    """

    def __init__(self, common: Common, run: ProgramRun, manifest: Object) -> None:
        self.identity = Identity.of(run)
        self.news = News()
        self._common, self._cluster = common, common.cluster
        self._run, self._manifest = run, manifest
        self._name: str = manifest["metadata"]["name"]
        self._asked = False
        """Whether there may be a Job."""

    def __call__(self) -> Outcome:
        """Run the attempt to its end.

        Raises:
            ConfigurationError: what is wrong is wrong for every trial; the Job is deleted.
        """
        try:
            if self.identity.attempt > 1:
                take_over(self._common, self.news, self.identity)
            self._create()
            return self._conclude(self._await_end())
        except Cancelled:
            return self._end()
        except Lost as lost:
            self._remove()
            return self._lost(str(lost))
        except ConfigurationError:
            self._remove()
            raise
        except Refused as error:
            self._remove()
            raise _refusal(error) from error

    # --- to its end ------------------------------------------------------------------------------

    def _create(self) -> None:
        """Make the Job. One that was asked for without an answer is recognised the next time."""
        news, outage = self.news, self._common.outage
        backoff = Backoff(*BACKOFF_S)
        begun = time.monotonic()
        while True:
            news.check()
            self._asked = True
            try:
                news.persist(lambda: self._cluster.create_job(self._manifest), outage)
                return
            except Refused as error:
                if error.status == 409:
                    jobs, _ = news.persist(
                        lambda: self._cluster.jobs_of(self.identity.trial), outage
                    )
                    if any(is_own(job, self._common, self.identity) for job in jobs):
                        return
                    take_over(self._common, news, self.identity)
                elif error.status == 403 and "exceeded quota" in error.message:
                    hold = Hold(error.message, crowded=True)
                    held_s = time.monotonic() - begun
                    self._common.held(hold, held_s, self.identity.experiment)
                    news.wait(backoff.next())
                else:
                    raise _refusal(error) from error

    def _await_end(self) -> End:
        """Return how the pod ended."""
        news = self.news
        clock = StartClock(self._common, news, self.identity.experiment)
        settled: float | None = None
        left: float | None = None
        while True:
            now = time.monotonic()
            pod = news.pod
            waits: list[float] = []
            if pod is not None:
                if (end := ending(pod, patient=not news.pod_gone)) is not None:
                    return end
                if news.pod_gone:
                    return End(How.LOST, reason=disruption_of(pod) or "its pod was deleted")
                if (hasty := ending(pod, patient=False)) is not None:
                    settled = settled or now + SETTLE_S
                    if now >= settled:
                        return hasty
                    waits.append(settled - now)
                if pod["metadata"].get("deletionTimestamp"):
                    grace_s = pod["metadata"].get("deletionGracePeriodSeconds") or 0
                    left = left or now + grace_s + LEAVE_S
                    if now >= left:
                        why = f"{disruption_of(pod)}, and its node does not answer"
                        return End(How.LOST, reason=why)
                    waits.append(left - now)
            elif news.job_gone:
                return End(How.LOST, reason="its Job was deleted")
            if pod is not None and running(pod):
                self._common.proven = True
            elif settled is None and left is None:
                waits.append(clock.look())
            news.wait(min(waits, default=None))

    def _conclude(self, end: End) -> Outcome:
        """Keep what the pod left, and judge it."""
        if end.how is How.NO_PROGRAM and not self._common.proven:
            raise ConfigurationError(f"The trials cannot run on Kubernetes: {end.reason}")
        self._keep(end)
        run = self._run
        if end.how in (How.LOST, How.NO_PROGRAM):
            self._remove()
            result = run.judge(end.code, ended=True)
            if result.kind == "completed":
                return Outcome(Ending.RETURNED, result)
            blamed = self._common.blamed
            blamed[self.identity.trial] += end.pressed or end.how is How.NO_PROGRAM
            if blamed[self.identity.trial] < BLAMED:
                return self._lost(end.reason)
            return self._broken(f"{BLAMED} times the same: {end.reason}", end)
        if end.how is not How.EXITED:
            return self._broken(end.reason, end)
        self._common.proven = True
        result = run.judge(_code(end.code, run.interrupt_code), ended=False, said=LOG)
        if result.kind == "broken" and end.code == 0 and len(end.message.encode()) >= end.most:
            return self._broken(
                f"The result has more than the {end.most} bytes that Kubernetes passes on of a "
                "container's: report fewer or shorter results.",
                end,
            )
        return Outcome(Ending.RETURNED, result)

    # --- ends that are not the program's own -----------------------------------------------------

    def _end(self) -> Outcome:
        """End what runs, within the grace and a moment; a result that it leaves counts."""
        news = self.news
        grace_s = news.grace_s or 0.0
        limit = time.monotonic() + grace_s + CANCEL_S
        backoff = Backoff(0.2, 2.0)
        asked_s: float | None = None
        job_asked = told = False
        end: End | None = None
        while self._asked and (now := time.monotonic()) < limit:
            pod, grace_s = news.pod, news.grace_s or 0.0
            end = None if pod is None else ending(pod, patient=False)
            if end is not None or news.pod_gone or (pod is None and news.job_gone):
                break
            try:
                if pod is None and not job_asked:
                    self._cluster.delete_job(self._name)
                    job_asked = True
                    if news.job is None:  # it was asked for, and perhaps never made
                        break
                elif pod is not None and (asked_s is None or grace_s < asked_s):
                    self._cluster.delete_pod(pod, grace_s)
                    asked_s = grace_s
            except (Away, Refused) as error:
                if not told:
                    log.warning("the Job %s cannot be ended now: %s", self._name, error)
                told = True
                news.nap(backoff.next())
                continue
            news.nap(limit - now)
        if end is not None:
            self._keep(end)
        self._remove()
        return Outcome(Ending.RETURNED, self._run.judge(end.code if end else None, ended=True))

    def _remove(self) -> None:
        """Delete the Job, if there may be one. Where that fails, a later attempt does it."""
        if not self._asked:
            return
        try:
            self._cluster.delete_job(self._name)
        except (Away, Refused) as error:
            log.debug("the Job %s is left to its time to live: %s", self._name, error)

    def _lost(self, reason: str) -> Outcome:
        log.warning("trial %s runs again: %s", self.identity.trial, reason)
        return Outcome(Ending.LOST, reason=reason)

    def _broken(self, reason: str, end: End) -> Outcome:
        said = tail_of(os.path.join(self._run.folder, LOG)) if end.container else ""
        result = ProgramResult("broken", reason=f"{reason}\n{said}".strip(), exit_code=end.code)
        return Outcome(Ending.RETURNED, result)

    def _keep(self, end: End) -> None:
        """Write what the pod left into the attempt's folder: its result and its log."""
        os.makedirs(self._run.folder, exist_ok=True)
        with open(self._run.results_path, "w", encoding="utf-8") as file:
            file.write(end.message)
        if not end.container or self.news.pod is None:
            return
        try:
            said = self._cluster.log_of(self.news.pod, end.container)
        except (Away, Refused) as error:
            said = f"[Kubernetes has no log of it: {error}]\n".encode()
        with open(os.path.join(self._run.folder, LOG), "wb") as out:
            out.write(said)


def _code(code: int | None, interrupt_code: int) -> int | None:
    """Return an exit code as a process of this machine has it: -N where signal N killed it."""
    if code is None or code == interrupt_code:
        return code
    fatal = {128 + signal.Signals[name] for name in _FATAL}
    return 128 - code if code in fatal else code


def _refusal(error: Refused) -> ConfigurationError:
    return ConfigurationError(f"Kubernetes refuses the Job of a trial: {error.message}")
