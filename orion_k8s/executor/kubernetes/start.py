"""Waiting for a Job to run its program: what holds it back, and for how long already."""

from __future__ import annotations

import time

from orion_k8s.executor.kubernetes.common import QUIET_S, Common
from orion_k8s.executor.kubernetes.news import News
from orion_k8s.executor.kubernetes.starting import Hold, hold_of, hold_of_events, hold_of_job

LOOK_S = 2.0
"""How often the clock is looked at; nobody else is asked."""


class StartClock:
    """Counts the time until the program runs.

    Args:
        common: of all attempts; it decides what is too long.
        news: of the attempt.
        experiment: its label.
    """

    def __init__(self, common: Common, news: News, experiment: str) -> None:
        self._common, self._news, self._experiment = common, news, experiment
        self._last = time.monotonic()
        self._clock_s = self._held_s = 0.0
        self._ask_s = QUIET_S
        self._told: Hold | None = None

    def look(self) -> float:
        """Return in how many seconds to look again.

        Raises:
            ConfigurationError, Lost: see `Common.held`.
        """
        now = time.monotonic()
        passed, self._last = now - self._last, now
        pod = self._news.pod
        hold = hold_of(pod) if pod is not None else hold_of_job(self._news.job)
        if hold is None or hold.clocked:
            self._clock_s += passed
            self._held_s = self._clock_s
        else:
            self._held_s += passed
        hold = hold or self._look_up()
        timeout_s = self._common.start_timeout_s
        if hold is None and timeout_s is not None and self._clock_s >= timeout_s:
            hold = Hold("nobody says why their pods do not start")
        if hold is not None:
            held_s = self._clock_s if hold.clocked else self._held_s
            self._common.held(hold, held_s, self._experiment)
        return LOOK_S

    def _look_up(self) -> Hold | None:
        """Return what the events say, where the status says nothing. Asked ever more rarely."""
        if self._clock_s >= self._ask_s:
            self._ask_s *= 3
            about = self._news.pod or self._news.job
            if about is not None:
                events = self._common.cluster.events_of(about["metadata"]["uid"])
                self._told = hold_of_events(events)
        return self._told
