"""The values that a trial reported while it ran: its learning curve, bounded."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any, ClassVar

LIMIT = 1_000
"""So many points are kept of a curve; where there are more, every second one is dropped."""

METRICS_LIMIT = 16
"""So many metrics are kept beside the value."""

_ATTEMPT = 1 << 32


def revision_of(attempt: int, count: int) -> int:
    """Return what grows with each report, and beyond all of an earlier attempt's. Below 2**63."""
    return attempt * _ATTEMPT + min(count, _ATTEMPT - 1)


@dataclass(frozen=True)
class Curve:
    """What one attempt of a trial reported so far. Curves of two attempts are never mixed.

    Attributes:
        number: of the trial.
        attempt: of the trial, 1, 2, …
        count: how many reports there were, those that are not kept included.
        steps: in ascending order, each once.
        values: of the objective at these steps, finite.
        metrics: name → values at these steps, None where it was not reported.
    """

    number: int
    attempt: int
    count: int = 0
    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    metrics: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)

    @property
    def revision(self) -> int:
        """See `revision_of`."""
        return revision_of(self.attempt, self.count)

    @property
    def last_step(self) -> float:
        """The last step; -inf where nothing was reported."""
        return self.steps[-1] if self.steps else -math.inf

    def __len__(self) -> int:
        """Return how many points are kept."""
        return len(self.steps)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        """Iterate over (step, value)."""
        return iter(zip(self.steps, self.values, strict=True))

    def negated(self) -> Curve:
        """Return the same with every value negated: high ones are low then. Metrics stay."""
        return self._negated

    @cached_property
    def _negated(self) -> Curve:
        return replace(self, values=tuple(-value for value in self.values))

    def value_at(self, step: float) -> float | None:
        """Return the last value up to a step; None where there is none so early."""
        return self._upto(self.values, step)

    def best_at(self, step: float) -> float | None:
        """Return the lowest value up to a step; None where there is none so early."""
        return self._upto(self._lowest, step)

    def mean_at(self, step: float) -> float | None:
        """Return the mean of the values up to a step; None where there is none so early."""
        return self._upto(self._means, step)

    def _upto(self, column: tuple[float, ...], step: float) -> float | None:
        end = bisect_right(self.steps, step)
        return column[end - 1] if end else None

    # Each is computed once: a rule asks for them at every step of other trials.

    @cached_property
    def _lowest(self) -> tuple[float, ...]:
        return tuple(accumulate(self.values, min))

    @cached_property
    def _means(self) -> tuple[float, ...]:
        # The mean itself is carried on, as the sum of large values could overflow.
        mean, means = 0.0, []
        for count, value in enumerate(self.values, 1):
            mean += value / count - mean / count
            means.append(mean)
        return tuple(means)


class CurveBuilder:
    """A curve that grows by reports, and stays small.

    Args:
        number: of the trial.
        attempt: of the trial.
        limit: so many points are kept.
    """

    def __init__(self, number: int, attempt: int, limit: int = LIMIT) -> None:
        self.number = number
        self.attempt = attempt
        self.count = 0
        self._limit = limit
        self._steps: list[float] = []
        self._values: list[float] = []
        self._metrics: dict[str, list[float | None]] = {}

    @property
    def revision(self) -> int:
        """See `revision_of`."""
        return revision_of(self.attempt, self.count)

    @property
    def last_step(self) -> float:
        """The last step; -inf where nothing was reported."""
        return self._steps[-1] if self._steps else -math.inf

    def add(self, step: float, value: float, metrics: Mapping[str, float] | None = None) -> bool:
        """Take in a report; one of the last step replaces it.

        Args:
            step: finite.
            value: finite.
            metrics: name → finite number.

        Returns:
            whether it was taken: one of an earlier step is not.
        """
        if step < self.last_step:
            return False
        if step == self.last_step:
            self._drop_last()
        elif len(self._steps) >= self._limit:
            self._thin()
        for name in metrics or ():
            if name not in self._metrics and len(self._metrics) < METRICS_LIMIT:
                self._metrics[name] = [None] * len(self._steps)
        self._steps.append(step)
        self._values.append(value)
        for name, column in self._metrics.items():
            column.append((metrics or {}).get(name))
        self.count += 1
        return True

    def curve(self) -> Curve:
        """Return the curve as it is now."""
        return Curve(
            self.number,
            self.attempt,
            self.count,
            tuple(self._steps),
            tuple(self._values),
            {name: tuple(column) for name, column in self._metrics.items()},
        )

    def _columns(self) -> Iterator[list[float] | list[float | None]]:
        yield self._steps
        yield self._values
        yield from self._metrics.values()

    def _drop_last(self) -> None:
        for column in self._columns():
            del column[-1:]

    def _thin(self) -> None:
        # Counted from the end: the last point stays.
        for column in self._columns():
            del column[-2::-2]


@dataclass(frozen=True)
class Stopped:
    """That a trial was stopped early.

    Attributes:
        rule: by which it was.
        step: the last one that it had reported when this was decided.
        reason: a few words for people.
    """

    rule: str
    step: float
    reason: str

    RESULT: ClassVar[str] = "orion.stopped"
    """The name of the statistic among the trial's results that holds it."""

    def result(self) -> dict[str, Any]:
        """Return it as one of a trial's results."""
        value = {"rule": self.rule, "step": self.step, "reason": self.reason}
        return {"name": self.RESULT, "type": "statistic", "value": value}

    @classmethod
    def of(cls, results: Iterable[Mapping[str, Any]]) -> Stopped | None:
        """Return what a trial's results say of it; None where the trial was not stopped."""
        for result in results:
            value = result.get("value")
            if result.get("name") == cls.RESULT and isinstance(value, Mapping):
                try:
                    return cls(str(value["rule"]), float(value["step"]), str(value["reason"]))
                except (KeyError, TypeError, ValueError):
                    return None
        return None
