"""Follows what this worker's running trials report, and stops those that a rule gives up.

A thread does it, as a call may run in the worker's main thread. It looks at the files of running
trials now and then, writes what is new to the shared history in one write for all, at most once a
second, and asks the rules, where the experiment has any. A worker whose trials report nothing has
no traffic of it. Nothing here may lose a result: what goes wrong is told, and the trial goes on.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable

from orion_k8s.backoff import Backoff
from orion_k8s.errors import OrionError
from orion_k8s.executor import Future
from orion_k8s.script.reports import Channel, ReportFile
from orion_k8s.stopping import Rules
from orion_k8s.storage import Lease
from orion_k8s.trial import Curve, Stopped
from orion_k8s.worker.claiming import Claimer
from orion_k8s.worker.followed import Followed
from orion_k8s.worker.others import Others
from orion_k8s.worker.patience import PASSING

log = logging.getLogger(__name__)

PACE_S = 0.25
"""Between two looks at the files of running trials."""

WRITE_S = 1.0
"""At least so long between two writes, and two reads of others' curves."""

REST = 20
"""And so many times as long as the last of them took."""


class Follower:
    """Follows the trials that run in this worker.

    Args:
        claimer: has the storage and the mirror.
        rules: of early stopping.
        stop_grace_s: seconds that a trial has to end after it was asked to stop.
        grace_s: seconds between SIGTERM and SIGKILL of one that did not.
        on_outage: called when the database is found to be away.
        pace_s: between two looks.
        write_s: between two writes.
    """

    def __init__(
        self,
        claimer: Claimer,
        rules: Rules | None = None,
        stop_grace_s: float = 30.0,
        grace_s: float = 10.0,
        on_outage: Callable[[], None] | None = None,
        pace_s: float = PACE_S,
        write_s: float = WRITE_S,
    ) -> None:
        self.rules = rules or Rules()
        self._storage = claimer.storage
        self._others = Others(claimer)
        self._stop_grace_s, self._grace_s = stop_grace_s, grace_s
        self._on_outage = on_outage
        self._pace_s, self._write_s = pace_s, write_s
        self._followed: dict[str, Followed] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._scratch: str | None = None
        self._next_write = self._next_read = 0.0
        self._backoff: Backoff | None = None
        self._told = False

    # --- from the worker's thread ----------------------------------------------------------------

    def scratch(self) -> str:
        """Return a folder of this worker's own, for trials that have none. Gone at the end."""
        if self._scratch is None:
            self._scratch = tempfile.mkdtemp(prefix="orion-k8s-reports-")
        return self._scratch

    def watch(
        self, lease: Lease, number: int, attempt: int, future: Future, channel: Channel
    ) -> None:
        """Follow a trial from now on."""
        file = ReportFile(channel.reports, number, attempt)
        with self._lock:
            self._followed[lease.trial] = Followed(lease, future, channel, file)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="orion-follower", daemon=True)
            self._thread.start()
        elif not self._wake.is_set():
            self._wake.set()

    def finish(self, lease: Lease) -> Followed | None:
        """Follow a trial no more, as its call is over; return what there is to know of it."""
        with self._lock:
            one = self._followed.pop(lease.trial, None)
        if one is None:
            return None
        with one.lock:
            one.ended = True
            one.file.finish()
        folder = os.path.dirname(one.channel.reports)
        if self._scratch is not None and folder.startswith(self._scratch + os.sep):
            if one.file.count or one.stopped is not None:
                shutil.rmtree(folder, ignore_errors=True)
        return one

    def stop(self) -> None:
        """End; the thread has ended when this returns. Twice is content."""
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    # --- the thread ------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                followed = list(self._followed.values())
            if not followed:
                self._wake.wait()
                self._wake.clear()
                continue
            try:
                self._round(followed)
            except Exception:  # a bug: no reason to lose a trial
                if not self._told:
                    self._told = True
                    log.exception("reports of running trials: a bug")
            self._stop.wait(self._pace_s)

    def _round(self, followed: list[Followed]) -> None:
        fresh = []
        for one in followed:
            with one.lock:
                if not one.ended and one.file.look() and self.rules:
                    fresh.append((one, one.file.curve()))
            self._end_deaf(one)
        if fresh:
            self._judge(fresh, own={one.file.number for one in followed})
        if time.monotonic() >= self._next_write:
            self._write(followed)

    # --- the rules -------------------------------------------------------------------------------

    def _judge(self, fresh: list[tuple[Followed, Curve]], own: set[int]) -> None:
        """Ask the rules about trials that have reported something new.

        Args:
            fresh: these trials, and what they reported so far.
            own: numbers of all trials that run here.
        """
        for _, curve in fresh:
            self._others.put(curve)
        if self.rules.learn and time.monotonic() >= self._next_read:
            began = time.monotonic()
            if self._trying(lambda: self._others.refresh(own)):
                self._next_read = self._rested(began)
        for one, curve in fresh:
            if one.stopped is not None or curve.last_step <= one.judged:
                continue
            others = self._others.without(curve.number) if self.rules.learn else []
            stopped = self.rules.stop(curve, others, one.judged)
            one.judged = curve.last_step
            if stopped is not None:
                self._ask_to_stop(one, stopped)

    def _ask_to_stop(self, one: Followed, stopped: Stopped) -> None:
        with one.lock:
            if one.ended:
                return
            try:
                one.channel.ask_to_stop()
            except OSError as error:  # it is ended all the same, when the grace is over
                log.warning("trial %s cannot be told to stop: %s", one.lease.trial, error)
            one.stopped, one.asked_at = stopped, time.monotonic()
        log.info(
            "trial %s should stop at step %g (%s: %s)",
            *(one.lease.trial, stopped.step, stopped.rule, stopped.reason),
            extra={"trial": one.lease.trial, "number": one.file.number},
        )

    def _end_deaf(self, one: Followed) -> None:
        """End a trial that was asked to stop and goes on."""
        with one.lock:
            deaf = one.stopped is not None and not one.ending and not one.ended
            if not deaf or time.monotonic() - one.asked_at < self._stop_grace_s:
                return
            one.ending = True
        log.info("trial %s does not stop by itself: it is ended", one.lease.trial)
        one.future.cancel(self._grace_s)

    # --- the shared history ----------------------------------------------------------------------

    def _write(self, followed: list[Followed]) -> None:
        news = []
        for one in followed:
            with one.lock:
                curve = None if one.ended else one.unwritten
            if curve is not None:
                news.append((one, curve))
        if not news:
            return
        began = time.monotonic()
        if self._trying(
            lambda: self._storage.write_curves([(one.lease, curve) for one, curve in news])
        ):
            self._next_write = self._rested(began)
            for one, curve in news:
                one.written = curve.revision

    def _rested(self, began: float) -> float:
        """Return when to speak to the database again, after a call that began then.

        A database that hundreds of workers ask at once answers slowly, and is asked less often.
        """
        now = time.monotonic()
        return now + max(self._write_s, REST * (now - began))

    def _trying(self, verb: Callable[[], None]) -> bool:
        """Call a verb once; return whether it went through. What waits is small: it waits."""
        try:
            verb()
        except PASSING as error:
            if self._on_outage is not None:
                self._on_outage()
            if self._backoff is None:
                self._backoff = Backoff(1.0, 10.0)
                log.warning("reports of running trials wait, the database is away: %s", error)
        except OrionError as error:
            if self._backoff is None:
                self._backoff = Backoff(1.0, 10.0)
                log.warning("reports of running trials are not written: %s", error)
        else:
            self._backoff = None
            return True
        self._next_write = self._next_read = time.monotonic() + self._backoff.next()
        return False
