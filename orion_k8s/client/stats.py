"""How an experiment stands, in a few numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from orion_k8s.history import History
from orion_k8s.trial import Goal, Status, TrialRecord
from orion_k8s.trial.trial import moment


@dataclass(frozen=True)
class Stats:
    """How an experiment stands.

    Attributes:
        trials_completed: completed trials.
        best_trials_id: id of the best trial; None where none breaks no constraint.
        best_evaluation: its objective; the mean, where each point is measured several times: then
            the trial is the first of them.
        start_time: when the first trial began; None before.
        finish_time: when the last one completed; None before.
        duration_s: seconds between them.
        counts: trials of each status.
    """

    trials_completed: int
    best_trials_id: str | None
    best_evaluation: float | None
    start_time: datetime | None
    finish_time: datetime | None
    duration_s: float
    counts: Mapping[Status, int]

    @property
    def duration(self) -> timedelta:
        """The time between the first start and the last end."""
        if self.start_time is None or self.finish_time is None:
            return timedelta(0)
        return max(timedelta(0), self.finish_time - self.start_time)

    @classmethod
    def of(
        cls, history: History, points: History, records: Iterable[TrialRecord], goal: Goal
    ) -> Stats:
        """Return the stats of a history.

        Args:
            history: the mirror, which knows all but the times.
            points: the same, or of points that are measured several times.
            records: the same trials as they are stored; gone through once, for the times.
            goal: what the experiment aims at.
        """
        first = last = None
        for record in records:
            start, end = record.start_time, record.end_time
            if start is not None and (first is None or start < first):
                first = start
            if record.status is Status.COMPLETED and end is not None:
                last = end if last is None or end > last else last
        best = points.best()
        value = goal.value(best[1]) if best else None
        return cls(
            trials_completed=history.count(Status.COMPLETED),
            best_trials_id=points.ids[best[0]] if best and value is not None else None,
            best_evaluation=value,
            start_time=moment(first),
            finish_time=moment(last),
            duration_s=max(0.0, last - first) if first is not None and last is not None else 0.0,
            counts={s: n for s, n in history.counts.items() if s is not Status.REMOVED},
        )
