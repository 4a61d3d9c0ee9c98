"""The contract of a rule of early stopping: a pure function of learning curves.

`stop` is given the curve of a running trial and those of others, as far as this worker knows
them: trials that are completed, stopped, or run somewhere else now. It answers with the reason to
stop the trial, or with None. Nothing is saved, no clock and no chance is asked: the same curves
have the same answer. It is asked once for each time that the trial has reported something new, by
the worker that runs the trial; others may know a little more, or less.

Values are to be minimised: where the experiment maximises, rules see them negated, all but those
that say `ranks = False`. They are finite, and steps ascend; what a step is, is the program's
business, so long as it is the same for all trials.

A rule of yours is a subclass of `Rule`, named under the entry point `orion_k8s.stopping`;
`orion_k8s.testing.stopping` has the tests that it should pass. Arguments of its constructor are
its parameters in configuration.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from orion_k8s.trial import Curve


class Rule(ABC):
    """A rule of early stopping."""

    name: ClassVar[str]
    """The word in configuration."""

    learns: ClassVar[bool] = True
    """Whether it looks at others' curves; else they are not read for it."""

    ranks: ClassVar[bool] = True
    """Whether it asks which value is better; else it is given values as they were reported."""

    @abstractmethod
    def stop(self, own: Curve, others: Sequence[Curve], judged: float = -math.inf) -> str | None:
        """Return why the trial should stop, in a few words for people; None if it should go on.

        Args:
            own: what the trial reported so far; one report at least.
            others: curves of other trials of the experiment, in no order; none are empty.
            judged: the last step of the trial when this was last asked: what is beyond is new.
        """

    @property
    def configuration(self) -> dict[str, Any]:
        """Return the parameters as they are stored with the experiment: plain data."""
        return {}


def reached(
    others: Sequence[Curve], step: float, value: Callable[[Curve, float], float | None]
) -> list[float]:
    """Return a value at a step of each curve that came as far."""
    found = (value(other, step) for other in others if other.last_step >= step)
    return [one for one in found if one is not None]
