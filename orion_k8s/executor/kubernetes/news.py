"""What an attempt is told by others while its own thread waits."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from orion_k8s.backoff import Backoff
from orion_k8s.executor.kubernetes.api import Away, Object
from orion_k8s.executor.kubernetes.ending import ending
from orion_k8s.executor.kubernetes.outage import BACKOFF_S, Outage

T = TypeVar("T")


class Cancelled(Exception):
    """Somebody cancelled the attempt."""


class News:
    """Told by the watches and by `cancel`; one thread waits for it.

    Attributes:
        job, pod: as they were last seen; None before.
        job_gone, pod_gone: whether that was their end.
        grace_s: of the cancellation; None where nobody cancelled.
    """

    def __init__(self) -> None:
        self.job: Object | None = None
        self.pod: Object | None = None
        self.job_gone = self.pod_gone = False
        self.grace_s: float | None = None
        self._changed = threading.Condition()
        self._count = self._seen = 0

    def see_job(self, job: Object, gone: bool) -> None:
        """Take news of the Job."""
        with self._changed:
            self.job, self.job_gone = job, gone
            self._tell()

    def see_pod(self, pod: Object, gone: bool) -> None:
        """Take news of a pod. Where the Job makes a second one, that is not ours."""
        with self._changed:
            before = self.pod
            if before is None or before["metadata"]["uid"] == pod["metadata"]["uid"]:
                if before is not None and _had_ended(before):
                    # Its deletion, by the Job's time to live, came later than its end.
                    pod["metadata"].pop("deletionTimestamp", None)
                self.pod, self.pod_gone = pod, gone
                self._tell()

    def cancel(self, grace_s: float) -> None:
        """Let the attempt end. Called once more it shortens the grace."""
        with self._changed:
            known = self.grace_s
            self.grace_s = grace_s if known is None else min(known, grace_s)
            self._tell()

    def _tell(self) -> None:
        self._count += 1
        self._changed.notify_all()

    # --- for the thread that waits ---------------------------------------------------------------

    def nap(self, timeout: float | None) -> None:
        """Return when there is news since the last nap, or after `timeout` seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._count != self._seen, timeout)
            self._seen = self._count

    def wait(self, timeout: float | None) -> None:
        """Nap.

        Raises:
            Cancelled: somebody cancelled the attempt.
        """
        self.nap(timeout)
        self.check()

    def check(self) -> None:
        """Raise `Cancelled` where somebody cancelled the attempt."""
        if self.grace_s is not None:
            raise Cancelled

    def persist(self, verb: Callable[[], T], outage: Outage) -> T:
        """Return what a request returns, as soon as the server answers it.

        Raises:
            Cancelled: somebody cancelled the attempt meanwhile.
            Refused: the server refuses the request.
        """
        backoff = Backoff(*BACKOFF_S)
        while True:
            self.check()
            try:
                result = verb()
            except Away as error:
                outage.begins(error)
                self.wait(backoff.next())
            else:
                outage.ends()
                return result


def _had_ended(pod: Object) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and ending(pod, patient=False) is not None
