"""The loop of one worker: get a trial, run it, write how it ended, until the experiment ends."""

from __future__ import annotations

import logging
import math
import os
import random
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from orion_k8s.backoff import Backoff
from orion_k8s.errors import (
    BrokenExperiment,
    ExperimentRemoved,
    InvalidResult,
    LazyWorkers,
    LeaseLost,
    OrionError,
    SuspendedExperiment,
)
from orion_k8s.executor import Executor, Future
from orion_k8s.stopping import Rules
from orion_k8s.storage import Lease
from orion_k8s.trial import Curve, Loss, Status, TrialRecord, new_id
from orion_k8s.worker.claiming import Claimer, Idle
from orion_k8s.worker.follower import Follower
from orion_k8s.worker.leases import Heart
from orion_k8s.worker.limits import Hooks, Limits, Report
from orion_k8s.worker.patience import Patience, Stopped
from orion_k8s.worker.signals import Interrupt, Signals
from orion_k8s.worker.task import Task, Verdict

log = logging.getLogger(__name__)

_COOL_S = (1.0, 60.0)
"""A trial whose program interrupts itself is left alone for so long, at first and at most."""

_IDLE_S = 5.0
"""An idle worker looks at least so often: a hundred of them ask 25 times a second."""

_REST_S = 60.0
"""A worker that waits beyond the experiment's end looks at the trials at least so often. The
experiment's record it knows from each heartbeat."""


def worker_name() -> str:
    """Return a name that nobody else has: host, process, and a few random digits."""
    return f"{socket.gethostname()}:{os.getpid()}:{new_id()[:6]}"


@dataclass
class _Running:
    record: TrialRecord
    lease: Lease
    function: Callable[..., Any]
    future: Future
    since: float
    void: bool = False


