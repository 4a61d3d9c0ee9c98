"""A trial as people see it: named parameters beside what the history holds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any

from orion_k8s.trial.channel import report, should_stop
from orion_k8s.trial.curve import Stopped
from orion_k8s.trial.goal import reported, violation
from orion_k8s.trial.records import TrialRecord
from orion_k8s.trial.states import Status


@dataclass(frozen=True)
class Trial:
    """One evaluation of the objective.

    Attributes:
        record: what the shared history holds.
        params: name of each dimension → value; nested names as "a.b".
        working_dir: the trial's own folder, "" where the experiment has none.
        channel: folder in which the running attempt's reports are left; "" where nobody reads
            them.
    """

    record: TrialRecord
    params: Mapping[str, Any]
    working_dir: str = ""
    channel: str = field(default="", repr=False, compare=False)

    @property
    def id(self) -> str:
        """The trial's id, 24 hexadecimal digits."""
        return self.record.id

    @property
    def number(self) -> int:
        """0, 1, … for suggested trials; -1, -2, … for inserted ones."""
        return self.record.number

    @property
    def status(self) -> Status:
        """Where the trial stood when it was read."""
        return self.record.status

    @property
    def attempt(self) -> int:
        """How many times it was reserved."""
        return self.record.attempt

    @property
    def parent(self) -> str | None:
        """Id of the trial that this one continues, if any."""
        return self.record.parent

    @property
    def parent_working_dir(self) -> str:
        """The parent's own folder, "" where there is no parent, or no folder."""
        if self.parent is None or not self.working_dir:
            return ""
        return os.path.join(os.path.dirname(self.working_dir), self.parent)

    @property
    def objective(self) -> float | None:
        """The objective of a completed trial as it was reported, the first of several."""
        return next(iter(self.objectives.values()), None)

    @property
    def objectives(self) -> dict[str, float]:
        """Name → value of the objectives of a completed trial, in the order of the results."""
        return reported(self.record.results) if self.status is Status.COMPLETED else {}

    @property
    def feasible(self) -> bool | None:
        """Whether a completed trial breaks no constraint; None of any other."""
        return not violation(self.record.results) if self.status is Status.COMPLETED else None

    @property
    def results(self) -> tuple[Mapping[str, Any], ...]:
        """All results: mappings of "name", "type" and "value"."""
        return self.record.results

    @cached_property
    def stopped(self) -> Stopped | None:
        """By which rule, at which step and why a completed trial was stopped; None if it was not.

        It is one of the results, a statistic of the name `orion.stopped`.
        """
        return Stopped.of(self.results)

    @property
    def reason(self) -> str | None:
        """Why the trial is broken, interrupted or suspended."""
        return self.record.reason

    @property
    def submit_time(self) -> datetime | None:
        """When it was suggested or inserted, by the database's clock, in UTC."""
        return moment(self.record.submit_time)

    @property
    def start_time(self) -> datetime | None:
        """When it was last reserved; None before the first time."""
        return moment(self.record.start_time)

    @property
    def end_time(self) -> datetime | None:
        """When it was completed or broken; None before."""
        return moment(self.record.end_time)

    @property
    def hash_params(self) -> str:
        """What makes the trial unique in its experiment, 32 hexadecimal digits."""
        return self.record.identity

    @cached_property
    def arguments(self) -> dict[str, Any]:
        """The parameters as keyword arguments: names such as "a.b" become nested mappings."""
        return nested(self.params)

    # --- while it runs ---------------------------------------------------------------------------

    def report(
        self, value: float, step: float | None = None, metrics: Mapping[str, float] | None = None
    ) -> None:
        """Report the objective as it is now, from the function that computes this trial.

        Args:
            value: a finite number; others are passed over.
            step: how far it has come, such as the number of the epoch; None for the next one.
            metrics: beside it, name → number.
        """
        report(self.channel, value, step, metrics)

    def should_stop(self) -> bool:
        """Return whether the function should end: what it reported last will do."""
        return should_stop(self.channel)

    def __hash__(self) -> int:
        return hash(self.record.id)


def moment(seconds: float | None) -> datetime | None:
    """Return POSIX seconds as a time in UTC; None for None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def nested(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return {"a": {"b": 1}} for {"a.b": 1}."""
    result: dict[str, Any] = {}
    for name, value in params.items():
        *path, last = name.split(".")
        inner = result
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return result
