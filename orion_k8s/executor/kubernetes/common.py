"""What the attempts of an executor share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from orion_k8s.errors import ConfigurationError
from orion_k8s.executor.kubernetes.cluster import Cluster
from orion_k8s.executor.kubernetes.outage import Notices, Outage
from orion_k8s.executor.kubernetes.starting import Hold

QUIET_S = 5.0
"""What holds a Job back for a shorter time is not worth a word."""


class Lost(Exception):
    """An attempt can't go on, and it is no failure of its program."""


@dataclass
class Common:
    """What the attempts of an executor share.

    Attributes:
        worker: the label of its Jobs.
        start_timeout_s: how long a Job may take until its program runs; None for no end.
        proven: whether a program of it ran. Then what holds one back is not wrong for all.
        accompanied: whether other workers' programs of the experiment run. Then it is they who
            fill the cluster.
        blamed: trial → how often it met what may be its own fault.
    """

    cluster: Cluster
    worker: str
    start_timeout_s: float | None
    outage: Outage
    notices: Notices = field(default_factory=Notices)
    proven: bool = False
    accompanied: bool = False
    blamed: Counter[str] = field(default_factory=Counter)

    def held(self, hold: Hold, for_s: float, experiment: str) -> None:
        """Say what holds a Job back, or give up where it is time to.

        Args:
            hold: what.
            for_s: seconds already.
            experiment: of the Job.

        Raises:
            ConfigurationError: it is too long, and none of the experiment's Jobs runs or has run.
            Lost: others have; it may be this one's node.
        """
        limit_s = self.start_timeout_s
        late = hold.clocked and limit_s is not None and for_s >= limit_s
        if late and hold.crowded and not (self.proven or self.accompanied):
            self.accompanied = self.cluster.runs_any(experiment)
        may_pass = self.proven or (hold.crowded and self.accompanied)
        if (late or hold.final) and not may_pass:
            after = "" if hold.final else f" (for {for_s:.0f} s: start_timeout can be longer)"
            raise ConfigurationError(f"The trials cannot run on Kubernetes: {hold.text}{after}")
        if hold.final or (late and not hold.crowded):
            raise Lost(hold.text)
        if for_s >= QUIET_S:
            self.notices.say(hold.text)
