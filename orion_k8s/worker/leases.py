"""The one heartbeat of a worker process: it renews leases, notices changes, and finds lost trials.

A thread does it, so that a suggestion or a function that takes minutes never costs a lease. It
shares nothing with the main thread but the table of leases below a lock that is never held across
a call to the database.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable

from orion_k8s.errors import DatabaseError, OrionError
from orion_k8s.storage import Held, Lease, Storage
from orion_k8s.trial import ExperimentRecord
from orion_k8s.worker.patience import PASSING

log = logging.getLogger(__name__)

MISSED = 2
"""A lease lasts for so many heartbeats: after as many missed ones the trial is lost."""

SLOW = 0.25
"""A beat that takes longer than this part of an interval was held up, as everybody's was."""


class Heart:
    """Keeps the leases of one process on one experiment.

    Args:
        storage: the shared history.
        experiment: id of the experiment.
        heartbeat_s: seconds between two beats.
        max_lost: a trial lost so often becomes broken.
        on_void: called from the heart's thread with a lease that somebody else took: stop that
            program.
        on_record: called from the heart's thread with the experiment's record, None where it is
            gone.
        on_fatal: called from the heart's thread with an error that a person must act on.
        monotonic: seconds of a clock that never jumps.

    Attributes:
        last_beat: when the last beat went through, by that clock.
        last_try: when the last beat was tried.
        requeued: how many lost trials this heart found.
    """

    def __init__(
        self,
        storage: Storage,
        experiment: str,
        heartbeat_s: float = 15.0,
        max_lost: int = 3,
        on_void: Callable[[Lease], None] | None = None,
        on_record: Callable[[ExperimentRecord | None], None] | None = None,
        on_fatal: Callable[[OrionError], None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.storage = storage
        self.experiment = experiment
        self.heartbeat_s = heartbeat_s
        self.lease_s = MISSED * heartbeat_s
        self.max_lost = max_lost
        self.last_beat = self.last_try = monotonic()
        self.requeued = 0
        self._on_void = on_void
        self._on_record = on_record
        self._on_fatal = on_fatal
        self._monotonic = monotonic
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._leases: dict[str, Lease] = {}
        self._well_since: float | None = None
        self._epoch: object = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._rng = random.Random()

    # --- the table -------------------------------------------------------------------------------

    def hold(self, lease: Lease) -> None:
        """Renew this lease from now on."""
        if os.getpid() != self._pid:
            # A forked child: the leases are the parent's, and its lock may have been held.
            self._pid, self._lock, self._leases = os.getpid(), threading.Lock(), {}
            self._stop, self._thread = threading.Event(), None
        with self._lock:
            self._leases[lease.trial] = lease

    def drop(self, lease: Lease) -> None:
        """Renew this lease no more."""
        with self._lock:
            if self._leases.get(lease.trial) == lease:
                del self._leases[lease.trial]

    def leases(self) -> list[Lease]:
        """Return the leases that are held."""
        with self._lock:
            return list(self._leases.values())

    # --- who watches it --------------------------------------------------------------------------

    @property
    def well(self) -> bool:
        """Whether the database answered when it was last asked."""
        return self._well_since is not None

    def silence_s(self) -> float:
        """Return the seconds since the last beat was tried, whether or not it went through."""
        return self._monotonic() - self.last_try

    def age_s(self) -> float:
        """Return the seconds since the last beat went through: how old the leases are at most."""
        return self._monotonic() - self.last_beat

    # --- the thread ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to beat; the database has just answered. Twice is content."""
        if self._thread is None or not self._thread.is_alive():
            self._stop.clear()
            self._well_since, self._epoch = self._monotonic(), self.storage.epoch()
            self.last_beat = self.last_try = self._well_since
            self._thread = threading.Thread(target=self._run, name="orion-heartbeat", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Beat no more; the thread has ended when this returns. Twice is content."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        # The first beat comes at a random moment: 500 workers started at once don't beat in step.
        wait = self._rng.uniform(0.1, 1.0) * self.heartbeat_s
        while not self._stop.wait(wait):
            self.last_try = self._monotonic()
            try:
                self.beat()
                wait = self._next_s()
            except PASSING as error:
                log.warning("heartbeat: the database is away, trying again: %s", error)
                wait = self._rng.uniform(0.05, 0.2) * min(self.heartbeat_s, 10.0)
            except OrionError as error:
                if self._on_fatal is not None:
                    self._on_fatal(error)
                return
            except Exception as error:
                log.exception("heartbeat: a bug")
                if self._on_fatal is not None:
                    self._on_fatal(DatabaseError(f"The heartbeat ended by a bug: {error!r}"))
                return

    def _next_s(self) -> float:
        """Return how long to wait for the next beat.

        The first search for lost trials comes as soon as it may: a worker that replaces the only
        one there was should not wait for a beat more. Not on the dot, as many may have started,
        or come back from an outage, together.
        """
        wait = self._rng.uniform(0.9, 1.0) * self.heartbeat_s
        well_since = self._well_since
        if well_since is None:
            return wait
        rest = well_since + self.lease_s - self._monotonic()
        if rest <= 0:
            return wait
        return min(wait, rest + self._rng.uniform(0.01, 0.25) * self.heartbeat_s)

    def unwell(self) -> None:
        """Note that a call of this process found the database away. From any thread."""
        self._well_since = None

    def beat(self) -> None:
        """Do what an interval asks for: renew, read the experiment's record, look for lost trials.

        Raises:
            DatabaseUnavailable: the database is away. Whoever's lease runs out meanwhile must have
                time to renew it before anybody takes the trial, so the search for lost trials
                rests for one lease length afterwards.
        """
        began = self._monotonic()
        if began - self.last_beat > self.lease_s:
            self.unwell()  # stopped, or cut off: to this worker it looks the same
        try:
            self._renew()
            record = self.storage.experiment(self.experiment)
            if self._on_record is not None:
                self._on_record(record)
            self._rest_if_slow(began)
            self._requeue()
        except PASSING:
            self.unwell()
            raise
        self._rest_if_slow(began)
        self.last_beat = self._monotonic()

    def _rest_if_slow(self, began: float) -> None:
        """Take a beat that was held up for an outage that nobody reported.

        A lock that was held, a cable that was pulled, a server that came back while the driver
        waited: the call goes through in the end, and so do the owners' renewals, a moment later.
        """
        if self._monotonic() - began > SLOW * self.heartbeat_s:
            self.unwell()

    def _renew(self) -> None:
        held = self.leases()
        if not held:
            return
        for trial, state in self.storage.renew(held, self.lease_s).items():
            lease = next((one for one in held if one.trial == trial), None)
            with self._lock:
                current = lease is not None and self._leases.get(trial) == lease
            if lease is None or not current:
                continue  # it was completed or released while the renewal was under way
            if state is Held.INTERRUPTED:
                # Nobody took it: the token still completes it. It is not ours to stop.
                log.warning("trial %s: its lease ran out, but nobody took it yet", trial)
                continue
            # Somebody else's; or finished by this very worker, whose write it overtook.
            self.drop(lease)
            if self._on_void is not None:
                self._on_void(lease)

    def _requeue(self) -> None:
        now = self._monotonic()
        epoch = self.storage.epoch()
        well_since = self._well_since
        if well_since is None or epoch != self._epoch:
            self._well_since, self._epoch, well_since = now, epoch, now
        if now - well_since < self.lease_s:
            return
        within_s = SLOW * self.heartbeat_s
        for number, status in self.storage.requeue_lost(self.experiment, self.max_lost, within_s):
            self.requeued += 1
            log.warning("trial number %d: its lease ran out, it is %s now", number, status)
