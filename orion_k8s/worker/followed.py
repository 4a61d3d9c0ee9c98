"""A trial that a worker follows while it runs, and what its end means then."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace

from orion_k8s.executor import Future
from orion_k8s.script.reports import Channel, ReportFile
from orion_k8s.storage import Lease
from orion_k8s.trial import Curve, Status, Stopped
from orion_k8s.worker.task import Verdict


@dataclass
class Followed:
    """A trial that runs here and may report.

    Attributes:
        lease: its reservation.
        future: its call.
        channel: its files.
        file: what it reported.
        written: revision that the shared history has.
        judged: its last step when the rules were last asked.
        stopped: why it was asked to stop, once it was.
        asked_at: and when.
        ending: whether it is being ended, as it did not listen.
        ended: whether its call is over.
        lock: of the above between the worker's thread and the follower's.
    """

    lease: Lease
    future: Future
    channel: Channel
    file: ReportFile
    written: int = 0
    judged: float = -math.inf
    stopped: Stopped | None = None
    asked_at: float = 0.0
    ending: bool = False
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def unwritten(self) -> Curve | None:
        """The curve, if the shared history lacks some of it."""
        if not self.file.count or self.file.revision <= self.written:
            return None
        return self.file.curve()

    def settle(self, verdict: Verdict) -> Verdict:
        """Return the verdict on a trial that may have been asked to stop.

        What it says itself at its end counts. Where it says nothing, or was ended, its last
        report is its result. One that failed has failed.
        """
        if self.stopped is None or verdict.status is Status.BROKEN:
            return verdict
        if verdict.status is Status.COMPLETED:
            results = [*verdict.results, self.stopped.result()]
            return replace(verdict, results=results)
        assert self.file.last is not None
        objective = {"name": "objective", "type": "objective", "value": self.file.last}
        return Verdict(Status.COMPLETED, self.file.last, [objective, self.stopped.result()])