class Worker:
    """One worker of `executor.slots()` slots; any number share a history and wait for nobody.

    Args:
        claimer: its way to the next trial; it must call the storage through `patience`.
        executor: where trials run.
        task: what is run.
        hooks: who wants to know.
        limits: when this worker ends though the experiment has not.
        heartbeat_s: seconds between heartbeats.
        max_lost: a trial lost so often becomes broken.
        patience: with outages; `stop` ends it.
        rules: of early stopping.

    Attributes:
        report: what it did so far.
        running: the trials that it runs now.
        resting: how the experiment ended for whose continuation it waits; None while it works.
    """

    def __init__(
        self,
        claimer: Claimer,
        executor: Executor,
        task: Task,
        hooks: Hooks,
        limits: Limits | None = None,
        heartbeat_s: float = 15.0,
        max_lost: int = 3,
        patience: Patience | None = None,
        rules: Rules | None = None,
    ) -> None:
        self.claimer = claimer
        self.executor = executor
        self.task = task
        self.hooks = hooks
        self.limits = limits or Limits()
        self.report = Report()
        self.running: list[_Running] = []
        self.resting: Idle | None = None
        self._patience = patience or Patience()
        self._stop = self._patience.stop
        self._signals = Signals(self._on_signal)
        self._fatal: OrionError | None = None
        self._cool: dict[int, float] = {}
        self._storage = claimer.storage
        self._quick = Backoff(0.02, min(_IDLE_S, heartbeat_s))
        self._counted_broken = 0
        self.heart = Heart(
            self._storage,
            claimer.experiment,
            heartbeat_s,
            max_lost,
            on_void=self._on_void,
            on_record=claimer.look_at_record,
            on_fatal=self._on_fatal,
        )
        self._patience.on_outage = self.heart.unwell
        self.follower = Follower(
            claimer, rules, self.limits.stop_grace_s, self.limits.grace_s, self.heart.unwell
        )

    # --- from other threads and from signal handlers ---------------------------------------------

    def stop(self) -> None:
        """End in order: no new trial; what runs is ended and released. From any thread."""
        self._stop.set()
        self.executor.wake()

    def _on_signal(self, number: int, count: int) -> None:
        self.stop()
        if count > 1:  # the person is in a hurry
            for one in list(self.running):
                one.future.cancel(0.0)

    def _on_void(self, lease: Lease) -> None:
        for one in list(self.running):
            if one.lease == lease:
                log.warning(
                    "trial %s: its reservation is void, so its program is stopped",
                    one.record.id,
                    extra=_about(one.record),
                )
                one.void = True
                one.future.cancel(self.limits.grace_s)
        self.executor.wake()

    def _on_fatal(self, error: OrionError) -> None:
        self._fatal = error
        self.stop()

    # --- the loop --------------------------------------------------------------------------------

    def run(self) -> Report:
        """Work until the experiment ends, a limit is reached, or somebody says stop.

        Raises:
            BrokenExperiment: too many trials are broken, of the experiment or of this worker.
            LazyWorkers: nothing to do for longer than the idle timeout.
            SuspendedExperiment: only trials that a person suspended are left.
            ExperimentRemoved: somebody removed the experiment.
            DatabaseError: the database can't be used, and waiting won't help.
        """
        with self._signals:
            self.heart.start()
            try:
                self._changed()
                self._work()
            except (Stopped, Interrupt):
                pass
            except BaseException:
                self._end_running()
                raise
            finally:
                try:
                    self._end_running()
                finally:
                    self.follower.stop()
                    self.heart.stop()
        self.report.signal = self._signals.received
        self._changed()
        self._raise_end()
        return self.report

    def _work(self) -> None:
        idle_since: float | None = None
        while not self._stop.is_set():
            found = self._fill_slots()
            if self._own_limit():
                self._finish_running()
                return
            if isinstance(found, Idle) and not self.running:
                now = time.monotonic()
                idle_since = idle_since if idle_since is not None else now
                if found.final and self.resting is not found:
                    self.claimer.mark_ended()
                if self._leaves(found, now - idle_since):
                    self.report.idle = found
                    return
            else:
                idle_since = None
            self._wait(found)

    def _leaves(self, idle: Idle, idle_s: float) -> bool:
        """Whether a worker that has had nothing to do for a while ends now."""
        if idle.final and not (self.limits.stays and idle is not Idle.REMOVED):
            return True
        timeout = self.limits.idle_timeout_s
        return timeout is not None and idle_s >= timeout

    def _fill_slots(self) -> Idle | None:
        """Start trials while slots are free; None if all are taken, else why no more started."""
        while not self._stop.is_set() and len(self.running) < self.executor.slots():
            if not self._may_start():
                return Idle.WAIT
            found = self.claimer.acquire()
            if isinstance(found, Idle):
                return found
            self._quick.reset()
            self.resting = None
            self._start(found)
        return None

    def _may_start(self) -> bool:
        limit = self.limits.max_trials
        if limit is not None and self.report.completed + len(self.running) >= limit:
            return False
        return not self._own_limit()

    def _own_limit(self) -> bool:
        limits = self.limits
        if limits.max_broken is not None and self._counted_broken >= limits.max_broken:
            return True
        return limits.max_trials is not None and self.report.completed >= limits.max_trials

    def _start(self, record: TrialRecord) -> None:
        assert record.token is not None
        lease = Lease(record.id, record.token)
        self.heart.hold(lease)
        try:
            trial, channel = self.hooks.trial_of(record), None
            if self.executor.files_here:
                channel = self.task.channel(trial, self.follower.scratch)
            elif self.executor.shared_files:
                channel = self.task.channel(trial, None)
            if channel is not None:
                trial = replace(trial, channel=os.path.dirname(channel.reports))
            function, args, kwargs = self.task.call(trial)
            future = self.executor.submit(function, *args, **kwargs)
        except BaseException as error:
            self.heart.drop(lease)
            reason = f"it could not be started: {error}"
            try:
                self._patience.call(
                    lambda: self._storage.release(lease, Status.INTERRUPTED, reason)
                )
            except (OrionError, Stopped) as other:
                log.warning(
                    "trial %s was not released: %s", record.id, other, extra=_about(record)
                )
            raise
        self.running.append(_Running(record, lease, function, future, time.monotonic()))
        if channel is not None:
            self.follower.watch(lease, record.number, record.attempt, future, channel)
        log.info("trial %s begins", record.id, extra=_about(record))
        self._changed()

    def _wait(self, found: Idle | None) -> None:
        if self.running:
            # The executor's slots may change: look again at every heartbeat.
            waiting = found is Idle.WAIT and self._may_start()
            timeout = self._quick.next() if waiting else self.heart.heartbeat_s
            for future in self._ended(timeout):
                self._finish(future)
        elif found is not None and found.final:
            self._rest(found)
        elif found is not None:
            self._stop.wait(self._quick.next())
        else:  # the executor has no slot now; it wakes us when it has one
            self.executor.async_get([], self._quick.next())

    def _rest(self, idle: Idle) -> None:
        """Wait until an experiment that has ended may go on: its record changed, or a while."""
        if self.resting is not idle:
            log.warning("the experiment has ended (%s): waiting for more to do", idle.value)
            self.resting = idle
            self._changed()
        record = self.claimer.record
        rest_s = min(_REST_S, self.limits.idle_timeout_s or math.inf)
        until = time.monotonic() + random.uniform(0.5, 1.0) * rest_s
        while self.claimer.record == record and time.monotonic() < until:
            if self._stop.wait(min(1.0, self.heart.heartbeat_s)):
                return

    def _ended(self, timeout: float | None) -> list[Future]:
        futures = [one.future for one in self.running]
        self._signals.inline = self.executor.inline
        try:
            return self.executor.async_get(futures, timeout)
        finally:
            self._signals.inline = False

    def _finish_running(self) -> None:
        while self.running and not self._stop.is_set():
            for future in self._ended(None):
                self._finish(future)

    def _end_running(self) -> None:
        """End what runs: first the programs, then their reservations. Never the other way."""
        self._stop.set()
        for one in self.running:
            one.future.cancel(self.limits.grace_s)
        deadline = time.monotonic() + self.limits.grace_s + 5.0
        while self.running:
            left = deadline - time.monotonic()
            ended = self.executor.async_get(
                [one.future for one in self.running], max(0.0, min(left, 0.5))
            )
            for future in ended:
                try:
                    self._finish(future)
                except Stopped:
                    log.error(
                        "the database stayed away: the trial runs again when its lease is over"
                    )
            if left <= 0 and not ended:
                for one in self.running:
                    log.error(
                        "trial %s did not end in time: its lease has to run out",
                        one.record.id,
                        extra=_about(one.record),
                    )
                    self.heart.drop(one.lease)
                self.running.clear()

    # --- how a trial ended -----------------------------------------------------------------------

    def _finish(self, future: Future) -> None:
        one = next(one for one in self.running if one.future is future)
        self.running.remove(one)
        self.report.busy_s += time.monotonic() - one.since
        followed = self.follower.finish(one.lease)
        last = followed.file.last if followed is not None else None
        verdict = self.task.judge(future.outcome(), one.function, last)
        if followed is not None:
            verdict = followed.settle(verdict)
        verdict, loss = self._ranked(verdict)
        try:
            if one.void:
                log.warning(
                    "trial %s: its end is not written, it belongs to somebody else",
                    one.record.id,
                    extra=_about(one.record),
                )
                return
            if followed is not None and (curve := followed.unwritten) is not None:
                self._write_curve(one, curve)
            self._patience.call(lambda: self._write(one, verdict, loss))
        except LeaseLost as error:
            log.warning(
                "trial %s: its result is refused: %s",
                one.record.id,
                error,
                extra=_about(one.record),
            )
            return
        finally:
            self.heart.drop(one.lease)
        log.info("trial %s is %s", one.record.id, verdict.status.value, extra=_about(one.record))
        self._count(one, verdict, loss)
        self._changed()

    def _write_curve(self, one: _Running, curve: Curve) -> None:
        # Before the trial's end, so that whoever sees that reads a curve that stays as it is.
        try:
            self._patience.call(lambda: self._storage.write_curves([(one.lease, curve)]))
        except OrionError as error:  # the result counts for more
            log.warning(
                "trial %s: its last reports are not written: %s",
                one.record.id,
                error,
                extra=_about(one.record),
            )

    def _ranked(self, verdict: Verdict) -> tuple[Verdict, Loss]:
        """Return the verdict with the loss of a completed trial; broken if it has none."""
        if verdict.status is not Status.COMPLETED:
            return verdict, Loss(0.0)
        try:
            return verdict, self.claimer.goal.loss(verdict.objective, verdict.results)
        except InvalidResult as error:
            return Verdict(Status.BROKEN, reason=str(error), error=error), Loss(0.0)

    def _write(self, one: _Running, verdict: Verdict, loss: Loss) -> None:
        if verdict.status is Status.COMPLETED:
            self._storage.complete(one.lease, loss.objective, verdict.results, loss.losses)
        else:
            self._storage.release(one.lease, verdict.status, verdict.reason)

    def _count(self, one: _Running, verdict: Verdict, loss: Loss) -> None:
        number = one.record.number
        if verdict.status is Status.COMPLETED:
            self.report.completed += 1
            self.claimer.note(one.record, Status.COMPLETED, loss)
            return
        self.claimer.note(one.record, verdict.status)
        if verdict.status is Status.INTERRUPTED:
            self.report.interrupted += 1
            if verdict.by_program:
                seconds = min(2 * self._cool.get(number, _COOL_S[0] / 2), _COOL_S[1])
                self._cool[number] = seconds
                self.claimer.cool(number, seconds)
            return
        self.report.broken += 1
        log.warning(
            "trial %s is broken: %s", one.record.id, verdict.reason, extra=_about(one.record)
        )
        counts: Any = True
        if self.hooks.on_error is not None:
            error = verdict.error or RuntimeError(verdict.reason)
            trial = self.hooks.trial_of(one.record)
            counts = self.hooks.on_error(trial, error, self._counted_broken)
        self._counted_broken += bool(counts or counts is None)

    def _changed(self) -> None:
        if self.hooks.on_change is not None:
            self.hooks.on_change(self)

    def _raise_end(self) -> None:
        if self._fatal is not None:
            raise self._fatal
        report, claimer = self.report, self.claimer
        if report.signal == signal.SIGINT:
            raise KeyboardInterrupt
        if report.signal is not None:
            raise SystemExit(128 + report.signal)
        idle = report.idle
        if idle is Idle.REMOVED:
            raise ExperimentRemoved()
        if idle is Idle.BROKEN:
            broken = claimer.history.count(Status.BROKEN)
            raise BrokenExperiment(
                f"The experiment is broken: {broken} of its trials failed. See why with "
                "`orion-k8s status`, and raise max_broken to go on."
            )
        if idle is Idle.SUSPENDED:
            raise SuspendedExperiment()
        if idle is Idle.WAIT:
            raise LazyWorkers(
                f"Nothing to do for {self.limits.idle_timeout_s:g} s: other workers hold the last "
                "trials. Raise the idle timeout to wait longer for them."
            )
        limit = self.limits.max_broken
        if limit is not None and self._counted_broken >= limit:
            raise BrokenExperiment(f"This worker broke {self._counted_broken} trials, its limit.")
        report.reason = claimer.reason if idle is Idle.USED_UP else ""
        if idle is Idle.GOAL:
            report.reason = "a trial reached the goal"


def _about(trial: TrialRecord) -> dict[str, Any]:
    """Return what a record of the log says of a trial, beside its words."""
    return {
        "trial": trial.id,
        "number": trial.number,
        "attempt": trial.attempt,
        "token": trial.token,
    }
